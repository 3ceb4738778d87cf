//! Interactive shells.

use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::{Error, ExitStatus};
use fabric_transport::Connection;

/// Who has the terminal that an interactive shell (`open_shell`) is shown on.
#[async_trait]
pub trait Interactive: Send + Sync {
    /// Opens a shell on the host of `connection`, types `line` first if there is one, and stays until the
    /// shell has ended. Called for one host at a time.
    async fn open_shell(&self, connection: Connection, line: Option<String>) -> Result<ExitStatus, Error>;
}

#[async_trait]
impl<I: Interactive + ?Sized> Interactive for Arc<I> {
    async fn open_shell(&self, connection: Connection, line: Option<String>) -> Result<ExitStatus, Error> {
        (**self).open_shell(connection, line).await
    }
}
