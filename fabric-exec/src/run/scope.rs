//! What one execution of a task is to all of its hosts.

use std::sync::Arc;

use fabric_core::settings::{Map, Overlay};
use fabric_core::{HostString, Layer, Origin};
use parking_lot::Mutex;

use super::state::RunState;
use crate::hostlist::{Around, HostList, Listed, with_settings};
use crate::plan::{GuardKind, Job, Strategy};
use crate::report::Execution;
use crate::task::{Apart, Context, LENIENCY, Scope, TaskId, task_overlay, without_leniency};

#[allow(clippy::too_many_arguments, reason = "each is another part of an execution; it is made in one place")]
/// What an execution of a job is to its hosts.
pub(super) fn of(
    run: &RunState,
    job: &Job,
    list: &HostList,
    hosts: Vec<Arc<str>>,
    strategy: Strategy,
    parent: Option<&Context>,
    key: Option<Arc<str>>,
    execution: Execution,
) -> Scope {
    let path = path_around(job, parent).iter().map(TaskId::same).chain([job.task.id()]).collect();
    // What is in force around an `execute` stays so in what it executes (Fabric 1).
    let mut overlays: Vec<Overlay> = parent.map(Context::passed_on).unwrap_or_default();
    let is_check = job.is(GuardKind::Health) || parent.is_some_and(|parent| parent.scope().is_check);
    overlays.extend(task_overlay(&job.task).map(|own| if is_check { without_leniency(&own) } else { own }));
    if job.is(GuardKind::Health) {
        overlays.push(step_overlay("health check", &LENIENCY, false));
    }
    let parallel = strategy.window > 1;
    let linewise = parallel || parent.is_some_and(|parent| parent.scope().at_once.is_some());
    let at_once: &[&str] = if parallel { &["parallel", "linewise"] } else { &["linewise"] };
    let moves = parallel && !job.task.runs_once && job.task.body.moves_files();
    let at_once_files = if moves { list.hosts.clone() } else { Vec::new() };
    let emitter = run.gathering(&run.inputs.emitter, execution, None).for_task(job.name.clone());
    let condition = parent.and_then(|parent| parent.emitter().condition());
    Scope {
        name: job.name.clone(),
        args: job.args.clone(),
        hosts,
        around: around(list, parent),
        roles: list.roles.clone(),
        emitter: condition.map(|condition| emitter.on_condition(condition)).unwrap_or(emitter),
        overlays,
        is_check,
        at_once: linewise.then(|| step_overlay("parallel execution", at_once, true)),
        env: parent.map_or(&run.env, Context::env).clone(),
        forks: strategy.parallel && !job.task.runs_once && !list.is_local(),
        hidden: parent.map(Context::hidden).unwrap_or_default(),
        serial: !parallel && parent.is_none_or(|parent| parent.scope().serial),
        path,
        key,
        execution,
        usage: Mutex::default(),
        apart: Apart::new(&list.hosts, parallel, at_once_files, parent.map(Context::apart)),
    }
}

/// The hosts of this list, and of those around it, that came with settings.
fn around(list: &HostList, parent: Option<&Context>) -> Arc<Around> {
    let own = with_settings(&list.hosts);
    let Some(outer) = parent.map(|parent| &parent.scope().around) else { return Arc::new(own) };
    let is_known = |(host, listed): (&HostString, &Listed)| outer.get(host) == Some(listed);
    if own.iter().all(is_known) {
        return outer.clone();
    }
    let mut all = own;
    for (host, listed) in &**outer {
        all.entry(host.clone()).or_insert_with(|| listed.clone());
    }
    Arc::new(all)
}

/// The tasks in whose runs a job is executed, outermost first.
pub(super) fn path_around<'a>(job: &'a Job, parent: Option<&'a Context>) -> &'a [TaskId] {
    match (&job.guard, parent) {
        (Some(guard), _) => &guard.path,
        (None, Some(parent)) => &parent.scope().path,
        (None, None) => &[],
    }
}

fn step_overlay(origin: &str, names: &[&str], value: bool) -> Overlay {
    let values: Map = names.iter().map(|name| ((*name).to_owned(), value.into())).collect();
    Overlay::new(Origin::place(Layer::Step, origin), values)
}
