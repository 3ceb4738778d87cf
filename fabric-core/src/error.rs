//! What can go wrong, typed: with the host, the phase and what to do about it.
//!
//! Texts start in lower case with the action that failed; none of them ever holds a secret.

use std::borrow::Cow;
use std::time::Duration;

use thiserror::Error;

use crate::outcome::{CommandOutcome, TransferOutcome};
use crate::prompt::PromptError;

/// A text that is no host string or list of them.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("`{text}` is not a host: {kind} (expected [user@]host[:port], IPv6 with a port as [address]:port)")]
pub struct HostStringError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub kind: HostStringErrorKind,
}

/// What is wrong with a host string.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostStringErrorKind {
    /// Something stands behind `[address]` that is no port.
    #[error("`{0}` after the bracket is not a port")]
    AfterBracket(String),
    /// White space, a control character, or one that OpenSSH takes in no host's name (`valid_hostname` in its ssh.c) or
    /// patterns have.
    #[error("it contains {0:?}")]
    BadCharacter(char),
    /// The port is not a number from 1 to 65535.
    #[error("port `{0}` is not a number from 1 to 65535")]
    BadPort(String),
    /// `[..]` holds no range of numbers.
    #[error("`[{0}]` is not a range such as [01-20,30], lower numbers first")]
    BadRange(String),
    /// The text before `://` is no scheme.
    #[error("`{0}` is not a scheme")]
    BadScheme(String),
    /// There is no host part.
    #[error("the host part is empty")]
    EmptyHost,
    /// Host or user begins with a dash, which a program would read as an option.
    #[error("host and user must not begin with `-`")]
    LeadingDash,
    /// Several colons, or brackets, around what is no IPv6 address.
    #[error("`{0}` is not an IPv6 address")]
    NotIpv6(String),
    /// A gateway that begins as an address of a plugin does, and is none.
    #[error("the address of a plugin is scheme://[user[:password]@]proxy[:port]")]
    NotUrl,
    /// A `@file`, where only hosts are read.
    #[error(
        "a file of hosts is read on the command line only (-H @file); in a fabfile a role names it: inventory = \"..\""
    )]
    ListFile,
    /// A bracket without its partner.
    #[error("a bracket is not closed or not opened (brackets inside brackets are not read)")]
    OpenBracket,
    /// A range as shells write it.
    #[error("`{{{0}}}` is not a list of words such as {{a,b}}; a range is written [1-3]")]
    ShellRange(String),
    /// A range or product of ranges beyond reason.
    #[error("it stands for more than {0} hosts")]
    TooMany(usize),
}

/// A command that cannot be rendered.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// A variable's name that no shell takes.
    #[error("environment variable name `{name}` is not letters, digits and _ (or starts with a digit)")]
    EnvName {
        /// The name.
        name: String,
    },
    /// A zero byte, which no command line can hold.
    #[error("the command, its directory or its environment contains a NUL byte, which cannot be sent")]
    Nul,
    /// More than the other side can take.
    #[error("the command is {bytes} bytes long, more than the {limit} a host takes: send it with put and run the file")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
}

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
            K::Gateway { source, .. } => source.is_transient(),
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
        /// What was tried, each with what came of it: methods, key files, agent keys.
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
    /// Nobody knows the host's key, and unknown keys are refused.
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
        /// What the resolver said.
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
        /// What the system said.
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
        setting: &'static str,
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
    /// The server ended the connection before a session stood: busy, or penalising this address.
    #[error("the server closed the connection while {phase}{}", reason_text(.reason))]
    Dropped {
        /// Which phase.
        phase: Phase,
        /// What it said, if anything.
        reason: String,
    },
    /// The two sides have no algorithm in common, or the peer doesn't speak SSH.
    #[error("handshake failed: {reason}")]
    Handshake {
        /// What is wrong.
        reason: String,
    },
    /// The gateway failed.
    #[error("gateway {gateway}: {source}")]
    Gateway {
        /// The gateway, as configured.
        gateway: String,
        /// What happened to it.
        source: Box<ConnectError>,
    },
    /// A gateway took longer to reach the host than `timeout` allows.
    #[error("gateway {gateway}: timed out after {} s while connecting (setting timeout)", .after.as_secs_f64())]
    GatewayTimedOut {
        /// The gateway, as configured, without a password.
        gateway: String,
        /// How long it was given.
        after: Duration,
    },
    /// A ProxyCommand ended or said something on its standard error.
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
    /// Somebody should have been asked.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A setting that makes no sense for this host.
    #[error("{reason}")]
    Setting {
        /// What is wrong and where.
        reason: String,
    },
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

/// What can happen on an open session.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// The server refused a channel: too many (MaxSessions), or forbidden.
    #[error("the server refused a channel: {reason}")]
    ChannelRefused {
        /// Its words.
        reason: String,
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
    /// The system of this machine said no.
    #[error("{what}: {reason}")]
    System {
        /// What was being done.
        what: String,
        /// The system's words.
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

/// What went wrong with a file.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{what} {path}: {kind}")]
pub struct FileError {
    /// What was being done: `read`, `write`, `stat`, ...
    pub what: &'static str,
    /// The path, as text.
    pub path: String,
    /// What happened.
    pub kind: FileErrorKind,
}

impl FileError {
    /// An error about `path`, which is shown as text.
    pub fn new(what: &'static str, path: impl AsRef<[u8]>, kind: FileErrorKind) -> Self {
        Self { what, path: String::from_utf8_lossy(path.as_ref()).into_owned(), kind }
    }
}

/// What happened to a file.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileErrorKind {
    /// It is there already.
    #[error("it exists already")]
    Exists,
    /// The host says no more than that it failed.
    #[error("{0}")]
    Failed(String),
    /// A name that would leave the directory it must stay in.
    #[error("refused: the name leads out of the target directory")]
    Escapes,
    /// The checksum or size after the transfer is another one.
    #[error("the copy differs: {0}")]
    Differs(String),
    /// A directory where a file is needed, or the reverse.
    #[error("{0}")]
    WrongKind(&'static str),
    /// There is no such file.
    #[error("no such file or directory")]
    NotFound,
    /// Not allowed.
    #[error("permission denied")]
    PermissionDenied,
    /// The connection ended.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The peer broke the protocol.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// This side's file or stream failed.
    #[error("local: {0}")]
    Local(String),
    /// The host doesn't have this operation.
    #[error("the host does not support it")]
    Unsupported,
}

/// Why a command, a transfer or anything else on a connection failed.
///
/// One type for all of a [`Session`](crate::Session)'s work, so that a task can use `?` throughout and a
/// program can match on what happened.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no session.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The command ended with a status that doesn't count as success.
    #[error("{}", unexpected_exit(.0))]
    UnexpectedExit(Box<CommandOutcome>),
    /// The command took longer than it was given; the outcome has what it printed.
    #[error("{}: `{}` did not finish within {} s{}", .outcome.host, one_line(&.outcome.command), .after.as_secs_f64(), running_text(.still_running.as_ref()))]
    TimedOut {
        /// How long it was given.
        after: Duration,
        /// What is known of it.
        outcome: Box<CommandOutcome>,
        /// Why it may still be running on the host; `None` if it was ended.
        still_running: Option<String>,
    },
    /// The run was interrupted; the outcome has what the command printed.
    #[error("{}: `{}` was interrupted{}", .outcome.host, one_line(&.outcome.command), running_text(.still_running.as_ref()))]
    Interrupted {
        /// What is known of it.
        outcome: Box<CommandOutcome>,
        /// Why it may still be running on the host; `None` if it was ended.
        still_running: Option<String>,
    },
    /// The session broke after the command had ended and before all of its output had come. The outcome has the exit
    /// status and the output that came, of which the end is missing.
    #[error(
        "{}: `{}` {}, but not all of its output came: {source}",
        .outcome.host, .outcome.command, .outcome.exit
    )]
    OutputCut {
        /// What is known of it.
        outcome: Box<CommandOutcome>,
        /// How the session broke.
        source: SessionError,
    },
    /// `sudo` refused the password.
    #[error("{host}: sudo refused the password of {user}")]
    SudoRefused {
        /// The host string, as written.
        host: String,
        /// Whose password it was.
        user: String,
    },
    /// A watcher's sentinel appeared: its answer was refused.
    #[error("{host}: the answer to `{pattern}` was refused")]
    AnswerRefused {
        /// The host string, as written.
        host: String,
        /// The watcher's pattern.
        pattern: String,
    },
    /// The command cannot be sent.
    #[error("{host}: {source}")]
    Command {
        /// The host string, as written.
        host: String,
        /// Why.
        source: CommandError,
    },
    /// The session failed.
    #[error("{host}: {source}")]
    Session {
        /// The host string, as written.
        host: String,
        /// What happened.
        source: SessionError,
    },
    /// A transfer failed.
    #[error("{host}: {source}")]
    File {
        /// The host string, as written.
        host: String,
        /// What happened.
        source: FileError,
    },
    /// Some files of a transfer of several did not arrive; the outcome says which, and why.
    #[error("{}", incomplete(.0))]
    TransferIncomplete(Box<TransferOutcome>),
    /// Somebody should have been asked.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// The call makes no sense as it stands: contradicting or missing arguments.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// The host string the error is about, where it is about one.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Connect(error) => Some(&error.host),
            Self::UnexpectedExit(outcome)
            | Self::TimedOut { outcome, .. }
            | Self::Interrupted { outcome, .. }
            | Self::OutputCut { outcome, .. } => Some(&outcome.host),
            Self::SudoRefused { host, .. }
            | Self::AnswerRefused { host, .. }
            | Self::Command { host, .. }
            | Self::Session { host, .. }
            | Self::File { host, .. } => Some(host),
            Self::TransferIncomplete(outcome) => Some(&outcome.host),
            Self::Prompt(_) | Self::Usage(_) => None,
        }
    }

    /// The part of this error's text that quotes output that was hidden while the command ran: for whoever must not pass it on.
    pub fn hidden_output(&self) -> Option<String> {
        let Self::UnexpectedExit(outcome) = self else { return None };
        Some(hidden_output(outcome)).filter(|text| !text.is_empty())
    }

    /// The outcome of the command, where one ran.
    pub fn outcome(&self) -> Option<&CommandOutcome> {
        match self {
            Self::UnexpectedExit(outcome)
            | Self::TimedOut { outcome, .. }
            | Self::Interrupted { outcome, .. }
            | Self::OutputCut { outcome, .. } => Some(outcome),
            _ => None,
        }
    }
}

/// Host, command, status and the end of the output that was not shown while it ran.
fn unexpected_exit(outcome: &CommandOutcome) -> String {
    format!("{}: `{}` {}{}", outcome.host, one_line(&outcome.command), outcome.exit, hidden_output(outcome))
}

/// A command's first line that says something; what follows it is where the command is written.
fn one_line(command: &str) -> Cow<'_, str> {
    let mut lines = command.lines().map(str::trim).filter(|line| !line.is_empty());
    match (lines.next(), lines.next()) {
        (Some(first), Some(_)) => format!("{first} ...").into(),
        _ => command.trim_matches('\n').into(),
    }
}

/// The end of the output that was not shown while it ran.
fn hidden_output(outcome: &CommandOutcome) -> String {
    let mut text = String::new();
    for stream in &outcome.hidden {
        let tail = outcome.tail(*stream, 10);
        if !tail.is_empty() {
            text.extend(["\n", &stream.to_string(), ":\n", &tail]);
        }
    }
    text
}

/// The first few files that failed, each with the reason.
fn incomplete(outcome: &TransferOutcome) -> String {
    const SHOWN: usize = 5;
    let (failed, all) = (outcome.failed.len(), outcome.failed.len() + outcome.local.len().max(outcome.remote.len()));
    let mut text = format!("{}: {failed} of {all} files were not transferred", outcome.host);
    for (name, reason) in outcome.failed.iter().take(SHOWN) {
        text.extend(["\n", name, ": ", reason]);
    }
    if failed > SHOWN {
        text.push_str("\n..");
    }
    text
}

fn running_text(reason: Option<&String>) -> String {
    match reason {
        Some(reason) => format!("; it may still be running there: {reason}"),
        None => "; it was ended".to_owned(),
    }
}
