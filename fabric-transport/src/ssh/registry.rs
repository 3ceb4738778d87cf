//! Which processes of a session live.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use parking_lot::Mutex;

/// The processes of a session that have not ended, in the order in which the server was asked for them.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// Held while a request is queued, so that the order here is the order on the wire.
    pub(super) order: tokio::sync::Mutex<u64>,
    live: Arc<Mutex<BTreeSet<u64>>>,
    /// Held by who ends one: while it is looked for, nothing else may come or go.
    pub(super) stopping: tokio::sync::Mutex<()>,
    /// How many have ended while something holds their output open.
    pub(super) held: AtomicUsize,
}

/// Whether a process counts among those of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    Listed,
    /// A helper of ours, which the script in [`stop`](super::stop) knows by its name.
    Unlisted,
}

/// A process's place in the [`Registry`], until it is dropped.
pub(super) struct ProcessEntry {
    live: Arc<Mutex<BTreeSet<u64>>>,
    pub(super) order: u64,
}

/// Where a process stands among those of its session.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// How many were started before it and still live.
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
