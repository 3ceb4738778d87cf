//! Why a plugin could not do what it was asked.

use std::io;

use thiserror::Error;

/// Why a plugin could not do what it was asked. The user sees the text after the host's and the plugin's name; it must
/// not contain a password.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The host cancelled the call.
    #[error("cancelled")]
    Cancelled,
    /// The call failed.
    #[error("{0}")]
    Failed(String),
    /// The plugin doesn't support this.
    #[error("not supported")]
    Unsupported,
}

impl PluginError {
    /// A failure with this reason.
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
