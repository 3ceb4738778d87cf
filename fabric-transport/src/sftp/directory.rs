//! The entries of a directory.

use std::collections::VecDeque;

use super::driver::{About, Call, Expected, OpenHandle};
use super::error::{ProtocolError, SftpError, StatusCode};
use super::wire::{Name, Request, packet};

/// How many requests for further entries are under way at once, so that a long directory on a long link
/// does not cost a round trip for every hundred entries.
const AHEAD: usize = 4;

/// Reads a directory, bit by bit, in the server's order. Dropping it closes the directory.
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

    /// The next entries, as many as the server sends at once (100 with OpenSSH), without `.` and `..`;
    /// `None` at the end. May be dropped and called again.
    ///
    /// How many there will be is up to the server: whoever collects them wants a limit, as
    /// [`Self::collect`] has.
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
                // A server that has nothing to say is at its end; OpenSSH's client takes it so as well.
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
