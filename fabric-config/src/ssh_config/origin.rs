//! Where a value comes from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineOrigin {
    /// No source sets it: OpenSSH's default.
    Default,
    /// The lookup itself has it: its user, port or options.
    CommandLine,
    /// A line of a file.
    File {
        /// The file, by the name under which it was read.
        path: Arc<Path>,
        /// The line, counted from 1.
        line: u32,
    },
}

impl fmt::Display for LineOrigin {
    /// `path:line`, `command line` or `default`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::CommandLine => f.write_str("command line"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
        }
    }
}
