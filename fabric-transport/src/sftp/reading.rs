//! Reading a file from beginning to end, with overlapping reads.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use fabric_core::transport::Progress;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::attributes::{Attributes, FileType};
use super::client::Client;
use super::driver::Call;
use super::error::{SftpError, StatusCode};
use super::file::RemoteFile;
use super::max_window;
use super::open_flags::OpenFlags;

/// The least number of reads that a file starts with. Enough for a short link; as many replies may have to wait in
/// memory for a sink that is slower than the link.
const FIRST_WINDOW: usize = 16;

/// The assumed speed of a long link until it is measured, in bytes a second.
const FIRST_PACE: u128 = 320 * 1024 * 1024;

/// Reads don't get smaller than this, however little a server returns.
const MIN_CHUNK: u32 = 4096;

impl Client {
    /// Copies a file's content from `offset` to its end into `sink` and returns the number of bytes.
    ///
    /// A file of one request takes two round trips. See [`RemoteFile::read_to`].
    pub async fn read_file<W>(
        &self,
        path: &[u8],
        offset: u64,
        sink: &mut W,
        progress: Progress<'_>,
    ) -> Result<u64, SftpError>
    where
        W: AsyncWrite + Send + Unpin + ?Sized,
    {
        self.open(path, OpenFlags::READ, &Attributes::default()).await?.read_to(offset, sink, progress).await
    }
}

impl RemoteFile {
    /// Copies its content from `offset` to its end into `sink`, flushes the sink, and returns the number of bytes.
    ///
    /// Reads overlap. Their number grows while the client waits for the server and stays the same while the sink is
    /// slower, so that the memory used is what the link needs. A file that grows meanwhile is read to its end at that
    /// time, and so is one whose length the server doesn't know, as in `/proc`.
    pub async fn read_to<W>(&self, offset: u64, sink: &mut W, progress: Progress<'_>) -> Result<u64, SftpError>
    where
        W: AsyncWrite + Send + Unpin + ?Sized,
    {
        let failed = |error| SftpError::Local { during: "writing the sink", error: Arc::new(error) };
        let mut reading = Reading::start(self, offset).await?;
        let mut total = 0;
        while let Some(data) = reading.next().await? {
            sink.write_all(&data).await.map_err(failed)?;
            total += data.len() as u64;
            progress(data.len() as u64);
        }
        sink.flush().await.map_err(failed)?;
        Ok(total)
    }
}

struct Reading<'a> {
    file: &'a RemoteFile,
    /// Sent reads: consecutive parts of the file, without gaps.
    under_way: VecDeque<Piece>,
    /// The most reads at once.
    window: usize,
    /// Where the next read began when that number last grew.
    grown_at: u64,
    /// Where the next read begins, and its length.
    offset: u64,
    chunk: u32,
    /// Where the file ends: as the server said, or else how far to read ahead. A single read from there on finds the
    /// real end.
    presumed_end: u64,
    /// The length that the server reported.
    stated_end: Option<u64>,
    ended: bool,
}

struct Piece {
    offset: u64,
    length: u32,
    call: Call,
}

impl<'a> Reading<'a> {
    /// Asks for the file's length and its first part in one round trip.
    async fn start(file: &'a RemoteFile, offset: u64) -> Result<Self, SftpError> {
        let chunk = file.client.limits().await.read;
        let mut stat = file.submit_stat().await?;
        let round_trip = file.handle.conversation().round_trip().unwrap_or_default();
        let ahead = round_trip.as_millis() * FIRST_PACE / 1000 / u128::from(chunk);
        let mut reading = Self {
            file,
            under_way: VecDeque::new(),
            window: (ahead as usize).clamp(FIRST_WINDOW, max_window(chunk)),
            grown_at: offset,
            offset,
            chunk,
            presumed_end: offset,
            stated_end: None,
            ended: false,
        };
        reading.ask(chunk).await?;
        match stat.attributes(file.about("fstat")).await {
            // Files in /proc are regular, with a reported length of 0.
            Ok(attributes) if attributes.file_type() == FileType::File => {
                reading.stated_end = attributes.size.filter(|size| *size > 0);
            }
            // Some servers don't support attributes of open files.
            Ok(_) | Err(SftpError::Status(_)) => {}
            Err(error) => return Err(error),
        }
        reading.presumed_end = reading.stated_end.unwrap_or(offset).max(offset);
        Ok(reading)
    }

    /// The next bytes of the file, or `None` at its end.
    async fn next(&mut self) -> Result<Option<Bytes>, SftpError> {
        if self.ended {
            return Ok(None);
        }
        self.fill().await?;
        let Some(piece) = self.under_way.front_mut() else { return Ok(None) };
        if !piece.call.is_answered() && piece.offset >= self.grown_at {
            // The link is the slower side: doubles the reads ahead, once each round trip.
            self.window = (self.window * 2).min(max_window(self.chunk));
            self.grown_at = self.offset;
        }
        let answer = piece.call.data(self.file.about("read")).await;
        let Some(Piece { offset, length, .. }) = self.under_way.pop_front() else { return Ok(None) };
        match answer {
            Ok(data) if !data.is_empty() => {
                self.go_on(offset, length, data.len() as u32).await?;
                Ok(Some(data))
            }
            Err(error) if error.status() != Some(StatusCode::Eof) => Err(error),
            _ => {
                self.ended = true;
                Ok(None)
            }
        }
    }

    /// Keeps the window full: whole chunks up to the presumed end, and one read from there on.
    async fn fill(&mut self) -> Result<(), SftpError> {
        while self.under_way.len() < self.window {
            let left = self.presumed_end.saturating_sub(self.offset);
            if left > 0 {
                self.ask(left.min(u64::from(self.chunk)) as u32).await?;
            } else if self.offset == self.presumed_end || self.under_way.is_empty() {
                self.ask(self.chunk).await?;
            } else {
                break;
            }
        }
        Ok(())
    }

    async fn ask(&mut self, length: u32) -> Result<(), SftpError> {
        let call = self.file.submit_read(self.offset, length).await?;
        self.under_way.push_back(Piece { offset: self.offset, length, call });
        self.offset = self.offset.saturating_add(u64::from(length));
        Ok(())
    }

    /// After a reply of `given` bytes to a read of `length` at `offset`.
    async fn go_on(&mut self, offset: u64, length: u32, given: u32) -> Result<(), SftpError> {
        let (end, missing) = (offset + u64::from(given), length - given);
        if missing == 0 {
            if end > self.presumed_end {
                // It is longer than reported, or no length was reported: read ahead as far as it goes now.
                self.presumed_end = self.offset + u64::from(self.chunk) * (self.under_way.len() as u64 + 1);
            }
        } else if self.stated_end == Some(end) {
            // It ends where the server said, and there was no more.
            self.ended = true;
        } else {
            let call = self.file.submit_read(end, missing).await?;
            self.under_way.push_front(Piece { offset: end, length: missing, call });
            if end < self.presumed_end {
                // The server returns less than the request asks for: ask for that much.
                self.chunk = self.chunk.min(given.max(MIN_CHUNK));
            }
        }
        Ok(())
    }
}
