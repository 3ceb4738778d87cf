//! What can go wrong in an SFTP conversation.

use std::fmt;
use std::io;
use std::sync::Arc;

use thiserror::Error;

/// What the server answered instead of doing what was asked
/// (draft-ietf-secsh-filexfer-02, section 7; OpenSSH's error codes are the same).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatusCode {
    /// Done; never seen as an error.
    Ok,
    /// Nothing more to read.
    Eof,
    /// No such file or directory.
    NoSuchFile,
    /// The remote user may not.
    PermissionDenied,
    /// It failed, and version 3 of the protocol has no word for why. "Exists already", "directory not
    /// empty", "disk full" and "too many open files" all end up here.
    Failure,
    /// The server could not read the request.
    BadMessage,
    /// The server has no connection of its own to what it serves.
    NoConnection,
    /// The server lost that connection.
    ConnectionLost,
    /// The server does not have this operation.
    Unsupported,
    /// A code of a later version of the protocol.
    Other(u32),
}

impl From<u32> for StatusCode {
    fn from(code: u32) -> Self {
        match code {
            0 => Self::Ok,
            1 => Self::Eof,
            2 => Self::NoSuchFile,
            3 => Self::PermissionDenied,
            4 => Self::Failure,
            5 => Self::BadMessage,
            6 => Self::NoConnection,
            7 => Self::ConnectionLost,
            8 => Self::Unsupported,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "success",
            Self::Eof => "end of file",
            Self::NoSuchFile => "no such file or directory",
            Self::PermissionDenied => "permission denied",
            Self::Failure => "failure",
            Self::BadMessage => "bad message",
            Self::NoConnection => "no connection",
            Self::ConnectionLost => "connection lost",
            Self::Unsupported => "operation not supported",
            Self::Other(code) => return write!(f, "status {code}"),
        })
    }
}

/// A status other than success, with what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{operation} {path}: {code}{}", words(*.code, .message))]
#[non_exhaustive]
pub struct StatusError {
    /// The request: `open`, `write`, `mkdir`, ...
    pub operation: &'static str,
    /// The path asked about, as text.
    pub path: String,
    /// The server's code.
    pub code: StatusCode,
    /// The server's own words, made printable and cut to 1,000 characters.
    pub message: String,
}

/// The server's words, unless they only repeat the code.
fn words(code: StatusCode, message: &str) -> String {
    if code.to_string().starts_with(&message.to_ascii_lowercase()) { String::new() } else { format!(" ({message})") }
}

/// How the server broke the protocol. The conversation is over: what follows could not be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame announced more bytes than any answer may have; nothing was allocated for it.
    #[error("a frame of {length} bytes, {limit} are allowed")]
    FrameTooLong {
        /// What the frame announced.
        length: u32,
        /// What is allowed.
        limit: u32,
    },
    /// A frame too short for its type and request id.
    #[error("a frame of {0} bytes is too short")]
    FrameTooShort(u32),
    /// A field runs beyond the end of its frame.
    #[error("{0} is cut short")]
    Truncated(&'static str),
    /// A frame goes on after its last field.
    #[error("{extra} bytes too many in {packet}")]
    TrailingBytes {
        /// The packet's name.
        packet: &'static str,
        /// How many bytes are too many.
        extra: usize,
    },
    /// A packet type that a server doesn't send.
    #[error("packet type {0} is not one that a server sends")]
    UnknownPacket(u8),
    /// An answer to a request that is not open.
    #[error("an answer to request {0}, which is not open")]
    UnknownId(u32),
    /// An answer of another kind than the request calls for.
    #[error("{got} in answer to a request for {expected}")]
    UnexpectedReply {
        /// The packet that came.
        got: &'static str,
        /// What was due.
        expected: &'static str,
    },
    /// A server that does not speak version 3.
    #[error("the server speaks version {0} of the protocol, version 3 is needed")]
    Version(u32),
    /// More data than the read asked for.
    #[error("{got} bytes in answer to a read of {asked}")]
    TooMuchData {
        /// The length of the read.
        asked: u32,
        /// What came.
        got: usize,
    },
    /// A directory handle longer than any server makes them (RFC draft: 256 bytes).
    #[error("a handle of {0} bytes, 256 are allowed")]
    HandleTooLong(usize),
    /// A directory that does not end.
    #[error("a directory of more than {0} entries")]
    EndlessDirectory(usize),
    /// A path was asked for, and other than one came.
    #[error("{0} names in answer to a request for one")]
    NotOneName(usize),
}

/// Why a conversation is over.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The server closed its side. If it crashed, or took offence at a request, this is all one sees.
    #[error("the server closed the SFTP channel")]
    Eof,
    /// The server closed its side in the middle of a frame.
    #[error("the SFTP channel was cut in the middle of an answer")]
    Cut,
    /// The byte stream failed.
    #[error("the SFTP channel failed: {0}")]
    Io(Arc<io::Error>),
    /// The first that came is text, and no answer of an SFTP server.
    #[error(
        "the login shell printed \"{beginning}\" where SFTP was to begin: a start-up file of the account (~/.bashrc, for \
         one) must print nothing where no terminal is, or the account allows no login"
    )]
    Text {
        /// How the text begins, made printable and cut.
        beginning: String,
    },
    /// The server broke the protocol.
    #[error("the SFTP server broke the protocol: {0}")]
    Protocol(ProtocolError),
    /// The task that serves the client was ended, with its runtime.
    #[error("the SFTP client was shut down")]
    Shutdown,
}

impl From<ProtocolError> for CloseReason {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<io::Error> for CloseReason {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// Why an SFTP operation failed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum SftpError {
    /// The server said no. The conversation goes on.
    #[error(transparent)]
    Status(#[from] Box<StatusError>),
    /// The conversation is over.
    #[error(transparent)]
    Closed(#[from] CloseReason),
    /// The server does not offer the protocol extension that this needs. Nothing was sent.
    #[error("{operation}: the server does not offer {extension}")]
    Unsupported {
        /// The operation.
        operation: &'static str,
        /// The extension's name.
        extension: &'static str,
    },
    /// A path that no server could take: it holds a NUL byte or has more than 65,535 bytes. Nothing was
    /// sent, as OpenSSH's server ends the conversation over it.
    #[error("{operation}: a path must have no NUL byte and at most 65535 bytes")]
    BadPath {
        /// The operation.
        operation: &'static str,
    },
    /// A link, or another file than the one that was there, where a regular file was to be written without following
    /// links. Nothing was written.
    #[error("it is not the regular file that it was")]
    NotTheFile,
    /// More than 65,536 requests wait for an answer. Nothing was sent; wait for some of them.
    #[error("too many SFTP requests wait for an answer")]
    TooManyRequests,
    /// This side's source could not be read, or its sink not written.
    #[error("{during}: {error}")]
    Local {
        /// `reading the source` or `writing the sink`.
        during: &'static str,
        /// What happened.
        error: Arc<io::Error>,
    },
}

impl From<ProtocolError> for SftpError {
    fn from(error: ProtocolError) -> Self {
        Self::Closed(CloseReason::Protocol(error))
    }
}

impl SftpError {
    /// The server's code, if it was the server that said no.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status(error) => Some(error.code),
            _ => None,
        }
    }
}

/// A server's free text, fit to be shown: control characters made visible, bounded.
pub(crate) fn printable(text: &[u8]) -> String {
    let mut shown = String::new();
    for c in String::from_utf8_lossy(text).chars().take(1_000) {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}
