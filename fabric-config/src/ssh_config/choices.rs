//! Directives' values that are neither numbers nor texts.

use std::time::Duration;

/// `StrictHostKeyChecking`: what happens to a host whose key isn't known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StrictHostKeyChecking {
    /// `no`, `off`: the key is taken; even a changed one only disables passwords.
    Off,
    /// `accept-new`: an unknown key is taken, a changed one refused.
    AcceptNew,
    /// `yes`: only known keys.
    Yes,
    /// `ask`: the user decides.
    Ask,
}

/// A switch that can be left to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum YesNoAsk {
    /// `no`
    No,
    /// `yes`
    Yes,
    /// `ask`
    Ask,
}

/// `RequestTTY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestTty {
    /// `auto`: for a shell, not for a command.
    Auto,
    /// `no`
    No,
    /// `yes`: if there is a terminal here.
    Yes,
    /// `force`
    Force,
}

/// `LogLevel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum LogLevel {
    Quiet,
    Fatal,
    Error,
    Info,
    Verbose,
    Debug1,
    Debug2,
    Debug3,
}

/// `IdentityAgent`: which agent to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityAgent {
    /// The agent that the environment's `SSH_AUTH_SOCK` names. The default.
    Environment,
    /// No agent.
    None,
    /// The one whose socket this variable names (`$NAME`).
    Variable(String),
    /// The one with this socket.
    Socket(String),
}

/// `ForwardAgent`: which agent the other side may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardAgent {
    /// None.
    No,
    /// The one that is used here.
    Yes,
    /// The one whose socket this variable names (`$NAME`).
    Variable(String),
    /// The one with this socket.
    Socket(String),
}

/// `RekeyLimit`: when keys are renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RekeyLimit {
    /// After so many bytes; `None` for the cipher's default.
    pub bytes: Option<u64>,
    /// After so long; `None` for never.
    pub interval: Option<Duration>,
}

/// `IPQoS`: the byte in the IP header for interactive sessions and for the others; `None` leaves the system's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpQos {
    /// For sessions with a terminal.
    pub interactive: Option<u8>,
    /// For all others.
    pub bulk: Option<u8>,
}
