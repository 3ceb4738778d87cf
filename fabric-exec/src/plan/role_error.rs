//! Why a role's hosts could not be found out.

use std::fmt;
use std::process::ExitStatus;
use std::sync::Arc;

use thiserror::Error;

use crate::hostlist::{HostListError, InventoryError, LookupError, unknown_roles};

/// Why a role's hosts could not be found out.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum RoleError {
    /// It is made of itself.
    #[error("it is made of itself")]
    OfItself,
    /// It is made of roles that don't exist; each with the nearest one that does.
    #[error("{}", unknown_roles(.0))]
    UnknownRoles(Vec<(String, Option<String>)>),
    /// The roles that it is made of don't go together.
    #[error("{0}")]
    Composed(HostListError),
    /// The code that names its hosts failed.
    #[error("{0}")]
    Code(Arc<LookupError>),
    /// Its command, a template, cannot be made.
    #[error("{0}")]
    Template(String),
    /// Its command did not print its hosts.
    #[error(transparent)]
    Command(Arc<CaptureError>),
    /// Its inventory is wrong.
    #[error("{}", .error.of_inventory(.inventory))]
    Inventory {
        /// The file, or the command between backticks.
        inventory: String,
        /// What is wrong with it.
        error: InventoryError,
    },
    /// Two inventories say different things about a host of one name.
    #[error(
        "host `{host}` is in inventory {} and in inventory {}, with other settings: give one of them another name",
        .inventories[0], .inventories[1]
    )]
    TwoInventories {
        /// The host.
        host: String,
        /// The inventories.
        inventories: [String; 2],
    },
    /// An inventory could not be read: its reader panicked.
    #[error("{0}")]
    Panicked(String),
}

/// Why a local command did not print what was asked of it.
#[derive(Debug)]
pub struct CaptureError {
    pub(super) line: String,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    NotRun(std::io::Error),
    Broken(std::io::Error),
    Interrupted,
    /// With the end of what it printed on standard error.
    Failed(ExitStatus, String),
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, what } = self;
        match what {
            What::NotRun(error) => write!(f, "`{line}` cannot be run: {error}"),
            What::Broken(error) => write!(f, "`{line}`: {error}"),
            What::Interrupted => write!(f, "`{line}` was interrupted"),
            What::Failed(status, said) if said.is_empty() => write!(f, "`{line}` ended with {status}"),
            What::Failed(status, said) => write!(f, "`{line}` ended with {status}: {said}"),
        }
    }
}

impl std::error::Error for CaptureError {}

impl From<CaptureError> for RoleError {
    fn from(error: CaptureError) -> Self {
        Self::Command(Arc::new(error))
    }
}
