//! What one execution of a task is to all of its hosts: what it was called with, and what is in force around it.

use std::sync::Arc;

use fabric_core::settings::{Map, Overlay};
use fabric_core::{Emitter, Layer, Origin};
use parking_lot::Mutex;

use super::apart::Apart;
use super::context::Context;
use super::job::{GuardKind, Job};
use super::ledger::Execution;
use super::shared::{Shared, task_overlay};
use super::strategy::Strategy;
use super::{Env, Hide};
use crate::hostlist::{Around, HostList, with_settings};
use crate::task::{Args, Task, TaskId};

/// What one execution of a task has in common for all its hosts.
pub(crate) struct Scope {
    pub(crate) task: Arc<Task>,
    pub(crate) name: Arc<str>,
    pub(crate) args: Args,
    pub(crate) hosts: Vec<Arc<str>>,
    /// Those hosts that came with settings.
    pub(crate) around: Around,
    pub(crate) roles: Vec<String>,
    pub(crate) emitter: Emitter,
    pub(super) overlays: Vec<Overlay>,
    /// Whether it is a health check, or executed by one.
    is_check: bool,
    /// What being one of several hosts at the same time makes of the settings.
    pub(super) at_once: Option<Overlay>,
    /// Shared state, as its hosts find it.
    pub(crate) env: Env,
    /// Whether each host has shared state of its own while it is at work, as Fabric 1's processes had.
    pub(super) forks: bool,
    /// What isn't shown around the `execute` that it comes from.
    pub(super) hidden: Hide,
    /// Whether no other host is at work at the same time, so that a person's keys can be meant for this one.
    pub(super) serial: bool,
    /// The tasks in whose runs this one is executed, outermost first, and itself.
    pub(crate) path: Vec<TaskId>,
    /// What tells it apart from the run's other executions; see [`Shared::key`].
    pub(crate) key: Option<Arc<str>>,
    /// Its place in the ledger.
    pub(crate) execution: Execution,
    usage: Mutex<Option<String>>,
    pub(super) apart: Apart,
}

impl Scope {
    #[allow(clippy::too_many_arguments, reason = "each is another part of an execution; it is made in one place")]
    pub(crate) fn new(
        shared: &Shared,
        job: &Job,
        list: &HostList,
        hosts: Vec<Arc<str>>,
        strategy: Strategy,
        parent: Option<&Context>,
        key: Option<Arc<str>>,
        execution: Execution,
    ) -> Self {
        let path = Self::path_around(job, parent).iter().map(TaskId::same).chain([job.task.id()]).collect();
        // What is in force around an `execute` stays so in what it executes (Fabric 1).
        let mut overlays: Vec<Overlay> = parent.map(Context::passed_on).unwrap_or_default();
        let in_check = parent.is_some_and(|parent| parent.scope().is_check);
        overlays.extend(task_overlay(&job.task).map(|own| if in_check { without_leniency(own) } else { own }));
        if job.is(GuardKind::Health) {
            overlays.push(step_overlay("health check", &LENIENCY, false));
        }
        let parallel = strategy.window > 1;
        let linewise = parallel || parent.is_some_and(|parent| parent.scope().at_once.is_some());
        let at_once: &[&str] = if parallel { &["parallel", "linewise"] } else { &["linewise"] };
        let emitter = shared.gathering(&shared.emitter, execution, None).for_task(job.name.clone());
        let condition = parent.and_then(|parent| parent.emitter().condition());
        Self {
            task: job.task.clone(),
            name: job.name.clone(),
            args: job.args.clone(),
            hosts,
            around: with_settings(&list.hosts),
            roles: list.roles.clone(),
            emitter: condition.map(|condition| emitter.on_condition(condition)).unwrap_or(emitter),
            overlays,
            is_check: in_check || job.is(GuardKind::Health),
            at_once: linewise.then(|| step_overlay("parallel execution", at_once, true)),
            env: parent.map_or(&shared.env, Context::env).clone(),
            forks: strategy.parallel && !job.task.runs_once && !list.is_local(),
            hidden: parent.map(Context::hidden).unwrap_or_default(),
            serial: !parallel && parent.is_none_or(|parent| parent.scope().serial),
            path,
            key,
            execution,
            usage: Mutex::default(),
            apart: Apart::new(&job.task, list, parallel, parent.map(Context::apart)),
        }
    }

    /// The tasks in whose runs a job is executed, outermost first.
    pub(super) fn path_around<'a>(job: &'a Job, parent: Option<&'a Context>) -> &'a [TaskId] {
        match (&job.guard, parent) {
            (Some(guard), _) => &guard.path,
            (None, Some(parent)) => &parent.scope().path,
            (None, None) => &[],
        }
    }

    pub(crate) fn tell_usage(&self, message: String) {
        self.usage.lock().get_or_insert(message);
    }

    pub(crate) fn take_usage(&self) -> Option<String> {
        self.usage.lock().take()
    }
}

/// The settings that make a failure a warning.
const LENIENCY: [&str; 2] = ["warn_only", "skip_bad_hosts"];

/// A task's own settings in a health check, where only what a step says makes a failure a warning.
fn without_leniency(mut own: Overlay) -> Overlay {
    Arc::make_mut(&mut own.values).retain(|name, _| !LENIENCY.contains(&name.as_str()));
    own
}

fn step_overlay(origin: &str, names: &[&str], value: bool) -> Overlay {
    let values: Map = names.iter().map(|name| ((*name).to_owned(), value.into())).collect();
    Overlay::new(Origin::place(Layer::Step, origin), values)
}
