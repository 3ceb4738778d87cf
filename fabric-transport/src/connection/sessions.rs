//! The session of a connection, and what is reached over it without a command.

use std::sync::Arc;

use fabric_core::transport::BoxStream;
use fabric_core::{Error, Files, Session};

use super::dry::{self, DrySession};
use super::handle::Connection;
use super::working_files::WorkingFiles;

impl Connection {
    /// The session, opened if need be: for what this type has no method for. In a dry run, one that only looks.
    pub async fn session(&self) -> Result<Arc<dyn Session>, Error> {
        if self.manner.dry {
            return Ok(Arc::new(DrySession::new(self)));
        }
        if let Some(session) = self.shared.slot.usable().await.map_err(|source| self.session_error(source))? {
            return Ok(session);
        }
        let open = || self.shared.connector.open(&self.target, &self.emitter);
        let opened = self.unless_interrupted("connect", self.shared.slot.get(open)).await?;
        // Whoever was faster may have another name for the host.
        Ok(opened.map_err(|error| error.with_host(self.host_string()))?)
    }

    /// The host's files, over one channel that all of this connection's transfers share.
    pub async fn files(&self) -> Result<Arc<dyn Files>, Error> {
        let session = self.session().await?;
        self.shared.slot.files(&session).await.map_err(|source| self.session_error(source))
    }

    /// The host's files by paths from a working directory: the same value each time, as long as the session
    /// stands.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let connection = fabric_transport::Connection::builder("local://localhost").build()?;
    /// connection.sftp().await?.chdir("/etc").await?;
    /// let hosts = connection.sftp().await?.read("hosts").await?;
    /// # assert!(!hosts.is_empty());
    /// # Ok(()) }
    /// ```
    pub async fn sftp(&self) -> Result<Arc<WorkingFiles>, Error> {
        let session = self.with_dry(false).session().await?;
        let files = self.files().await?;
        Ok(self.shared.slot.working_files(&session, &self.target.host_string, self.manner.dry, files))
    }

    /// The byte stream on which a session with the target would run, through its gateway if it has one: for
    /// those who bring a protocol of their own. It is a new stream each time.
    pub async fn open_gateway(&self) -> Result<BoxStream, Error> {
        if self.manner.dry {
            self.emitter.plan("connect", self.host_string());
            return Ok(dry::stream());
        }
        let target = self.target();
        match self.shared.connector.gateway_stream(target, &self.emitter).await? {
            Some(stream) => Ok(stream),
            None => crate::local::connect(&target.host, target.port).await.map_err(|source| self.session_error(source)),
        }
    }
}
