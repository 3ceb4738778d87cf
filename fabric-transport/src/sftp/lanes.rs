//! Further channels to the same server, for a write that one channel's window holds up.
//!
//! A server takes only so much on a channel that it has not read (2 MiB in OpenSSH), which is all that gets
//! through in one round trip, however much the link could carry. Each channel has a window of its own, so a
//! long write goes over several. Whether the window is the limit is measured: what is confirmed in a round
//! trip is then about as much as a window. On a short link it is far less, and one channel does best.
//!
//! Many small files are written over a further channel, too: a server serves each by a process of its own, which is what holds
//! them up on a short link.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::driver::Conversation;

/// How many channels one client opens besides its own. With sshd's window, six carry 240 MB/s over a round
/// trip of 50 ms; hosts allow ten sessions on a connection (`MaxSessions`), and commands need some.
const FURTHER: usize = 5;

/// As much confirmed in the time of one round trip means that the window is the limit: half of sshd's.
const WINDOW_BOUND: u128 = 1024 * 1024;

/// Shorter round trips aren't told apart from the time that a busy machine takes to answer.
const SHORTEST_ROUND_TRIP: Duration = Duration::from_millis(2);

/// Opens one more channel to the server, and a client on it; `None` if the server refuses.
pub(super) type Opener<C> = dyn Fn() -> BoxFuture<'static, Option<C>> + Send + Sync;

/// What a client may open besides its own channel.
pub(super) struct Lanes<C> {
    open: Arc<Opener<C>>,
    free: Arc<Semaphore>,
}

/// A client on a channel of its own. Dropping it closes the channel, and another write may have one.
#[derive(Debug)]
pub(super) struct Lane<C> {
    pub(super) client: C,
    /// What keeps its place among those that may be open at once.
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

    /// Opens all that may still be opened. A channel that is refused is one fewer.
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

/// Looks whether the window of a conversation's channel is what holds its writes up.
#[derive(Debug)]
pub(super) struct Pace {
    since: Instant,
    confirmed: u64,
}

impl Pace {
    pub(super) fn new(conversation: &Conversation) -> Self {
        Self { since: Instant::now(), confirmed: conversation.confirmed() }
    }

    /// To be asked now and then, as writes are confirmed.
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
