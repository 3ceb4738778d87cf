//! What can happen on an open session.

use std::time::Duration;

use thiserror::Error;

/// What can happen on an open session.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// The server refused a channel: too many (MaxSessions), or forbidden.
    #[error("the server refused a channel: {reason}{}", words(.said))]
    ChannelRefused {
        /// Why, by the protocol.
        why: ChannelRefusal,
        /// What was asked for, and what the refusal means.
        reason: String,
        /// The server's own words; empty if it had none.
        said: String,
    },
    /// This side closed the session.
    #[error("the connection is closed")]
    Closed,
    /// The connection broke.
    #[error("the connection was lost: {reason}")]
    Lost {
        /// Why, as far as is known.
        reason: String,
    },
    /// The server refused a request (pty, exec, subsystem, forward).
    #[error("the server refused {what}")]
    RequestRefused {
        /// The request.
        what: String,
    },
    /// A system call of this machine failed.
    #[error("{what}: {reason}")]
    System {
        /// What was being done.
        what: String,
        /// The system's error.
        reason: String,
    },
    /// The runtime in which the session was opened does not run any more.
    #[error(
        "the connection was opened in a tokio runtime that does nothing now: use it in that runtime, or make a connection in \
         this one"
    )]
    NotDriven,
    /// An answer did not come in time.
    #[error("no answer to {what} within {} s", .after.as_secs_f64())]
    TimedOut {
        /// What was asked.
        what: String,
        /// How long was waited.
        after: Duration,
    },
    /// This transport cannot do that.
    #[error("this transport has no {what}")]
    Unsupported {
        /// What it cannot do.
        what: &'static str,
    },
}

/// Why a server refused a channel (RFC 4254, section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelRefusal {
    /// Its configuration forbids it.
    Prohibited,
    /// It could not connect to where the channel leads; OpenSSH also says so of too many sessions.
    ConnectFailed,
    /// It is short of something, such as sessions on one connection (`MaxSessions`).
    ResourceShortage,
    /// Another reason, or none.
    Other,
}

fn words(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}
