//! Calling a plugin, with a time limit; the call is cancelled when its result is no longer wanted.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::oneshot;

use super::child::{Child, ChildProcess};
use super::handle::{Backend, Plugin};
use super::library::Library;
use super::perform::{Answer, Answered, Call, CallError, lost, on_a_thread, thread};

/// How much longer than its time limit a call may take until it is given up: it was asked to stop then.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// How long a plugin may take to end a session; it is left to itself then.
const CLOSING: Duration = Duration::from_secs(1);

/// Where a plugin's code runs now. What it opened there is known there alone.
#[derive(Debug, Clone)]
pub(super) enum LiveBackend {
    Library(Arc<Library>),
    Child(Arc<ChildProcess>),
}

impl LiveBackend {
    /// Where the plugin can be asked; a child that has crashed is replaced first.
    pub(super) async fn of(plugin: &Plugin) -> Result<Self, CallError> {
        let child = match &plugin.0.backend {
            Backend::Library(library) => return Ok(Self::Library(library.clone())),
            Backend::Child(child) => child,
        };
        if let Some(alive) = child.alive() {
            return Ok(Self::Child(alive));
        }
        let (started, starting) = oneshot::channel();
        let child: Arc<Child> = child.clone();
        // Nobody may wait for it any more.
        let start = move || drop(started.send(child.running()));
        thread("plugin-start", start)?;
        starting.await.map_err(|_| lost())?.map(Self::Child).map_err(CallError::Failed)
    }

    /// Whether what was opened there is still there.
    pub(super) fn is_alive(&self) -> bool {
        match self {
            Self::Library(_) => true,
            Self::Child(running) => running.is_alive(),
        }
    }

    fn ask(&self, call: Call) -> Result<(Answered, Box<dyn Send>), CallError> {
        Ok(match self {
            Self::Library(library) => {
                let (answered, waiting) = on_a_thread(library.clone(), call)?;
                (answered, Box::new(waiting))
            }
            Self::Child(running) => {
                let (answered, waiting) = running.ask(call)?;
                (answered, Box::new(waiting))
            }
        })
    }
}

/// Asks for what is about a target and not yet about a session; also tells where the answer holds.
pub(super) async fn first(
    plugin: &Plugin,
    to: fn(String) -> Call,
    request: &impl Serialize,
    limit: Duration,
) -> Result<(LiveBackend, Answer), CallError> {
    let request = serde_json::to_string(request).map_err(|error| CallError::Failed(error.to_string()))?;
    let place = LiveBackend::of(plugin).await?;
    let answer = call(&place, to(request), limit).await?;
    Ok((place, answer))
}

/// Asks, and waits for at most `limit`. Where the plugin lives makes no difference.
pub(super) async fn call(place: &LiveBackend, call: Call, limit: Duration) -> Result<Answer, CallError> {
    let (mut answered, waiting) = place.ask(call)?;
    if let Ok(answer) = tokio::time::timeout(limit, &mut answered).await {
        return answer.unwrap_or_else(|_| Err(lost()));
    }
    drop(waiting);
    match tokio::time::timeout(GRACE, answered).await {
        Ok(Ok(Ok(late))) => Ok(late),
        _ => Err(CallError::TimedOut(limit)),
    }
}

/// Tells a plugin that a session has ended, and gives it a moment for that, as this program may be at its end.
pub(super) async fn closed(place: &LiveBackend, session: u64) {
    // If that fails, its session has ended with it.
    let _ = call(place, Call::Close(session), CLOSING).await;
}

/// Tells a plugin that a session has ended. Not waited for.
pub(super) fn close(place: &LiveBackend, session: u64) {
    // If that fails, its session has ended with it.
    drop(place.ask(Call::Close(session)));
}
