//! The control side of a process: its state and signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fabric_core::transport::ProcessEvent;
use fabric_core::{SessionError, Signal};
use russh::client::Msg;
use russh::{ChannelWriteHalf, Sig};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::channel::Life;
use super::link::Link;
use super::registry::Position;
use super::store::Store;

/// The control side of a process.
pub(super) struct Control {
    pub(super) link: Arc<Link>,
    pub(super) writer: Arc<ChannelWriteHalf<Msg>>,
    pub(super) store: Arc<Store<ProcessEvent>>,
    /// Cancelled when the server has reported the end of the process.
    pub(super) ended: CancellationToken,
    /// Cancelled when all of its output has arrived, or no more can.
    pub(super) whole: CancellationToken,
    /// How many messages of its channel have arrived.
    pub(super) heard: Arc<AtomicUsize>,
    pub(super) life: Life,
    pub(super) order: u64,
    pub(super) _close: Arc<DropGuard>,
}

impl Control {
    /// Whether the process has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Waits until its output has ended too, as long as more arrives within `pause`; returns whether it has. Otherwise a
    /// background process holds it open.
    pub(super) async fn is_whole(&self, pause: Duration) -> bool {
        loop {
            let heard = self.heard.load(Ordering::Relaxed);
            if tokio::time::timeout(pause, self.whole.cancelled()).await.is_ok() {
                return true;
            }
            if self.heard.load(Ordering::Relaxed) == heard {
                return false;
            }
        }
    }

    /// Its position among the processes of the session.
    pub(super) fn position(&self) -> Option<Position> {
        self.link.processes.position(self.order)
    }

    /// How many processes of the session have ended with output that is still open.
    pub(super) fn held(&self) -> usize {
        self.link.processes.held.load(Ordering::SeqCst)
    }

    /// Until this is dropped, no other process of the connection is stopped.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.link.processes.stopping.lock().await
    }

    /// From now on unread output doesn't block the connection, which is needed to stop the process.
    pub(super) fn make_way(&self) {
        self.store.never_wait();
    }

    pub(super) async fn send_signal(&self, signal: &Signal) -> Result<(), SessionError> {
        if self.life.closed.is_cancelled() {
            return Ok(());
        }
        self.writer.signal(wire_signal(signal)).await.map_err(|error| self.link.error("a signal", &error))
    }
}

fn wire_signal(signal: &Signal) -> Sig {
    match signal {
        Signal::Abrt => Sig::ABRT,
        Signal::Alrm => Sig::ALRM,
        Signal::Fpe => Sig::FPE,
        Signal::Hup => Sig::HUP,
        Signal::Ill => Sig::ILL,
        Signal::Int => Sig::INT,
        Signal::Kill => Sig::KILL,
        Signal::Pipe => Sig::PIPE,
        Signal::Quit => Sig::QUIT,
        Signal::Segv => Sig::SEGV,
        Signal::Term => Sig::TERM,
        Signal::Usr1 => Sig::USR1,
        other => Sig::Custom(other.name().to_owned()),
    }
}
