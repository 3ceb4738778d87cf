//! The entries of a directory.

use std::collections::VecDeque;

use super::driver::{About, Call, Expected, OpenHandle};
use super::error::{ProtocolError, SftpError, StatusCode};
use super::wire::{Name, Request, packet};

/// How many requests for further entries are sent ahead, so that a long directory doesn't take a round trip for every
/// hundred entries.
const AHEAD: usize = 4;

/// Reads a directory in parts, in the server's order. Dropping it closes the directory.
#[derive(Debug)]
pub struct ReadDir {
    handle: OpenHandle,
    path: Vec<u8>,
    calls: VecDeque<Call>,
    ended: bool,
}

impl ReadDir {
    pub(super) fn new(handle: OpenHandle, path: &[u8]) -> Self {
        Self { handle, path: path.to_owned(), calls: VecDeque::new(), ended: false }
    }

    /// The next entries, as many as the server sends at once (OpenSSH: 100), without `.` and `..`; `None` at the end.
    /// Safe to drop and call again.
    ///
    /// The server decides how many entries there are. [`Self::collect`] takes a limit.
    pub async fn next_batch(&mut self) -> Result<Option<Vec<Name>>, SftpError> {
        while !self.ended {
            while self.calls.len() < AHEAD {
                let handle = self.handle.bytes();
                let request = Request::new(packet::READDIR, 4 + handle.len()).string(handle);
                self.calls.push_back(self.handle.conversation().submit(request, Expected::Names).await?);
            }
            let about = About { operation: "readdir", path: &self.path };
            let Some(first) = self.calls.front_mut() else { continue };
            let answer = first.names(about).await;
            self.calls.pop_front();
            match answer {
                // An empty reply counts as the end, as in OpenSSH's client.
                Ok(names) if names.is_empty() => self.ended = true,
                Ok(mut names) => {
                    names.retain(|entry| entry.name != b"." && entry.name != b"..");
                    return Ok(Some(names));
                }
                Err(error) if error.status() == Some(StatusCode::Eof) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// All entries; an error if there are more than `limit`.
    pub async fn collect(mut self, limit: usize) -> Result<Vec<Name>, SftpError> {
        let mut entries = Vec::new();
        while let Some(batch) = self.next_batch().await? {
            entries.extend(batch);
            if entries.len() > limit {
                return Err(ProtocolError::EndlessDirectory(limit).into());
            }
        }
        Ok(entries)
    }
}
