//! One execution of a task: its hosts started in order, by its strategy, and all that comes back.
//!
//! The dispatcher owns the state of an execution. Hosts run in tasks of the runtime (never in threads of
//! their own), so that a panic is one host's failure and giving up is dropping.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use fabric_core::{EventKind, HostStatus, PromptKind, PromptRequest, Value};
use jiff::Timestamp;
use tokio::task::{Id, JoinSet};

use super::RunError;
use super::again::with_before;
use super::connections::descriptors;
use super::context::{Context, Scope};
use super::host::run_on_host;
use super::lanes::Lane;
use super::lists::{Inside, Shares};
use super::once::Claim;
use super::shared::{Shared, millis};
use crate::hostlist::{Around, Emptied, HostList, Level, Listed, Selection, Share};
use crate::journal::Line;
use crate::report::{Hidden, HostResult, TaskReport};
use crate::task::{Args, Invocation, Mode, Task, TaskId};

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

/// A task with its arguments, ready to be executed.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) task: Arc<Task>,
    pub(crate) name: Arc<str>,
    pub(crate) args: Args,
    pub(crate) selection: Selection,
    /// The hosts it runs on, where no list is to be made: those on which another task has begun.
    pub(crate) exactly: Option<Arc<[Listed]>>,
    /// As which call of `pre` or `post`, which are once a run.
    pub(crate) around: Option<String>,
    /// Whether nothing follows in this run on a host once this has ended there.
    pub(crate) last: bool,
}

/// What makes two calls of `pre` or `post` one, whatever names and spellings they have: the task, and what it is given.
pub(crate) type SameCall = (TaskId, String);

impl Job {
    pub(crate) fn same_call(&self) -> SameCall {
        (self.task.id(), serde_json::json!([self.args, self.selection]).to_string())
    }
}

/// What an execution came to.
#[derive(Default)]
pub(crate) struct Outcome {
    /// In the order of the host list.
    pub(crate) results: Vec<HostResult>,
    /// Why it failed, if it did: every failure that nobody asked to be a warning.
    pub(crate) reasons: Vec<String>,
    /// Whether nothing more may be started.
    pub(crate) halt: bool,
    /// Whether nothing ran, because the host list was emptied.
    pub(crate) emptied: bool,
    /// What was wrong with the fabfile or the settings, if that is why.
    pub(crate) usage: Option<String>,
    /// Which option would have gone on to the next task on the hosts that are left.
    pub(crate) advice: Option<&'static str>,
}

/// How an execution goes over its hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Strategy {
    /// How many hosts at the same time.
    pub(crate) window: usize,
    /// How many hosts come first, where that is another number than [`Strategy::batch`].
    pub(crate) canary: Option<usize>,
    /// How many hosts before the next ones.
    pub(crate) batch: usize,
    /// How many hosts may fail.
    pub(crate) may_fail: usize,
    /// Whether hosts are independent of one another, however few of them run at the same time.
    parallel: bool,
    /// Whether somebody has said how many hosts may fail.
    limited: bool,
}

impl Strategy {
    /// For a list of `total` hosts.
    pub(crate) fn of(task: &Task, settings: &fabric_core::Settings, total: usize) -> Result<Self, RunError> {
        let Shares { batch, max_failures } = Shares::of(settings)?;
        let parallel = match task.mode {
            Some(mode) => mode == Mode::Parallel,
            // A batch is a number of hosts at the same time.
            None => !task.runs_once && (settings.parallel || batch.is_some() || task.rolling.canary.is_some()),
        };
        let pool = if settings.pool_size == 0 { total } else { settings.pool_size as usize };
        // Where it runs in one place only, whatever follows needs it.
        let max_failures = max_failures.filter(|_| total > 0 && !task.runs_once);
        Ok(Self {
            window: if parallel { pool.clamp(1, total.max(1)) } else { 1 },
            canary: task.rolling.canary.map(|share| share.of(total).max(1)),
            batch: batch.map_or(total, |share: Share| share.of(total)).max(1),
            may_fail: max_failures.map_or(0, |share: Share| share.at_most(total)),
            parallel,
            limited: max_failures.is_some(),
        })
    }

    /// The list in batches, the canary first.
    pub(crate) fn batches<T>(self, list: &[T]) -> Vec<&[T]> {
        let (canary, rest) = list.split_at(self.canary.unwrap_or(0).min(list.len()));
        std::iter::once(canary).filter(|batch| !batch.is_empty()).chain(rest.chunks(self.batch)).collect()
    }

    /// Whether failures beyond those that are allowed keep the hosts of the same batch from starting, and not only what
    /// comes behind it.
    fn stops_at_failure(self) -> bool {
        !self.parallel || self.limited
    }

    /// How hosts that were not started would have been, had too many others not failed.
    fn advice(self) -> &'static str {
        match self {
            Self { limited: true, .. } => "a higher --max-failures, or --keep-going, would have gone on",
            Self { parallel: true, .. } => "--keep-going or --max-failures would have gone on",
            _ => "--keep-going would have gone on",
        }
    }

    /// Its name in events and reports.
    pub(crate) fn name(self, total: usize, local: bool) -> &'static str {
        match self {
            _ if local => "local",
            Self { batch, canary, .. } if batch.min(canary.unwrap_or(batch)) < total => "batches",
            Self { parallel: true, .. } if total > 1 => "parallel",
            _ => "serial",
        }
    }
}

/// Hosts that run commands, which one thread serves before another is begun for more of them.
const LIGHT: usize = 16;

/// So many hosts are begun before the first of them is under way.
const BEGUN_TOGETHER: usize = 64;

/// How deep executions may be nested.
const DEEPEST: usize = 50;

/// Executes a job, `pre` and `post` included, inside `parent`'s run if there is one.
pub(crate) fn execute(
    shared: Arc<Shared>,
    job: Job,
    parent: Option<Context>,
) -> Pin<Box<dyn Future<Output = Result<Outcome, RunError>> + Send>> {
    Box::pin(async move {
        if let Some(parent) = &parent {
            let path = &parent.scope().path;
            // A dry run cannot know when a task that executes itself comes to its end.
            if parent.emitter().condition().is_some() && path.contains(&job.task.id()) {
                return Ok(Outcome::default());
            }
            let waits_for_itself = job.task.runs_once && path.contains(&job.task.id());
            if waits_for_itself || path.len() >= DEEPEST {
                return Err(RunError::Endless(job.name.to_string()));
            }
        }
        let mut before = around(&shared, &job.task.pre, parent.as_ref()).await?;
        // Failures are allowed for the hosts behind them, not for a task that needs this one.
        if before.halt || !before.reasons.is_empty() {
            before.halt = true;
            return Ok(before);
        }
        let mut outcome = execute_alone(&shared, &job, parent.as_ref()).await?;
        if !outcome.halt {
            let after = around(&shared, &job.task.post, parent.as_ref()).await?;
            outcome.reasons.extend(after.reasons);
            outcome.halt |= after.halt;
            outcome.usage = outcome.usage.or(after.usage);
        }
        Ok(outcome)
    })
}

/// Runs the calls that have not run in this run.
async fn around(shared: &Arc<Shared>, calls: &[Invocation], parent: Option<&Context>) -> Result<Outcome, RunError> {
    let mut all = Outcome::default();
    for call in calls {
        let job = Job { around: Some(shared.shown(call)), ..shared.job(call)? };
        let first = shared.around.lock().unwrap_or_else(PoisonError::into_inner).insert(job.same_call());
        if !first {
            continue;
        }
        let outcome = execute(shared.clone(), job, parent.cloned()).await?;
        all.reasons.extend(outcome.reasons);
        all.usage = all.usage.or(outcome.usage);
        if outcome.halt {
            all.halt = true;
            break;
        }
    }
    Ok(all)
}

async fn execute_alone(shared: &Arc<Shared>, job: &Job, parent: Option<&Context>) -> Result<Outcome, RunError> {
    let nothing = Around::new();
    let current = match parent {
        Some(parent) => shared.kept_host(parent.task(), parent.listed())?,
        None => None,
    };
    let around = parent.map_or(&nothing, |parent| &parent.scope().around);
    let mut list = shared.list_of(job, Inside { current, around }).await?;
    if list.is_local() && job.task.body.needs_host() {
        let host = shared.ask_for_host().await;
        list.asked(host.map_err(|source| RunError::NoHost { task: job.name.to_string(), source })?);
    }
    let emitter = shared.emitter.for_task(job.name.clone());
    for warning in &list.warnings {
        shared.warn_once(&emitter, warning);
    }
    if let (Some(outer), false) = (parent, list.level == Level::Current || list.is_local()) {
        let hosts = outer.all_hosts().len();
        if hosts > 1 && !outer.task().runs_once {
            shared.warn_multiplying(&job.name, outer.task_name(), hosts);
        }
    }
    let outer = parent.map(Context::as_outer);
    let key = shared.key(job, outer, parent.map_or(&shared.turns, Context::turns));
    let all = shared.earlier.as_ref().map(|_| list.names().map(str::to_owned).collect::<Vec<_>>());
    let all = all.unwrap_or_default();
    let before = shared.leave_done(key.as_deref(), &job.task, parent.is_some(), &mut list);
    if let Some(why) = list.emptied {
        let emptied = !matches!(why, Emptied::Share | Emptied::Done);
        return Ok(with_before(Outcome { emptied, ..Outcome::default() }, &all, before));
    }
    let settings = shared.task_settings(&job.task)?;
    let mut strategy = Strategy::of(&job.task, &settings, list.hosts.len())?;
    let each = || {
        let of_task = shared.task_layers(&job.task);
        let layers = |listed: &Listed| -> Vec<_> { listed.settings.iter().chain(&of_task).cloned().collect() };
        let targets = list.hosts.iter().filter_map(|it| shared.resolver.target(&it.host, &layers(it)).ok());
        targets.map(|target| descriptors(&target)).max().unwrap_or(1)
    };
    if let Some(most) = shared.connections.hosts_at_once(strategy.window, each) {
        let window = std::mem::replace(&mut strategy.window, most);
        let hosts = if most == 1 { "host" } else { "hosts" };
        emitter.warn(format!(
            "{most} {hosts} at the same time, not {window}: the limit on open files allows no more (`ulimit -n`)"
        ));
    }
    let outcome = Dispatcher::new(shared, job, list, strategy, parent, key).run(&settings).await?;
    Ok(with_before(outcome, &all, before))
}

/// One execution on its host list.
struct Dispatcher<'a> {
    shared: &'a Arc<Shared>,
    job: &'a Job,
    scope: Arc<Scope>,
    /// Its place in the report.
    report: usize,
    list: HostList,
    strategy: Strategy,
    results: Vec<Option<HostResult>>,
    failures: usize,
    gate_closed: bool,
    /// Why it failed, hosts' own failures apart.
    reasons: Vec<String>,
    usage: Option<String>,
    /// In which task's run it is executed.
    parent: Option<&'a Context>,
}

impl<'a> Dispatcher<'a> {
    fn new(
        shared: &'a Arc<Shared>,
        job: &'a Job,
        list: HostList,
        strategy: Strategy,
        parent: Option<&'a Context>,
        key: Option<Arc<str>>,
    ) -> Self {
        let report = shared.tell_task(TaskReport {
            task: job.name.to_string(),
            strategy: strategy.name(list.hosts.len(), list.is_local()).to_owned(),
            started: Timestamp::now(),
            duration: Duration::ZERO,
            results: Vec::new(),
        });
        let scope = Scope::new(shared, job, &list, strategy.window > 1, parent, key, report);
        let places = list.hosts.len().max(1);
        Self {
            shared,
            job,
            scope: Arc::new(scope),
            report,
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

    async fn run(mut self, settings: &fabric_core::Settings) -> Result<Outcome, RunError> {
        let began = Instant::now();
        let strategy = self.strategy.name(self.list.hosts.len(), self.list.is_local()).to_owned();
        let hosts: Vec<Arc<str>> = self.list.names().map(Arc::from).collect();
        for host in &hosts {
            self.shared.tell_host(host, HostStatus::Skipped, None, &Hidden::default());
        }
        self.shared
            .record(|| Line::TaskStarted { key: self.key(), hosts: hosts.iter().map(ToString::to_string).collect() });
        let env = self.shared.env.values();
        self.scope.emitter.ready().await;
        self.scope.emitter.emit(EventKind::TaskStarted { hosts: hosts.clone(), strategy });

        let mut value = Value::Null;
        if self.job.task.runs_once {
            value = self.run_once().await;
        } else if self.list.is_local() {
            self.run_window(&[0]).await;
        } else {
            self.run_batches(&hosts).await;
        }
        self.advise();
        self.tell_skipped(&value);
        let sets = !Arc::ptr_eq(&env, &self.shared.env.values());
        self.shared.record(|| Line::TaskFinished { key: self.key(), sets });
        self.scope.emitter.emit(EventKind::TaskFinished { duration_ms: millis(began.elapsed()) });
        if settings.eagerly_disconnect {
            self.shared.connections.close_all().await;
        }
        let report = self.report;
        let has_ok = self.results.iter().flatten().any(|result| result.status == HostStatus::Ok);
        let advice = (has_ok && self.has_too_many_failures()).then(|| self.strategy.advice());
        let halt = self.halts() || self.shared.interrupt.is_stopping();
        let results: Vec<HostResult> = self.results.into_iter().flatten().collect();
        let failed = results.iter().filter(|result| result.status.is_failure() && !result.tolerated);
        let reasons = failed.map(|result| result.error.clone().unwrap_or_else(|| result.status.to_string()));
        let outcome = Outcome {
            reasons: reasons.chain(self.reasons).collect(),
            results,
            halt,
            emptied: false,
            usage: self.usage,
            advice,
        };
        self.shared.end_task(report, &outcome, began);
        Ok(outcome)
    }

    fn key(&self) -> Option<String> {
        self.scope.key.as_deref().map(str::to_owned)
    }

    /// Whether nothing may be started behind what runs.
    fn halts(&self) -> bool {
        self.has_too_many_failures() || self.gate_closed || self.usage.is_some()
    }

    fn has_too_many_failures(&self) -> bool {
        self.failures > self.strategy.may_fail
    }

    fn may_go_on(&self) -> bool {
        !self.halts() && !self.shared.interrupt.is_stopping()
    }

    /// Whether a further host of the same batch may be started.
    fn may_start(&self) -> bool {
        let fails = self.strategy.stops_at_failure() && self.has_too_many_failures();
        !fails && self.usage.is_none() && !self.shared.interrupt.is_stopping()
    }

    /// Tells how the hosts that were not started would have been, or will be.
    fn advise(&self) {
        let left = |(place, result): (usize, &Option<HostResult>)| {
            result.is_none() && self.list.hosts.get(place).is_some_and(|listed| !self.was_lost(listed.host.as_str()))
        };
        if self.job.task.runs_once || !self.results.iter().enumerate().any(left) {
            return;
        }
        let stopped = self.shared.interrupt.is_stopping() || self.gate_closed || self.usage.is_some();
        self.shared.advise(if stopped { "--retry-failed goes on with them" } else { self.strategy.advice() });
    }

    async fn run_batches(&mut self, hosts: &[Arc<str>]) {
        // A host that failed in an earlier task of this run is not touched again.
        let places: Vec<usize> = (0..hosts.len()).filter(|place| !self.was_lost(&hosts[*place])).collect();
        let batches = self.strategy.batches(&places);
        for (index, batch) in batches.iter().enumerate() {
            if !self.may_go_on() {
                break;
            }
            if batches.len() > 1 {
                let names = batch.iter().map(|place| hosts[*place].clone()).collect();
                let (batch, batches) = (index + 1, batches.len());
                self.scope.emitter.emit(EventKind::BatchStarted { batch, batches, hosts: names });
            }
            self.run_window(batch).await;
            if self.may_go_on() {
                let left = batches[index + 1..].iter().map(|batch| batch.len()).sum();
                let hosts = batch.iter().map(|place| self.list.hosts[*place].clone()).collect();
                self.gate(hosts, index == 0, left).await;
            }
        }
        if self.halts() {
            self.roll_back().await;
        }
    }

    /// What stands between a batch and the next one.
    async fn gate(&mut self, batch: Vec<Listed>, first: bool, left: usize) {
        let rolling = self.job.task.rolling.clone();
        if let Some(health) = &rolling.health
            && let Err(why) = self.execute_on(health, batch).await
        {
            self.close_gate(&format!("`{}` failed: {why}", health.task));
        } else if rolling.pause && first && left > 0 {
            let done = self.results.iter().flatten().count();
            let message = format!("{}: {done} done, {left} to go. Go on?", self.job.name);
            let request = PromptRequest { kind: PromptKind::Confirm { default: false }, host: None, message };
            match self.shared.prompter.ask(request).await {
                Ok(answer) if answer.expose() == "yes" => {}
                Ok(_) => self.close_gate("a person said no"),
                Err(error) => self.close_gate(&error.to_string()),
            }
        }
    }

    fn close_gate(&mut self, why: &str) {
        let reason = format!("`{}` does not go on: {why}", self.job.name);
        self.scope.emitter.warn(&reason);
        self.reasons.push(reason);
        self.gate_closed = true;
    }

    /// Runs the rollback on all hosts that were begun.
    async fn roll_back(&mut self) {
        let Some(rollback) = self.job.task.rolling.rollback.clone() else { return };
        let begun = self.results.iter().zip(&self.list.hosts).filter(|(result, _)| result.is_some());
        let hosts: Vec<Listed> = begun.map(|(_, listed)| listed.clone()).collect();
        if hosts.is_empty() {
            return;
        }
        if self.shared.interrupt.is_stopping() {
            let begun = fabric_core::host::fold(hosts.iter().map(|listed| listed.host.as_str()));
            self.scope.emitter.warn(format!(
                "`{}` was interrupted and is not rolled back: `{}` was not run on {begun}",
                self.job.name, rollback.task
            ));
            return;
        }
        let names = || hosts.iter().map(|listed| listed.host.as_str().to_owned()).collect();
        self.shared.record(|| Line::RolledBack { key: self.key(), hosts: names() });
        self.scope.emitter.warn(format!("rolling `{}` back on {} hosts", self.job.name, hosts.len()));
        // Hosts that have failed are the ones that need it most.
        self.shared.forget_lost();
        if let Err(why) = self.execute_on(&rollback, hosts).await {
            self.scope.emitter.warn(format!("`{}` failed: {why}", rollback.task));
        }
    }

    /// Executes another task on these hosts.
    async fn execute_on(&self, call: &Invocation, hosts: Vec<Listed>) -> Result<(), String> {
        let mut job = self.shared.job(call).map_err(|error| error.to_string())?;
        job.exactly = Some(hosts.into());
        let outcome = execute(self.shared.clone(), job, None).await.map_err(|error| error.to_string())?;
        outcome.reasons.into_iter().next().or(outcome.usage).map_or(Ok(()), Err)
    }

    /// Whether a host failed in an earlier task and is left alone by this one. A host in whose run it is executed is not:
    /// that run is not at its end.
    fn was_lost(&self, host: &str) -> bool {
        let own = || self.parent.and_then(Context::host).is_some_and(|own| own.as_str() == host);
        self.strategy.may_fail > 0 && self.shared.is_lost(host) && !own()
    }

    /// Runs these places of the list, at most a window of them at the same time, started in order.
    async fn run_window(&mut self, places: &[usize]) {
        let mut waiting = places.iter();
        let mut running: JoinSet<HostResult> = JoinSet::new();
        let mut at: HashMap<Id, (usize, Instant, Arc<Lane>)> = HashMap::new();
        let interrupt = self.shared.interrupt.clone();
        let full = if self.job.task.moves_files() { 1 } else { LIGHT };
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
                () = self.shared.connector.ready(), if starts => {
                    let Some(place) = waiting.next() else { continue };
                    let context = self.context(*place);
                    context.emitter().ready().await;
                    let host = context.host().map(|host| host.as_str().to_owned());
                    self.shared.record(|| Line::HostStarted { host });
                    context.emitter().emit(EventKind::HostStarted { attempt: 1 });
                    let lane = self.shared.lanes.freest(full);
                    let id = running.spawn_on(IN_TASK.scope((), run_on_host(context)), &lane.runtime).id();
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
        let value = match self.shared.once.claim(self.job.task.id()) {
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
                    value = self.shared.once.wait(receiver) => value,
                    () = self.shared.interrupt.stopping() => Err("interrupted".to_owned()),
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
        Context::new(self.shared.clone(), self.scope.clone(), listed)
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
        self.shared.record(|| Line::HostFinished {
            key: self.key(),
            host: emitter.host().map(ToString::to_string),
            status: result.status,
            value: self.parent.and_then(|_| self.shared.recordable(&result.value)),
        });
        emitter.emit(EventKind::HostFinished {
            status: result.status,
            error: result.error.clone(),
            duration_ms: millis(result.duration),
        });
        if let Some(host) = emitter.host() {
            self.shared.tell_host(host, result.status, result.error.as_deref(), &result.hidden);
            if result.status.is_failure() && !result.tolerated {
                self.shared.lose(host);
            }
        }
        if let Some(listed) = self.list.hosts.get(place).filter(|_| self.parent.is_none()) {
            self.shared.connections.release(&listed.host, self.job.last);
        }
        result.host = emitter.host().map(ToString::to_string);
        self.results[place] = Some(result);
    }

    /// Hosts that were never started are told too, with this value, so that nobody has to guess.
    fn tell_skipped(&mut self, value: &Value) {
        for place in 0..self.results.len() {
            if self.results[place].is_none() {
                let result = self.result(place, HostStatus::Skipped, None, value.clone());
                if let Some(host) = &result.host {
                    self.scope.emitter.for_host(host.as_str()).emit(EventKind::HostFinished {
                        status: HostStatus::Skipped,
                        error: None,
                        duration_ms: 0,
                    });
                }
                self.results[place] = Some(result);
            }
        }
    }
}

/// Waits until what runs is to be given up: at the second interrupt, or a while after the first.
async fn given_up(interrupt: &super::Interrupt) {
    tokio::select! {
        () = interrupt.aborting() => {}
        () = async {
            interrupt.stopping().await;
            tokio::time::sleep(GRACE).await;
        } => {}
    }
}
