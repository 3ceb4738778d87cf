//! What a host says of its keys after login (`hostkeys-00@openssh.com`), proved beside what else is done.

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

/// A session whose host can be asked to prove that it has keys.
#[async_trait]
pub(super) trait ProveKeys: Send + Sync {
    /// An error unless the host has all of them.
    async fn prove_keys(&self, keys: Vec<PublicKey>) -> Result<(), russh::Error>;
}

/// An announcement that changes something, and all that is needed to take it over.
pub(super) struct Update {
    pub(super) keys: KeyUpdate,
    pub(super) target: Target,
    pub(super) verifier: Arc<dyn HostKeyVerifier>,
    pub(super) context: OpenContext,
}

/// The update of a session's host keys: it waits for the session, and the session's end for it.
#[derive(Default)]
pub(super) struct Updates(Mutex<UpdateState>);

#[derive(Default)]
enum UpdateState {
    /// Neither the session nor an announcement is there.
    #[default]
    Neither,
    /// An announcement came while the login was being finished.
    Announced(Box<Update>),
    Session(Weak<dyn ProveKeys>),
    Running {
        task: JoinHandle<()>,
        /// Whether a person is asked.
        asks: bool,
    },
    /// The session has ended.
    Over,
}

impl Updates {
    /// An announcement, of which only the first counts.
    pub(super) fn announced(&self, update: Update) {
        self.advance(|state| match state {
            UpdateState::Neither => UpdateState::Announced(Box::new(update)),
            UpdateState::Session(link) => UpdateState::run(&link, update),
            other => other,
        });
    }

    /// The session stands.
    pub(super) fn begin(&self, link: Weak<dyn ProveKeys>) {
        self.advance(|state| match state {
            UpdateState::Neither => UpdateState::Session(link),
            UpdateState::Announced(update) => UpdateState::run(&link, *update),
            other => other,
        });
    }

    /// Waits for what is under way, at most `limit` unless a person is asked; then it ends.
    pub(super) async fn end(&self, limit: Duration) {
        let mut running = None;
        self.advance(|state| {
            if let UpdateState::Running { task, asks } = state {
                running = Some((task, asks));
            }
            UpdateState::Over
        });
        match running {
            // The answer may be of no use any more, but the question is not withdrawn.
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
