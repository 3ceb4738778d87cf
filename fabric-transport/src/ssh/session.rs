//! An open SSH session.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fabric_core::transport::{BoxStream, Files, ListenAddress, Listener, Process, SpawnRequest};
use fabric_core::{Session, SessionError};
use russh::Disconnect;

use super::files::SshFiles;
use super::link::{Link, utf8};
use super::{listen, login_shell};

/// How long closing may take before the connection is cut.
const GOODBYE: Duration = Duration::from_secs(1);

/// A session over SSH.
pub(super) struct SshSession {
    link: Arc<Link>,
}

impl SshSession {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }
}

#[async_trait]
impl Session for SshSession {
    async fn spawn(&self, request: &SpawnRequest) -> Result<Process, SessionError> {
        login_shell::spawn(&self.link, request).await
    }

    async fn open_stream(&self, host: &str, port: u16) -> Result<BoxStream, SessionError> {
        let host = host.to_owned();
        let what = format!("a stream to {host}:{port}");
        let open = |link: Arc<Link>| {
            let host = host.clone();
            // Where the stream comes from is for the server's log only.
            async move { link.handle.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0).await }
        };
        self.link.open_stream(&what, open).await
    }

    async fn open_unix_stream(&self, path: &[u8]) -> Result<BoxStream, SessionError> {
        let path = utf8(path)?;
        let what = format!("a stream to {path}");
        let open = |link: Arc<Link>| {
            let path = path.clone();
            async move { link.handle.channel_open_direct_streamlocal(path).await }
        };
        self.link.open_stream(&what, open).await
    }

    async fn listen(&self, at: &ListenAddress) -> Result<Box<dyn Listener>, SessionError> {
        listen::listen(&self.link, at).await
    }

    async fn files(&self) -> Result<Arc<dyn Files>, SessionError> {
        SshFiles::open(&self.link).await
    }

    fn is_open(&self) -> bool {
        self.link.shared.ended.borrow().is_none() && !self.link.handle.is_closed()
    }

    async fn closed(&self) -> SessionError {
        let mut ended = self.link.shared.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(SessionError::Closed),
            Err(_) => SessionError::Closed,
        }
    }

    async fn close(&self) {
        // There rarely is one.
        self.link.shared.updates.end(GOODBYE).await;
        self.link.shared.end(SessionError::Closed);
        let politely = async {
            // Ignored if the connection has ended.
            let _ = self.link.handle.disconnect(Disconnect::ByApplication, "", "").await;
            self.link.shared.over.cancelled().await;
        };
        // A connection that waits for its peer doesn't react.
        let _ = tokio::time::timeout(GOODBYE, politely).await;
        self.link.shared.cut.cancel();
    }
}
