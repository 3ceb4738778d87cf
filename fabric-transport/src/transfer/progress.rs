//! The events of a transfer: its start, its progress, its end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fabric_core::Emitter;
use fabric_core::event::EventKind;
use fabric_core::outcome::Direction;
use parking_lot::Mutex;

/// The shortest time between two events about a transfer's progress.
const EVERY: Duration = Duration::from_millis(100);

pub(super) struct Progress {
    emitter: Emitter,
    direction: Direction,
    local: String,
    remote: String,
    size: Option<u64>,
    bytes: AtomicU64,
    pub(super) began: Instant,
    told: Mutex<Instant>,
}

impl Progress {
    pub(super) fn start(
        emitter: Emitter,
        direction: Direction,
        local: String,
        remote: String,
        size: Option<u64>,
        began: Instant,
    ) -> Self {
        let started = EventKind::transfer_started(direction, local.clone(), remote.clone(), size);
        emitter.emit(started);
        let told = Mutex::new(Instant::now());
        Self { emitter, direction, local, remote, size, bytes: AtomicU64::new(0), began, told }
    }

    /// Adds transferred bytes.
    pub(super) fn add(&self, bytes: u64) {
        let so_far = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let mut told = self.told.lock();
        if told.elapsed() >= EVERY || self.size == Some(so_far) {
            *told = Instant::now();
            drop(told);
            let remote = self.remote.clone();
            self.emitter.emit(EventKind::transfer_progress(remote, so_far, self.size));
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn finish(&self, error: Option<String>) {
        self.emitter.emit(EventKind::transfer_finished(
            self.direction,
            self.local.clone(),
            self.remote.clone(),
            self.bytes(),
            self.began.elapsed(),
            error,
        ));
    }
}
