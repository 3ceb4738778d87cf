//! The conversation: a task that reads and writes frames, and the table of requests that wait for a reply.
//!
//! A request is put into the writer's queue as a whole, and its reply finds the caller by its id. So a caller may be
//! dropped at any moment without an effect on others. The reader never waits for a caller.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SetOnce, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::attributes::Attributes;
use super::error::{CloseReason, ProtocolError, SftpError, StatusCode, StatusError, printable};
use super::wire::{FrameBuffer, Name, Reply, Request, packet};

/// How many bytes of requests may be queued before callers wait. Four writes of the largest size: enough to keep the
/// stream busy, and little enough for a thousand connections in one process.
const QUEUE_BYTES: usize = 1024 * 1024;

/// Requests are collected up to this size into one write to the stream.
const BATCH_BYTES: usize = 32 * 1024;

/// The part of a client that its handles share.
#[derive(Debug)]
pub(super) struct Conversation {
    queue: mpsc::UnboundedSender<Queued>,
    budget: Arc<Semaphore>,
    waiting: Arc<Waiting>,
    task: OnceLock<AbortHandle>,
}

#[derive(Debug)]
struct Queued {
    frame: Bytes,
    _budget: Option<OwnedSemaphorePermit>,
}

impl Drop for Conversation {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Conversation {
    /// Starts the task. `frames` contains what has been read already.
    pub(super) fn start<R, W>(reader: R, writer: W, frames: FrameBuffer) -> Arc<Self>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (queue, queued) = mpsc::unbounded_channel();
        let budget = Arc::new(Semaphore::new(QUEUE_BYTES));
        let waiting = Arc::new(Waiting::default());
        let conversation =
            Arc::new(Self { queue, budget: budget.clone(), waiting: waiting.clone(), task: OnceLock::new() });
        let (ending, weak) = (Ending { waiting, budget }, Arc::downgrade(&conversation));
        let task = tokio::spawn(async move {
            let reason = tokio::select! {
                reason = read_frames(reader, frames, &ending.waiting, &weak) => reason,
                reason = write_frames(writer, queued) => reason,
            };
            ending.with(reason);
        });
        // Created above, and set only here.
        let _ = conversation.task.set(task.abort_handle());
        conversation
    }

    /// Sends a request as soon as there is room for it; the result waits for the reply.
    pub(super) async fn submit(self: &Arc<Self>, request: Request, expected: Expected) -> Result<Call, SftpError> {
        let size = request.frame_len().min(QUEUE_BYTES) as u32;
        match self.budget.clone().acquire_many_owned(size).await {
            Ok(room) => self.enqueue(request, expected, Some(room)),
            Err(_) => Err(self.reason().into()),
        }
    }

    /// Room for a request of this size, if there is some now.
    pub(super) fn room(&self, size: usize) -> Option<OwnedSemaphorePermit> {
        self.budget.clone().try_acquire_many_owned(size.min(QUEUE_BYTES) as u32).ok()
    }

    fn enqueue(
        self: &Arc<Self>,
        request: Request,
        expected: Expected,
        budget: Option<OwnedSemaphorePermit>,
    ) -> Result<Call, SftpError> {
        let (id, call) = self.expect(expected)?;
        self.post(request.seal(id), budget);
        Ok(call)
    }

    /// Allocates an id for the next request, and what waits for its reply.
    pub(super) fn expect(self: &Arc<Self>, expected: Expected) -> Result<(u32, Call), SftpError> {
        let (answer, answered) = oneshot::channel();
        let id = self.waiting.register(expected, answer)?;
        Ok((id, Call { answered, conversation: self.clone() }))
    }

    /// Sends the frame of a request whose reply is expected.
    pub(super) fn post(&self, frame: Bytes, budget: Option<OwnedSemaphorePermit>) {
        // A failure means that the task has just ended, which the reply's channel reports too.
        let _ = self.queue.send(Queued { frame, _budget: budget });
    }

    /// The shortest time that a reply took so far.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        let nanos = self.waiting.round_trip.load(Ordering::Relaxed);
        (nanos < u64::MAX).then(|| Duration::from_nanos(nanos))
    }

    /// How many bytes of writes were confirmed so far.
    pub(super) fn confirmed(&self) -> u64 {
        self.waiting.confirmed.load(Ordering::Relaxed)
    }

    /// Counts further confirmed bytes of writes.
    pub(super) fn confirm(&self, bytes: u64) {
        self.waiting.confirmed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The reason of the end; only meaningful after the end.
    fn reason(&self) -> CloseReason {
        self.waiting.closed.get().cloned().unwrap_or(CloseReason::Shutdown)
    }

    /// Resolves once it is over.
    pub(super) async fn closed(&self) -> CloseReason {
        self.waiting.closed.wait().await.clone()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.waiting.closed.get().is_some()
    }
}

/// Passes the reason to all waiting requests when the task ends, even if it is dropped with its runtime.
struct Ending {
    waiting: Arc<Waiting>,
    budget: Arc<Semaphore>,
}

impl Ending {
    fn with(&self, reason: CloseReason) {
        self.waiting.close(reason);
        self.budget.close();
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.with(CloseReason::Shutdown);
    }
}

/// The requests that wait for a reply.
#[derive(Debug)]
struct Waiting {
    table: Mutex<Table>,
    closed: SetOnce<CloseReason>,
    /// The shortest time that a reply took, in nanoseconds.
    round_trip: AtomicU64,
    /// Bytes of writes that were confirmed.
    confirmed: AtomicU64,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            table: Mutex::default(),
            closed: SetOnce::new(),
            round_trip: AtomicU64::new(u64::MAX),
            confirmed: AtomicU64::new(0),
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    slots: Vec<Slot>,
    free: Vec<u16>,
    closed: bool,
}

/// A slot of the table. A request's id is the number of its slot and how often the slot was used before, so that a
/// second reply to the same request is noticed.
#[derive(Debug)]
struct Slot {
    round: u16,
    request: Option<(Expected, oneshot::Sender<Answer>)>,
    since: Instant,
}

impl Waiting {
    fn register(&self, expected: Expected, answer: oneshot::Sender<Answer>) -> Result<u32, SftpError> {
        let mut table = self.table.lock();
        if table.closed {
            return Err(self.closed.get().cloned().unwrap_or(CloseReason::Shutdown).into());
        }
        let place = if let Some(place) = table.free.pop() {
            place
        } else {
            let place = u16::try_from(table.slots.len()).map_err(|_| SftpError::TooManyRequests)?;
            table.slots.push(Slot { round: 0, request: None, since: Instant::now() });
            place
        };
        let slot = &mut table.slots[usize::from(place)];
        slot.request = Some((expected, answer));
        slot.since = Instant::now();
        Ok(u32::from(slot.round) << 16 | u32::from(place))
    }

    fn take(&self, id: u32) -> Result<(Expected, oneshot::Sender<Answer>), ProtocolError> {
        let mut table = self.table.lock();
        let (round, place) = ((id >> 16) as u16, id as u16);
        let slot = table.slots.get_mut(usize::from(place)).filter(|slot| slot.round == round);
        let slot = slot.ok_or(ProtocolError::UnknownId(id))?;
        let request = slot.request.take().ok_or(ProtocolError::UnknownId(id))?;
        slot.round = slot.round.wrapping_add(1);
        let took = u64::try_from(slot.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.round_trip.fetch_min(took, Ordering::Relaxed);
        table.free.push(place);
        Ok(request)
    }

    fn close(&self, reason: CloseReason) {
        let slots = {
            let mut table = self.table.lock();
            table.closed = true;
            // The first reason is kept.
            let _ = self.closed.set(reason);
            std::mem::take(&mut table.slots)
        };
        drop(slots);
    }
}

/// What the reply to a request must be, unless it is an error status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Status,
    Handle,
    /// With the number of bytes asked for.
    Data(u32),
    Names,
    Attributes,
    Extended,
}

impl Expected {
    fn name(self) -> &'static str {
        match self {
            Self::Status => "SSH_FXP_STATUS",
            Self::Handle => "SSH_FXP_HANDLE",
            Self::Data(_) => "SSH_FXP_DATA",
            Self::Names => "SSH_FXP_NAME",
            Self::Attributes => "SSH_FXP_ATTRS",
            Self::Extended => "SSH_FXP_EXTENDED_REPLY",
        }
    }

    /// Whether this reply is of the expected kind.
    fn check(self, reply: &Reply) -> Result<(), ProtocolError> {
        match (self, reply) {
            (Self::Data(asked), Reply::Data(data)) if data.len() > asked as usize => {
                Err(ProtocolError::TooMuchData { asked, got: data.len() })
            }
            (Self::Status, Reply::Status(..))
            | (Self::Handle, Reply::Handle(_))
            | (Self::Data(_), Reply::Data(_))
            | (Self::Names, Reply::Names(_))
            | (Self::Attributes, Reply::Attributes(_))
            | (Self::Extended, Reply::Extended(_)) => Ok(()),
            (_, Reply::Status(code, _)) if *code != 0 => Ok(()),
            _ => Err(ProtocolError::UnexpectedReply { got: reply.name(), expected: self.name() }),
        }
    }
}

/// A reply on its way to the caller.
#[derive(Debug)]
enum Answer {
    Handle(OpenHandle),
    Other(Reply),
}

/// An open file or directory of the server. Dropping it closes it there, also while the reply that contains it is still
/// on its way.
#[derive(Debug)]
pub(super) struct OpenHandle {
    handle: Bytes,
    conversation: Arc<Conversation>,
}

impl OpenHandle {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.handle
    }

    pub(super) fn conversation(&self) -> &Arc<Conversation> {
        &self.conversation
    }

    /// Sends the request to close it, behind all earlier requests; the result waits for the reply.
    pub(super) fn close(mut self) -> Result<Call, SftpError> {
        let handle = std::mem::take(&mut self.handle);
        self.conversation.enqueue(close_request(&handle), Expected::Status, None)
    }
}

impl Drop for OpenHandle {
    fn drop(&mut self) {
        if !self.handle.is_empty() {
            // Not counted in the queue's budget, as this can't wait; the reply is ignored.
            let _ = self.conversation.enqueue(close_request(&self.handle), Expected::Status, None);
        }
    }
}

fn close_request(handle: &[u8]) -> Request {
    Request::new(packet::CLOSE, 4 + handle.len()).string(handle)
}

/// What an operation is about, for its errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) operation: &'static str,
    pub(super) path: &'a [u8],
}

/// A sent request whose reply can be awaited. Dropping it ignores the reply.
#[derive(Debug)]
pub(super) struct Call {
    answered: oneshot::Receiver<Answer>,
    conversation: Arc<Conversation>,
}

impl Call {
    /// Waits for the reply; by `&mut`, so that a `select!` can stop waiting and continue later.
    async fn answer(&mut self, about: About<'_>) -> Result<Answer, SftpError> {
        match (&mut self.answered).await {
            Ok(Answer::Other(Reply::Status(code, message))) if code != 0 => {
                Err(SftpError::Status(Box::new(StatusError {
                    operation: about.operation,
                    path: printable(about.path),
                    code: StatusCode::from(code),
                    message: printable(&message),
                })))
            }
            Ok(answer) => Ok(answer),
            Err(_) => Err(self.conversation.reason().into()),
        }
    }

    /// Whether the reply has come, or will never come.
    pub(super) fn is_answered(&self) -> bool {
        !self.answered.is_empty() || self.answered.is_terminated()
    }

    pub(super) async fn status(&mut self, about: About<'_>) -> Result<(), SftpError> {
        self.answer(about).await.map(drop)
    }

    pub(super) async fn handle(&mut self, about: About<'_>) -> Result<OpenHandle, SftpError> {
        match self.answer(about).await? {
            Answer::Handle(handle) => Ok(handle),
            answer @ Answer::Other(_) => Err(answer.unexpected(Expected::Handle)),
        }
    }

    pub(super) async fn data(&mut self, about: About<'_>) -> Result<Bytes, SftpError> {
        match self.answer(about).await? {
            Answer::Other(Reply::Data(data)) => Ok(data),
            answer => Err(answer.unexpected(Expected::Data(0))),
        }
    }

    pub(super) async fn names(&mut self, about: About<'_>) -> Result<Vec<Name>, SftpError> {
        match self.answer(about).await? {
            Answer::Other(Reply::Names(names)) => Ok(names),
            answer => Err(answer.unexpected(Expected::Names)),
        }
    }

    pub(super) async fn attributes(&mut self, about: About<'_>) -> Result<Attributes, SftpError> {
        match self.answer(about).await? {
            Answer::Other(Reply::Attributes(attributes)) => Ok(attributes),
            answer => Err(answer.unexpected(Expected::Attributes)),
        }
    }

    pub(super) async fn extended(&mut self, about: About<'_>) -> Result<Bytes, SftpError> {
        match self.answer(about).await? {
            Answer::Other(Reply::Extended(body)) => Ok(body),
            answer => Err(answer.unexpected(Expected::Extended)),
        }
    }
}

impl Answer {
    fn unexpected(&self, expected: Expected) -> SftpError {
        let got = match self {
            Self::Handle(_) => "SSH_FXP_HANDLE",
            Self::Other(reply) => reply.name(),
        };
        ProtocolError::UnexpectedReply { got, expected: expected.name() }.into()
    }
}

/// Reads replies and passes them on until the stream ends or the server breaks the protocol.
async fn read_frames<R: AsyncRead + Unpin>(
    mut reader: R,
    mut frames: FrameBuffer,
    waiting: &Waiting,
    conversation: &Weak<Conversation>,
) -> CloseReason {
    loop {
        loop {
            match frames.next_frame() {
                Ok(Some(frame)) => {
                    if let Err(error) = hand_out(frame, waiting, conversation) {
                        return error.into();
                    }
                }
                Ok(None) => break,
                Err(error) => return error.into(),
            }
        }
        let read = reader.read_buf(&mut frames.space()).await;
        match read {
            Ok(0) if frames.is_partial() => return CloseReason::Cut,
            Ok(0) => return CloseReason::Eof,
            Ok(_) => {}
            Err(error) => return error.into(),
        }
    }
}

fn hand_out(frame: Bytes, waiting: &Waiting, conversation: &Weak<Conversation>) -> Result<(), ProtocolError> {
    let (id, reply) = Reply::decode(frame)?;
    let (expected, answer) = waiting.take(id)?;
    expected.check(&reply)?;
    let reply = match reply {
        Reply::Handle(handle) => match conversation.upgrade() {
            // Copied, so that a small handle doesn't keep the buffer of a large read alive.
            Some(conversation) => Answer::Handle(OpenHandle { handle: Bytes::copy_from_slice(&handle), conversation }),
            // All handles of the client are dropped; the stream is about to be closed.
            None => return Ok(()),
        },
        other => Answer::Other(other),
    };
    // An unwanted reply is dropped here, and a handle in it closed.
    let _ = answer.send(reply);
    Ok(())
}

/// Writes requests until the stream fails; small ones are collected into one write.
async fn write_frames<W: AsyncWrite + Unpin>(mut writer: W, mut queue: mpsc::UnboundedReceiver<Queued>) -> CloseReason {
    loop {
        // The sender is dropped with the last handle of the client, which ends this task anyway.
        let Some(first) = queue.recv().await else { return CloseReason::Shutdown };
        let (mut next, mut batch) = (Some(first), BytesMut::new());
        let written = async {
            while let Some(queued) = next {
                next = queue.try_recv().ok();
                let is_alone = batch.is_empty() && next.is_none();
                if is_alone || queued.frame.len() >= BATCH_BYTES {
                    write_out(&mut writer, &mut batch).await?;
                    writer.write_all(&queued.frame).await?;
                } else {
                    // Reserved once for all of them, as growing in steps would copy the data each time.
                    batch.reserve(2 * BATCH_BYTES - batch.len());
                    batch.extend_from_slice(&queued.frame);
                    if batch.len() >= BATCH_BYTES {
                        write_out(&mut writer, &mut batch).await?;
                    }
                }
            }
            write_out(&mut writer, &mut batch).await?;
            writer.flush().await
        };
        if let Err(error) = written.await {
            return error.into();
        }
    }
}

async fn write_out<W: AsyncWrite + Unpin>(writer: &mut W, batch: &mut BytesMut) -> std::io::Result<()> {
    if !batch.is_empty() {
        writer.write_all(batch).await?;
        batch.clear();
    }
    Ok(())
}
