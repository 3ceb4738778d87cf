//! Why a plugin could not do what it was asked.

use std::io;

use thiserror::Error;

/// Why a plugin could not do what it was asked. The text reaches the user with the host and the plugin's
/// name before it; it must not hold a password.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The host called off what it had asked for.
    #[error("cancelled")]
    Cancelled,
    /// It failed.
    #[error("{0}")]
    Failed(String),
    /// The plugin has no such thing.
    #[error("not supported")]
    Unsupported,
}

impl PluginError {
    /// It failed, and why.
    pub fn new(reason: impl Into<String>) -> Self {
        Self::Failed(reason.into())
    }
}

impl From<io::Error> for PluginError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => own,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Failed("the connection was closed in the middle of an answer".to_owned())
            }
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

impl From<rustix::io::Errno> for PluginError {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}
