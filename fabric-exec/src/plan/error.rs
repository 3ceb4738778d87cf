//! Why a run could not begin.

use fabric_core::settings::{Problem, Problems};
use fabric_core::{Origin, PromptError};
use thiserror::Error;

use super::role_error::RoleError;
use crate::collection::UnknownTask;
use crate::hostlist::HostListError;
use crate::task::{ArgsError, TaskError};

/// Why a run, or a nested execution, could not even begin.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum RunError {
    /// Names that no task has.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    UnknownTasks(Vec<UnknownTask>),
    /// Arguments that don't fit.
    #[error(transparent)]
    Args(#[from] ArgsError),
    /// Roles that don't exist, or texts that are no hosts.
    #[error(transparent)]
    HostList(#[from] HostListError),
    /// The same, in a task's own `hosts` and `roles`.
    #[error("{origin}: {error}")]
    OwnHostList {
        /// Where the task is defined.
        origin: Origin,
        /// What is wrong.
        error: HostListError,
    },
    /// A role's hosts could not be found out.
    #[error("role `{role}`: {error}")]
    Role {
        /// The role.
        role: String,
        /// What happened.
        error: RoleError,
    },
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] Problems),
    /// Tasks that would run are wrong: names that nothing has, files that are not there. All of it, and what else is
    /// wrong with the calls.
    #[error(transparent)]
    Fabfile(Problems),
    /// A task executes itself without end, or waits for itself.
    #[error("task `{0}` executes itself without end")]
    Endless(String),
    /// A task needs a host, and there is no way to ask for one.
    #[error("task `{task}` has no host to run on: give -H, -R, hosts or roles ({error})")]
    NoHost {
        /// The task.
        task: String,
        /// Why no question is asked.
        error: PromptError,
    },
    /// A task needs itself before or after it.
    #[error("task `{0}` needs itself: look at `pre` and `post`")]
    Cycle(String),
}

impl RunError {
    /// The same as problems with their places.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        match self {
            Self::Fabfile(Problems(problems)) | Self::Settings(Problems(problems)) => problems,
            Self::UnknownTasks(names) => names.iter().map(|name| Problem::new(name.to_string())).collect(),
            other => vec![Problem::new(other.to_string())],
        }
    }
}

impl From<RunError> for TaskError {
    fn from(error: RunError) -> Self {
        Self::Usage(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn no_error_prints_what_it_returns_as_its_source() {
        let list = || HostListError::Host {
            task: "t".to_owned(),
            role: None,
            error: "a:b".parse::<fabric_core::HostString>().unwrap_err(),
        };
        let no_terminal = PromptError::NoTerminal { message: "a host".to_owned(), host: None };
        let code = RoleError::Code(Arc::new("no answer".into()));
        for error in [
            RunError::HostList(list()),
            RunError::OwnHostList { origin: Origin::new(fabric_core::Layer::Task), error: list() },
            RunError::Role { role: "web".to_owned(), error: code },
            RunError::NoHost { task: "t".to_owned(), error: no_terminal },
        ] {
            let text = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                assert!(!text.contains(&cause.to_string()), "{text}");
                source = cause.source();
            }
        }
    }
}
