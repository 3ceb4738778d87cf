//! The runtime whose tasks move the bytes of a session.

use std::time::Duration;

use fabric_core::error::SessionError;
use tokio::runtime::Handle;

/// How long another runtime may take to run a task that does nothing. One that is in use takes no time.
const PATIENCE: Duration = Duration::from_secs(5);

/// The runtime in which something was begun.
#[derive(Clone)]
pub(super) struct Driver(Option<Handle>);

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DriverState {
    /// It runs.
    Running,
    /// It was shut down, and its tasks with it.
    Gone,
    /// It is there, and runs no tasks: a runtime of one thread outside `block_on`.
    Idle,
}

impl Driver {
    /// The one in which this is called.
    pub(super) fn current() -> Self {
        Self(Handle::try_current().ok())
    }

    /// Free of cost in the runtime itself.
    pub(super) async fn state(&self) -> DriverState {
        let Some(own) = &self.0 else { return DriverState::Running };
        if Handle::try_current().is_ok_and(|here| here.id() == own.id()) {
            return DriverState::Running;
        }
        match tokio::time::timeout(PATIENCE, own.spawn(async {})).await {
            Ok(Ok(())) => DriverState::Running,
            Ok(Err(_)) => DriverState::Gone,
            Err(_) => DriverState::Idle,
        }
    }

    /// An error unless it runs.
    pub(super) async fn check(&self) -> Result<(), SessionError> {
        match self.state().await {
            DriverState::Running => Ok(()),
            DriverState::Gone => Err(SessionError::Closed),
            DriverState::Idle => Err(SessionError::NotDriven),
        }
    }
}
