//! Why a command cannot be rendered.

use thiserror::Error;

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
