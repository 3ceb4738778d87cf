//! One file of a transfer.

use fabric_core::transport::FileStat;

use super::local;

/// One file to transfer.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
    pub(super) stat: FileStat,
    pub(super) existing: Existing,
    /// Whether it is written to a local device or pipe.
    pub(super) into_stream: bool,
}

impl Job {
    /// Whether it is small enough to be read or written in one step.
    pub(super) fn is_small(&self) -> bool {
        self.stat.size.is_some_and(|size| size < local::SMALL as u64)
    }
}

/// What is known about a file's destination, links not followed.
#[derive(Debug, Clone)]
pub(super) enum Existing {
    Unknown,
    Nothing,
    Is(FileStat),
}
