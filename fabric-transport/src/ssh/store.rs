//! Buffers between channels and their consumers, bounded for all sessions of a transport together.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

/// How many bytes of a command's output are kept for a slower consumer while the [`Pool`] has room.
pub(super) const OUTPUT_STORE: usize = 8 << 20;

/// How many bytes each channel may always keep, with few channels.
const SHARE: usize = 256 << 10;

/// The same with many channels; a message has up to twice as much.
const LEAST_SHARE: usize = 16 << 10;

/// The sum of the shares of all channels, unless they are the least ones.
const SHARES: usize = 32 << 20;

/// How many bytes all channels of a transport may keep beyond their shares.
const POOL: usize = 16 << 20;

/// Dropped output is read in pieces of this size with pauses between: 16 MB/s. Reading faster would take processor time on
/// both sides from stopping the process.
const PIECE: usize = 32 << 10;
const PAUSE: Duration = Duration::from_millis(2);

/// The memory that the stores of all sessions of one transport share.
#[derive(Debug, Default)]
pub(super) struct Pool {
    used: AtomicUsize,
    channels: AtomicUsize,
    waits: Mutex<Waits>,
}

/// When connections weren't read because of full stores.
#[derive(Debug, Default)]
struct Waits {
    /// How many do now.
    now: usize,
    last: Option<Instant>,
}

/// A connection that isn't read until this is dropped.
struct Wait<'a>(&'a Pool);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut waits = self.0.waits();
        waits.now -= 1;
        waits.last = Some(Instant::now());
    }
}

impl Pool {
    /// How many bytes each of the current channels may always keep.
    fn share(&self) -> usize {
        (SHARES / self.channels.load(Ordering::Relaxed).max(1)).clamp(LEAST_SHARE, SHARE)
    }

    /// Whether there are so many channels that each has less.
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

    /// Whether a connection was not read at some time since then, because of a full store.
    pub(super) fn has_waited_since(&self, since: Instant) -> bool {
        let waits = self.waits();
        waits.now > 0 || waits.last.is_some_and(|last| last >= since)
    }
}

/// A queue of `T` with a size in bytes, between a channel's task and its consumer.
#[derive(Debug)]
pub(super) struct Store<T> {
    inner: Mutex<Stored<T>>,
    room: Notify,
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Stored<T> {
    queue: VecDeque<(T, usize)>,
    bytes: usize,
    limit: usize,
    /// There are no more items to come.
    finished: bool,
    /// The consumer has gone.
    discard: bool,
    /// Items that don't fit are dropped, slowly, instead of waiting for room.
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
        let inner = Stored {
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

    fn lock(&self) -> MutexGuard<'_, Stored<T>> {
        self.inner.lock()
    }

    /// Adds `item`, and waits until there is room for the next.
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

    /// Whether there is room for more with this many bytes. Room in the pool from others causes no notification: the consumer
    /// has items to take then, which notifies.
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

    /// The consumer has gone: all items are dropped.
    pub(super) fn discard(&self) {
        let mut inner = self.lock();
        inner.discard = true;
        self.forget(&mut inner);
        drop(inner);
        self.room.notify_one();
    }

    fn forget(&self, inner: &mut Stored<T>) {
        inner.queue.clear();
        self.pool.used.fetch_sub(std::mem::take(&mut inner.bytes), Ordering::Relaxed);
    }

    /// From now on items that don't fit are dropped, so that later messages of the connection are read. The limit is doubled
    /// for a consumer that is only a little slower.
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
            // Whatever the share was when it was added.
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

impl<T> Stored<T> {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
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
