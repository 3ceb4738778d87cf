//! The session of a connection, its files and its gateway.

use std::sync::Arc;

use fabric_core::transport::BoxStream;
use fabric_core::{Error, Files, Session};

use super::dry::{self, DrySession};
use super::handle::Connection;
use super::working_files::WorkingFiles;

impl Connection {
    /// The session, opened if needed, for operations that this type has no method for. In a dry run it is read-only.
    pub async fn session(&self) -> Result<Arc<dyn Session>, Error> {
        if self.manner.dry {
            return Ok(Arc::new(DrySession::new(self)));
        }
        if let Some(session) = self.shared.slot.usable().await.map_err(|source| self.session_error(source))? {
            return Ok(session);
        }
        let open = || self.shared.connector.open(&self.target, &self.emitter);
        let opened = self.unless_interrupted("connect", self.shared.slot.get(open)).await?;
        // A concurrent request may have opened it under another name of the host.
        Ok(opened.map_err(|error| error.with_host(self.host_string()))?)
    }

    /// The host's files, over one channel that all transfers of this connection share.
    pub async fn files(&self) -> Result<Arc<dyn Files>, Error> {
        let session = self.session().await?;
        self.shared.slot.files(&session).await.map_err(|source| self.session_error(source))
    }

    /// The host's files with a working directory: the same value each time while the session is open.
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

    /// A new byte stream to the target, through its gateway if it has one, for another protocol.
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
