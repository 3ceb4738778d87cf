//! Channels that are always read, and closed when they are dropped.
//!
//! russh passes messages to a channel in the task that serves the whole connection: while a channel's queue is full,
//! nothing else is served, keepalives and key exchanges included. So each channel has a task that moves messages into a
//! [`Store`]. If a consumer falls far behind, the store is full, the connection is no longer read, and the host waits.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use super::state::SessionState;
use super::store::Store;

/// How many bytes of a stream through a host are kept for a slower consumer.
const STREAM_STORE: usize = 32 << 20;

/// The memory for a message besides its bytes.
pub(super) const MESSAGE: usize = 128;

/// The life of a channel: it is closed when its consumers are gone, and they are notified of its end.
#[derive(Debug, Clone)]
pub(super) struct Life {
    /// Cancelled when the channel is no longer used.
    pub(super) unused: CancellationToken,
    /// Cancelled when the channel is closed.
    pub(super) closed: CancellationToken,
}

impl Life {
    pub(super) fn new() -> Self {
        Self { unused: CancellationToken::new(), closed: CancellationToken::new() }
    }
}

/// How long a subsystem may take to end when its input has.
const SUBSYSTEM_END: Duration = Duration::from_secs(1);

/// How an unused channel is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwanted {
    /// Immediately.
    Close,
    /// After its subsystem had time to end.
    WindUp,
}

/// Reads a channel until it is closed or unused, then closes it from this side too. Returns whether the host has closed it;
/// otherwise the connection ended, and messages may be lost.
pub(super) async fn drain<F>(
    mut channel: ChannelReadHalf,
    writer: Arc<ChannelWriteHalf<Msg>>,
    life: Life,
    cut: &CancellationToken,
    unwanted: Unwanted,
    mut take: impl FnMut(ChannelMsg) -> F,
) -> bool
where
    F: Future<Output = ()>,
{
    let reading = async {
        loop {
            match channel.wait().await {
                None => return false,
                Some(ChannelMsg::Close) => return true,
                Some(message) => take(message).await,
            }
        }
    };
    let (given_up, closed) = tokio::select! {
        biased;
        closed = reading => (false, closed),
        // The connection's task may be waiting for us to take a message.
        () = cut.cancelled() => (false, false),
        () = life.unused.cancelled() => (true, false),
    };
    if given_up {
        if unwanted == Unwanted::WindUp {
            tokio::select! {
                () = wind_up(&mut channel, &writer) => {}
                () = cut.cancelled() => {}
            }
        }
        // First, because the connection's task may be waiting to pass a message, and would never see the request to close.
        // Messages for a channel without a receiver are dropped.
        drop(channel);
        // The answer doesn't matter; without a connection the channel is closed anyway.
        let _ = writer.close().await;
    }
    life.closed.cancel();
    closed
}

/// The writing side of a channel. It fails once the channel is closed, instead of waiting for its window forever.
pub(super) struct ChannelWriter {
    writer: Pin<Box<dyn AsyncWrite + Send>>,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    finished: bool,
}

impl ChannelWriter {
    pub(super) fn new(channel: &ChannelWriteHalf<Msg>, life: &Life) -> Self {
        Self {
            writer: Box::pin(channel.make_writer()),
            closed: Box::pin(life.closed.clone().cancelled_owned()),
            finished: false,
        }
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.closed.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the channel is closed")),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncWrite for ChannelWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        if self.finished {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.writer.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.finished || self.check(cx).is_err() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.writer.as_mut().poll_shutdown(cx))?;
        self.finished = true;
        Poll::Ready(Ok(()))
    }
}

/// Ends the input of a channel's subsystem and waits for the host to close the channel. russh doesn't report messages for
/// a channel that this side has closed, so only this shows when the host no longer counts it.
async fn wind_up(channel: &mut ChannelReadHalf, writer: &ChannelWriteHalf<Msg>) {
    let end = async {
        // Without a connection the channel is closed.
        let _ = writer.eof().await;
    };
    let closed = async { while !matches!(channel.wait().await, None | Some(ChannelMsg::Close)) {} };
    // Concurrently, because the connection's task may be waiting to pass a message.
    let _ = tokio::time::timeout(SUBSYSTEM_END, async { tokio::join!(end, closed) }).await;
}

/// A channel as a stream of bytes, with half-close both ways.
pub(super) struct ChannelIo {
    store: Arc<Store<Bytes>>,
    rest: Bytes,
    writer: ChannelWriter,
    shared: Arc<SessionState>,
    _close: DropGuard,
    errors: Arc<Mutex<Vec<u8>>>,
}

/// How many bytes of standard error are kept for a stream.
const ERRORS: usize = 512;

impl ChannelIo {
    /// The beginning of its standard error.
    pub(super) fn errors(&self) -> Arc<Mutex<Vec<u8>>> {
        self.errors.clone()
    }

    pub(super) fn new(channel: Channel<Msg>, shared: Arc<SessionState>) -> Self {
        Self::serve(channel, shared, None::<()>)
    }

    /// Why the connection has ended, if it has.
    fn lost(&self) -> Option<io::Error> {
        let ended = self.shared.ended.borrow();
        ended.as_ref().map(|reason| io::Error::new(io::ErrorKind::ConnectionReset, reason.to_string()))
    }

    /// The channel of a subsystem; `held` is dropped once the host has closed it.
    pub(super) fn of_subsystem(channel: Channel<Msg>, shared: Arc<SessionState>, held: impl Send + 'static) -> Self {
        Self::serve(channel, shared, Some(held))
    }

    fn serve(channel: Channel<Msg>, shared: Arc<SessionState>, held: Option<impl Send + 'static>) -> Self {
        let (reader, writer) = channel.split();
        let writer = Arc::new(writer);
        let life = Life::new();
        let store = Store::new(STREAM_STORE, shared.pool.clone());
        let this = Self {
            store: store.clone(),
            rest: Bytes::new(),
            writer: ChannelWriter::new(&writer, &life),
            shared,
            _close: life.unused.clone().drop_guard(),
            errors: Arc::default(),
        };
        let errors = this.errors.clone();
        let cut = this.shared.cut.clone();
        let unwanted = if held.is_some() { Unwanted::WindUp } else { Unwanted::Close };
        tokio::spawn(async move {
            drain(reader, writer, life, &cut, unwanted, |message| {
                let store = store.clone();
                if let ChannelMsg::ExtendedData { data, ext: 1 } = &message {
                    let mut errors = errors.lock();
                    let room = ERRORS - errors.len();
                    errors.extend_from_slice(&data[..data.len().min(room)]);
                }
                async move {
                    match message {
                        ChannelMsg::Data { data } => {
                            let size = data.len() + MESSAGE;
                            store.push(data, size).await;
                        }
                        ChannelMsg::Eof => store.finish(),
                        _ => {}
                    }
                }
            })
            .await;
            drop(held);
            store.finish();
        });
        this
    }
}

impl AsyncRead for ChannelIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(self.store.poll_next(cx)) {
                Some(data) => self.rest = data,
                // The end of a channel is end-of-file; the end of its connection is an error.
                None => return Poll::Ready(self.lost().map_or(Ok(()), Err)),
            }
        }
        let size = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest.split_to(size));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ChannelIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.writer).poll_write(cx, buf);
        written.map_err(|error| self.lost().unwrap_or(error))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}
