//! Waiting for servers and agents during a login.

use std::time::Duration;

use fabric_core::error::TimeLimit;
use fabric_core::transport::OpenContext;
use fabric_core::{ConnectErrorKind, Phase, Target};

use crate::ssh::clock::{Clock, Expired};

/// After how long without an answer of the agent there is a warning.
const SLOW_AGENT: Duration = Duration::from_secs(2);

/// Waits for the agent, with a warning if it takes long.
pub(super) async fn unless_slow<T>(
    context: &OpenContext,
    slow: impl FnOnce() -> String,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = tokio::time::sleep(SLOW_AGENT) => context.events.warn(slow()),
    }
    work.await
}

pub(super) fn too_late(limit: Option<Duration>) -> ConnectErrorKind {
    ConnectErrorKind::TimedOut { phase: Phase::Auth, after: limit.unwrap_or_default(), setting: TimeLimit::Auth }
}

/// Waits for an answer of the server.
pub(super) async fn answered<T>(
    clock: &Clock,
    target: &Target,
    work: impl Future<Output = T>,
) -> Result<T, ConnectErrorKind> {
    let limit = target.timeouts.auth;
    clock.limit(limit, work).await.map_err(|Expired| too_late(limit))
}
