//! Calls of a plugin, with a time limit; a call is cancelled when its result is no longer needed.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::oneshot;

use super::child::{Child, ChildProcess};
use super::handle::{Backend, Plugin};
use super::library::Library;
use super::perform::{Answer, Answered, Call, CallError, lost, on_a_thread, thread};

/// How much longer than its limit a call may take until it is abandoned: it has been asked to stop at the limit.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// How long a plugin may take to end a session before it is abandoned.
const CLOSING: Duration = Duration::from_secs(1);

/// Where a plugin's code runs at the moment. Its sessions are valid only there.
#[derive(Debug, Clone)]
pub(super) enum LiveBackend {
    Library(Arc<Library>),
    Child(Arc<ChildProcess>),
}

impl LiveBackend {
    /// Where the plugin can be called; a child that crashed is replaced first.
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
        // The caller may have stopped waiting.
        let start = move || drop(started.send(child.running()));
        thread("plugin-start", start)?;
        starting.await.map_err(|_| lost())?.map(Self::Child).map_err(CallError::Failed)
    }

    /// Whether sessions opened there are still valid.
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

/// Makes a call about a target that has no session yet; also returns where its answer is valid.
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

/// Makes a call and waits for at most `limit`, in this process or in a child.
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

/// Tells the plugin that a session has ended, and waits a moment for it, as this program may be about to exit.
pub(super) async fn closed(place: &LiveBackend, session: u64) {
    // If that fails, its session has ended as well.
    let _ = call(place, Call::Close(session), CLOSING).await;
}

/// Tells the plugin that a session has ended, without waiting.
pub(super) fn close(place: &LiveBackend, session: u64) {
    // If that fails, its session has ended as well.
    drop(place.ask(Call::Close(session)));
}
