//! What a task does, and what can go wrong in it.

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use fabric_core::settings::Problems;
use fabric_core::{Error, HostStatus, PromptError, Value};
use serde::Serialize;
use thiserror::Error;

use crate::Context;
use crate::steps::Step;

/// What a task does.
#[async_trait]
pub trait TaskBody: Send + Sync {
    /// Does it, for the host of `context` if there is one. What it returns becomes the host's value in
    /// the report and in what `execute` yields.
    async fn call(&self, context: Context) -> Result<Value, TaskError>;

    /// Its steps, if it is declared in steps: a plan can then show what it would do.
    fn steps(&self) -> Option<&[Step]> {
        None
    }

    /// Whether it is known to need a host: where it has none, a person is asked for one before it begins. Default: where
    /// one of its steps does.
    fn needs_host(&self) -> bool {
        self.steps().is_some_and(crate::steps::need_host)
    }
}

type Call = dyn Fn(Context) -> Pin<Box<dyn Future<Output = Result<Value, TaskError>> + Send>> + Send + Sync;

/// A body that is an async function.
pub struct FnBody(Box<Call>);

impl FnBody {
    /// Of this function.
    pub fn new<F, Fut, T>(function: F) -> Self
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, TaskError>> + Send + 'static,
        T: Serialize,
    {
        Self(Box::new(move |context| {
            let future = function(context);
            Box::pin(async move {
                let value = future.await?;
                serde_json::to_value(value).map_err(|error| TaskError::Other(Box::new(error)))
            })
        }))
    }
}

impl fmt::Debug for FnBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FnBody")
    }
}

#[async_trait]
impl TaskBody for FnBody {
    async fn call(&self, context: Context) -> Result<Value, TaskError> {
        (self.0)(context).await
    }
}

/// Why a task failed on a host.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TaskError {
    /// Something on a connection failed.
    #[error(transparent)]
    Fabric(#[from] Error),
    /// A step failed, named by where it stands.
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
    /// What was waited for did not come ([`Context::until`]).
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
    Usage(Box<crate::run::RunError>),
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
