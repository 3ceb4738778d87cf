//! The host of a dry run: every action is an event instead.
//!
//! Processes, streams, listeners and changes of files all come from a [`Session`] or from [`process`], so only this
//! module differs in a dry run. Reading is allowed.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use fabric_core::error::{FileError, FileErrorKind, SessionError};
use fabric_core::transport::{
    BoxStream, DirEntry, FileChanges, FileStat, Files, ListenAddress, Listener, Process, ProcessControl, ProcessEvent,
    ProcessOutput, Program, Progress, SpawnRequest, StopOutcome, WindowSize, WriteOptions,
};
use fabric_core::{Error, ExitStatus, Session, Signal};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::handle::Connection;

/// A process that does nothing and ends with `status`.
pub(super) fn process(status: u32) -> Process {
    let ended = Ended(Some(ExitStatus::Code(status)));
    Process::new(tokio::io::sink(), ended, Arc::new(Ended(None)))
}

struct Ended(Option<ExitStatus>);

impl ProcessOutput for Ended {
    fn poll_next(&mut self, _cx: &mut Context<'_>) -> Poll<Option<ProcessEvent>> {
        Poll::Ready(self.0.take().map(ProcessEvent::Exit))
    }
}

#[async_trait]
impl ProcessControl for Ended {
    async fn signal(&self, _signal: Signal) -> Result<(), SessionError> {
        Ok(())
    }

    async fn resize(&self, _size: WindowSize) -> Result<(), SessionError> {
        Ok(())
    }

    async fn stop(&self, _grace: Duration) -> StopOutcome {
        StopOutcome::Ended
    }
}

/// An empty stream.
pub(super) fn stream() -> BoxStream {
    Box::new(tokio::io::join(tokio::io::empty(), tokio::io::sink()))
}

/// A session with a host that is only read.
pub(super) struct DrySession {
    /// The real host.
    host: Connection,
    closed: CancellationToken,
}

impl DrySession {
    pub(super) fn new(connection: &Connection) -> Self {
        Self { host: connection.with_dry(false), closed: CancellationToken::new() }
    }

    fn plan(&self, verb: &str, what: impl Into<String>) {
        self.host.emitter().plan(verb, what);
    }
}

#[async_trait]
impl Session for DrySession {
    async fn spawn(&self, request: &SpawnRequest) -> Result<Process, SessionError> {
        match &request.program {
            Program::Command(line) => self.plan("run", String::from_utf8_lossy(line)),
            Program::Shell => self.plan("run", "a login shell"),
            Program::Subsystem(name) => self.plan("run", format!("the subsystem {name}")),
        }
        Ok(process(0))
    }

    async fn open_stream(&self, host: &str, port: u16) -> Result<BoxStream, SessionError> {
        self.plan("connect", format!("{host} port {port}"));
        Ok(stream())
    }

    async fn open_unix_stream(&self, path: &[u8]) -> Result<BoxStream, SessionError> {
        self.plan("connect", String::from_utf8_lossy(path));
        Ok(stream())
    }

    async fn listen(&self, at: &ListenAddress) -> Result<Box<dyn Listener>, SessionError> {
        let (what, port) = match at {
            ListenAddress::Tcp { host, port } => (format!("{host} port {}", port.map_or(0, NonZeroU16::get)), *port),
            ListenAddress::Unix { path } => (String::from_utf8_lossy(path).into_owned(), None),
        };
        self.plan("listen", what);
        Ok(Box::new(DryListener { port, closed: self.closed.child_token() }))
    }

    async fn files(&self) -> Result<Arc<dyn Files>, SessionError> {
        Ok(Arc::new(DryFiles(self.host.clone())))
    }

    fn is_open(&self) -> bool {
        !self.closed.is_cancelled()
    }

    async fn closed(&self) -> SessionError {
        self.closed.cancelled().await;
        SessionError::Closed
    }

    async fn close(&self) {
        self.closed.cancel();
    }
}

/// A listener that gets no connections.
pub(super) struct DryListener {
    pub(super) port: Option<NonZeroU16>,
    pub(super) closed: CancellationToken,
}

#[async_trait]
impl Listener for DryListener {
    fn port(&self) -> Option<NonZeroU16> {
        self.port
    }

    async fn accept(&mut self) -> Option<BoxStream> {
        self.closed.cancelled().await;
        None
    }

    async fn close(&mut self) {
        self.closed.cancel();
    }
}

/// A host's files, read-only.
struct DryFiles(Connection);

impl DryFiles {
    async fn files(&self, path: &[u8]) -> Result<Arc<dyn Files>, FileError> {
        self.0.files().await.map_err(|error| {
            let kind = match error {
                Error::Session { error, .. } => FileErrorKind::Session(error),
                other => FileErrorKind::Failed(other.to_string()),
            };
            FileError::new("reach", path, kind)
        })
    }

    fn plan(&self, what: &str, path: &[u8]) {
        self.0.emitter().plan("sftp", format!("{what} {}", String::from_utf8_lossy(path)));
    }
}

#[async_trait]
impl Files for DryFiles {
    async fn stat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        self.files(path).await?.stat(path).await
    }

    async fn lstat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        self.files(path).await?.lstat(path).await
    }

    async fn set_stat(&self, path: &[u8], _changes: &FileChanges) -> Result<(), FileError> {
        self.plan("change", path);
        Ok(())
    }

    async fn read_dir(&self, path: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        self.files(path).await?.read_dir(path).await
    }

    async fn create_dir(&self, path: &[u8], _mode: Option<u32>) -> Result<(), FileError> {
        self.plan("make the directory", path);
        Ok(())
    }

    async fn remove_file(&self, path: &[u8]) -> Result<(), FileError> {
        self.plan("remove", path);
        Ok(())
    }

    async fn remove_dir(&self, path: &[u8]) -> Result<(), FileError> {
        self.plan("remove the directory", path);
        Ok(())
    }

    async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), FileError> {
        self.plan(&format!("rename {} to", String::from_utf8_lossy(from)), to);
        Ok(())
    }

    async fn symlink(&self, to: &[u8], path: &[u8]) -> Result<(), FileError> {
        self.plan(&format!("link to {} at", String::from_utf8_lossy(to)), path);
        Ok(())
    }

    async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        self.files(path).await?.read_link(path).await
    }

    async fn canonicalize(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        self.files(path).await?.canonicalize(path).await
    }

    async fn read_file(
        &self,
        path: &[u8],
        offset: u64,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        self.files(path).await?.read_file(path, offset, sink, progress).await
    }

    async fn write_file(
        &self,
        path: &[u8],
        _options: &WriteOptions,
        _source: &mut (dyn AsyncRead + Send + Unpin),
        _progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        self.plan("write", path);
        Ok(0)
    }
}
