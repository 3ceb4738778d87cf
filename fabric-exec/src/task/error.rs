//! What can go wrong in a task.

use fabric_core::settings::Problems;
use fabric_core::{Error, HostStatus, PromptError};
use thiserror::Error;

use crate::template::TemplateError;

/// Why a task failed on a host.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TaskError {
    /// Something on a connection failed.
    #[error(transparent)]
    Fabric(#[from] Error),
    /// A step failed; `at` is its place in the fabfile.
    #[error("{at}: {error}")]
    Step {
        /// The file and line of the step.
        at: String,
        /// What failed.
        error: Box<TaskError>,
    },
    /// A task that it executed failed; the text names the hosts.
    #[error("{0}")]
    Execute(String),
    /// The same, where another try can't end differently: it was tried several times, or runs once a run.
    #[error("{0}")]
    GaveUp(String),
    /// The task gave up by itself.
    #[error("{0}")]
    Abort(String),
    /// A template or condition cannot be evaluated. Its text is not shown: it may have a secret in it.
    #[error("{message}")]
    Template {
        /// What is wrong with it: names, and for a file its name and line, but neither its text nor a value.
        message: String,
    },
    /// An argument of the task is missing or of another type.
    #[error("argument `{name}`: {message}")]
    Argument {
        /// Its name.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// A remote step without a host, and no way to ask for one.
    #[error("no host to run on: give -H, -R, hosts or roles ({0})")]
    NoHost(PromptError),
    /// A value for a setting is wrong.
    #[error(transparent)]
    Settings(#[from] Problems),
    /// What was waited for did not come ([`Context::until`](crate::Context::until)).
    #[error("not ready after {tries} {}", if *.tries == 1 { "try" } else { "tries" })]
    NotReady {
        /// How often it was looked for.
        tries: u32,
    },
    /// The condition of a step's `until` does not hold.
    #[error("{last} (try {tries}, until `{condition}`)")]
    Until {
        /// The condition.
        condition: String,
        /// How often the step was tried.
        tries: u32,
        /// How its command ended the last time.
        last: String,
    },
    /// The task panicked.
    #[error("the task panicked: {0}")]
    Panic(String),
    /// The run was interrupted.
    #[error("interrupted")]
    Interrupted,
    /// A task, a role or a host string that an `execute` names is wrong.
    #[error(transparent)]
    Usage(Box<dyn std::error::Error + Send + Sync>),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl TaskError {
    /// A failure of the task's own making.
    pub fn abort(message: impl Into<String>) -> Self {
        Self::Abort(message.into())
    }

    /// The failure of a connection at the bottom of it, if there is one.
    pub fn fabric(&self) -> Option<&Error> {
        match self {
            Self::Fabric(error) => Some(error),
            Self::Step { error, .. } => error.fabric(),
            _ => None,
        }
    }

    /// What it makes of the host.
    pub fn status(&self) -> HostStatus {
        match self.fabric() {
            Some(Error::Connect(_)) => HostStatus::Unreachable,
            Some(Error::TimedOut { .. }) => HostStatus::TimedOut,
            _ => HostStatus::Failed,
        }
    }

    /// Whether the command line, the fabfile or the settings are wrong, rather than a host.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Step { error, .. } => error.is_usage(),
            Self::NoHost(_) | Self::Usage(_) | Self::Settings(_) => true,
            _ => false,
        }
    }

    /// Whether the run was interrupted.
    pub fn is_interrupt(&self) -> bool {
        match self {
            Self::Step { error, .. } => error.is_interrupt(),
            Self::Interrupted | Self::Fabric(Error::Interrupted { .. }) => true,
            _ => false,
        }
    }

    /// Whether another try could end differently. What has been tried several times already is not tried again by
    /// whoever needs it: tries don't multiply.
    pub fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::Step { error, .. } => error.is_worth_a_retry(),
            Self::Fabric(Error::Connect(error)) => error.is_transient(),
            Self::Fabric(
                Error::Usage(_) | Error::Interrupted { .. } | Error::SudoRefused { .. } | Error::Prompt(_),
            ) => false,
            Self::Fabric(_) | Self::Abort(_) | Self::Execute(_) | Self::Other(_) => true,
            _ => false,
        }
    }
}

impl From<PromptError> for TaskError {
    fn from(error: PromptError) -> Self {
        Self::Fabric(Error::Prompt(error))
    }
}

impl From<fabric_core::ConnectError> for TaskError {
    fn from(error: fabric_core::ConnectError) -> Self {
        Self::Fabric(Error::Connect(error))
    }
}

impl From<TemplateError> for TaskError {
    fn from(error: TemplateError) -> Self {
        Self::Template { message: error.0 }
    }
}
