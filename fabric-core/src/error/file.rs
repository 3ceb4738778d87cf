//! What can happen to a file.

use thiserror::Error;

use super::session::SessionError;

/// What went wrong with a file.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{what} {path}: {kind}")]
#[non_exhaustive]
pub struct FileError {
    /// What was being done: `read`, `write`, `stat`, ...
    pub what: &'static str,
    /// The path, as text.
    pub path: String,
    /// What happened.
    pub kind: FileErrorKind,
}

impl FileError {
    /// An error about `path`, which is shown as text.
    pub fn new(what: &'static str, path: impl AsRef<[u8]>, kind: FileErrorKind) -> Self {
        Self { what, path: String::from_utf8_lossy(path.as_ref()).into_owned(), kind }
    }

    /// Another error about the same path.
    #[must_use]
    pub fn with_kind(mut self, kind: FileErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same error about another path.
    #[must_use]
    pub fn with_path(mut self, path: impl AsRef<[u8]>) -> Self {
        self.path = String::from_utf8_lossy(path.as_ref()).into_owned();
        self
    }
}

/// What happened to a file.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileErrorKind {
    /// It is there already.
    #[error("it exists already")]
    Exists,
    /// It failed; the text is all that the host says about it.
    #[error("{0}")]
    Failed(String),
    /// A name that would leave the directory it must stay in.
    #[error("refused: the name leads out of the target directory")]
    Escapes,
    /// The checksum or size after the transfer is another one.
    #[error("the copy differs: {0}")]
    Differs(String),
    /// A directory where a file is needed, or the reverse.
    #[error("{0}")]
    WrongKind(&'static str),
    /// There is no such file.
    #[error("no such file or directory")]
    NotFound,
    /// Not allowed.
    #[error("permission denied")]
    PermissionDenied,
    /// The connection ended.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The peer broke the protocol.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// This side's file or stream failed.
    #[error("local: {0}")]
    Local(String),
    /// The host doesn't have this operation.
    #[error("the host does not support it")]
    Unsupported,
}
