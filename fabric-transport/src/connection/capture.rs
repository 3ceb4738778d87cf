//! The captured part of a stream.

use std::fs::File;
use std::io::{self, Write as _};

use bytes::{Bytes, BytesMut};
use fabric_core::Captured;
use tokio::task::JoinHandle;

/// How much of a stream is kept in memory; a longer one is moved to a temporary file.
const IN_MEMORY: usize = 8 * 1024 * 1024;

/// How much is gathered before a write to the file.
const BATCH: usize = 1024 * 1024;

/// The bytes of one stream, or the last of them. Each byte is copied a bounded number of times, however small the
/// pieces are.
#[derive(Debug)]
pub(super) struct Capture {
    kept: BytesMut,
    /// How many bytes of the end are kept.
    limit: Option<usize>,
    dropped: bool,
    spilled: Spilled,
    /// Why the file can't be written. Later output is not kept.
    failed: Option<io::Error>,
}

/// The part of a stream that is in a file.
#[derive(Debug)]
enum Spilled {
    Nothing,
    Here(File, u64),
    /// A write is in progress.
    Writing(JoinHandle<io::Result<(File, u64)>>),
}

impl Capture {
    /// Keeps the last `limit` bytes in memory; without a limit, all.
    pub(super) fn new(limit: Option<u64>) -> Self {
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Self { kept: BytesMut::new(), limit, dropped: false, spilled: Spilled::Nothing, failed: None }
    }

    /// Adds bytes. They are not lost if this future is dropped while it waits.
    pub(super) async fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        let Some(limit) = self.limit else {
            self.kept.extend_from_slice(bytes);
            let batch = if matches!(self.spilled, Spilled::Nothing) { IN_MEMORY } else { BATCH };
            if self.kept.len() > batch {
                self.ready().await;
                self.spill();
            }
            return;
        };
        let skipped = bytes.len().saturating_sub(limit);
        self.dropped |= skipped > 0;
        self.kept.extend_from_slice(&bytes[skipped..]);
        // Cutting at twice the limit makes it a copy of each byte, not of the whole for each piece.
        if self.kept.len() > limit.saturating_mul(2) {
            self.cut(limit);
        }
    }

    /// Waits until the file is written; to be called before [`Capture::finish`].
    pub(super) async fn settle(&mut self) {
        if !matches!(self.spilled, Spilled::Nothing) {
            self.ready().await;
            self.spill();
            self.ready().await;
        }
    }

    /// The bytes, and whether earlier ones were dropped because of the limit; or why they were not kept.
    pub(super) fn finish(mut self) -> io::Result<(Captured, bool)> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if let Spilled::Here(file, length) = self.spilled {
            return Ok((Captured::in_file(file, length), self.dropped));
        }
        if let Some(limit) = self.limit {
            self.cut(limit);
        }
        Ok((Bytes::from(self.kept).into(), self.dropped))
    }

    /// Waits for the write in progress.
    async fn ready(&mut self) {
        let Spilled::Writing(writing) = &mut self.spilled else { return };
        let written = writing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        self.spilled = match written {
            Ok((file, length)) => Spilled::Here(file, length),
            Err(error) => {
                self.failed = Some(error);
                self.kept = BytesMut::new();
                Spilled::Nothing
            }
        };
    }

    /// Writes what is in memory to the file, on a blocking thread.
    fn spill(&mut self) {
        if self.failed.is_some() {
            return;
        }
        let bytes = std::mem::replace(&mut self.kept, BytesMut::with_capacity(BATCH + BATCH / 8));
        let here = std::mem::replace(&mut self.spilled, Spilled::Nothing);
        self.spilled = Spilled::Writing(tokio::task::spawn_blocking(move || {
            let (mut file, length) = match here {
                Spilled::Here(file, length) => (file, length),
                Spilled::Nothing | Spilled::Writing(_) => (tempfile::tempfile()?, 0),
            };
            file.write_all(&bytes)?;
            Ok((file, length + bytes.len() as u64))
        }));
    }

    fn cut(&mut self, limit: usize) {
        let surplus = self.kept.len().saturating_sub(limit);
        if surplus > 0 {
            self.kept = BytesMut::from(&self.kept[surplus..]);
            self.dropped = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_bytes_are_kept_however_they_come() {
        let text = b"0123456789abcdef";
        for limit in 0..=17_u64 {
            for piece in 1..=16 {
                let mut capture = Capture::new(Some(limit));
                for chunk in text.chunks(piece) {
                    capture.push(chunk).await;
                }
                let from = text.len().saturating_sub(limit as usize);
                let (kept, dropped) = capture.finish().unwrap();
                assert!(kept == text[from..] && dropped == (from > 0), "{limit} {piece}");
            }
        }
    }

    #[tokio::test]
    async fn long_output_goes_to_a_file_and_comes_back_whole() {
        for (length, in_file) in [(0, false), (IN_MEMORY, false), (IN_MEMORY + 1, true), (3 * IN_MEMORY + 17, true)] {
            let all: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            let mut capture = Capture::new(None);
            for chunk in all.chunks(100_003) {
                capture.push(chunk).await;
                let bound = if in_file { IN_MEMORY + 100_003 } else { length };
                assert!(capture.kept.len() <= bound);
            }
            capture.settle().await;
            let (kept, dropped) = capture.finish().unwrap();
            assert_eq!((kept.is_in_file(), kept.len(), dropped), (in_file, length as u64, false));
            assert!(kept == *all, "{length}");
        }
    }

    #[tokio::test]
    async fn what_finds_no_room_on_the_disk_is_an_error_and_takes_no_memory() {
        for pieces in [1, 100] {
            let mut capture = Capture::new(None);
            // Writing to it fails as on a disk that is full.
            let full = File::options().write(true).open("/dev/full").unwrap();
            capture.spilled = Spilled::Here(full, 0);
            for _ in 0..pieces {
                capture.push(&vec![0; BATCH + 1]).await;
                assert!(capture.kept.len() <= BATCH + 1);
            }
            capture.settle().await;
            assert_eq!(capture.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
    }
}
