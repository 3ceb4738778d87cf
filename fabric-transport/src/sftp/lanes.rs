//! Further channels to the same server, for a write that is limited by one channel's window.
//!
//! A server accepts only so much unread data on a channel (2 MiB in OpenSSH), which is the most that a channel can
//! carry in one round trip. Each channel has a window of its own, so a long write uses several. Whether the window is
//! the limit is measured: if so, about one window of data is confirmed in each round trip. On a short link it is far
//! less, and one channel is fastest.
//!
//! Many small files are written over a further channel too: the server has a process for each channel, and that process
//! is the limit on a short link.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::driver::Conversation;

/// How many channels a client opens besides its own. With sshd's window, six carry 240 MB/s over a round trip of 50 ms.
/// Servers allow ten sessions on a connection (`MaxSessions`), and commands need some of them.
const FURTHER: usize = 5;

/// If this much is confirmed in one round trip, the window is the limit: half of sshd's.
const WINDOW_BOUND: u128 = 1024 * 1024;

/// Shorter round trips can't be distinguished from the reply time of a busy machine.
const SHORTEST_ROUND_TRIP: Duration = Duration::from_millis(2);

/// Opens one more channel to the server, and a client on it; `None` if the server refuses.
pub(super) type Opener<C> = dyn Fn() -> BoxFuture<'static, Option<C>> + Send + Sync;

/// The further channels of a client.
pub(super) struct Lanes<C> {
    open: Arc<Opener<C>>,
    free: Arc<Semaphore>,
}

/// A client on a channel of its own. Dropping it closes the channel, and another write may open one.
#[derive(Debug)]
pub(super) struct Lane<C> {
    pub(super) client: C,
    /// Counts as one of the channels that may be open at once.
    pub(super) turn: OwnedSemaphorePermit,
}

impl<C> Clone for Lanes<C> {
    fn clone(&self) -> Self {
        Self { open: self.open.clone(), free: self.free.clone() }
    }
}

impl<C: 'static> Lanes<C> {
    pub(super) fn new(open: Arc<Opener<C>>) -> Self {
        Self { open, free: Arc::new(Semaphore::new(FURTHER)) }
    }

    /// Opens all channels that are still allowed. One that is refused is left out.
    pub(super) fn open(&self) -> impl Iterator<Item = BoxFuture<'static, Option<Lane<C>>>> {
        std::iter::from_fn(|| {
            let turn = self.free.clone().try_acquire_owned().ok()?;
            let opening = (self.open)();
            let lane = async move { Some(Lane { client: opening.await?, turn }) };
            Some(Box::pin(lane) as BoxFuture<'static, _>)
        })
    }
}

impl<C> fmt::Debug for Lanes<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").field("free", &self.free.available_permits()).finish_non_exhaustive()
    }
}

/// Measures whether a channel's window limits its writes.
#[derive(Debug)]
pub(super) struct Pace {
    since: Instant,
    confirmed: u64,
}

impl Pace {
    pub(super) fn new(conversation: &Conversation) -> Self {
        Self { since: Instant::now(), confirmed: conversation.confirmed() }
    }

    /// Called from time to time, as writes are confirmed.
    pub(super) fn is_window_bound(&mut self, conversation: &Conversation) -> bool {
        let Some(round_trip) = conversation.round_trip().filter(|time| *time >= SHORTEST_ROUND_TRIP) else {
            return false;
        };
        let (elapsed, confirmed) = (self.since.elapsed(), conversation.confirmed());
        if elapsed < 2 * round_trip {
            return false;
        }
        let bytes = u128::from(confirmed - self.confirmed);
        (self.since, self.confirmed) = (Instant::now(), confirmed);
        bytes * round_trip.as_nanos() / elapsed.as_nanos() >= WINDOW_BOUND
    }
}
