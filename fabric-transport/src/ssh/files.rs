//! The files of a session, over SFTP, or on a host without it by its shell.
//!
//! All transfers of a session share one SFTP channel, which stays open between them. If the server has no room for another
//! session channel, it is closed once it is unused, and opened again when needed.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use fabric_core::SessionError;
use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::transport::{DirEntry, FileChanges, FileStat, Files, Process, Progress, SpawnRequest, WriteOptions};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};

use super::link::{Link, NoRoom};
use super::room::Room;
use super::{login_shell, process};
use crate::sftp::{Client, CloseReason, SftpError, printable};
use crate::shell_files::{NO_SFTP, OnSession, ScriptHost, ShellFiles};

/// Why there is no SFTP client.
enum NoClient {
    Error(SessionError),
    /// The host has no SFTP server, for this reason.
    NoServer(String),
}

impl From<SessionError> for NoClient {
    fn from(error: SessionError) -> Self {
        Self::Error(error)
    }
}

impl From<NoClient> for SessionError {
    fn from(reason: NoClient) -> Self {
        match reason {
            NoClient::Error(error) => error,
            NoClient::NoServer(reason) => Self::System { what: "starting SFTP".to_owned(), reason },
        }
    }
}

/// Starts an SFTP client on a channel of its own.
async fn start(link: &Arc<Link>, no_room: NoRoom) -> Result<Client, NoClient> {
    let stream = match process::subsystem(link, "sftp", no_room).await {
        Err(SessionError::RequestRefused { .. }) => {
            return Err(NoClient::NoServer("it has no such subsystem".to_owned()));
        }
        started => started?,
    };
    let errors = stream.errors();
    let started = link.within("the SFTP server", Client::start(stream)).await?;
    started.map_err(|error| match error {
        // The end of the connection is another error.
        SftpError::Closed(CloseReason::Eof) => {
            let said = printable(errors.lock().trim_ascii());
            NoClient::NoServer(if said.is_empty() { "it ended at once".to_owned() } else { said })
        }
        error => SessionError::System { what: "starting SFTP".to_owned(), reason: error.to_string() }.into(),
    })
}

/// The files of a host without SFTP.
async fn by_shell(link: &Arc<Link>, why: &str) -> Result<Arc<dyn Files>, SessionError> {
    let files = ShellFiles::new(OnSession(link.clone()));
    match files.probe().await {
        Ok(()) => {
            tracing::debug!(why, "no SFTP server");
            if !link.sftp.is_missing.swap(true, Ordering::SeqCst) {
                link.events.warn(NO_SFTP);
            }
            Ok(Arc::new(files))
        }
        Err(FileErrorKind::Session(error @ (SessionError::Lost { .. } | SessionError::Closed))) => Err(error),
        Err(kind) => {
            let reason = format!("there is no SFTP server ({why}), and the shell can't serve files: {kind}");
            Err(SessionError::System { what: "reaching the host's files".to_owned(), reason })
        }
    }
}

#[async_trait]
impl ScriptHost for Arc<Link> {
    /// dropbear (2022.83) fails an assertion if channels are opened and closed at the same time.
    fn at_once(&self) -> usize {
        1
    }

    async fn spawn(&self, request: &SpawnRequest) -> Result<Process, SessionError> {
        login_shell::spawn(self, request).await
    }
}

/// The files of a session.
pub(super) struct SshFiles {
    link: Arc<Link>,
}

impl SshFiles {
    /// Opens the SFTP channel, unless it is open.
    pub(super) async fn open(link: &Arc<Link>) -> Result<Arc<dyn Files>, SessionError> {
        if link.sftp.is_missing.load(Ordering::SeqCst) {
            return Ok(Arc::new(ShellFiles::new(OnSession(link.clone()))));
        }
        let this = Self { link: link.clone() };
        match this.client().await.map(drop) {
            Ok(()) => Ok(Arc::new(this)),
            Err(NoClient::NoServer(why)) => by_shell(link, &why).await,
            Err(NoClient::Error(error)) => Err(error),
        }
    }

    async fn client(&self) -> Result<Lease<'_>, NoClient> {
        let sftp = &self.link.sftp;
        let lease = |client| Lease { client: Some(client), room: &self.link.room };
        if let Some(client) = sftp.open().await {
            return Ok(lease(client));
        }
        let _opening = sftp.opening.lock().await;
        // It may have been opened meanwhile.
        if let Some(client) = sftp.open().await {
            return Ok(lease(client));
        }
        let client = start(&self.link, NoRoom::Wait).await?;
        // The link owns the client, which must not keep it alive.
        let link = Arc::downgrade(&self.link);
        let client = client.further_channels(move || {
            let link = link.clone();
            async move {
                let link = link.upgrade().filter(|link| !link.room.is_wanted())?;
                start(&link, NoRoom::DoWithout).await.ok()
            }
        });
        let mut current = sftp.client.write().await;
        *current = Some(client);
        // It can't be closed before its first use.
        Ok(lease(RwLockWriteGuard::downgrade(current)))
    }

    /// [`Self::client`] for an operation on `path`.
    async fn sftp(&self, path: &[u8]) -> Result<Lease<'_>, FileError> {
        self.client().await.map_err(|reason| FileError::new("reach", path, FileErrorKind::Session(reason.into())))
    }
}

/// The client, while it is used.
struct Lease<'a> {
    /// `None` once this is being dropped.
    client: Option<RwLockReadGuard<'a, Option<Client>>>,
    room: &'a Room,
}

impl Deref for Lease<'_> {
    type Target = dyn Files;

    fn deref(&self) -> &Self::Target {
        self.client.as_ref().and_then(|client| client.as_ref()).expect("a lease is made of a client that is open")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.client = None;
        if self.room.is_wanted() {
            self.room.free();
        }
    }
}

#[async_trait]
impl Files for SshFiles {
    async fn stat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        self.sftp(path).await?.stat(path).await
    }

    async fn lstat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        self.sftp(path).await?.lstat(path).await
    }

    async fn set_stat(&self, path: &[u8], changes: &FileChanges) -> Result<(), FileError> {
        self.sftp(path).await?.set_stat(path, changes).await
    }

    async fn read_dir(&self, path: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        self.sftp(path).await?.read_dir(path).await
    }

    async fn read_dir_matching(&self, path: &[u8], prefix: &[u8], suffix: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        self.sftp(path).await?.read_dir_matching(path, prefix, suffix).await
    }

    async fn over_further_channel(&self) -> Option<Arc<dyn Files>> {
        self.client().await.ok()?.over_further_channel().await
    }

    async fn create_dir(&self, path: &[u8], mode: Option<u32>) -> Result<(), FileError> {
        self.sftp(path).await?.create_dir(path, mode).await
    }

    async fn remove_file(&self, path: &[u8]) -> Result<(), FileError> {
        self.sftp(path).await?.remove_file(path).await
    }

    async fn remove_dir(&self, path: &[u8]) -> Result<(), FileError> {
        self.sftp(path).await?.remove_dir(path).await
    }

    async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), FileError> {
        self.sftp(from).await?.rename(from, to).await
    }

    async fn symlink(&self, to: &[u8], path: &[u8]) -> Result<(), FileError> {
        self.sftp(path).await?.symlink(to, path).await
    }

    async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        self.sftp(path).await?.read_link(path).await
    }

    async fn canonicalize(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        self.sftp(path).await?.canonicalize(path).await
    }

    async fn read_file(
        &self,
        path: &[u8],
        offset: u64,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        self.sftp(path).await?.read_file(path, offset, sink, progress).await
    }

    async fn write_file(
        &self,
        path: &[u8],
        options: &WriteOptions,
        source: &mut (dyn AsyncRead + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        self.sftp(path).await?.write_file(path, options, source, progress).await
    }
}
