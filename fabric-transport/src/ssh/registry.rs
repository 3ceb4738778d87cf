//! The live processes of a session.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use parking_lot::Mutex;

/// The live processes of a session, in the order of their requests.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// Locked while a request is queued, so that the order here is the order on the wire.
    pub(super) order: tokio::sync::Mutex<u64>,
    live: Arc<Mutex<BTreeSet<u64>>>,
    /// Locked while one is being stopped: until it is found, no other may start or be stopped.
    pub(super) stopping: tokio::sync::Mutex<()>,
    /// How many have ended with output that is still open.
    pub(super) held: AtomicUsize,
}

/// Whether a process counts in the [`Registry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    Listed,
    /// A helper, which the script of [`stop`](super::stop) recognises by its name.
    Unlisted,
}

/// A process's entry in the [`Registry`], until it is dropped.
pub(super) struct ProcessEntry {
    live: Arc<Mutex<BTreeSet<u64>>>,
    pub(super) order: u64,
}

/// The position of a process among those of its session.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// How many live ones were started before it.
    pub(super) index: usize,
    /// How many live in all.
    pub(super) live: usize,
}

impl Registry {
    pub(super) fn add(&self, order: u64, listing: Listing) -> ProcessEntry {
        if listing == Listing::Listed {
            self.live.lock().insert(order);
        }
        ProcessEntry { live: self.live.clone(), order }
    }

    pub(super) fn position(&self, order: u64) -> Option<Position> {
        let live = self.live.lock();
        live.contains(&order).then(|| Position { index: live.range(..order).count(), live: live.len() })
    }
}

impl ProcessEntry {
    pub(super) fn remove(&self) {
        self.live.lock().remove(&self.order);
    }
}

impl Drop for ProcessEntry {
    fn drop(&mut self) {
        self.remove();
    }
}
