//! The command line, read in two steps: words ([`parser`]), then their meaning ([`Options`]).
//!
//! What an option after a task means depends on the task, so on the fabfile, which in turn depends on options. So
//! [`parser::parse_head`] reads the options before the first task; once the fabfile is loaded, [`parser::parse`] reads all.

mod action;
mod choices;
mod help;
mod interpret;
pub(crate) mod option;
mod options;
pub(crate) mod parser;
mod recorded;
pub(crate) mod table;

use fabric_exec::InvocationError;
use thiserror::Error;

pub(crate) use action::{ASK, Action, HOST_PLUGIN};
pub(crate) use choices::{DemoKind, Format, InitKind, ListFormat, Progress, Shell};
pub(crate) use help::help;
pub(crate) use options::Options;

/// An invalid command line; the program exits with status 2.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum UsageError {
    /// An abbreviation of several options.
    #[error("{option} is ambiguous: {}", .candidates.join(", "))]
    Ambiguous {
        /// As typed.
        option: String,
        /// The options that it could mean.
        candidates: Vec<String>,
    },
    /// An invalid value.
    #[error("{option}: {reason}")]
    BadValue {
        /// The option.
        option: String,
        /// What was expected; without the value if it is a secret.
        reason: String,
    },
    /// A host list is expected and an option follows.
    #[error("{option} needs a value, {kind}: `{found}` begins with `-`, which no host does")]
    OptionForHosts {
        /// The option.
        option: String,
        /// The name of the value, as in the help.
        kind: &'static str,
        /// The word that follows.
        found: String,
    },
    /// Options that exclude each other.
    #[error("{0} and {1} cannot be used together")]
    Conflict(String, String),
    /// An invalid task call.
    #[error(transparent)]
    Invocation(#[from] InvocationError),
    /// A value is missing.
    #[error("{option} needs a value: {value}")]
    MissingValue {
        /// The option.
        option: String,
        /// The name of the value, as in the help.
        value: String,
    },
    /// A word other than those accepted.
    #[error("{what}: `{value}` is not one of {words}{}", did_you_mean(.hint.as_ref()))]
    NotOneOf {
        /// The option.
        what: String,
        /// The word.
        value: String,
        /// The accepted words.
        words: String,
        /// The nearest of them.
        hint: Option<String>,
    },
    /// An option after a task that would show something instead of running the task.
    #[error("task `{task}` has no option {option}, and that of fab goes before the tasks")]
    NotAfterTask {
        /// The option.
        option: String,
        /// The task.
        task: String,
    },
    /// Files and set operations that leave no host.
    #[error("{option}: `{value}` leaves no host: nothing was run")]
    NoHosts {
        /// The option.
        option: String,
        /// As typed.
        value: String,
    },
    /// An argument that is not UTF-8.
    #[error("argument {0} is not valid UTF-8: {1}")]
    NotUtf8(usize, String),
    /// A task's option without its value, or with an unexpected one.
    #[error("{0}")]
    TaskOption(fabric_exec::task::OptionError),
    /// A value for an option that takes none.
    #[error("{option} takes no value")]
    UnexpectedValue {
        /// The option.
        option: String,
    },
    /// Neither `fab` nor the task has this option.
    #[error("{}{}", unknown_option(.option, .task.as_ref()), did_you_mean(.hint.as_ref()))]
    UnknownOption {
        /// As typed.
        option: String,
        /// The task before it.
        task: Option<String>,
        /// The nearest option.
        hint: Option<String>,
    },
}

impl UsageError {
    /// The task that has no such option.
    pub(crate) fn task(&self) -> Option<&str> {
        match self {
            Self::UnknownOption { task, .. } => task.as_deref(),
            Self::NotAfterTask { task, .. } => Some(task),
            _ => None,
        }
    }
}

fn did_you_mean(hint: Option<&String>) -> String {
    hint.map(|hint| format!(": did you mean {hint}?")).unwrap_or_default()
}

fn unknown_option(option: &str, task: Option<&String>) -> String {
    match task {
        Some(task) => format!("neither fab nor task `{task}` has an option {option}"),
        None => format!("there is no option {option}"),
    }
}
