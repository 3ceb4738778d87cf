//! The threads that serve hosts.
//!
//! All that belongs to a host stays on one thread: its session, its task, and the memory of both. What one part of it
//! signals to another wakes no other thread, and hosts that answer at the same time wait for no lock of each other.

use std::num::NonZero;
use std::sync::{Arc, OnceLock};
use std::{io, thread};

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How many threads each lane may have for what blocks: files, names, questions.
const BLOCKING: usize = 8;

/// More threads than these are not kept busy by all that a network can bring.
const WORTHWHILE: usize = 8;

/// The lanes of a run. The first is the runtime in which the run was started; others begin when there are hosts for them.
pub(crate) struct Lanes {
    /// How many there may be; not yet known where that depends on the cores.
    most: OnceLock<usize>,
    begun: Mutex<Vec<Arc<Lane>>>,
}

/// Where some hosts are served. Whoever serves one there holds on to it for as long.
pub(crate) struct Lane {
    pub(crate) runtime: Handle,
    /// Ends the thread.
    _end: Option<DropGuard>,
}

impl Lanes {
    /// At most so many; 0 for one a core.
    pub(crate) fn new(most: usize) -> Self {
        let known = (most > 0).then_some(most);
        Self { most: known.map_or_else(OnceLock::new, OnceLock::from), begun: Mutex::default() }
    }

    /// The one that serves the fewest hosts; a further one where each serves `full` of them.
    pub(crate) fn freest(&self, full: usize) -> Arc<Lane> {
        let mut begun = self.begun.lock();
        // One holder is `begun`, the others serve a host there.
        let hosts = |lane: &&Arc<Lane>| Arc::strong_count(lane) - 1;
        let lane = match begun.iter().min_by_key(hosts) {
            Some(freest) if hosts(&freest) < full || begun.len() >= self.most() => return freest.clone(),
            Some(freest) => match Lane::begin() {
                Ok(further) => Arc::new(further),
                // Without a further thread it goes on with those that there are.
                Err(_) => return freest.clone(),
            },
            None => Arc::new(Lane { runtime: Handle::current(), _end: None }),
        };
        begun.push(lane.clone());
        lane
    }

    /// Asked only where there are hosts for it: to find out takes a look at several files.
    fn most(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        *self.most.get_or_init(|| cores().min(WORTHWHILE))
    }
}

impl Lane {
    fn begin() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING).build()?;
        let handle = runtime.handle().clone();
        let end = CancellationToken::new();
        let ended = end.clone();
        thread::Builder::new().name("hosts".to_owned()).spawn(move || {
            runtime.block_on(ended.cancelled());
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, _end: Some(end.drop_guard()) })
    }
}
