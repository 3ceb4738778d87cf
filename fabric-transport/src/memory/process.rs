//! A process of a memory host: a script that runs as its output is read, without a task.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fabric_core::error::SessionError;
use fabric_core::outcome::Stream;
use fabric_core::transport::{ProcessEvent, ProcessOutput, StopOutcome, WindowSize};
use fabric_core::{ExitStatus, Process, ProcessControl, Signal};
use parking_lot::{Mutex, MutexGuard};
use tokio::io::AsyncWrite;
use tokio::sync::watch;
use tokio::time::Sleep;

use super::reply::{Reply, ReplyStep};

type Ended = Pin<Box<dyn Future<Output = SessionError> + Send>>;

/// Starts `reply`; `session` reports the end of the session.
pub(super) fn start(
    reply: Reply,
    stdin: Arc<MemoryStdin>,
    mut session: watch::Receiver<Option<SessionError>>,
) -> Process {
    let stopped = watch::Sender::new(None);
    let mut stop = stopped.subscribe();
    let control = Arc::new(MemoryControl { stopped, refuses: reply.stop });
    let ended: Ended = Box::pin(async move {
        match session.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or(SessionError::Closed),
            Err(_) => SessionError::Closed,
        }
    });
    let signal = Box::pin(async move {
        let sent = stop.wait_for(Option::is_some).await.ok().and_then(|signal| signal.clone());
        match sent {
            Some(signal) => signal,
            // The control is dropped, so no signal can be sent.
            None => std::future::pending().await,
        }
    });
    let output = Script {
        steps: reply.steps.into(),
        exit: Some(reply.exit.unwrap_or(ExitStatus::Code(0))),
        stdin: stdin.clone(),
        sleep: None,
        signal: Some(signal),
        ended: Some(ended),
    };
    Process::new(StdinWriter(stdin), output, control)
}

struct Script {
    steps: VecDeque<ReplyStep>,
    exit: Option<ExitStatus>,
    stdin: Arc<MemoryStdin>,
    sleep: Option<Pin<Box<Sleep>>>,
    signal: Option<Pin<Box<dyn Future<Output = Signal> + Send>>>,
    ended: Option<Ended>,
}

impl ProcessOutput for Script {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<ProcessEvent>> {
        if self.exit.is_none() {
            return Poll::Ready(None);
        }
        if let Some(Poll::Ready(why)) = self.ended.as_mut().map(|ended| ended.as_mut().poll(cx)) {
            return self.end(ProcessEvent::Lost(why));
        }
        if let Some(Poll::Ready(signal)) = self.signal.as_mut().map(|signal| signal.as_mut().poll(cx)) {
            let by = ExitStatus::Signal { signal, core_dumped: false, message: String::new() };
            return self.end(ProcessEvent::Exit(by));
        }
        loop {
            let Some(step) = self.steps.front_mut() else {
                let exit = self.exit.clone().unwrap_or(ExitStatus::Unknown);
                return self.end(ProcessEvent::Exit(exit));
            };
            match step {
                ReplyStep::Print(stream, bytes) => {
                    let event = event(*stream, std::mem::take(bytes));
                    self.steps.pop_front();
                    return Poll::Ready(Some(event));
                }
                ReplyStep::Wait(time) => {
                    let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(*time)));
                    ready!(sleep.as_mut().poll(cx));
                    self.sleep = None;
                }
                ReplyStep::ReadLine(expected) => {
                    let line = ready!(self.stdin.poll_line(cx));
                    if expected.as_ref().is_some_and(|expected| line.as_ref() != Some(expected)) {
                        self.steps.clear();
                        self.exit = Some(ExitStatus::Code(1));
                        continue;
                    }
                }
                ReplyStep::EchoStdin => {
                    if let Some(bytes) = ready!(self.stdin.poll_bytes(cx)) {
                        return Poll::Ready(Some(ProcessEvent::Stdout(bytes)));
                    }
                }
                ReplyStep::Flood(stream, piece, left) => {
                    if *left > 0 && !piece.is_empty() {
                        let piece = piece.slice(..piece.len().min(usize::try_from(*left).unwrap_or(usize::MAX)));
                        *left -= piece.len() as u64;
                        return Poll::Ready(Some(event(*stream, piece)));
                    }
                }
                ReplyStep::Hang => return Poll::Pending,
                ReplyStep::Die(why) => {
                    let why = why.clone();
                    return self.end(ProcessEvent::Lost(why));
                }
            }
            self.steps.pop_front();
        }
    }
}

impl Script {
    fn end(&mut self, event: ProcessEvent) -> Poll<Option<ProcessEvent>> {
        self.exit = None;
        self.steps.clear();
        self.stdin.hang_up();
        Poll::Ready(Some(event))
    }
}

fn event(stream: Stream, bytes: Bytes) -> ProcessEvent {
    match stream {
        Stream::Stdout => ProcessEvent::Stdout(bytes),
        Stream::Stderr => ProcessEvent::Stderr(bytes),
    }
}

struct MemoryControl {
    stopped: watch::Sender<Option<Signal>>,
    refuses: Option<StopOutcome>,
}

#[async_trait]
impl ProcessControl for MemoryControl {
    /// A signal other than STOP or CONT ends the script.
    async fn signal(&self, signal: Signal) -> Result<(), SessionError> {
        if self.refuses.is_none() {
            self.stopped.send_replace(Some(signal));
        }
        Ok(())
    }

    async fn resize(&self, _size: WindowSize) -> Result<(), SessionError> {
        Ok(())
    }

    async fn stop(&self, _grace: Duration) -> StopOutcome {
        if let Some(refusal) = &self.refuses {
            return refusal.clone();
        }
        self.stopped.send_replace(Some(Signal::Term));
        StopOutcome::Ended
    }
}

/// How much may be written before the script reads it.
const ROOM: usize = 1024 * 1024;

/// The standard input of a process: what was written, and how much of it the script has read.
#[derive(Default)]
pub(super) struct MemoryStdin(Mutex<Written>);

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    read: usize,
    closed: bool,
    gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl MemoryStdin {
    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock()
    }

    /// Everything that was written so far.
    pub(super) fn seen(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    /// A line without its line end; the rest at the end of input, `None` if there is none.
    fn poll_line(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut written = self.lock();
        let unread = &written.bytes[written.read..];
        let (line, taken) = match memchr::memchr(b'\n', unread) {
            Some(end) => (Some(Bytes::copy_from_slice(&unread[..end])), end + 1),
            None if written.closed => ((!unread.is_empty()).then(|| Bytes::copy_from_slice(unread)), unread.len()),
            None => return written.wait(cx),
        };
        written.take(taken);
        Poll::Ready(line)
    }

    fn poll_bytes(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut written = self.lock();
        let unread = Bytes::copy_from_slice(&written.bytes[written.read..]);
        if unread.is_empty() {
            return if written.closed { Poll::Ready(None) } else { written.wait(cx) };
        }
        written.take(unread.len());
        Poll::Ready(Some(unread))
    }

    /// The process has ended: writing fails from now on.
    fn hang_up(&self) {
        let mut written = self.lock();
        written.gone = true;
        if let Some(writer) = written.writer.take() {
            writer.wake();
        }
    }
}

impl Written {
    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn take(&mut self, count: usize) {
        self.read += count;
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

struct StdinWriter(Arc<MemoryStdin>);

impl AsyncWrite for StdinWriter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut written = self.0.lock();
        if written.gone || written.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = ROOM.saturating_sub(written.bytes.len() - written.read).min(bytes.len());
        if room == 0 && !bytes.is_empty() {
            written.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        written.bytes.extend_from_slice(&bytes[..room]);
        if let Some(reader) = written.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(room))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut written = self.0.lock();
        written.closed = true;
        if let Some(reader) = written.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(()))
    }
}
