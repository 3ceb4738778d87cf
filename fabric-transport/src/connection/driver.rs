//! The runtime whose tasks move the bytes of a session.

use std::time::Duration;

use fabric_core::error::SessionError;
use tokio::runtime::Handle;

/// How long another runtime may take to run an empty task. A running one needs no time.
const PATIENCE: Duration = Duration::from_secs(5);

/// The runtime in which a session was opened.
#[derive(Clone)]
pub(super) struct Driver(Option<Handle>);

/// The state of a [`Driver`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DriverState {
    /// It runs.
    Running,
    /// It was shut down, and its tasks with it.
    Gone,
    /// It runs no tasks: a runtime of one thread outside of `block_on`.
    Idle,
}

impl Driver {
    /// The current runtime.
    pub(super) fn current() -> Self {
        Self(Handle::try_current().ok())
    }

    /// Costs nothing in the runtime itself.
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
