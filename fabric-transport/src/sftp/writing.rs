//! Writing a file from beginning to end, with overlapping writes.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes};
use fabric_core::transport::Progress;
use futures_util::future::{BoxFuture, select_all};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::attributes::{Attributes, FileType};
use super::client::Client;
use super::driver::{Call, Expected};
use super::error::SftpError;
use super::file::RemoteFile;
use super::lanes::{Lane, Pace};
use super::max_window;
use super::open_flags::OpenFlags;
use super::wire::WriteRequest;

/// The capacity of a file's first write; most files are smaller than the largest write.
const FIRST_ROOM: usize = 16 * 1024;

/// How [`Client::write_file`] writes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Write {
    /// How the file is opened. Default: it is created or emptied.
    pub flags: OpenFlags,
    /// Whether to refuse a symbolic link, or anything but a regular file, before writing. Version 3 can't open a file
    /// without following links: the open file is compared with the path's own attributes, in one round trip. Default:
    /// no.
    pub no_follow: bool,
    /// Attributes of a file at its creation; the server's umask applies to permissions.
    pub created_with: Attributes,
    /// Where in the file to begin. Default: 0.
    pub offset: u64,
    /// Attributes that are set at the end, whatever the umask. Default: none.
    pub finish_with: Attributes,
    /// Whether to wait until the server has written it to disk (`fsync@openssh.com`). Default: no.
    pub sync: bool,
    /// Whether the file must never have holes, so that an interrupted write can be resumed at its end. Only one channel
    /// is then used, even on a long link. Default: no.
    pub in_order: bool,
}

impl Default for Write {
    fn default() -> Self {
        Self {
            flags: OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE,
            no_follow: false,
            created_with: Attributes::default(),
            offset: 0,
            finish_with: Attributes::default(),
            sync: false,
            in_order: false,
        }
    }
}

impl Client {
    /// Writes all of `source` into a file and returns the number of bytes.
    ///
    /// A file of one request takes two round trips: after it is open, its content, its attributes and the request to
    /// close it are sent together. `progress` gets the number of bytes that the server has confirmed. After an error
    /// the file may have holes before its end.
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
        if how.no_follow {
            file.is_what_is_named().await?;
        }
        let mut writing = Writing::new(&file, how.offset).await;
        if !how.in_order && self.lanes.is_some() {
            writing.pace = Some(Pace::new(&self.conversation));
        }
        writing.send_all(source, progress).await?;
        // Its times, for example, must not change after they are set.
        writing.settle_lanes(progress).await?;
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
    /// Fails unless its path names the regular file that is open here.
    async fn is_what_is_named(&self) -> Result<(), SftpError> {
        let (open, named) = futures_util::join!(self.stat(), self.client.lstat(&self.path));
        let (open, named) = (open?, named?);
        let facts = |a: &Attributes| (a.file_type(), a.size, a.owner, a.times.map(|(_, modified)| modified));
        if named.file_type() == FileType::File && facts(&open) == facts(&named) {
            return Ok(());
        }
        Err(SftpError::NotTheFile)
    }

    /// Writes all of `source` into it from `offset` on, waits for the server's confirmation, and returns the number of
    /// bytes. See [`Client::write_file`].
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
    /// Unconfirmed writes with their lengths, in the order in which they were sent.
    unconfirmed: VecDeque<(u64, Call)>,
    /// Decides whether to open further channels, if that is allowed.
    pace: Option<Pace>,
    opening: FuturesUnordered<BoxFuture<'static, Option<OpenLane>>>,
    lanes: Vec<OpenLane>,
    /// What was sent on a channel that failed later.
    again: Vec<Piece>,
}

/// The file, open on a further channel.
struct OpenLane {
    file: RemoteFile,
    unconfirmed: VecDeque<(Piece, Call)>,
    _lane: Lane<Client>,
}

/// The events of a write.
enum WriteStep {
    Own(Result<u64, SftpError>),
    Lane(usize, Result<u64, SftpError>),
    Opened(Option<OpenLane>),
}

/// Which bytes belong where in the file.
struct Piece {
    offset: u64,
    data: Bytes,
}

impl<'a> Writing<'a> {
    async fn new(file: &'a RemoteFile, offset: u64) -> Self {
        let chunk = file.client.limits().await.write;
        Self {
            file,
            offset,
            chunk: chunk as usize,
            window: max_window(chunk),
            sent: 0,
            unconfirmed: VecDeque::new(),
            pace: None,
            opening: FuturesUnordered::new(),
            lanes: Vec::new(),
            again: Vec::new(),
        }
    }

    /// Sends all of the source; part of it may be unconfirmed after this.
    async fn send_all<R>(&mut self, source: &mut R, progress: Progress<'_>) -> Result<(), SftpError>
    where
        R: AsyncRead + Send + Unpin + ?Sized,
    {
        let handle = self.file.handle.bytes();
        let mut next = WriteRequest::new(handle, self.chunk, FIRST_ROOM);
        let mut ended = false;
        while !ended {
            let under_way = self.under_way();
            tokio::select! {
                biased;
                confirmed = self.confirm_one(), if under_way > 0 => {
                    progress(confirmed?);
                    continue;
                }
                read = async { source.read_buf(&mut next.space()).await }, if under_way < self.window => {
                    let read = read.map_err(|error| SftpError::Local { during: "reading the source", error: Arc::new(error) });
                    ended = read? == 0;
                }
            }
            if next.is_full() || (ended && !next.is_empty()) {
                let room = if ended { 0 } else { self.chunk };
                let full = std::mem::replace(&mut next, WriteRequest::new(handle, self.chunk, room));
                self.send(full, progress).await?;
            }
        }
        Ok(())
    }

    /// How many writes are unconfirmed.
    fn under_way(&self) -> usize {
        self.unconfirmed.len() + self.lanes.iter().map(|lane| lane.unconfirmed.len()).sum::<usize>()
    }

    /// Sends the next part of the file, on any channel that has room for it.
    async fn send(&mut self, full: WriteRequest, progress: Progress<'_>) -> Result<(), SftpError> {
        let (length, offset, size) = (full.len(), self.offset + self.sent, full.frame_len());
        self.sent += length as u64;
        let own = self.file.handle.conversation();
        // Without a write of our own there is nothing to wait for: others keep the channel busy.
        while self.under_way() > 0 && !self.lanes.is_empty() && own.room(size).is_none() {
            let free =
                self.lanes.iter_mut().filter_map(|lane| Some((lane.file.handle.conversation().room(size)?, lane)));
            let Some((room, lane)) = free.min_by_key(|(_, lane)| lane.unconfirmed.len()) else {
                progress(self.confirm_one().await?);
                continue;
            };
            let conversation = lane.file.handle.conversation();
            let Ok((id, call)) = conversation.expect(Expected::Status) else {
                // It has just ended, which its next reply reports, or its lack of room.
                break;
            };
            let frame = full.to(lane.file.handle.bytes()).at(offset).seal(id);
            let data = frame.slice(frame.len() - length..);
            conversation.post(frame, Some(room));
            lane.unconfirmed.push_back((Piece { offset, data }, call));
            return Ok(());
        }
        let call = own.submit(full.at(offset), Expected::Status).await?;
        self.unconfirmed.push_back((length as u64, call));
        Ok(())
    }

    /// Waits for the confirmation of a write, the oldest of its channel, and returns its length; 0 if something else
    /// happened. Safe to drop and call again.
    async fn confirm_one(&mut self) -> Result<u64, SftpError> {
        while let Some(Piece { offset, data }) = self.again.last() {
            let mut request = WriteRequest::new(self.file.handle.bytes(), data.len(), data.len());
            request.space().put_slice(data);
            let call = self.file.handle.conversation().submit(request.at(*offset), Expected::Status).await?;
            self.unconfirmed.push_back((data.len() as u64, call));
            self.again.pop();
        }
        let lanes = self.lanes.iter_mut().enumerate().filter(|(_, lane)| !lane.unconfirmed.is_empty());
        let lanes: Vec<_> = lanes.map(|(index, lane)| Box::pin(async move { (index, lane.confirm().await) })).collect();
        let (some, any_of) = (!lanes.is_empty(), async { select_all(lanes).await.0 });
        let step = tokio::select! {
            biased;
            confirmed = confirm_front(self.file, &mut self.unconfirmed), if !self.unconfirmed.is_empty() => WriteStep::Own(confirmed),
            (lane, confirmed) = any_of, if some => WriteStep::Lane(lane, confirmed),
            Some(opened) = self.opening.next(), if !self.opening.is_empty() => WriteStep::Opened(opened),
            else => return Ok(0),
        };
        match step {
            WriteStep::Own(confirmed) => {
                let length = confirmed?;
                self.file.handle.conversation().confirm(length);
                self.consider_lanes();
                Ok(length)
            }
            WriteStep::Lane(_, Ok(length)) => Ok(length),
            WriteStep::Lane(lane, Err(error)) => {
                tracing::debug!(%error, "a further channel");
                let failed = self.lanes.swap_remove(lane);
                self.again.extend(failed.unconfirmed.into_iter().map(|(piece, _)| piece));
                Ok(0)
            }
            WriteStep::Opened(lane) => {
                self.lanes.extend(lane);
                Ok(0)
            }
        }
    }

    /// Opens further channels if the window of the first one turns out to be the limit.
    fn consider_lanes(&mut self) {
        let (Some(lanes), Some(pace)) = (&self.file.client.lanes, &mut self.pace) else { return };
        if !pace.is_window_bound(self.file.handle.conversation()) {
            return;
        }
        for lane in lanes.open() {
            let (path, chunk) = (self.file.path.clone(), self.chunk);
            self.opening.push(Box::pin(async move {
                let lane = lane.await?;
                let file = lane.client.open(&path, OpenFlags::WRITE, &Attributes::default()).await.ok()?;
                let takes = lane.client.limits().await.write as usize;
                (takes >= chunk).then(|| OpenLane { file, unconfirmed: VecDeque::new(), _lane: lane })
            }));
        }
    }

    /// Waits for the writes on further channels, and closes them.
    async fn settle_lanes(&mut self, progress: Progress<'_>) -> Result<(), SftpError> {
        self.pace = None;
        self.opening.clear();
        while !self.again.is_empty() || self.lanes.iter().any(|lane| !lane.unconfirmed.is_empty()) {
            progress(self.confirm_one().await?);
        }
        self.lanes.clear();
        Ok(())
    }
}

impl OpenLane {
    async fn confirm(&mut self) -> Result<u64, SftpError> {
        let Some((piece, call)) = self.unconfirmed.front_mut() else { return Ok(0) };
        let length = piece.data.len() as u64;
        call.status(self.file.about("write")).await?;
        self.unconfirmed.pop_front();
        Ok(length)
    }
}

/// Waits for the confirmation of the oldest write and returns its length. Safe to drop and call again.
async fn confirm_front(file: &RemoteFile, unconfirmed: &mut VecDeque<(u64, Call)>) -> Result<u64, SftpError> {
    let Some((length, call)) = unconfirmed.front_mut() else { return Ok(0) };
    let length = *length;
    let answer = call.status(file.about("write")).await;
    unconfirmed.pop_front();
    answer.map(|()| length)
}
