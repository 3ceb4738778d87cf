//! What this side knows of a process, and what it can tell it.

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
    /// Cancelled when the process has ended, as far as the server says.
    pub(super) ended: CancellationToken,
    /// Cancelled when all of its output has come, or nothing more can.
    pub(super) whole: CancellationToken,
    /// How many messages about it have come.
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

    /// Waits until its output has ended too, for as long as more comes within `pause`; says whether it has. Else
    /// something that it has started holds that open.
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

    /// Where it stands among the processes of the session.
    pub(super) fn position(&self) -> Option<Position> {
        self.link.processes.position(self.order)
    }

    /// How many processes of the session have ended while something holds their output open.
    pub(super) fn held(&self) -> usize {
        self.link.processes.held.load(Ordering::SeqCst)
    }

    /// Until this is dropped, no other process of the connection is stopped.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.link.processes.stopping.lock().await
    }

    /// Unread output no longer stops the connection, over which the process is to be ended.
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
