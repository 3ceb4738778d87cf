//! One end of a socket pair, in a run: requests both ways, and which of them belongs to which task.

use std::collections::HashMap;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use fabric_core::Value;
use fabric_core::settings::Map;
use parking_lot::Mutex;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, BufReader, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use crate::frame::{Frame, FrameError, Kind};

/// What came of a request: the answer, or what the other side says went wrong. `None`: it has gone.
pub(crate) type Answer = Option<Result<Frame, Frame>>;

/// A channel with a process in Python. Cheap to clone by its `Arc`.
pub(crate) struct Channel {
    write: tokio::sync::Mutex<OwnedWriteHalf>,
    state: Mutex<State>,
    last: AtomicU64,
    ended: tokio::sync::watch::Sender<bool>,
    /// Held while a task that is the only one at work there runs.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    gone: bool,
    waiting: HashMap<u64, oneshot::Sender<Result<Frame, Frame>>>,
    /// Who answers the requests that tasks make, by the task's number.
    tasks: HashMap<u64, mpsc::UnboundedSender<Frame>>,
    /// What is being answered, by the request's number: its input.
    inputs: HashMap<u64, mpsc::UnboundedSender<Option<Bytes>>>,
}

impl Channel {
    /// Takes this end, in a runtime.
    pub(crate) fn new(socket: StdStream) -> std::io::Result<Arc<Self>> {
        socket.set_nonblocking(true)?;
        let (read, write) = UnixStream::from_std(socket)?.into_split();
        let channel = Arc::new(Self {
            write: tokio::sync::Mutex::new(write),
            state: Mutex::default(),
            last: AtomicU64::new(1 << 32),
            ended: tokio::sync::watch::Sender::new(false),
            turn: tokio::sync::Mutex::default(),
        });
        let reading = Arc::downgrade(&channel);
        tokio::spawn(async move {
            let mut read = BufReader::with_capacity(64 * 1024, read);
            while let Ok(frame) = next(&mut read).await {
                let Some(channel) = reading.upgrade() else { return };
                if frame.kind == Kind::Bye {
                    break;
                }
                channel.take(frame).await;
            }
            if let Some(channel) = reading.upgrade() {
                channel.end();
            }
        });
        Ok(channel)
    }

    /// A new channel, and the other end of it.
    pub(crate) fn pair() -> std::io::Result<(Arc<Self>, OwnedFd)> {
        let (ours, theirs) = StdStream::pair()?;
        Ok((Self::new(ours)?, theirs.into()))
    }

    /// Waits until the other side has gone.
    pub(crate) async fn gone(&self) {
        let mut ended = self.ended.subscribe();
        // It lives as long as this does.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    fn end(&self) {
        self.ended.send_replace(true);
        let mut state = self.state.lock();
        state.gone = true;
        state.waiting.clear();
        state.tasks.clear();
        state.inputs.clear();
    }

    /// Where a frame goes.
    async fn take(&self, frame: Frame) {
        let id = frame.number("id").unwrap_or_default();
        match frame.kind {
            Kind::Reply | Kind::Error => {
                let waiting = self.state.lock().waiting.remove(&id);
                let answer = if frame.kind == Kind::Reply { Ok(frame) } else { Err(frame) };
                // Nobody waits for it any more where that fails.
                let _ = waiting.map(|waiting| waiting.send(answer));
            }
            Kind::Call | Kind::Cancel => {
                let task = frame.number("in").unwrap_or_default();
                let refused = {
                    let state = self.state.lock();
                    match (frame.kind, state.tasks.get(&task)) {
                        (Kind::Call, Some(task)) => task.send(frame).is_err(),
                        (Kind::Call, None) => true,
                        // What belongs to no task is cancelled by whoever has it.
                        (_, _) => {
                            state.tasks.values().for_each(|task| drop(task.send(frame.clone())));
                            false
                        }
                    }
                };
                if refused {
                    let why = "no task of this run asks for it: it has ended, or there was none";
                    drop(self.fail(id, json!({"kind": "usage", "message": why})).await);
                }
            }
            Kind::Data => {
                let input = self.state.lock().inputs.get(&id).cloned();
                let part = (!frame.flag("end")).then_some(frame.raw);
                let _ = input.map(|input| input.send(part));
            }
            Kind::Hello | Kind::Event | Kind::Bye => {}
        }
    }

    /// Sends a frame.
    pub(crate) async fn send(&self, frame: Frame, fd: Option<OwnedFd>) -> Result<(), FrameError> {
        let bytes = frame.encode()?;
        let write = self.write.lock().await;
        let mut rest = &bytes[..];
        if let Some(fd) = fd {
            let sent =
                write.as_ref().async_io(Interest::WRITABLE, || send_with(write.as_ref(), rest, fd.as_fd())).await?;
            rest = &rest[sent..];
        }
        let stream: &UnixStream = write.as_ref();
        while !rest.is_empty() {
            stream.writable().await?;
            match stream.try_write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Asks the other side, and waits.
    pub(crate) async fn ask(&self, verb: &str, mut header: Map, fd: Option<OwnedFd>) -> Answer {
        let id = self.last.fetch_add(1, Ordering::Relaxed);
        header.insert("id".to_owned(), id.into());
        header.insert("verb".to_owned(), verb.into());
        if fd.is_some() {
            header.insert("fds".to_owned(), 1.into());
        }
        let (sender, answer) = oneshot::channel();
        {
            let mut state = self.state.lock();
            if state.gone {
                return None;
            }
            state.waiting.insert(id, sender);
        }
        if self.send(Frame::new(Kind::Call, header), fd).await.is_err() {
            self.state.lock().waiting.remove(&id);
            return None;
        }
        answer.await.ok()
    }

    /// Answers a request.
    pub(crate) async fn reply(
        &self,
        id: u64,
        mut header: Map,
        raw: Bytes,
        fd: Option<OwnedFd>,
    ) -> Result<(), FrameError> {
        header.insert("id".to_owned(), id.into());
        if fd.is_some() {
            header.insert("fds".to_owned(), 1.into());
        }
        self.send(Frame::new(Kind::Reply, header).with(raw), fd).await
    }

    /// Says what went wrong with a request.
    pub(crate) async fn fail(&self, id: u64, error: Value) -> Result<(), FrameError> {
        let Value::Object(mut header) = error else { return Ok(()) };
        header.insert("id".to_owned(), id.into());
        self.send(Frame::new(Kind::Error, header), None).await
    }

    /// A task begins: its number, and the requests that it makes until it [ends](Self::end_task).
    pub(crate) fn begin_task(&self) -> (u64, mpsc::UnboundedReceiver<Frame>) {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        (number, self.begin_task_as(number))
    }

    /// The same with this number.
    pub(crate) fn begin_task_as(&self, number: u64) -> mpsc::UnboundedReceiver<Frame> {
        let (sender, requests) = mpsc::unbounded_channel();
        let mut state = self.state.lock();
        if !state.gone {
            state.tasks.insert(number, sender);
        }
        requests
    }

    /// A task has ended.
    pub(crate) fn end_task(&self, number: u64) {
        self.state.lock().tasks.remove(&number);
    }

    /// What the other side sends for a request, until it is [closed](Self::close_input).
    pub(crate) fn open_input(&self, id: u64) -> mpsc::UnboundedReceiver<Option<Bytes>> {
        let (sender, input) = mpsc::unbounded_channel();
        self.state.lock().inputs.insert(id, sender);
        input
    }

    /// Nothing more is taken for a request.
    pub(crate) fn close_input(&self, id: u64) {
        self.state.lock().inputs.remove(&id);
    }

    /// Says who this is, to a child's new end.
    pub(crate) async fn hello(&self, build: &str) -> Result<(), FrameError> {
        self.send(Frame::new(Kind::Hello, hello(build)), None).await
    }
}

/// What the engine says of itself.
pub(crate) fn hello(build: &str) -> Map {
    let about = json!({
        "protocol": crate::frame::VERSION,
        "build": build,
        "side": "engine",
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
    });
    about.as_object().cloned().unwrap_or_default()
}

async fn next(read: &mut BufReader<OwnedReadHalf>) -> Result<Frame, FrameError> {
    let mut head = [0; 9];
    read.read_exact(&mut head).await?;
    let (kind, header, raw) = Frame::head(head)?;
    let mut rest = vec![0; header + raw];
    read.read_exact(&mut rest).await?;
    let raw = Bytes::from(rest.split_off(header));
    Frame::of(kind, &rest, raw)
}

/// Sends bytes with a descriptor, which comes with the first of them.
fn send_with(stream: &UnixStream, bytes: &[u8], fd: BorrowedFd<'_>) -> std::io::Result<usize> {
    let fds = [fd];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    rights.push(SendAncillaryMessage::ScmRights(&fds));
    Ok(rustix::net::sendmsg(stream, &[IoSlice::new(bytes)], &mut rights, SendFlags::NOSIGNAL)?)
}
