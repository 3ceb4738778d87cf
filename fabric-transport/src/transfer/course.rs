//! The beginning and the end of a transfer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fabric_core::error::FileError;
use fabric_core::outcome::Direction;
use fabric_core::transport::Files;
use fabric_core::{Emitter, Error, TransferOutcome};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::engine::{CHECKSUMS_AT_ONCE, Engine, WrittenInPlace};
use super::local;
use super::options::TransferOptions;
use super::progress::Progress;
use crate::connection::Connection;

/// How long an interrupted transfer waits for the host to remove unfinished files.
const LONGEST_REMOVAL: Duration = Duration::from_secs(3);

impl Engine {
    /// Begins a transfer between these paths, with its size if that is known, and emits its start.
    pub(super) fn begin(
        connection: &Connection,
        direction: Direction,
        options: &TransferOptions,
        remote: Arc<dyn Files>,
        (here, there): (String, String),
        size: Option<u64>,
        began: Instant,
    ) -> (Arc<Self>, Arc<Progress>) {
        let emitter = if options.silent { Emitter::none() } else { connection.emitter().clone() };
        let engine = Self {
            connection: connection.clone(),
            direction,
            options: options.clone(),
            remote,
            local: Arc::new(local::files()),
            checksums: Semaphore::new(CHECKSUMS_AT_ONCE),
            removals: TaskTracker::new(),
            in_place: WrittenInPlace::default(),
        };
        (Arc::new(engine), Arc::new(Progress::start(emitter, direction, here, there, size, began)))
    }

    /// Ends a transfer and emits its end. `first` is the first file that failed, or why all did.
    pub(super) fn end(
        &self,
        progress: &Progress,
        mut outcome: TransferOutcome,
        first: Result<Option<FileError>, Error>,
    ) -> Result<TransferOutcome, Error> {
        self.tell_in_place(&mut outcome);
        outcome.duration = progress.began.elapsed();
        outcome.bytes = progress.bytes();
        let ended = first.and_then(|first| judge(&self.connection, &self.options, outcome, first));
        progress.finish(ended.as_ref().err().map(ToString::to_string));
        ended
    }

    /// Does `work` unless the run is interrupted; unfinished files are removed if the host still answers.
    pub(super) async fn unless_interrupted<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let ended = self.connection.unless_interrupted(self.verb(), work).await.and_then(|done| done);
        self.removals.close();
        let _ = tokio::time::timeout(LONGEST_REMOVAL, self.removals.wait()).await;
        ended.map_err(|error| self.interrupted(error))
    }
}

/// The result of a transfer: its outcome, or an error if a file failed and that is not a warning.
fn judge(
    connection: &Connection,
    options: &TransferOptions,
    outcome: TransferOutcome,
    first: Option<FileError>,
) -> Result<TransferOutcome, Error> {
    let host = connection.host_string().to_owned();
    let error = match first {
        None if outcome.failed.is_empty() => return Ok(outcome),
        Some(error) if outcome.failed.len() == 1 && outcome.remote.is_empty() => Error::File { host, error },
        _ => Error::TransferIncomplete(Box::new(outcome.clone())),
    };
    if options.warn.unwrap_or(connection.settings().warn_only) {
        if !options.silent {
            connection.emitter().warn(error.to_string());
        }
        return Ok(outcome);
    }
    Err(error)
}
