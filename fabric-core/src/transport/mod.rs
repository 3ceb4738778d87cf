//! The traits behind which a host is reached.
//!
//! ```text
//! Transport --open--> Session --spawn-------> Process (stdin, output, control)
//!                            --open_stream--> ByteStream to a host and port beyond
//!                            --listen-------> Listener of streams from the far side
//!                            --files--------> Files
//! ```
//!
//! All are object safe: SSH, this machine, a plugin and a double in a test are transports alike, and the
//! layers above cannot tell which one they have. Futures may be dropped at any time: the operation is then
//! abandoned, and its resources on the far side are released.

mod files;
mod process;

use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::{ConnectError, SessionError};
use crate::event::Emitter;
use crate::prompt::Prompter;
use crate::target::Target;

pub use files::{DirEntry, FileChanges, FileKind, FileStat, Files, Progress, WriteOptions};
pub use process::{
    Process, ProcessControl, ProcessEvent, ProcessOutput, Program, PtyRequest, SpawnRequest, StopOutcome, WindowSize,
};

/// Bytes both ways: a socket, a tunnel through a gateway, the pipes of a ProxyCommand.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + ?Sized> ByteStream for T {}

/// A [`ByteStream`] whose type does not matter.
pub type BoxStream = Box<dyn ByteStream>;

/// What a transport may need while it opens a session.
#[derive(Clone)]
#[non_exhaustive]
pub struct OpenContext {
    /// Answers questions: passwords, passphrases, unknown host keys.
    pub prompter: Arc<dyn Prompter>,
    /// Gets the events.
    pub events: Emitter,
}

impl OpenContext {
    /// Questions go to `prompter`, and events to `events`.
    pub fn new(prompter: Arc<dyn Prompter>, events: Emitter) -> Self {
        Self { prompter, events }
    }
}

impl fmt::Debug for OpenContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenContext").finish_non_exhaustive()
    }
}

/// How sessions with targets are opened: `ssh`, `local`, or a plugin's way.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Its name, as in a host string's scheme and in the `transport` setting.
    fn name(&self) -> &str;

    /// Opens a session with `target`.
    ///
    /// `stream` is what the target's gateway yielded; without a gateway it is `None`, and the transport
    /// dials by itself. All of the target's timeouts are the transport's to keep, each with its
    /// [`Phase`](crate::Phase) in the error.
    async fn open(
        &self,
        target: &Target,
        stream: Option<BoxStream>,
        context: &OpenContext,
    ) -> Result<Arc<dyn Session>, ConnectError>;
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn name(&self) -> &str {
        (**self).name()
    }

    async fn open(
        &self,
        target: &Target,
        stream: Option<BoxStream>,
        context: &OpenContext,
    ) -> Result<Arc<dyn Session>, ConnectError> {
        (**self).open(target, stream, context).await
    }
}

/// An open transport to one host.
#[async_trait]
pub trait Session: Send + Sync {
    /// Starts a process.
    async fn spawn(&self, request: &SpawnRequest) -> Result<Process, SessionError>;

    /// Opens a stream from the host to `host:port`; the name is resolved on the host (RFC 4254, section
    /// 7.2). This is what jump hosts and local forwards run on.
    async fn open_stream(&self, host: &str, port: u16) -> Result<BoxStream, SessionError>;

    /// Opens a stream from the host to a unix socket there (`direct-streamlocal@openssh.com`).
    async fn open_unix_stream(&self, path: &[u8]) -> Result<BoxStream, SessionError> {
        let _ = path;
        Err(SessionError::Unsupported { what: "streams to unix sockets" })
    }

    /// Listens on the host and yields each connection made there (RFC 4254, section 7.1).
    async fn listen(&self, at: &ListenAddress) -> Result<Box<dyn Listener>, SessionError> {
        let _ = at;
        Err(SessionError::Unsupported { what: "listening on the host" })
    }

    /// The host's files. Calls may share one channel.
    async fn files(&self) -> Result<Arc<dyn Files>, SessionError>;

    /// Whether the session is still open, as far as this side can know without asking.
    fn is_open(&self) -> bool;

    /// Whether it works only while the runtime runs in which it was opened, because tasks there move its bytes. Default: yes.
    fn needs_its_runtime(&self) -> bool {
        true
    }

    /// Waits until the session has ended, and says why.
    async fn closed(&self) -> SessionError;

    /// Ends the session and what runs on it. Closing twice is closing once.
    async fn close(&self);
}

/// Where a [`Session`] listens on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and port.
    Tcp {
        /// `""` is all interfaces, `localhost` the loopback ones (RFC 4254, section 7.1).
        host: String,
        /// The port; `None` lets the host choose one.
        port: Option<NonZeroU16>,
    },
    /// A unix socket (`streamlocal-forward@openssh.com`).
    Unix {
        /// Its path.
        path: Vec<u8>,
    },
}

impl ListenAddress {
    /// This port of these interfaces of the host.
    pub fn tcp(host: impl Into<String>, port: impl Into<Option<NonZeroU16>>) -> Self {
        Self::Tcp { host: host.into(), port: port.into() }
    }

    /// A unix socket there.
    pub fn unix(path: impl Into<Vec<u8>>) -> Self {
        Self::Unix { path: path.into() }
    }
}

/// What listens on a host until it is dropped or closed.
#[async_trait]
pub trait Listener: Send + Sync {
    /// The port in use; `None` for a unix socket.
    fn port(&self) -> Option<NonZeroU16>;

    /// The next connection; `None` once the listener or its session has ended.
    async fn accept(&mut self) -> Option<BoxStream>;

    /// Stops listening.
    async fn close(&mut self);
}
