//! Errors, with the host, the phase, and what to do about it.
//!
//! Texts start in lower case with the action that failed; none of them ever holds a secret. Each is complete: an error whose text
//! has that of another in it does not return that as its [`source`](std::error::Error::source), so that programs which print both
//! print nothing twice.

mod connect;
mod file;
mod session;

use std::borrow::Cow;
use std::time::Duration;

use thiserror::Error;

use crate::command::CommandError;
use crate::outcome::{CommandOutcome, TransferOutcome};
use crate::prompt::PromptError;

pub use connect::{ConnectError, ConnectErrorKind, Phase, TimeLimit};
pub use file::{FileError, FileErrorKind};
pub use session::{ChannelRefusal, SessionError};

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
        "{}: `{}` {}, but not all of its output came: {error}",
        .outcome.host, .outcome.command, .outcome.exit
    )]
    OutputCut {
        /// What is known of it.
        outcome: Box<CommandOutcome>,
        /// How the session broke.
        error: SessionError,
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
    #[error("{host}: {error}")]
    Command {
        /// The host string, as written.
        host: String,
        /// Why.
        error: CommandError,
    },
    /// The session failed.
    #[error("{host}: {error}")]
    Session {
        /// The host string, as written.
        host: String,
        /// What happened.
        error: SessionError,
    },
    /// A transfer failed.
    #[error("{host}: {error}")]
    File {
        /// The host string, as written.
        host: String,
        /// What happened.
        error: FileError,
    },
    /// Some files of a transfer of several did not arrive; the outcome says which, and why.
    #[error("{}", incomplete(.0))]
    TransferIncomplete(Box<TransferOutcome>),
    /// A question could not be asked.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// The call is wrong: contradicting or missing arguments.
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

    /// The part of this error's text that quotes output which was hidden while the command ran, for programs that must not pass
    /// it on.
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

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    /// Programs that print an error and then its sources say each thing once.
    #[test]
    fn no_error_prints_what_it_returns_as_its_source() {
        let host = || "web1".to_owned();
        let lost = || SessionError::Lost { reason: "reset".to_owned() };
        let inner =
            ConnectError::new("bastion", Phase::Connect, ConnectErrorKind::Refused { address: "h:22".to_owned() });
        let gateway = ConnectErrorKind::Gateway { gateway: "bastion".to_owned(), error: Box::new(inner) };
        let no_terminal = PromptError::NoTerminal { message: "Password".to_owned(), host: None };
        let connect = |kind| Error::Connect(ConnectError::new("web1", Phase::Gateway, kind));
        let file = |kind| Error::File { host: host(), error: FileError::new("read", "x", kind) };
        for (error, text) in [
            (
                connect(gateway),
                "web1: gateway bastion: bastion: connection to h:22 refused: is sshd running on that port?",
            ),
            (connect(crate::settings::Problem::new("no such user").into()), "web1: no such user"),
            (connect(no_terminal.into()), "web1: needed to ask for `Password`, but there is no terminal to ask on"),
            (Error::Session { host: host(), error: lost() }, "web1: the connection was lost: reset"),
            (file(FileErrorKind::NotFound), "web1: read x: no such file or directory"),
            (file(lost().into()), "web1: read x: the connection was lost: reset"),
            (
                Error::Command { host: host(), error: CommandError::Nul },
                "web1: the command, its directory or its environment contains a NUL byte, which cannot be sent",
            ),
            (
                Error::OutputCut { outcome: Box::new(CommandOutcome::new("web1", "x")), error: lost() },
                "web1: `x` ended without an exit status, but not all of its output came: the connection was lost: reset",
            ),
        ] {
            assert_eq!(error.to_string(), text);
            let mut source = error.source();
            while let Some(cause) = source {
                assert!(!text.contains(&cause.to_string()), "{text}: {cause}");
                source = cause.source();
            }
        }
    }
}
