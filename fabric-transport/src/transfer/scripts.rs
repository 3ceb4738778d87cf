//! Scripts as commands of a connection: by `sudo`, and for checksums.

use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::Error;
use fabric_core::error::FileErrorKind;
use fabric_core::transport::Files;
use tokio::io::DuplexStream;

use crate::connection::{Connection, Stdin};
use crate::shell_files::{ERRORS, Ended, Runner, ShellFiles};

/// Runs scripts as commands of a connection, also with `sudo`.
pub(crate) struct OnConnection {
    connection: Connection,
    sudo: bool,
}

impl OnConnection {
    pub(crate) fn new(connection: &Connection, sudo: bool) -> Self {
        Self { connection: connection.plain(), sudo }
    }
}

#[async_trait]
impl Runner for OnConnection {
    async fn run(
        &self,
        script: &[u8],
        input: Option<DuplexStream>,
        output: DuplexStream,
    ) -> Result<Ended, FileErrorKind> {
        let request = if self.sudo { self.connection.sudo(script) } else { self.connection.run(script) };
        let request = request.shell("sh -c").pty(false).combine_stderr(false).quiet();
        let request = request.out_stream(output).capture_limit(ERRORS as u64);
        let request = match input {
            Some(input) => request.stdin(Stdin::reader(input)),
            None => request,
        };
        let outcome = request.await.map_err(|error| match error {
            Error::Session { error, .. } => FileErrorKind::Session(error),
            other => FileErrorKind::Failed(other.to_string()),
        })?;
        Ok(Ended { stderr: outcome.stderr.bytes().to_vec(), exit: outcome.exit })
    }
}

/// The host's files, accessed with `sudo` as its user.
pub(super) fn by_sudo(connection: &Connection) -> Arc<dyn Files> {
    Arc::new(ShellFiles::new(OnConnection::new(connection, true)))
}
