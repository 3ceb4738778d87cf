//! Errors of an SFTP conversation.

use std::fmt;
use std::io;
use std::sync::Arc;

use thiserror::Error;

/// Error codes of the server (draft-ietf-secsh-filexfer-02, section 7; OpenSSH uses the same).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatusCode {
    /// Success; never part of an error.
    Ok,
    /// End of file, or of a directory.
    Eof,
    /// No such file or directory.
    NoSuchFile,
    /// Permission denied.
    PermissionDenied,
    /// Failure; version 3 of the protocol has no code for the reason. "Exists already", "directory not empty", "disk
    /// full" and "too many open files" are all reported like this.
    Failure,
    /// The server could not parse the request.
    BadMessage,
    /// The server has no connection to what it serves.
    NoConnection,
    /// The server lost the connection to what it serves.
    ConnectionLost,
    /// The server doesn't support this operation.
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

/// An error status, and what the request was.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{operation} {path}: {code}{}", words(*.code, .message))]
#[non_exhaustive]
pub struct StatusError {
    /// The request: `open`, `write`, `mkdir`, ...
    pub operation: &'static str,
    /// The path of the request, as text.
    pub path: String,
    /// The server's code.
    pub code: StatusCode,
    /// The server's message, made printable and cut to 1,000 characters.
    pub message: String,
}

/// The server's message, unless it only repeats the code.
fn words(code: StatusCode, message: &str) -> String {
    if code.to_string().starts_with(&message.to_ascii_lowercase()) { String::new() } else { format!(" ({message})") }
}

/// How the server broke the protocol. The conversation is over, as nothing after that could be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame announced more bytes than a reply may have; nothing was allocated for it.
    #[error("a frame of {length} bytes, {limit} are allowed")]
    FrameTooLong {
        /// The announced length.
        length: u32,
        /// The limit.
        limit: u32,
    },
    /// A frame too short for its type and request id.
    #[error("a frame of {0} bytes is too short")]
    FrameTooShort(u32),
    /// A field runs beyond the end of its frame.
    #[error("{0} is cut short")]
    Truncated(&'static str),
    /// A frame goes on after its last field.
    #[error("{packet} has {extra} bytes too many")]
    TrailingBytes {
        /// The packet's name.
        packet: &'static str,
        /// How many bytes remain.
        extra: usize,
    },
    /// A packet type that a server doesn't send.
    #[error("unexpected packet type {0}")]
    UnknownPacket(u8),
    /// A reply to a request that doesn't wait for one.
    #[error("an answer to the unknown request {0}")]
    UnknownId(u32),
    /// A reply of another kind than the request requires.
    #[error("{got} in answer to a request for {expected}")]
    UnexpectedReply {
        /// The packet received.
        got: &'static str,
        /// The packet expected.
        expected: &'static str,
    },
    /// A server that doesn't support version 3.
    #[error("the server speaks version {0} of the protocol, version 3 is needed")]
    Version(u32),
    /// More data than the read asked for.
    #[error("{got} bytes in answer to a read of {asked}")]
    TooMuchData {
        /// The length of the read.
        asked: u32,
        /// The number of bytes received.
        got: usize,
    },
    /// A directory handle that is too long (the draft's limit is 256 bytes).
    #[error("a handle of {0} bytes, 256 are allowed")]
    HandleTooLong(usize),
    /// A directory listing without end.
    #[error("a directory of more than {0} entries")]
    EndlessDirectory(usize),
    /// The reply must contain exactly one path, and didn't.
    #[error("{0} names in answer to a request for one")]
    NotOneName(usize),
}

/// Why a conversation is over.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The server closed its side. A server that crashed, or that rejects a request, does the same.
    #[error("the server closed the SFTP channel")]
    Eof,
    /// The server closed its side in the middle of a frame.
    #[error("the SFTP channel was cut in the middle of an answer")]
    Cut,
    /// The byte stream failed.
    #[error("the SFTP channel failed: {0}")]
    Io(Arc<io::Error>),
    /// The server's first output is text, not an SFTP reply.
    #[error(
        "the login shell printed \"{beginning}\" where SFTP was to begin: a start-up file of the account (~/.bashrc, for \
         one) must print nothing where no terminal is, or the account allows no login"
    )]
    Text {
        /// The beginning of the text, made printable.
        beginning: String,
    },
    /// The server broke the protocol.
    #[error("the SFTP server broke the protocol: {0}")]
    Protocol(ProtocolError),
    /// The client's task was ended together with its runtime.
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
    /// The server answered with an error. The conversation goes on.
    #[error(transparent)]
    Status(#[from] Box<StatusError>),
    /// The conversation is over.
    #[error(transparent)]
    Closed(#[from] CloseReason),
    /// The server doesn't offer the extension that this needs. Nothing was sent.
    #[error("{operation}: the server does not offer {extension}")]
    Unsupported {
        /// The operation.
        operation: &'static str,
        /// The extension's name.
        extension: &'static str,
    },
    /// An invalid path: it contains a NUL byte or has more than 65,535 bytes. Nothing was sent, as OpenSSH's server
    /// would end the conversation.
    #[error("{operation}: a path must have no NUL byte and at most 65535 bytes")]
    BadPath {
        /// The operation.
        operation: &'static str,
    },
    /// A write without following links found a link, or another file than the regular file that was there. Nothing was
    /// written.
    #[error("it is not the regular file that it was")]
    NotTheFile,
    /// More than 65,536 requests wait for a reply. Nothing was sent; wait for some of them first.
    #[error("too many SFTP requests wait for an answer")]
    TooManyRequests,
    /// The local source could not be read, or the local sink not written.
    #[error("{during}: {error}")]
    Local {
        /// `reading the source` or `writing the sink`.
        during: &'static str,
        /// The error.
        error: Arc<io::Error>,
    },
}

impl From<ProtocolError> for SftpError {
    fn from(error: ProtocolError) -> Self {
        Self::Closed(CloseReason::Protocol(error))
    }
}

impl SftpError {
    /// The server's code, if the server answered with an error.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status(error) => Some(error.code),
            _ => None,
        }
    }
}

/// A text of the server, made safe to show: control characters are made visible, and the length is limited.
pub(crate) fn printable(text: &[u8]) -> String {
    let mut shown = String::new();
    for c in String::from_utf8_lossy(text).chars().take(1_000) {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}
