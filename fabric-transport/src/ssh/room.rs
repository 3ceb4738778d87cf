//! The room for session channels on a connection.
//!
//! A server limits their number (`MaxSessions` in sshd_config; some devices one) and doesn't announce it: one too many is
//! refused. This side reacts only to refusals, so a server with room costs nothing. Refused requests wait in a queue, and
//! only its first is repeated: when a channel has ended, and now and then, because the server may count a channel longer
//! than this side.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fabric_core::Emitter;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::retry::{RETRIES, wait_after};

/// After how many retries the wait doesn't grow any more.
const SLOWEST: u32 = 4;

/// How long a channel that is being closed may take.
const SOON: Duration = Duration::from_secs(1);

/// After how long there is a warning.
const SLOW: Duration = Duration::from_secs(5);

/// The room on one connection.
pub(super) struct Room {
    line: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
    /// How many channels are open.
    held: AtomicUsize,
    /// How many requests are in progress.
    asked: AtomicUsize,
    /// Whether the server has ever opened one.
    was_taken: AtomicBool,
    /// When a channel was last opened or closed.
    moved: Mutex<Instant>,
    freed: Notify,
    /// Whether there was a warning.
    told: AtomicBool,
    events: Emitter,
}

/// An open channel's share; dropped once it is closed.
pub(super) struct ChannelPermit(Arc<Room>);

impl Drop for ChannelPermit {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::SeqCst);
        self.0.free();
    }
}

impl Room {
    pub(super) fn new(events: Emitter) -> Self {
        Self {
            line: tokio::sync::Mutex::default(),
            waiting: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            was_taken: AtomicBool::new(false),
            moved: Mutex::new(Instant::now()),
            freed: Notify::new(),
            told: AtomicBool::new(false),
            events,
        }
    }

    /// Counts a channel that the server has opened.
    pub(super) fn take(self: &Arc<Self>) -> ChannelPermit {
        self.held.fetch_add(1, Ordering::SeqCst);
        self.was_taken.store(true, Ordering::SeqCst);
        *self.moved() = Instant::now();
        ChannelPermit(self.clone())
    }

    /// Notifies waiters that a channel has ended.
    pub(super) fn free(&self) {
        *self.moved() = Instant::now();
        self.freed.notify_waiters();
    }

    /// Whether there are waiters.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Counts a request until the result is dropped.
    pub(super) fn ask(&self) -> Count<'_> {
        Count::new(&self.asked)
    }

    /// Whether a refusal may mean too many sessions: the server has opened one on this connection, or may be opening another
    /// now.
    pub(super) fn may_be_full(&self) -> bool {
        self.was_taken.load(Ordering::SeqCst) || self.asked.load(Ordering::SeqCst) > 1
    }

    fn moved(&self) -> MutexGuard<'_, Instant> {
        self.moved.lock()
    }
}

/// A request for a channel.
pub(super) struct Wanted<'a> {
    room: &'a Room,
    came: Instant,
    /// How long to wait without a change.
    limit: Option<Duration>,
    turn: Option<Turn<'a>>,
    retries: u32,
    freed: Pin<Box<Notified<'a>>>,
}

/// The head of the queue.
struct Turn<'a> {
    _line: tokio::sync::MutexGuard<'a, ()>,
    _waiting: Count<'a>,
}

/// Increments a counter until it is dropped.
pub(super) struct Count<'a>(&'a AtomicUsize);

impl<'a> Count<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<'a> Wanted<'a> {
    pub(super) fn new(room: &'a Room, limit: Option<Duration>) -> Self {
        let freed = Box::pin(room.freed.notified());
        Self { room, came: Instant::now(), limit, turn: None, retries: 0, freed }
    }

    /// Waits behind other waiting requests, if there are any.
    pub(super) async fn in_turn(&mut self) {
        if self.turn.is_none() && self.room.is_wanted() {
            self.queue().await;
        }
    }

    /// To be called before each request, so that a channel that ends from here on isn't missed.
    pub(super) fn watch(&mut self) {
        self.freed.set(self.room.freed.notified());
    }

    /// Waits for a channel that is being closed.
    pub(super) async fn soon(&mut self) {
        let _ = tokio::time::timeout(SOON, self.freed.as_mut()).await;
    }

    async fn queue(&mut self) {
        let waiting = Count::new(&self.room.waiting);
        let line = self.room.line.lock().await;
        self.turn = Some(Turn { _line: line, _waiting: waiting });
    }

    /// Waits until it is time to retry after a refusal; an error says why not to. `ending`: a channel is being closed.
    pub(super) async fn again(&mut self, ending: bool) -> Result<(), String> {
        if self.turn.is_none() {
            self.queue().await;
            if !ending {
                // The server may not have handled the end of another session yet.
                return Ok(());
            }
        }
        let held = self.room.held.load(Ordering::SeqCst);
        let mut wait = wait_after(self.retries.min(SLOWEST));
        if held == 0 {
            if self.retries >= RETRIES {
                return Err("it still counts one that has ended here, such as a stopped command".to_owned());
            }
        } else if let Some(limit) = self.limit {
            let left = (self.came.max(*self.room.moved()) + limit).saturating_duration_since(Instant::now());
            if left.is_zero() {
                let in_use = if held == 1 { "one is in use".to_owned() } else { format!("{held} are in use") };
                return Err(format!("{in_use}, and none has ended within {limit:?} (`channel_timeout`)"));
            }
            wait = wait.min(left);
        }
        if self.came.elapsed() >= SLOW && !self.room.told.swap(true, Ordering::Relaxed) {
            self.room.events.warn(
                "the server takes no more sessions on this connection (`MaxSessions` in its sshd_config); waiting until \
                 one of those in use ends",
            );
        }
        self.retries += 1;
        // Retry in either case.
        let _ = tokio::time::timeout(wait, self.freed.as_mut()).await;
        Ok(())
    }
}
