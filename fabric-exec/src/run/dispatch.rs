//! One execution of a task: its hosts started in order, by its strategy, and all that comes back.
//!
//! The dispatcher owns the state of an execution. Hosts run in tasks of the runtime (never in threads of
//! their own), so that a panic is one host's failure and giving up is dropping.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fabric_core::{EventKind, HostStatus, Value};
use jiff::Timestamp;
use tokio::task::{Id, JoinSet};

use super::host::run_on_host;
use super::lanes::Lane;
use super::once::Claim;
use super::scope;
use super::state::RunState;
use crate::hostlist::HostList;
use crate::journal::Line;
use crate::plan::{GuardKind, Job, Outcome, RunError, Strategy};
use crate::report::{Execution, HostResult, TaskReport};
use crate::task::{Context, Interrupt, Scope};

tokio::task_local! {
    /// There while a task's body runs.
    static IN_TASK: ();
}

/// Whether what runs here and now is a task's body: a panic in it is the task's, not this program's.
pub fn is_in_task() -> bool {
    IN_TASK.try_with(|()| ()).is_ok()
}

/// How long bodies have after the first interrupt before they are given up.
const GRACE: Duration = Duration::from_secs(10);

/// Hosts that run commands, which one thread serves before another is begun for more of them.
const LIGHT: usize = 16;

/// So many hosts are begun before the first of them is under way.
const BEGUN_TOGETHER: usize = 64;

/// One execution on its host list.
pub(super) struct Dispatcher<'a> {
    pub(super) run: &'a Arc<RunState>,
    pub(super) job: &'a Job,
    pub(super) scope: Arc<Scope>,
    pub(super) list: HostList,
    strategy: Strategy,
    pub(super) results: Vec<Option<HostResult>>,
    failures: usize,
    pub(super) gate_closed: bool,
    /// Why it failed, hosts' own failures apart.
    pub(super) reasons: Vec<String>,
    usage: Option<String>,
    /// In which task's run it is executed.
    pub(super) parent: Option<&'a Context>,
}

impl<'a> Dispatcher<'a> {
    pub(super) fn new(
        run: &'a Arc<RunState>,
        job: &'a Job,
        list: HostList,
        strategy: Strategy,
        parent: Option<&'a Context>,
        key: Option<Arc<str>>,
    ) -> Self {
        let report = TaskReport {
            task: job.name.to_string(),
            strategy: strategy.name(list.hosts.len(), list.is_local()).to_owned(),
            started: Timestamp::now(),
            duration: Duration::ZERO,
            superseded: false,
            results: Vec::new(),
        };
        let hosts: Vec<Arc<str>> = list.names().map(Arc::from).collect();
        // What is done once a run is not made again with the try that came to it.
        let retried = parent.filter(|_| job.around.is_none() && !job.task.runs_once);
        let execution = run.ledger.begin(report, retried.map(Context::execution), &hosts);
        if let Some(parent) = retried {
            parent.executes(execution);
        }
        let places = list.hosts.len().max(1);
        let scope = scope::of(run, job, &list, hosts, strategy, parent, key, execution);
        Self {
            run,
            job,
            scope: Arc::new(scope),
            list,
            strategy,
            results: vec![None; places],
            failures: 0,
            gate_closed: false,
            reasons: Vec::new(),
            usage: None,
            parent,
        }
    }

    fn execution(&self) -> Execution {
        self.scope.execution
    }

    pub(super) async fn run(mut self, settings: &fabric_core::Settings) -> Result<Outcome, RunError> {
        let began = Instant::now();
        let strategy = self.strategy.name(self.list.hosts.len(), self.list.is_local()).to_owned();
        let hosts = self.scope.hosts.clone();
        self.run
            .record(|| Line::TaskStarted { key: self.key(), hosts: hosts.iter().map(ToString::to_string).collect() });
        let env = self.scope.env.values();
        self.scope.emitter.ready().await;
        self.scope.emitter.emit(EventKind::task_started(hosts.clone(), strategy));

        let mut value = Value::Null;
        if self.job.task.runs_once {
            value = self.run_once().await;
        } else if self.list.is_local() {
            self.run_window(&[0]).await;
        } else {
            self.run_batches(&hosts).await;
        }
        let halt = self.halts() || self.run.inputs.means.interrupt.is_stopping();
        let has_ok = self.results.iter().flatten().any(|result| result.status == HostStatus::Ok);
        let advice = (has_ok && self.has_too_many_failures()).then(|| self.strategy.advice());
        self.advise();
        self.finish_skipped(&value);
        let failed = self.results.iter().flatten().filter(|result| result.status.is_failure() && !result.tolerated);
        let mut reasons: Vec<String> =
            failed.map(|result| result.error.clone().unwrap_or_else(|| result.status.to_string())).collect();
        reasons.append(&mut self.reasons);
        if halt {
            self.roll_back().await;
        }
        let sets = !Arc::ptr_eq(&env, &self.scope.env.values());
        self.run.record(|| {
            let values = sets.then(|| self.run.recordable_state(&env, &self.scope.env)).flatten();
            Line::TaskFinished { key: self.key(), sets, values }
        });
        self.scope.emitter.emit(EventKind::task_finished(began.elapsed()));
        if settings.eagerly_disconnect {
            self.run.connections.close_idle().await;
        }
        let execution = self.execution();
        let results: Vec<HostResult> = self.results.into_iter().flatten().collect();
        self.run.ledger.end(execution, &results, began);
        let tried = results.iter().any(|result| result.status.is_failure() && result.attempts > 1);
        let settled = tried || self.job.task.runs_once;
        Ok(Outcome { results, reasons, settled, halt, usage: self.usage, advice, ..Outcome::default() })
    }

    pub(super) fn key(&self) -> Option<String> {
        self.scope.key.as_deref().map(str::to_owned)
    }

    /// Whether nothing may be started behind what runs.
    fn halts(&self) -> bool {
        let is_wrong = self.usage.is_some() && !self.job.is(GuardKind::Rollback);
        self.has_too_many_failures() || self.gate_closed || is_wrong
    }

    fn has_too_many_failures(&self) -> bool {
        self.strategy.is_exceeded(self.failures, || self.run.ledger.lost_of_all())
    }

    /// Whether it goes on without hosts that fail.
    fn allows_failures(&self) -> bool {
        self.strategy.may_fail(self.run.ledger.lost_of_all().1) > 0
    }

    pub(super) fn may_go_on(&self) -> bool {
        !self.halts() && !self.run.inputs.means.interrupt.is_stopping()
    }

    /// Whether a further host of the same batch may be started.
    fn may_start(&self) -> bool {
        let fails = self.strategy.stops_at_failure() && self.has_too_many_failures();
        let is_wrong = self.usage.is_some() && !self.job.is(GuardKind::Rollback);
        !fails && !is_wrong && !self.run.inputs.means.interrupt.is_stopping()
    }

    /// Tells how the hosts that were not started would have been, or will be.
    fn advise(&self) {
        let left = |(place, result): (usize, &Option<HostResult>)| {
            result.is_none() && self.list.hosts.get(place).is_some_and(|listed| !self.was_lost(listed.host.as_str()))
        };
        if self.job.task.runs_once || !self.results.iter().enumerate().any(left) {
            return;
        }
        let stopped = self.run.inputs.means.interrupt.is_stopping() || self.gate_closed || self.usage.is_some();
        self.run.ledger.advise(if stopped { "--retry-failed goes on with them" } else { self.strategy.advice() });
    }

    async fn run_batches(&mut self, hosts: &[Arc<str>]) {
        // A host that failed in an earlier task of this run is not touched again.
        let (left_out, places): (Vec<usize>, Vec<usize>) =
            (0..hosts.len()).partition(|place| self.was_lost(&hosts[*place]));
        if !left_out.is_empty() {
            let names = fabric_core::host::fold(left_out.iter().map(|place| &*hosts[*place]));
            let verb = if left_out.len() == 1 { "it has" } else { "they have" };
            self.scope.emitter.warn(format!("`{}` leaves out {names}: {verb} failed in this run", self.job.name));
        }
        let batches = self.strategy.batches(&places);
        for (index, batch) in batches.iter().enumerate() {
            if !self.may_go_on() {
                break;
            }
            if batches.len() > 1 {
                let names = batch.iter().map(|place| hosts[*place].clone()).collect();
                let (batch, batches) = (index + 1, batches.len());
                self.scope.emitter.emit(EventKind::batch_started(batch, batches, names));
            }
            self.run_window(batch).await;
            if self.may_go_on() {
                let left = batches[index + 1..].iter().map(|batch| batch.len()).sum();
                let hosts = batch.iter().map(|place| self.list.hosts[*place].clone()).collect();
                self.gate(hosts, index == 0, left).await;
            }
        }
    }

    /// Whether a host failed in an earlier task and is left out by this one. A host in whose run it is executed is not:
    /// that run is not at its end.
    fn was_lost(&self, host: &str) -> bool {
        let own = || self.parent.and_then(Context::host).is_some_and(|own| own.as_str() == host);
        let ledger = &self.run.ledger;
        let is_lost = || ledger.is_lost(host) && self.allows_failures();
        (ledger.is_left_out(host) || is_lost()) && !self.job.is(GuardKind::Rollback) && !own()
    }

    /// Runs these places of the list, at most a window of them at the same time, started in order.
    async fn run_window(&mut self, places: &[usize]) {
        let mut waiting = places.iter();
        let mut running: JoinSet<HostResult> = JoinSet::new();
        let mut at: HashMap<Id, (usize, Instant, Arc<Lane>)> = HashMap::new();
        let interrupt = self.run.inputs.means.interrupt.clone();
        let full = if self.job.task.body.moves_files() { 1 } else { LIGHT };
        let mut giving_up = false;
        loop {
            let starts = !waiting.as_slice().is_empty() && running.len() < self.strategy.window && self.may_start();
            if !starts && running.is_empty() {
                return;
            }
            let done = tokio::select! {
                // What has ended may mean that nothing more is started.
                biased;
                Some(done) = running.join_next_with_id() => done,
                () = given_up(&interrupt), if !giving_up => {
                    giving_up = true;
                    running.abort_all();
                    continue;
                }
                // A host that would only wait for its turn to log in is not begun yet.
                () = self.run.connections.ready(), if starts => {
                    let Some(place) = waiting.next() else { continue };
                    let context = self.context(*place);
                    if let Some(host) = context.host() {
                        self.run.connections.at_work(host);
                    }
                    context.emitter().ready().await;
                    let host = context.host().map(|host| host.as_str().to_owned());
                    self.run.record(|| Line::HostStarted { host });
                    context.emitter().emit(EventKind::host_started(1));
                    let lane = self.run.lanes.freest(full);
                    let id = running.spawn_on(IN_TASK.scope((), run_on_host(self.run.clone(), context)), &lane.runtime).id();
                    at.insert(id, (*place, Instant::now(), lane));
                    if running.len().is_multiple_of(BEGUN_TOGETHER) {
                        // So that they come as far as that.
                        tokio::task::yield_now().await;
                    }
                    continue;
                }
            };
            let (id, result) = match done {
                Ok((id, result)) => (id, Ok(result)),
                Err(error) => (error.id(), Err(error)),
            };
            let Some((place, began, _)) = at.remove(&id) else { continue };
            let result = result.unwrap_or_else(|error| self.lost(place, error, began));
            self.finish(place, result);
        }
    }

    /// A runs-once task: whoever comes first does it, on the first host of its list. What it returned is the value of every
    /// host.
    async fn run_once(&mut self) -> Value {
        // A guard is asked each time.
        if self.job.guard.is_some() {
            self.run_window(&[0]).await;
            return self.results[0].as_ref().map(|result| result.value.clone()).unwrap_or_default();
        }
        let value = match self.run.once.claim(self.job.once()) {
            Claim::Mine(owner) => {
                self.run_window(&[0]).await;
                let value = match &self.results[0] {
                    Some(result) if result.status == HostStatus::Ok || result.tolerated => Ok(result.value.clone()),
                    Some(result) => Err(result.error.clone().unwrap_or_default()),
                    None => Err("it was never started".to_owned()),
                };
                owner.finish(value.clone());
                value
            }
            Claim::Theirs(receiver) => {
                let value = tokio::select! {
                    value = self.run.once.wait(receiver) => value,
                    () = self.run.inputs.means.interrupt.stopping() => Err("interrupted".to_owned()),
                };
                if let Err(error) = &value {
                    let reason = format!("`{}` runs once a run and has failed: {error}", self.job.name);
                    self.failures += 1;
                    self.scope.emitter.warn(&reason);
                    self.reasons.push(reason);
                }
                value
            }
        };
        value.unwrap_or_default()
    }

    fn context(&self, place: usize) -> Context {
        let listed = self.list.hosts.get(place);
        Context::new(self.run.clone(), self.job.task.clone(), self.scope.clone(), listed)
    }

    fn result(&self, place: usize, status: HostStatus, error: Option<String>, value: Value) -> HostResult {
        let host = self.list.hosts.get(place).map(|listed| listed.host.as_str().to_owned());
        HostResult { error, value, ..HostResult::new(host, status) }
    }

    /// The result of a host whose task did not come back: it panicked or was given up.
    fn lost(&self, place: usize, error: tokio::task::JoinError, began: Instant) -> HostResult {
        let text = match error.try_into_panic() {
            Ok(panic) => {
                let text = panic
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_default();
                format!("the task panicked: {text}")
            }
            Err(_) => "interrupted; what it started on the host may still be running".to_owned(),
        };
        let mut result = self.result(place, HostStatus::Failed, Some(text), Value::Null);
        result.attempts = 1;
        result.duration = began.elapsed();
        result
    }

    fn finish(&mut self, place: usize, mut result: HostResult) {
        let emitter = match self.list.hosts.get(place) {
            Some(listed) => self.scope.emitter.for_host(listed.host.as_str()),
            None => self.scope.emitter.clone(),
        };
        if let Some(usage) = self.scope.take_usage() {
            self.usage.get_or_insert(usage);
        }
        if result.status.is_failure() && !result.tolerated {
            self.failures += 1;
        }
        self.run.record(|| Line::HostFinished {
            execution: Some(self.execution()),
            key: self.key(),
            host: emitter.host().map(ToString::to_string),
            status: result.status,
            value: self.parent.and_then(|_| self.run.recordable(&result.value)),
        });
        emitter.emit(EventKind::host_finished(result.status, result.error.clone(), result.duration));
        if let Some(host) = emitter.host() {
            self.run.ledger.host_finished(self.execution(), host, &result, self.allows_failures());
        }
        if let Some(listed) = self.list.hosts.get(place) {
            self.run.connections.at_rest(&listed.host);
            if self.parent.is_none() {
                self.run.connections.release(&listed.host, self.job.last);
            }
        }
        result.host = emitter.host().map(ToString::to_string);
        self.results[place] = Some(result);
    }

    /// Hosts that were never started have a result and an event, too, with this value.
    fn finish_skipped(&mut self, value: &Value) {
        for place in 0..self.results.len() {
            if self.results[place].is_none() {
                let result = self.result(place, HostStatus::Skipped, None, value.clone());
                if let Some(host) = &result.host {
                    let skipped = EventKind::host_finished(HostStatus::Skipped, None, Duration::ZERO);
                    self.scope.emitter.for_host(host.as_str()).emit(skipped);
                }
                self.results[place] = Some(result);
            }
        }
    }
}

/// Waits until what runs is to be given up: at the second interrupt, or a while after the first.
async fn given_up(interrupt: &Interrupt) {
    tokio::select! {
        () = interrupt.aborting() => {}
        () = async {
            interrupt.stopping().await;
            tokio::time::sleep(GRACE).await;
        } => {}
    }
}
