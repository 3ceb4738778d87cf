//! A task on one host: its tries, and what its end means.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fabric_core::{EventKind, HostStatus};

use super::state::RunState;
use crate::journal::Line;
use crate::report::HostResult;
use crate::task::{Backoff, Context, TaskError};

/// The first pause between tries.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Runs the body until it succeeds or its tries are used up.
pub(super) async fn run_on_host(run: Arc<RunState>, context: Context) -> HostResult {
    tracing::trace!(route = "a task on one host, tries included");
    let began = Instant::now();
    let retries = context.settings().map_or(0, |settings| settings.retries);
    let backoff = Backoff::new(retries).delay(FIRST_PAUSE);
    let mut attempt = 1;
    let (context, ended) = loop {
        let context = context.again(attempt);
        let ended = context.task().body.call(context.clone()).await;
        let Err(error) = &ended else { break (context, ended) };
        let Some(pause) = backoff.pause(attempt).filter(|_| error.is_worth_a_retry()) else { break (context, ended) };
        if context.wait_before_retry(attempt, error, pause).await.is_err() {
            break (context, ended);
        }
        // What the try executed counts no more.
        let executions = run.ledger.supersede(&context.take_executed());
        if !executions.is_empty() {
            run.record(|| Line::Superseded { executions });
        }
        attempt += 1;
        context.emitter().emit(EventKind::host_started(attempt));
    };
    // The task may have set them.
    let (warn_only, skip_bad_hosts) =
        context.settings().map_or((false, false), |settings| (settings.warn_only, settings.skip_bad_hosts));
    let mut result = HostResult {
        attempts: attempt,
        duration: began.elapsed(),
        hidden: context.take_hidden(),
        ..HostResult::new(context.host().map(|host| host.as_str().to_owned()), HostStatus::Ok)
    };
    let hidden = ended.as_ref().err().and_then(|error| error.fabric()?.hidden_output());
    result.hidden.error.extend(hidden.map(|text| context.discreet(text)));
    match ended {
        Ok(value) => {
            result.value = value;
            if let Some(error) = context.tolerated() {
                result.status = HostStatus::Failed;
                result.error = Some(context.discreet(error));
                result.tolerated = true;
            }
        }
        Err(error) => {
            let text = context.discreet(error.to_string());
            if error.is_usage() {
                context.scope().note_usage(text.clone());
            }
            result.status = error.status();
            result.tolerated = match result.status {
                HostStatus::Unreachable => skip_bad_hosts,
                // A time limit is never softened (Fabric 1).
                HostStatus::TimedOut => false,
                _ => warn_only && is_failure_of_work(&error),
            };
            if result.tolerated {
                context.warn(match result.status {
                    HostStatus::Unreachable => format!("{error}; the host is skipped"),
                    _ => error.to_string(),
                });
            }
            result.error = Some(text);
        }
    }
    result
}

/// Whether an error is what a command or transfer of code came to, which is what `warn_only` is about. A declared step has
/// gone by it already, or by a `warn_only` of its own.
fn is_failure_of_work(error: &TaskError) -> bool {
    use fabric_core::Error;
    matches!(error, TaskError::Fabric(Error::UnexpectedExit(_) | Error::File { .. }))
}
