//! How a host misbehaves.

use std::time::{Duration, Instant};

/// What a host does wrong. The default is nothing.
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
    /// What comes first on a connection.
    pub greeting: Greeting,
    /// How connections are refused while many are not logged in yet.
    pub max_startups: Option<MaxStartups>,
    /// How addresses are refused for a while from which logins have failed.
    pub penalties: Option<Penalties>,
    /// After this many bytes towards the client the connection is cut.
    pub cut_after: Option<u64>,
    /// After this many bytes towards the client nothing more goes either way, and the connection stays open: a
    /// host that lost its power.
    pub stall_after: Option<u64>,
    /// After this many bytes towards the client every byte is wrong.
    pub garble_after: Option<u64>,
    /// What becomes of a command's exit status.
    pub exit: ExitFault,
    /// Refuses every session channel.
    pub refuse_channels: bool,
    /// Names, as raw bytes, that every SFTP directory listing has besides the real ones, each shown as a regular
    /// file of 3 bytes.
    pub listing: Vec<Vec<u8>>,
    /// The length that the frame of every SFTP answer claims to have, whatever it has.
    pub sftp_frame: Option<u32>,
}

/// What comes first on a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Greeting {
    /// The version line.
    #[default]
    Version,
    /// Nothing: the connection is closed at once.
    Close,
    /// Nothing for so long, and then the version line.
    Late(Duration),
    /// Nothing, for as long as the client waits.
    Silence,
    /// These bytes instead of the version line, and then nothing.
    Raw(Vec<u8>),
    /// Lines without end, none of which is a version line.
    Endless,
}

/// sshd's `MaxStartups begin:rate:full`: once `begin` connections are not logged in yet, new ones are closed with a
/// probability of `rate` percent, which grows to certainty at `full`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MaxStartups {
    /// From this many on.
    pub begin: usize,
    /// With this probability at first, in percent.
    pub rate: u32,
    /// From this many on always.
    pub full: usize,
}

impl MaxStartups {
    /// `begin:rate:full`.
    pub fn new(begin: usize, rate: u32, full: usize) -> Self {
        Self { begin, rate, full }
    }

    /// Whether to refuse a connection while `waiting` others are not logged in; `chance` is a random number below
    /// 100. The arithmetic is sshd's.
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

/// sshd's `PerSourcePenalties` (OpenSSH 9.8): what a client's address gets for connections that come to nothing. It adds
/// up, and while it is more than `min`, connections from there are closed with `Not allowed at this time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Penalties {
    /// For a login that failed (`authfail`).
    pub failed: Duration,
    /// For a connection that ended without trying to log in (`noauth`).
    pub unused: Duration,
    /// How much must add up before anything is refused.
    pub min: Duration,
    /// How much can add up.
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
    /// What is still due at `now`, with `more` on top.
    pub(super) fn add(self, until: Option<Instant>, now: Instant, more: Duration) -> Instant {
        (until.unwrap_or(now).max(now) + more).min(now + self.max)
    }

    /// Whether an address is refused at `now` that has this much due.
    pub(super) fn refuses(self, until: Instant, now: Instant) -> bool {
        until.saturating_duration_since(now) > self.min
    }
}

/// What becomes of a command's exit status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitFault {
    /// It is sent.
    #[default]
    None,
    /// It is never sent; the channel just closes.
    Missing,
    /// It is sent before the command is started.
    First,
    /// It is sent, and the channel never closes.
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
