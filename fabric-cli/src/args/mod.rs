//! The command line, in two steps: what was typed ([`typed`]), then what it means ([`Options`]).
//!
//! The meaning of an option after a task's name depends on the task, and so on the fabfile, which itself depends on
//! options. So [`typed::parse_head`] reads the options before the first task, and with the fabfile loaded
//! [`typed::parse`] reads everything.

mod action;
mod choices;
mod help;
mod meaning;
pub(crate) mod option;
mod options;
mod recorded;
pub(crate) mod table;
pub(crate) mod typed;

use fabric_exec::InvocationError;
use thiserror::Error;

pub(crate) use action::{ASK, Action, HOST_PLUGIN};
pub(crate) use choices::{Format, InitKind, ListFormat, Progress, Shell};
pub(crate) use help::help;
pub(crate) use options::Options;

/// A command line that makes no sense; the program exits with status 2.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum UsageError {
    /// An abbreviation that several options begin with.
    #[error("{option} is ambiguous: {}", .candidates.join(", "))]
    Ambiguous {
        /// As typed.
        option: String,
        /// What it could mean.
        candidates: Vec<String>,
    },
    /// A value that its option cannot take.
    #[error("{option}: {reason}")]
    BadValue {
        /// The option.
        option: String,
        /// What was expected; never the value of a secret.
        reason: String,
    },
    /// An option where a host list was expected.
    #[error("{option} needs a value, {kind}: `{found}` begins with `-`, as no host does")]
    OptionForHosts {
        /// The option.
        option: String,
        /// What kind of value.
        kind: &'static str,
        /// What follows it.
        found: String,
    },
    /// Options that exclude each other.
    #[error("{0} and {1} cannot be used together")]
    Conflict(String, String),
    /// A task's word that cannot be read.
    #[error(transparent)]
    Invocation(#[from] InvocationError),
    /// A value is missing.
    #[error("{option} needs a value: {value}")]
    MissingValue {
        /// The option.
        option: String,
        /// What kind of value.
        value: String,
    },
    /// A word that is not among those that are taken.
    #[error("{what}: `{value}` is not one of {words}{}", did_you_mean(.hint.as_ref()))]
    NotOneOf {
        /// The option.
        what: String,
        /// The word.
        value: String,
        /// The words that are taken.
        words: String,
        /// The nearest of them.
        hint: Option<String>,
    },
    /// An option of `fab` after a task, which would be left out for what the option shows.
    #[error("task `{task}` has no option {option}, and fab's own goes before the tasks")]
    NotAfterTask {
        /// The option.
        option: String,
        /// The task.
        task: String,
    },
    /// Files and set operations that leave no host.
    #[error("{option}: `{value}` leaves no host, so that nothing is run")]
    NoHosts {
        /// The option.
        option: String,
        /// As typed.
        value: String,
    },
    /// An argument that is no text.
    #[error("argument {0} is not valid UTF-8: {1}")]
    NotUtf8(usize, String),
    /// A task's option without its value, or with one that it doesn't take.
    #[error("{0}")]
    TaskOption(String),
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
    /// The task whose options these are not.
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
