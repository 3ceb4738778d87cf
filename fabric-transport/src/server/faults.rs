//! How a host misbehaves.

use std::time::Duration;

/// What a host does wrong. The default is nothing.
///
/// ```
/// use fabric_transport::server::{Faults, Greeting};
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
pub struct MaxStartups {
    /// From this many on.
    pub begin: usize,
    /// With this probability at first, in percent.
    pub rate: u32,
    /// From this many on always.
    pub full: usize,
}

impl MaxStartups {
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

/// What becomes of a command's exit status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
