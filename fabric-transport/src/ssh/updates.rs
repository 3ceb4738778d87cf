//! The host keys that a host announces after login (`hostkeys-00@openssh.com`), proven in the background.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use fabric_core::Target;
use fabric_core::target::UpdateHostKeys;
use fabric_core::transport::OpenContext;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::host_keys::{HostKeyVerifier, KeyUpdate};
use crate::known_hosts::PublicKey;

/// How long a host may take to prove its keys.
const PROOF: Duration = Duration::from_secs(10);

/// A session whose host can be asked to prove that it holds keys.
#[async_trait]
pub(super) trait ProveKeys: Send + Sync {
    /// An error unless the host holds all of them.
    async fn prove_keys(&self, keys: Vec<PublicKey>) -> Result<(), russh::Error>;
}

/// An announcement with changes, and what is needed to record it.
pub(super) struct Update {
    pub(super) keys: KeyUpdate,
    pub(super) target: Target,
    pub(super) verifier: Arc<dyn HostKeyVerifier>,
    pub(super) context: OpenContext,
}

/// The update of a session's host keys. It waits for the session, and the end of the session waits for it.
#[derive(Default)]
pub(super) struct Updates(Mutex<UpdateState>);

#[derive(Default)]
enum UpdateState {
    /// There is neither a session nor an announcement.
    #[default]
    Neither,
    /// An announcement came before the session was complete.
    Announced(Box<Update>),
    Session(Weak<dyn ProveKeys>),
    Running {
        task: JoinHandle<()>,
        /// Whether the user is asked.
        asks: bool,
    },
    /// The session has ended.
    Over,
}

impl Updates {
    /// Handles an announcement; only the first counts.
    pub(super) fn announced(&self, update: Update) {
        self.advance(|state| match state {
            UpdateState::Neither => UpdateState::Announced(Box::new(update)),
            UpdateState::Session(link) => UpdateState::run(&link, update),
            other => other,
        });
    }

    /// The session is complete.
    pub(super) fn begin(&self, link: Weak<dyn ProveKeys>) {
        self.advance(|state| match state {
            UpdateState::Neither => UpdateState::Session(link),
            UpdateState::Announced(update) => UpdateState::run(&link, *update),
            other => other,
        });
    }

    /// Waits for an update in progress, at most `limit` unless the user is asked, and ends it.
    pub(super) async fn end(&self, limit: Duration) {
        let mut running = None;
        self.advance(|state| {
            if let UpdateState::Running { task, asks } = state {
                running = Some((task, asks));
            }
            UpdateState::Over
        });
        match running {
            // A prompt is not withdrawn, even if its answer is not needed any more.
            Some((task, true)) => drop(task.await),
            Some((mut task, false)) => {
                let _ = tokio::time::timeout(limit, &mut task).await;
                task.abort();
            }
            None => {}
        }
    }

    fn advance(&self, step: impl FnOnce(UpdateState) -> UpdateState) {
        let mut state = self.0.lock();
        *state = step(std::mem::take(&mut *state));
    }
}

impl UpdateState {
    fn run(link: &Weak<dyn ProveKeys>, update: Update) -> Self {
        match link.upgrade() {
            Some(link) => {
                let asks = update.target.host_keys.update == UpdateHostKeys::Ask;
                Self::Running { task: tokio::spawn(run(link, update)), asks }
            }
            None => Self::Over,
        }
    }
}

async fn run(link: Arc<dyn ProveKeys>, update: Update) {
    let Update { keys, target, verifier, context } = update;
    if !keys.new.is_empty() {
        let proof = tokio::time::timeout(PROOF, link.prove_keys(keys.new.clone())).await;
        drop(link);
        if !matches!(proof, Ok(Ok(()))) {
            tracing::info!(host = target.host_string.as_str(), ?proof, "the host does not prove to hold its new keys");
            return;
        }
    }
    verifier.update(&target, keys, &context).await;
}
