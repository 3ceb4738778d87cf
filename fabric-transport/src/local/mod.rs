//! The `local` transport: this machine as a host.
//!
//! Processes are started by `/bin/sh -c` in a process group of their own, with or without a pseudo-terminal; files are
//! local files; streams are sockets. The behaviour is that of a remote host: a session starts in the home directory,
//! relative paths are relative to it, and stopping a process stops its group.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use fabric_core::transport::{ProcessEvent, Program, SpawnRequest};
//! use fabric_core::{ExitStatus, Session};
//! use fabric_transport::local::LocalSession;
//!
//! let session = LocalSession::in_dir("/");
//! let program = Program::Command(b"pwd".to_vec());
//! let mut process = session.spawn(&SpawnRequest::new(program)).await?;
//! assert_eq!(process.next().await, Some(ProcessEvent::Stdout("/\n".into())));
//! assert_eq!(process.next().await, Some(ProcessEvent::Exit(ExitStatus::Code(0))));
//! # Ok(()) }
//! ```

mod error;
mod files;
mod group;
mod listen;
mod process;

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use fabric_core::error::SessionError;
use fabric_core::transport::{BoxStream, ListenAddress, Listener, OpenContext, SpawnRequest};
use fabric_core::{ConnectError, Files, Process, ProcessControl as _, Session, Target, Transport};
use parking_lot::Mutex;
use tokio::sync::watch;

pub(crate) use files::{LocalFiles, change, open_to_write};
pub(crate) use listen::{connect, connect_unix, listen};
use process::LocalControl;

/// How long remaining processes of a closed session have to end by themselves.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Opens sessions with this machine, whatever the target's host.
#[derive(Debug, Clone, Default)]
pub struct LocalTransport {
    dir: Option<PathBuf>,
    login_shell: Option<PathBuf>,
}

impl LocalTransport {
    /// Sessions that start in the home directory, like a login: `$HOME`, else the directory in the password database.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sessions that start in `dir`.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self { dir: Some(dir.into()), login_shell: None }
    }

    /// The shell for requests without a command. Default: `$SHELL`, else `/bin/sh`.
    #[must_use]
    pub fn login_shell(mut self, shell: impl Into<PathBuf>) -> Self {
        self.login_shell = Some(shell.into());
        self
    }
}

#[async_trait]
impl Transport for LocalTransport {
    #[allow(clippy::unnecessary_literal_bound)] // the trait's names may be owned
    fn name(&self) -> &str {
        "local"
    }

    async fn open(
        &self,
        _target: &Target,
        _stream: Option<BoxStream>,
        _context: &OpenContext,
    ) -> Result<Arc<dyn Session>, ConnectError> {
        let dir = self.dir.clone().or_else(std::env::home_dir).unwrap_or_else(|| PathBuf::from("/"));
        let session = LocalSession { login_shell: self.login_shell.clone(), ..LocalSession::in_dir(dir) };
        Ok(Arc::new(session))
    }
}

/// A session with this machine.
pub struct LocalSession {
    dir: PathBuf,
    clear_env: bool,
    login_shell: Option<PathBuf>,
    /// Started processes that may still run; stopped when the session is closed.
    running: Mutex<Vec<Weak<LocalControl>>>,
    open: watch::Sender<bool>,
}

impl LocalSession {
    /// A session that starts in the current directory of this program.
    pub fn here() -> Self {
        Self::in_dir(".")
    }

    /// A session that starts in `dir`.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            clear_env: false,
            login_shell: None,
            running: Mutex::default(),
            open: watch::Sender::new(true),
        }
    }

    /// Whether processes start without the environment of this program. Default: they inherit it.
    #[must_use]
    pub fn clear_env(mut self, clear: bool) -> Self {
        self.clear_env = clear;
        self
    }

    /// The shell for requests without a command. Default: `$SHELL`, else `/bin/sh`.
    #[must_use]
    pub fn login_shell(mut self, shell: impl Into<PathBuf>) -> Self {
        self.login_shell = Some(shell.into());
        self
    }
}

#[async_trait]
impl Session for LocalSession {
    async fn spawn(&self, request: &SpawnRequest) -> Result<Process, SessionError> {
        if !self.is_open() {
            return Err(SessionError::Closed);
        }
        let (process, control) = process::spawn(request, &self.dir, self.login_shell.as_deref(), self.clear_env)?;
        let mut running = self.running.lock();
        running.retain(|control| control.strong_count() > 0);
        running.push(Arc::downgrade(&control));
        Ok(process)
    }

    async fn open_stream(&self, host: &str, port: u16) -> Result<BoxStream, SessionError> {
        connect(host, port).await
    }

    async fn open_unix_stream(&self, path: &[u8]) -> Result<BoxStream, SessionError> {
        connect_unix(path).await
    }

    async fn listen(&self, at: &ListenAddress) -> Result<Box<dyn Listener>, SessionError> {
        listen(at).await
    }

    async fn files(&self) -> Result<Arc<dyn Files>, SessionError> {
        Ok(Arc::new(LocalFiles::in_dir(&self.dir)))
    }

    fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    fn needs_its_runtime(&self) -> bool {
        false
    }

    async fn closed(&self) -> SessionError {
        // The sender lives as long as this session.
        let _ = self.open.subscribe().wait_for(|open| !open).await;
        SessionError::Closed
    }

    async fn close(&self) {
        self.open.send_replace(false);
        let running = std::mem::take(&mut *self.running.lock());
        let owned = running.iter().filter_map(Weak::upgrade).filter(|control| !control.is_disowned());
        let stops = owned.map(|control| async move { control.stop(CLOSE_GRACE).await });
        futures_util::future::join_all(stops).await;
    }
}
