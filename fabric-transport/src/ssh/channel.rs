//! Channels that are always read, and closed when they are dropped.
//!
//! russh hands what arrives for a channel over in the task that serves the whole connection: while a
//! channel's queue is full, nothing else moves, keepalives and key exchanges included. So each channel has
//! a task of its own that empties the queue into a [`Store`]. A consumer that has fallen far behind makes its
//! host wait: once the store is full the connection isn't read any more, and nothing more comes.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use super::handler::Shared;

/// How much of a command's output is kept for a consumer that is slower than the host, as long as the
/// [`Pool`] has room.
pub(super) const OUTPUT_STORE: usize = 8 << 20;

/// The same for a stream through a host.
const STREAM_STORE: usize = 32 << 20;

/// What each channel may keep whatever the others do, where they are few.
const SHARE: usize = 256 << 10;

/// The same where they are many; a message has up to twice as much.
const LEAST_SHARE: usize = 16 << 10;

/// How much the shares of all channels make together, as long as they are not the least ones.
const SHARES: usize = 32 << 20;

/// How much all channels of a transport keep beyond their shares.
const POOL: usize = 16 << 20;

/// Of what is dropped, so much is read in a row, and then nothing for so long: 16 MB/s. A host that floods faster would take the
/// time on both sides that ending it needs.
const PIECE: usize = 32 << 10;
const PAUSE: Duration = Duration::from_millis(2);

/// What a message takes besides its bytes.
pub(super) const MESSAGE: usize = 128;

/// The memory that the stores of all sessions of one transport have in common.
#[derive(Debug, Default)]
pub(super) struct Pool {
    used: AtomicUsize,
    channels: AtomicUsize,
    waits: Mutex<Waits>,
}

/// When hosts had to wait for room.
#[derive(Debug, Default)]
struct Waits {
    /// How many do now.
    now: usize,
    last: Option<Instant>,
}

/// A host that waits for room until this is dropped.
struct Wait<'a>(&'a Pool);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut waits = self.0.waits();
        waits.now -= 1;
        waits.last = Some(Instant::now());
    }
}

impl Pool {
    /// What each of the channels that there are now may keep.
    fn share(&self) -> usize {
        (SHARES / self.channels.load(Ordering::Relaxed).max(1)).clamp(LEAST_SHARE, SHARE)
    }

    /// Whether there are so many that each must do with less.
    pub(super) fn is_crowded(&self) -> bool {
        self.channels.load(Ordering::Relaxed) > SHARES / SHARE
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock()
    }

    fn wait(&self) -> Wait<'_> {
        self.waits().now += 1;
        Wait(self)
    }

    /// Whether a connection wasn't read since then because what had come from it wasn't taken.
    pub(super) fn has_waited_since(&self, since: Instant) -> bool {
        let waits = self.waits();
        waits.now > 0 || waits.last.is_some_and(|last| last >= since)
    }
}

/// A queue of `T` with a size in bytes, between a channel's task and its consumer.
#[derive(Debug)]
pub(super) struct Store<T> {
    inner: Mutex<Inner<T>>,
    room: Notify,
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Inner<T> {
    queue: VecDeque<(T, usize)>,
    bytes: usize,
    limit: usize,
    /// Nothing more will come.
    finished: bool,
    /// Nobody wants any more.
    discard: bool,
    /// What doesn't fit is dropped, a little at a time, instead of waited for.
    lossy: bool,
    /// How much was dropped since the last pause.
    dropped: usize,
    waker: Option<Waker>,
}

/// Whether there is room for more.
enum Room {
    Enough,
    None,
    /// After a pause.
    Pause,
}

impl<T> Store<T> {
    pub(super) fn new(limit: usize, pool: Arc<Pool>) -> Arc<Self> {
        let inner = Inner {
            queue: VecDeque::new(),
            bytes: 0,
            limit,
            finished: false,
            discard: false,
            lossy: false,
            dropped: 0,
            waker: None,
        };
        pool.channels.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { inner: Mutex::new(inner), room: Notify::new(), pool })
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock()
    }

    /// Puts `item` in, and waits until there is room for the next.
    pub(super) async fn push(&self, item: T, size: usize) {
        match self.put(item, size) {
            Room::Enough => return,
            Room::None => {}
            Room::Pause => return tokio::time::sleep(PAUSE).await,
        }
        let _wait = self.pool.wait();
        loop {
            let room = self.room.notified();
            if self.has_room() {
                return;
            }
            room.await;
        }
    }

    fn put(&self, item: T, size: usize) -> Room {
        let mut inner = self.lock();
        if inner.discard {
            return Room::Enough;
        }
        if inner.lossy && size > 0 && inner.bytes > inner.limit {
            inner.dropped += size;
            let pauses = inner.dropped >= PIECE;
            inner.dropped %= PIECE;
            return if pauses { Room::Pause } else { Room::Enough };
        }
        inner.queue.push_back((item, size));
        inner.bytes += size;
        self.pool.used.fetch_add(size, Ordering::Relaxed);
        inner.wake();
        if inner.lossy || self.fits(inner.bytes, inner.limit) { Room::Enough } else { Room::None }
    }

    /// Whether more may come when so much is here. Room that others make in the pool isn't told: the consumer
    /// has something to take then, and taking tells it.
    fn fits(&self, bytes: usize, limit: usize) -> bool {
        bytes <= self.pool.share() || (bytes <= limit && self.pool.used.load(Ordering::Relaxed) <= POOL)
    }

    fn has_room(&self) -> bool {
        let inner = self.lock();
        inner.discard || inner.lossy || self.fits(inner.bytes, inner.limit)
    }

    /// Nothing more will come.
    pub(super) fn finish(&self) {
        let mut inner = self.lock();
        inner.finished = true;
        inner.wake();
    }

    /// Nobody wants any more: what is here and what still comes is dropped.
    pub(super) fn discard(&self) {
        let mut inner = self.lock();
        inner.discard = true;
        self.forget(&mut inner);
        drop(inner);
        self.room.notify_one();
    }

    fn forget(&self, inner: &mut Inner<T>) {
        inner.queue.clear();
        self.pool.used.fetch_sub(std::mem::take(&mut inner.bytes), Ordering::Relaxed);
    }

    /// From now on nothing waits: what doesn't fit is dropped, so that what comes behind it on the
    /// connection is seen. There is room for as much again, for a consumer that is only a little behind.
    pub(super) fn never_wait(&self) {
        let mut inner = self.lock();
        if !inner.lossy {
            inner.lossy = true;
            inner.limit *= 2;
        }
        drop(inner);
        self.room.notify_one();
    }

    /// The next item, or `None` at the end.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut inner = self.lock();
        if let Some((item, size)) = inner.queue.pop_front() {
            // Whatever the share was when it came.
            let may_be_waited_for = inner.bytes > LEAST_SHARE;
            inner.bytes -= size;
            self.pool.used.fetch_sub(size, Ordering::Relaxed);
            if may_be_waited_for && self.fits(inner.bytes, inner.limit) {
                self.room.notify_one();
            }
            return Poll::Ready(Some(item));
        }
        if inner.finished {
            return Poll::Ready(None);
        }
        inner.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for Store<T> {
    fn drop(&mut self) {
        let bytes = self.lock().bytes;
        self.pool.used.fetch_sub(bytes, Ordering::Relaxed);
        self.pool.channels.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T> Inner<T> {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Both ends of a channel's life: it is closed when its consumers are gone, and they learn of its end.
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

/// What becomes of a channel that is no longer used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwanted {
    /// It is closed at once.
    Close,
    /// What runs on it is given the time to end.
    WindUp,
}

/// Reads a channel until it is closed or no longer used, then closes it from this side too. Says whether the host has
/// closed it: else the connection ended, and what was on its way is lost.
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
        // The connection's task may be waiting for us to take something.
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
        // First, because the connection's task may be waiting to hand something over, and would never see
        // that we want to close. What comes for a channel without a receiver is dropped.
        drop(channel);
        // An answer to it is of no interest; a connection that is gone has closed the channel anyway.
        let _ = writer.close().await;
    }
    life.closed.cancel();
    closed
}

/// The writing side of a channel: fails once the channel is closed, instead of waiting for room that a
/// closed channel never gets.
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

/// Ends the input of what runs on a channel and waits for the host to close it: what russh hears of a channel that this
/// side has closed it keeps to itself, so that only so it is known when the host counts it no more.
async fn wind_up(channel: &mut ChannelReadHalf, writer: &ChannelWriteHalf<Msg>) {
    let end = async {
        // A connection that is gone has closed the channel.
        let _ = writer.eof().await;
    };
    let closed = async { while !matches!(channel.wait().await, None | Some(ChannelMsg::Close)) {} };
    // Side by side, because the connection's task may be waiting to hand something over.
    let _ = tokio::time::timeout(SUBSYSTEM_END, async { tokio::join!(end, closed) }).await;
}

/// A channel as a stream of bytes, with half-close both ways.
pub(super) struct ChannelIo {
    store: Arc<Store<Bytes>>,
    rest: Bytes,
    writer: ChannelWriter,
    shared: Arc<Shared>,
    _close: DropGuard,
    errors: Arc<Mutex<Vec<u8>>>,
}

/// How much of what is said to standard error is kept beside a stream.
const ERRORS: usize = 512;

impl ChannelIo {
    /// The beginning of what comes by standard error.
    pub(super) fn errors(&self) -> Arc<Mutex<Vec<u8>>> {
        self.errors.clone()
    }

    pub(super) fn new(channel: Channel<Msg>, shared: Arc<Shared>) -> Self {
        Self::serve(channel, shared, None::<()>)
    }

    /// Why the connection has ended, if it has.
    fn lost(&self) -> Option<io::Error> {
        let ended = self.shared.ended.borrow();
        ended.as_ref().map(|reason| io::Error::new(io::ErrorKind::ConnectionReset, reason.to_string()))
    }

    /// The channel of a subsystem, which holds something until the host has closed it.
    pub(super) fn of_subsystem(channel: Channel<Msg>, shared: Arc<Shared>, held: impl Send + 'static) -> Self {
        Self::serve(channel, shared, Some(held))
    }

    fn serve(channel: Channel<Msg>, shared: Arc<Shared>, held: Option<impl Send + 'static>) -> Self {
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
                // The end of a channel is the end of its bytes; the end of its connection is an error.
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::FutureExt as _;

    use super::*;

    /// Puts pieces in until one has to wait for room, and gives how many bytes there are then.
    fn fill(store: &Store<usize>) -> usize {
        let mut kept = 0;
        loop {
            kept += PIECE;
            if store.push(PIECE, PIECE).now_or_never().is_none() {
                return kept;
            }
        }
    }

    #[test]
    fn stores_share_a_pool_and_each_has_its_share() {
        let pool = Arc::new(Pool::default());
        let stores: Vec<_> = (0..20).map(|_| Store::new(OUTPUT_STORE, pool.clone())).collect();
        let kept: Vec<_> = stores.iter().map(|store| fill(store)).collect();
        assert_eq!(kept[0], OUTPUT_STORE + PIECE);
        assert!(kept.iter().all(|kept| *kept > SHARE), "{kept:?}");
        assert!(kept.iter().sum::<usize>() <= POOL + stores.len() * (SHARE + 2 * PIECE), "{kept:?}");
        drop(stores);
        assert_eq!(pool.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_shares_of_many_are_smaller() {
        let pool = Arc::new(Pool::default());
        let stores: Vec<_> = (0..4000).map(|_| Store::new(OUTPUT_STORE, pool.clone())).collect();
        let kept: usize = stores.iter().map(|store| fill(store)).sum();
        assert!(kept <= POOL + OUTPUT_STORE + stores.len() * PIECE, "{kept}");
    }

    #[tokio::test]
    async fn what_waits_for_room_goes_on_when_something_is_taken() {
        let pool = Arc::new(Pool::default());
        // Others have taken all of the pool.
        let others: Vec<_> = (0..8).map(|_| Store::new(OUTPUT_STORE, pool.clone())).collect();
        for store in &others {
            fill(store);
        }
        let store = Store::new(OUTPUT_STORE, pool);
        let filling = async {
            for _ in 0..1000 {
                store.push(PIECE, PIECE).await;
            }
            store.finish();
        };
        let taking = async {
            let mut taken = 0;
            while let Some(size) = poll_fn(|cx| store.poll_next(cx)).await {
                taken += size;
            }
            taken
        };
        assert_eq!(tokio::join!(filling, taking).1, 1000 * PIECE);
    }
}
