//! A run from its first call to its report.

use std::sync::Arc;
use std::time::Duration;

use fabric_core::EventKind;

use super::execute::execute;
use super::ledger::Account;
use super::state::RunState;
use crate::journal::Line;
use crate::plan::{Call, RunError};
use crate::report::{Ending, Report};

/// How long sessions may take to close at an interrupt's repetition.
const LAST_STOPS: Duration = Duration::from_secs(1);

/// The run, from its first call to its report.
pub(super) async fn start(run: Arc<RunState>, calls: Vec<Call>) -> Result<Report, RunError> {
    let jobs = run.lists.check(&calls)?;
    if let Some(earlier) = &run.inputs.earlier {
        run.record(|| Line::Earlier { done: earlier.done.clone() });
    }
    let tasks = run.inputs.shown_tokens(&calls);
    run.inputs.emitter.emit(EventKind::run_started(tasks));
    let sole_command = matches!(calls.as_slice(), [Call::Command(_)]);
    let mut ending = Ending::Ok;
    let mut usage = None;
    let mut done = jobs.is_empty() && !calls.is_empty();
    let mut jobs = jobs.into_iter();
    while let Some((job, token)) = jobs.next() {
        if run.inputs.means.interrupt.is_stopping() {
            run.ledger.not_started([token]);
            break;
        }
        match execute(run.clone(), job, None).await {
            Ok(outcome) => {
                if outcome.not_begun {
                    run.ledger.not_started([token]);
                }
                done |= !outcome.emptied;
                if !outcome.reasons.is_empty() {
                    ending = ending.max(Ending::Failed);
                }
                if outcome.usage.is_some() {
                    usage = outcome.usage;
                }
                if outcome.halt {
                    outcome.advice.filter(|_| jobs.len() > 0).into_iter().for_each(|advice| run.ledger.advise(advice));
                    break;
                }
            }
            Err(error) => {
                usage = Some(error.to_string());
                break;
            }
        }
    }
    run.ledger.not_started(jobs.map(|(_, token)| token));
    if run.ledger.has_gone_on() {
        ending = ending.max(Ending::Failed);
    }
    if usage.is_some() {
        ending = Ending::Usage;
    }
    if run.inputs.means.interrupt.is_stopping() {
        ending = Ending::Interrupted;
    }
    if ending == Ending::Ok && !done {
        ending = Ending::NothingRan;
    }
    if let Some(warning) = run.lists.never_matched() {
        run.inputs.emitter.warn(warning);
    }
    let close = async {
        run.connections.close_all().await;
    };
    tokio::select! {
        () = close => {}
        // Who interrupts again waits for nothing but what can be done at once.
        () = async {
            run.inputs.means.interrupt.aborting().await;
            tokio::time::sleep(LAST_STOPS).await;
        } => {}
    }
    let left = run.inputs.means.input.left_over();
    if left > 0 && !run.inputs.means.dry_run {
        run.inputs.emitter.warn(format!(
            "standard input was not read, {left} bytes wait there: a step takes it with `stdin = true`, and `--no-stdin` \
             leaves it alone without this warning"
        ));
    }
    Ok(report(&run, ending, usage, sole_command))
}

fn report(run: &RunState, ending: Ending, error: Option<String>, sole_command: bool) -> Report {
    let Account { mut tasks, hosts, not_started, advice, sole } = run.ledger.close();
    run.give_commands(&mut tasks);
    let duration = run.started.1.elapsed();
    let sole = sole.filter(|_| sole_command && hosts.len() == 1);
    let report = Report {
        run: run.inputs.emitter.run().to_string(),
        started: run.started.0,
        duration,
        ending,
        error,
        tasks,
        hosts: hosts.iter().map(|(host, report)| (host.to_string(), report.clone())).collect(),
        not_started: not_started.clone(),
        sole_command: sole,
        shard: run.inputs.shard.map(|shard| shard.to_string()),
    };
    if run.inputs.means.input.was_given() {
        run.record(|| Line::TookInput);
    }
    run.record(|| Line::Ended { ending });
    let errors = hosts.iter().filter_map(|(host, report)| Some((host.clone(), report.error.clone()?))).collect();
    let hosts = hosts.into_iter().map(|(host, report)| (host, report.status)).collect();
    let summary = EventKind::summary(hosts, errors, not_started, advice.map(str::to_owned), duration);
    run.inputs.emitter.emit(summary);
    report
}
