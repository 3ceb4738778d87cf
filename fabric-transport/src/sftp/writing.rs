//! Writing a file from beginning to end, through writes that overlap.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::attributes::Attributes;
use super::client::Client;
use super::driver::{Call, Expected};
use super::error::SftpError;
use super::file::{OpenFlags, RemoteFile};
use super::wire::WriteRequest;
use super::{Progress, max_window};

/// How much room a file's first write begins with; most files are smaller than the largest write.
const FIRST_ROOM: usize = 16 * 1024;

/// How [`Client::write_file`] writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// How the file is opened. Default: it is made or emptied.
    pub flags: OpenFlags,
    /// What a file that is made gets at once; the server's umask applies to permissions.
    pub created_with: Attributes,
    /// Where in the file to begin. Default: 0.
    pub offset: u64,
    /// What the file gets in the end, whatever the umask. Default: nothing.
    pub finish_with: Attributes,
    /// Whether to wait until the server has it on its disk (`fsync@openssh.com`). Default: no.
    pub sync: bool,
}

impl Default for Write {
    fn default() -> Self {
        Self {
            flags: OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE,
            created_with: Attributes::default(),
            offset: 0,
            finish_with: Attributes::default(),
            sync: false,
        }
    }
}

impl Client {
    /// Writes all of `source` into a file and gives the number of bytes.
    ///
    /// A file of one request takes two round trips: once it is open, its content, its attributes and its
    /// closing go out together. `progress` is told what the server has confirmed. After an error the file
    /// may have holes: what was confirmed last is not where it ends.
    pub async fn write_file<R>(
        &self,
        path: &[u8],
        how: &Write,
        source: &mut R,
        progress: Progress<'_>,
    ) -> Result<u64, SftpError>
    where
        R: AsyncRead + Send + Unpin + ?Sized,
    {
        let file = self.open(path, how.flags, &how.created_with).await?;
        let mut writing = Writing::new(&file, how.offset).await;
        writing.send_all(source, progress).await?;
        let sent = writing.sent;
        let mut unconfirmed = std::mem::take(&mut writing.unconfirmed);
        let mut finishing = file.send_finish(&how.finish_with, how.sync).await?;
        while let Some((length, mut call)) = unconfirmed.pop_front() {
            call.status(finishing.about("write")).await?;
            progress(length);
        }
        finishing.confirm().await?;
        Ok(sent)
    }
}

impl RemoteFile {
    /// Writes all of `source` into it from `offset` on, waits for the server to confirm it, and gives the
    /// number of bytes. See [`Client::write_file`].
    pub async fn write_from<R>(&self, offset: u64, source: &mut R, progress: Progress<'_>) -> Result<u64, SftpError>
    where
        R: AsyncRead + Send + Unpin + ?Sized,
    {
        let mut writing = Writing::new(self, offset).await;
        writing.send_all(source, progress).await?;
        while !writing.unconfirmed.is_empty() {
            progress(writing.confirm_one().await?);
        }
        Ok(writing.sent)
    }
}

struct Writing<'a> {
    file: &'a RemoteFile,
    offset: u64,
    chunk: usize,
    window: usize,
    sent: u64,
    /// Writes under way, in the order they were sent, with their lengths.
    unconfirmed: VecDeque<(u64, Call)>,
}

impl<'a> Writing<'a> {
    async fn new(file: &'a RemoteFile, offset: u64) -> Self {
        let chunk = file.client.limits().await.write;
        Self { file, offset, chunk: chunk as usize, window: max_window(chunk), sent: 0, unconfirmed: VecDeque::new() }
    }

    /// Sends all of the source; part of it may not be confirmed yet.
    async fn send_all<R>(&mut self, source: &mut R, progress: Progress<'_>) -> Result<(), SftpError>
    where
        R: AsyncRead + Send + Unpin + ?Sized,
    {
        let handle = self.file.handle.bytes();
        let mut next = WriteRequest::new(handle, self.chunk, FIRST_ROOM);
        let mut ended = false;
        while !ended {
            let may_send = self.unconfirmed.len() < self.window;
            tokio::select! {
                biased;
                confirmed = self.confirm_one(), if !self.unconfirmed.is_empty() => {
                    progress(confirmed?);
                    continue;
                }
                read = async { source.read_buf(&mut next.space()).await }, if may_send => {
                    let read = read.map_err(|error| SftpError::Local { during: "reading the source", error: Arc::new(error) });
                    ended = read? == 0;
                }
            }
            if next.is_full() || (ended && !next.is_empty()) {
                let (length, offset) = (next.len() as u64, self.offset + self.sent);
                let room = if ended { 0 } else { self.chunk };
                let full = std::mem::replace(&mut next, WriteRequest::new(handle, self.chunk, room));
                let call = self.file.handle.conversation().submit(full.at(offset), Expected::Status).await?;
                self.unconfirmed.push_back((length, call));
                self.sent += length;
            }
        }
        Ok(())
    }

    /// Waits for the confirmation of the oldest write and gives its length. May be dropped and called
    /// again.
    async fn confirm_one(&mut self) -> Result<u64, SftpError> {
        let Some((length, call)) = self.unconfirmed.front_mut() else { return Ok(0) };
        let length = *length;
        let answer = call.status(self.file.about("write")).await;
        self.unconfirmed.pop_front();
        answer.map(|()| length)
    }
}
