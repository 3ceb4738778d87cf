//! Stopping a run from outside.

use tokio_util::sync::CancellationToken;

/// How a run is stopped: first politely, then at once. Cheap to clone; all clones are one.
///
/// ```
/// use fabric_exec::Interrupt;
/// let interrupt = Interrupt::new();
/// interrupt.stop();
/// assert!(interrupt.is_stopping() && !interrupt.is_aborting());
/// interrupt.stop();
/// assert!(interrupt.is_aborting());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    stopping: CancellationToken,
    aborting: CancellationToken,
}

impl Interrupt {
    /// A new one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first time: nothing new is started and what runs is ended politely. The second time: what
    /// still runs is given up at once.
    pub fn stop(&self) {
        if self.stopping.is_cancelled() {
            self.aborting.cancel();
        }
        self.stopping.cancel();
    }

    /// Gives everything up at once.
    pub fn abort(&self) {
        self.stopping.cancel();
        self.aborting.cancel();
    }

    /// Whether the run is to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Whether the run is to end at once.
    pub fn is_aborting(&self) -> bool {
        self.aborting.is_cancelled()
    }

    /// Waits until the run is to end.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// Waits until the run is to end at once.
    pub async fn aborting(&self) {
        self.aborting.cancelled().await;
    }

    /// What commands listen to.
    pub fn token(&self) -> &CancellationToken {
        &self.stopping
    }
}
