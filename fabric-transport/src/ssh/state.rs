//! The state that a session shares with its channels, its handler and its login.

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

/// The state that session, channels and handler share.
pub(super) struct SessionState {
    /// Why the session has ended, once it has.
    pub(super) ended: watch::Sender<Option<SessionError>>,
    /// The server's disconnect message, if it has sent one.
    pub(super) goodbye: OnceLock<RemoteDisconnectInfo>,
    /// The server's banner (RFC 4252, section 5.4).
    pub(super) banner: Mutex<String>,
    /// The server's reasons for refusing channels, in order.
    pub(super) refusals: Mutex<VecDeque<String>>,
    /// Our listeners on the host.
    listeners: Mutex<HashMap<ListenKey, mpsc::UnboundedSender<BoxStream>>>,
    /// The user's agent, if the host may use it and its key was checked.
    pub(super) agent: OnceLock<PathBuf>,
    /// What binds an agent to this connection, after the key exchange.
    pub(super) binding: OnceLock<AgentSessionBinding>,
    /// The memory that the channels of all sessions of the transport share.
    pub(super) pool: Arc<Pool>,
    /// The keys that the host announces.
    pub(super) updates: Updates,
    /// Cancelled to end the connection, whatever it waits for.
    pub(super) cut: CancellationToken,
    /// Cancelled when the task that serves the connection has ended.
    pub(super) over: CancellationToken,
    /// Cancelled once the login is done.
    pub(super) logged_in: CancellationToken,
}

/// The key of a listener when the server announces a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum ListenKey {
    /// Address and port; port 0 while the host is choosing one.
    Tcp(String, u32),
    /// The path of a socket.
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

    /// Ends the session for this reason, unless it has ended.
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

    /// The server's reason for the refusal of a channel. russh reports it after the refusal, from the task that serves the
    /// connection.
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

    /// Why the session has ended, if that is known.
    pub(super) fn reason(&self) -> SessionError {
        let lost = || SessionError::Lost { reason: "the connection ended".to_owned() };
        self.ended.borrow().clone().unwrap_or_else(lost)
    }

    pub(super) fn listeners(&self) -> MutexGuard<'_, HashMap<ListenKey, mpsc::UnboundedSender<BoxStream>>> {
        self.listeners.lock()
    }
}
