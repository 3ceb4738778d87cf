//! The running commands of a connection. Dropping one, or closing the connection, stops it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fabric_core::error::SessionError;
use fabric_core::transport::{SpawnRequest, StopOutcome};
use fabric_core::{Process, ProcessControl, Session};
use futures_util::future::join_all;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OnceCell, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long closing waits for commands that are starting or stopping, in addition to their grace time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a command couldn't be stopped: a background process of it still runs.
pub(crate) const HELD: &str = "a process that it left in the background runs on and holds its output open; start such a process with its \
                    output redirected: COMMAND >/dev/null 2>&1 &";

/// Commands on a connection's host, or local ones, that run and are not disowned.
#[derive(Default)]
pub(crate) struct Commands {
    running: Mutex<HashMap<u64, Arc<Command>>>,
    /// Commands that are starting, and dropped ones that are being stopped.
    under_way: TaskTracker,
}

/// A command that was started. It is stopped once.
pub(crate) struct Command {
    number: u64,
    control: Arc<dyn ProcessControl>,
    grace: Duration,
    /// Cancelled when the connection is closed.
    closing: CancellationToken,
    stopped: OnceCell<StopOutcome>,
}

impl Command {
    /// Stops it. Concurrent calls wait for the same stop.
    pub(crate) async fn stop(&self) -> StopOutcome {
        self.stopped.get_or_init(|| self.control.stop(self.grace)).await.clone()
    }

    /// Waits until its connection is closed.
    pub(crate) async fn closing(&self) {
        self.closing.cancelled().await;
    }
}

impl Commands {
    /// Starts a process, which is stopped when the returned [`Started`] is dropped. It is also stopped if this future is
    /// dropped before it started, since the command may have been sent already. `owner` is kept until the command has
    /// ended, because stopping needs the session.
    pub(crate) async fn start(
        self: &Arc<Self>,
        owner: Arc<dyn Send + Sync>,
        session: Arc<dyn Session>,
        request: SpawnRequest,
        grace: Duration,
    ) -> Result<(Process, Started), SessionError> {
        tracing::trace!(route = "a command becomes a process");
        let (answer, started) = oneshot::channel();
        let commands = self.clone();
        self.under_way.spawn(async move {
            let process = session.spawn(&request).await;
            let process = process.map(|process| {
                let started = Started::new(commands, owner, process.control.clone(), grace);
                (process, started)
            });
            // Dropped, it is stopped.
            drop(answer.send(process));
        });
        started.await.unwrap_or(Err(SessionError::Closed))
    }

    /// Stops all commands, and waits for dropped ones that are being stopped. Takes a bounded time.
    pub(crate) async fn stop_all(&self) {
        let all = std::mem::take(&mut *self.lock());
        if all.is_empty() && self.under_way.is_empty() {
            return;
        }
        let stops = all.values().map(|command| async {
            command.closing.cancel();
            // Transports have their own limits.
            let _ = tokio::time::timeout(command.grace + PATIENCE, command.stop()).await;
        });
        let others = async {
            self.under_way.close();
            let _ = tokio::time::timeout(PATIENCE, self.under_way.wait()).await;
        };
        futures_util::future::join(join_all(stops), others).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Command>>> {
        self.running.lock()
    }
}

/// A command that is stopped when this is dropped, unless it has ended or is disowned.
pub(crate) struct Started {
    commands: Arc<Commands>,
    owner: Arc<dyn Send + Sync>,
    command: Arc<Command>,
    over: bool,
}

impl Started {
    fn new(
        commands: Arc<Commands>,
        owner: Arc<dyn Send + Sync>,
        control: Arc<dyn ProcessControl>,
        grace: Duration,
    ) -> Self {
        let number = rand::random();
        let (closing, stopped) = (CancellationToken::new(), OnceCell::new());
        let command = Arc::new(Command { number, control, grace, closing, stopped });
        commands.lock().insert(number, command.clone());
        Self { commands, owner, command, over: false }
    }

    pub(crate) fn command(&self) -> &Arc<Command> {
        &self.command
    }

    /// It has ended.
    pub(crate) fn end(mut self) {
        self.forget();
    }

    /// The command keeps running, even without the connection.
    pub(crate) fn disown(mut self) {
        self.command.control.disown();
        self.forget();
    }

    fn forget(&mut self) {
        self.over = true;
        self.commands.lock().remove(&self.command.number);
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let runtime = tokio::runtime::Handle::try_current();
        if self.command.control.kill() || runtime.is_err() {
            self.forget();
        } else if let Ok(runtime) = runtime {
            let (commands, command, owner) = (self.commands.clone(), self.command.clone(), self.owner.clone());
            let stop = async move {
                command.stop().await;
                commands.lock().remove(&command.number);
                // The command is stopped over its session.
                drop(owner);
            };
            self.commands.under_way.spawn_on(stop, &runtime);
        }
    }
}
