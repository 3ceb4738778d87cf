//! Why there is no session with a host.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::prompt::PromptError;
use crate::settings::{Problem, Problems};

/// What a connection was doing when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Turning settings into a target.
    Resolve,
    /// Opening the gateway.
    Gateway,
    /// Looking the name up.
    Lookup,
    /// Connecting the socket (`timeout`).
    Connect,
    /// Waiting for the server's version line (`timeout`, or `banner_timeout` where it is given).
    Banner,
    /// Agreeing on keys (`banner_timeout`).
    KeyExchange,
    /// Checking the host's key.
    HostKey,
    /// Logging in (`auth_timeout`).
    Auth,
    /// Opening a channel.
    Channel,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the target",
            Self::Gateway => "opening the gateway",
            Self::Lookup => "looking up the name",
            Self::Connect => "connecting",
            Self::Banner => "waiting for the server's banner",
            Self::KeyExchange => "exchanging keys",
            Self::HostKey => "checking the host key",
            Self::Auth => "authenticating",
            Self::Channel => "opening a channel",
        })
    }
}

/// Why there is no session with a host.
#[derive(Debug, Clone, Error)]
#[error("{host}: {kind}")]
#[non_exhaustive]
pub struct ConnectError {
    /// The host string, as written.
    pub host: String,
    /// What was being done.
    pub phase: Phase,
    /// What happened.
    pub kind: ConnectErrorKind,
}

impl ConnectError {
    /// An error of `host` while it was in `phase`.
    pub fn new(host: impl Into<String>, phase: Phase, kind: ConnectErrorKind) -> Self {
        Self { host: host.into(), phase, kind }
    }

    /// The same error of another host string.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Whether another try may end differently: true for what the network or a busy server does, false
    /// for wrong keys, wrong names and wrong settings.
    pub fn is_transient(&self) -> bool {
        use ConnectErrorKind as K;
        match &self.kind {
            K::Refused { .. }
            | K::Unreachable { .. }
            | K::Dropped { .. }
            | K::TimedOut { .. }
            | K::PasswordUnanswered { .. }
            | K::GatewayTimedOut { .. } => true,
            K::Gateway { error, .. } => error.is_transient(),
            _ => false,
        }
    }
}

/// What happened to a connection attempt.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// No way of logging in was accepted.
    #[error("login as {user} failed: {}{}", tried_text(.tried), offered_text(.offered))]
    AuthFailed {
        /// The login user.
        user: String,
        /// What was tried, each with its result: methods, key files, agent keys.
        tried: Vec<String>,
        /// The methods that the server would still take.
        offered: Vec<String>,
    },
    /// The host shows another key than the one that is known.
    #[error(
        "host key changed: {host} shows {key_type} {fingerprint}, but {file}:{line} has another key; \
         nothing was sent. If the change is legitimate, remove that line"
    )]
    HostKeyChanged {
        /// The name under which the key was looked up.
        host: String,
        /// The type of the key that was shown.
        key_type: String,
        /// Its fingerprint, `SHA256:..`.
        fingerprint: String,
        /// The file with the other key.
        file: String,
        /// The line in that file, from 1.
        line: usize,
    },
    /// The host's key is marked as revoked, or its certificate doesn't hold.
    #[error("host key refused: {reason}")]
    HostKeyRefused {
        /// Why.
        reason: String,
    },
    /// The host's key is unknown, and unknown keys are refused.
    #[error(
        "host key unknown: {key_type} {fingerprint} of {host} is in no known_hosts file, and unknown hosts are refused {}",
        if *.no_file {
            "where there is no file of the user's to record them in (give the connection a resolver, such as \
             `fabric_config::Config`, or name a file in `HostKeyPolicy::user_files`; `HostKeyCheck::AcceptNew` accepts them)"
        } else {
            "(by reject_unknown_hosts or StrictHostKeyChecking; a first `ssh` or `ssh-keyscan` makes it known)"
        }
    )]
    HostKeyUnknown {
        /// The name under which the key was looked up.
        host: String,
        /// The key's type.
        key_type: String,
        /// Its fingerprint, `SHA256:..`.
        fingerprint: String,
        /// Whether it is refused only because there is no file to record it in
        /// ([`HostKeyCheck::RecordNew`](crate::target::HostKeyCheck::RecordNew)).
        no_file: bool,
    },
    /// A known_hosts file cannot be read or written.
    #[error("known_hosts file {file}: {reason}")]
    KnownHosts {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A key file cannot be used.
    #[error("key {file}: {reason}")]
    Key {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A name that doesn't resolve.
    #[error("cannot find the address of {name}: {reason}")]
    NameNotFound {
        /// The name.
        name: String,
        /// The resolver's error.
        reason: String,
    },
    /// Nothing listens there.
    #[error("connection to {address} refused: is sshd running on that port?")]
    Refused {
        /// Address and port.
        address: String,
    },
    /// The network doesn't lead there.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// Address and port.
        address: String,
        /// The system's error.
        reason: String,
    },
    /// A phase took longer than its setting allows.
    #[error("timed out after {} s while {phase} (setting {setting})", .after.as_secs_f64())]
    TimedOut {
        /// Which phase.
        phase: Phase,
        /// How long it was given.
        after: Duration,
        /// The setting that says so.
        setting: TimeLimit,
    },
    /// The server didn't answer a password within `auth_timeout`.
    #[error(
        "timed out after {} s while {} (setting auth_timeout): the server has not answered the password. If that has \
         expired, the server may be asking for a new one by a message that can't be answered here \
         (SSH_MSG_USERAUTH_PASSWD_CHANGEREQ): log in with `ssh` once to change it, or use the transport `openssh` \
         (-H openssh://HOST)",
        .after.as_secs_f64(), Phase::Auth
    )]
    PasswordUnanswered {
        /// How long it was given.
        after: Duration,
    },
    /// The server closed the connection before the session was open: it is busy, or penalises this address.
    #[error("the server closed the connection while {phase}{}", reason_text(.reason))]
    Dropped {
        /// Which phase.
        phase: Phase,
        /// The server's text, if it sent one.
        reason: String,
        /// Whether it refuses this address for a while, after logins that failed (`PerSourcePenalties` of sshd).
        penalised: bool,
    },
    /// The two sides have no algorithm in common, or the peer doesn't speak SSH.
    #[error("handshake failed: {reason}")]
    Handshake {
        /// What is wrong.
        reason: String,
    },
    /// The gateway failed.
    #[error("gateway {gateway}: {error}")]
    Gateway {
        /// The gateway, as configured.
        gateway: String,
        /// What happened to it.
        error: Box<ConnectError>,
    },
    /// A gateway took longer to reach the host than `timeout` allows.
    #[error("gateway {gateway}: timed out after {} s while connecting (setting timeout)", .after.as_secs_f64())]
    GatewayTimedOut {
        /// The gateway, as configured, without a password.
        gateway: String,
        /// How long it was given.
        after: Duration,
    },
    /// A ProxyCommand failed.
    #[error("proxy command `{command}` {reason}")]
    ProxyCommand {
        /// The command, tokens expanded.
        command: String,
        /// What happened, with the end of its standard error.
        reason: String,
    },
    /// A plugin failed.
    #[error("plugin {plugin}: {reason}")]
    Plugin {
        /// The plugin's file or name.
        plugin: String,
        /// What happened.
        reason: String,
    },
    /// No transport or gateway of that name.
    #[error("no transport or gateway is called `{name}`{}", hint_text(.hint))]
    UnknownTransport {
        /// The name.
        name: String,
        /// What to do about it.
        hint: String,
    },
    /// A question could not be asked.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// Settings that make no sense for this host.
    #[error(transparent)]
    Setting(#[from] Problems),
}

impl From<Problem> for ConnectErrorKind {
    fn from(problem: Problem) -> Self {
        Self::Setting(problem.into())
    }
}

/// A time limit, which is written as the setting that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeLimit {
    /// `timeout`.
    Connect,
    /// `banner_timeout`.
    Banner,
    /// `auth_timeout`.
    Auth,
    /// `channel_timeout`.
    Channel,
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "timeout",
            Self::Banner => "banner_timeout",
            Self::Auth => "auth_timeout",
            Self::Channel => "channel_timeout",
        })
    }
}

fn tried_text(tried: &[String]) -> String {
    if tried.is_empty() { "nothing to try".to_owned() } else { format!("tried {}", tried.join("; ")) }
}

fn offered_text(offered: &[String]) -> String {
    if offered.is_empty() { String::new() } else { format!("; the server offers {}", offered.join(", ")) }
}

fn reason_text(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

fn hint_text(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!(" ({hint})") }
}
