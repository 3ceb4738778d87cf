//! The place of a session's SFTP client.

use std::sync::atomic::AtomicBool;

use tokio::sync::{Mutex, RwLock, RwLockReadGuard};

use crate::sftp::Client;

/// The SFTP client of a session, while there is one.
#[derive(Default)]
pub(super) struct SftpSlot {
    /// Read-locked while it is used.
    pub(super) client: RwLock<Option<Client>>,
    /// Locked while it is opened.
    pub(super) opening: Mutex<()>,
    /// Whether the host has no SFTP server.
    pub(super) is_missing: AtomicBool,
}

impl SftpSlot {
    /// Begins to close the channel if it is unused; returns whether it does.
    pub(super) fn make_way(&self) -> bool {
        self.client.try_write().is_ok_and(|mut client| client.take().is_some())
    }

    pub(super) async fn open(&self) -> Option<RwLockReadGuard<'_, Option<Client>>> {
        let client = self.client.read().await;
        client.as_ref().is_some_and(|client| !client.is_closed()).then_some(client)
    }
}
