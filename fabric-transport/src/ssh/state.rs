//! What is known of a session by its channels, its handler and its login.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use fabric_core::SessionError;
use fabric_core::transport::BoxStream;
use parking_lot::{Mutex, MutexGuard};
use russh::client::RemoteDisconnectInfo;
use russh::keys::agent::AgentSessionBinding;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::store::Pool;
use super::updates::Updates;

/// What session, channels and the handler share.
pub(super) struct SessionState {
    /// Why the session has ended, once it has.
    pub(super) ended: watch::Sender<Option<SessionError>>,
    /// With what words the server has disconnected, if it has.
    pub(super) goodbye: OnceLock<RemoteDisconnectInfo>,
    /// What the server said before the login (RFC 4252, section 5.4).
    pub(super) banner: Mutex<String>,
    /// What the server said to channels that it didn't open, in its order.
    pub(super) refusals: Mutex<VecDeque<String>>,
    /// Where connections to our listeners on the host go.
    listeners: Mutex<HashMap<ListenKey, mpsc::UnboundedSender<BoxStream>>>,
    /// The user's agent, for the hosts that may use it, once their keys are checked.
    pub(super) agent: OnceLock<PathBuf>,
    /// What binds an agent to this connection, known once the keys are exchanged.
    pub(super) binding: OnceLock<AgentSessionBinding>,
    /// What the channels of this session and of the transport's others may keep.
    pub(super) pool: Arc<Pool>,
    /// What becomes of the keys that the host announces.
    pub(super) updates: Updates,
    /// Cancelled to cut the connection off, whatever it is waiting for.
    pub(super) cut: CancellationToken,
    /// Cancelled when the task that serves the connection is gone.
    pub(super) over: CancellationToken,
    /// Cancelled once the login is done.
    pub(super) logged_in: CancellationToken,
}

/// What a listener is known by when the server announces a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum ListenKey {
    /// By address and port; while the host is choosing a port, by port 0.
    Tcp(String, u32),
    /// By its path.
    Unix(String),
}

impl SessionState {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        Self {
            ended: watch::Sender::new(None),
            goodbye: OnceLock::new(),
            banner: Mutex::default(),
            refusals: Mutex::default(),
            listeners: Mutex::default(),
            agent: OnceLock::new(),
            binding: OnceLock::new(),
            pool,
            updates: Updates::default(),
            cut: CancellationToken::new(),
            over: CancellationToken::new(),
            logged_in: CancellationToken::new(),
        }
    }

    /// Tells everybody why the session has ended; the first reason stands.
    pub(super) fn end(&self, reason: SessionError) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(reason);
            }
            first
        });
        self.listeners().clear();
    }

    /// What the server said to the channel that it has just refused; russh tells it after the refusal, from the task that
    /// serves the connection.
    pub(super) async fn refusal(&self) -> String {
        const TURNS: u32 = 20;
        for _ in 0..TURNS {
            if let Some(said) = self.refusals.lock().pop_front() {
                return said;
            }
            tokio::task::yield_now().await;
        }
        String::new()
    }

    /// Why the session has ended, as far as is known.
    pub(super) fn reason(&self) -> SessionError {
        let lost = || SessionError::Lost { reason: "the connection ended".to_owned() };
        self.ended.borrow().clone().unwrap_or_else(lost)
    }

    pub(super) fn listeners(&self) -> MutexGuard<'_, HashMap<ListenKey, mpsc::UnboundedSender<BoxStream>>> {
        self.listeners.lock()
    }
}
