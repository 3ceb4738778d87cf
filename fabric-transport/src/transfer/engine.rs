//! Both sides of a transfer.

use std::path::Path;
use std::sync::Arc;

use fabric_core::TransferOutcome;
use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::outcome::Direction;
use fabric_core::transport::Files;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::options::TransferOptions;
use super::scripts::OnConnection;
use super::verify;
use crate::connection::Connection;
use crate::paths;
use crate::shell_files::Scripts;

/// How many files are transferred at once.
pub(super) const AT_ONCE: usize = 32;
/// How many small files take the place of another: together fewer than the 100 that old servers keep open (OpenSSH before 5.1).
pub(super) const SMALL_FOR_ONE: u32 = 3;
/// How many checksums a host computes at once.
pub(super) const CHECKSUMS_AT_ONCE: usize = 4;

/// The files that a transfer has written in place.
#[derive(Default)]
pub(super) struct WrittenInPlace {
    pub(super) done: Mutex<Vec<Vec<u8>>>,
    /// Those that are being written on the host.
    pub(super) under_way: Mutex<Vec<Vec<u8>>>,
}

impl WrittenInPlace {
    /// The files that were written in place.
    pub(super) fn take(&self) -> Vec<Vec<u8>> {
        let mut done = std::mem::take(&mut *self.done.lock());
        done.sort_unstable();
        done
    }
}

/// Both sides of a transfer.
pub(super) struct Engine {
    pub(super) connection: Connection,
    pub(super) direction: Direction,
    pub(super) options: TransferOptions,
    pub(super) remote: Arc<dyn Files>,
    pub(super) local: Arc<dyn Files>,
    /// Bounds the commands that compute checksums: hosts allow few sessions at once (MaxSessions).
    pub(super) checksums: Semaphore,
    /// Removals of abandoned files that are in progress.
    pub(super) removals: TaskTracker,
    pub(super) in_place: WrittenInPlace,
}

impl Engine {
    pub(super) fn verb(&self) -> &'static str {
        match self.direction {
            Direction::Put => "put",
            Direction::Get => "get",
        }
    }

    /// The files of the side that is written.
    pub(super) fn target(&self) -> &Arc<dyn Files> {
        match self.direction {
            Direction::Put => &self.remote,
            Direction::Get => &self.local,
        }
    }

    pub(super) fn delivered(&self, from: &[u8], to: &[u8], outcome: &mut TransferOutcome) {
        let (local, remote) = match self.direction {
            Direction::Put => (from, to),
            Direction::Get => (to, from),
        };
        if !local.is_empty() {
            outcome.local.push(paths::text(local));
        }
        outcome.remote.push(paths::text(remote));
    }

    pub(super) async fn remote_sha256(&self, path: &[u8]) -> Result<String, FileError> {
        // The semaphore is never closed.
        let _turn = self.checksums.acquire().await;
        match self.remote.sha256(path).await? {
            Some(sum) => Ok(sum),
            None => Scripts::new(OnConnection::new(&self.connection, false)).sha256(path).await,
        }
    }

    pub(super) async fn compare(&self, remote: &[u8], local: &[u8]) -> Result<(), FileError> {
        let there = self.remote_sha256(remote).await?;
        let here = verify::local_sha256(local).await?;
        if there == here {
            return Ok(());
        }
        let kind = FileErrorKind::Differs(format!("SHA-256 is {there} on the host, {here} here"));
        Err(FileError::new("verify", remote, kind))
    }
}

/// A path of this machine, as text.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
