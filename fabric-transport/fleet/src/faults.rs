//! Faults of a host.

use std::time::{Duration, Instant};

/// What a host does wrong. Default: nothing.
///
/// ```
/// use fabric_transport_fleet::{Faults, Greeting};
///
/// let mut faults = Faults::default();
/// faults.greeting = Greeting::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
/// faults.cut_after = Some(4096);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Faults {
    /// The beginning of a connection.
    pub greeting: Greeting,
    /// How connections are refused while many others aren't logged in yet.
    pub max_startups: Option<MaxStartups>,
    /// How addresses with failed logins are refused for a while.
    pub penalties: Option<Penalties>,
    /// After this many bytes to the client, the connection is cut.
    pub cut_after: Option<u64>,
    /// After this many bytes to the client, nothing is sent in either direction, and the connection stays open: a host
    /// without power.
    pub stall_after: Option<u64>,
    /// After this many bytes to the client, every byte is wrong.
    pub garble_after: Option<u64>,
    /// How a command's exit status is sent.
    pub exit: ExitFault,
    /// Refuses every session channel.
    pub refuse_channels: bool,
    /// Names, as raw bytes, that every SFTP directory listing contains besides the real ones, each as a regular file of
    /// 3 bytes.
    pub listing: Vec<Vec<u8>>,
    /// The length that every SFTP reply's frame claims, whatever its real length.
    pub sftp_frame: Option<u32>,
}

/// The beginning of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Greeting {
    /// The version line.
    #[default]
    Version,
    /// Nothing: the connection is closed at once.
    Close,
    /// Nothing for this time, and then the version line.
    Late(Duration),
    /// Nothing, for as long as the client waits.
    Silence,
    /// These bytes instead of the version line, and then nothing.
    Raw(Vec<u8>),
    /// Endless lines, none of which is a version line.
    Endless,
}

/// sshd's `MaxStartups begin:rate:full`: while `begin` connections aren't logged in yet, new ones are closed with a
/// probability of `rate` percent, which grows to 100 percent at `full`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MaxStartups {
    /// From this many connections on.
    pub begin: usize,
    /// With this probability at first, in percent.
    pub rate: u32,
    /// From this many connections on, always.
    pub full: usize,
}

impl MaxStartups {
    /// `begin:rate:full`.
    pub fn new(begin: usize, rate: u32, full: usize) -> Self {
        Self { begin, rate, full }
    }

    /// Whether to refuse a connection while `waiting` others aren't logged in; `chance` is a random number below 100.
    /// The arithmetic is sshd's.
    pub(super) fn refuses(self, waiting: usize, chance: u32) -> bool {
        if waiting < self.begin {
            return false;
        }
        if waiting >= self.full || self.rate >= 100 {
            return true;
        }
        let (waiting, begin, full) = (waiting as u32, self.begin as u32, self.full as u32);
        let probability = (100 - self.rate) * (waiting - begin) / (full - begin) + self.rate;
        chance < probability
    }
}

/// sshd's `PerSourcePenalties` (OpenSSH 9.8): the penalties of a client's address for failed connections. They add up,
/// and while the sum is more than `min`, connections are closed with `Not allowed at this time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Penalties {
    /// For a failed login (`authfail`).
    pub failed: Duration,
    /// For a connection that ended without trying to log in (`noauth`).
    pub unused: Duration,
    /// The sum from which connections are refused.
    pub min: Duration,
    /// The largest sum.
    pub max: Duration,
}

impl Default for Penalties {
    /// sshd's own: 5 s, 1 s, 15 s and 10 min.
    fn default() -> Self {
        Self {
            failed: Duration::from_secs(5),
            unused: Duration::from_secs(1),
            min: Duration::from_secs(15),
            max: Duration::from_mins(10),
        }
    }
}

impl Penalties {
    /// The rest of the penalties at `now`, plus `more`.
    pub(super) fn add(self, until: Option<Instant>, now: Instant, more: Duration) -> Instant {
        (until.unwrap_or(now).max(now) + more).min(now + self.max)
    }

    /// Whether an address with this much is refused at `now`.
    pub(super) fn refuses(self, until: Instant, now: Instant) -> bool {
        until.saturating_duration_since(now) > self.min
    }
}

/// How a command's exit status is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitFault {
    /// As usual.
    #[default]
    None,
    /// Not at all; the channel is closed without it.
    Missing,
    /// Before the command is started.
    First,
    /// As usual, and the channel is never closed.
    NeverCloses,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_add_up_and_pass() {
        let penalties = Penalties::default();
        let now = Instant::now();
        let mut until = None;
        for _ in 0..3 {
            until = Some(penalties.add(until, now, penalties.failed));
        }
        assert!(!penalties.refuses(until.unwrap(), now));
        let until = penalties.add(until, now, penalties.unused);
        assert!(penalties.refuses(until, now));
        assert!(!penalties.refuses(until, now + Duration::from_secs(2)));
        let most = (0..1000).fold(until, |until, _| penalties.add(Some(until), now, penalties.failed));
        assert_eq!(most, now + penalties.max);
    }

    #[test]
    fn refusal_grows_from_begin_to_full() {
        let limit = MaxStartups { begin: 10, rate: 30, full: 100 };
        assert!(!limit.refuses(9, 0));
        assert!(limit.refuses(10, 29));
        assert!(!limit.refuses(10, 30));
        assert!(limit.refuses(55, 64));
        assert!(!limit.refuses(55, 65));
        assert!(limit.refuses(100, 99));
    }
}
