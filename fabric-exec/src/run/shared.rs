//! What all tasks of a run share, and the run from its first call to its report.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(crate) use fabric_core::event::millis;
use fabric_core::settings::{Map, Overlay, Settings};
use fabric_core::{Emitter, EventKind, EventSink, HostString, Layer, Origin, Prompter, Value};
use fabric_transport::Connector;
use fabric_transport::connection::Terminal;
use jiff::Timestamp;
use parking_lot::Mutex;

use super::again::Turns;
use super::connections::Connections;
use super::files::Files;
use super::input::RunInput;
use super::job::{Job, Outcome};
use super::lanes::Lanes;
use super::ledger::{Account, Ledger};
use super::once::OnceMap;
use super::secrets::{Discreet, Secrets};
use super::{Call, Env, Interactive, Interrupt, Run, RunError};
use crate::collection::Collection;
use crate::hostlist::{Emptied, HostList, Level, Roles, Selection, Shard};
use crate::journal::{Journal, Line, Recorded};
use crate::report::commands::{Commands, Gather};
use crate::report::{Ending, Report};
use crate::task::{Invocation, Task};

/// How long sessions may take to close at an interrupt's repetition.
const LAST_STOPS: Duration = Duration::from_secs(1);

/// The name of the anonymous task (Fabric 1).
pub(crate) const REMAINDER: &str = "<remainder>";

/// What all tasks of a run share.
pub(crate) struct Shared {
    pub(crate) collection: Arc<Collection>,
    pub(crate) files: Files,
    pub(crate) connector: Connector,
    pub(crate) connections: Connections,
    pub(crate) lanes: Lanes,
    pub(crate) prompter: Arc<dyn Prompter>,
    /// What was asked for and must not be shown.
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) roles: Roles,
    pub(crate) command_line: Selection,
    pub(crate) shard: Option<Shard>,
    pub(crate) journal: Option<Journal>,
    /// The run that is tried again.
    pub(crate) earlier: Option<Recorded>,
    /// What the command line has executed so far.
    pub(crate) turns: Turns,
    pub(crate) dry_run: bool,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) terminal: Option<Terminal>,
    pub(crate) input: RunInput,
    /// Held while a shell is open: there is one terminal.
    pub(crate) interactive: tokio::sync::Mutex<Option<Arc<dyn Interactive>>>,
    pub(crate) interrupt: Interrupt,
    pub(crate) emitter: Emitter,
    events: Arc<dyn EventSink>,
    /// What the report has of commands, if it is to.
    commands: Option<Arc<Commands>>,
    pub(crate) env: Env,
    pub(crate) tokens: Vec<String>,
    /// Results of `runs_once` tasks.
    pub(crate) once: OnceMap<OnceResult>,
    /// What the calls of `pre` and `post` came to.
    pub(crate) around: OnceMap<Result<Outcome, RunError>>,
    /// The host that a person named where none was known.
    pub(crate) asked_host: tokio::sync::Mutex<Option<HostString>>,
    /// Whether it was said that a nested execution multiplies.
    warned_multiplying: AtomicBool,
    pub(crate) inventories: super::inventories::Inventories,
    /// What was said about host lists.
    warned: Mutex<HashSet<String>>,
    /// Hosts of `-x` that no list has had so far; nothing before the first list that they apply to.
    unmatched: Mutex<Option<Vec<String>>>,
    /// Whether a step of the run sets the global lists.
    pub(super) sets_lists: AtomicBool,
    /// The same, or code that may.
    pub(super) may_set_lists: AtomicBool,
    started: (Timestamp, Instant),
    pub(crate) ledger: Ledger,
}

/// What a task that runs once came to.
pub(crate) type OnceResult = Result<Value, String>;

/// What waits for work that was given up finds this.
const ABANDONED: &str = "it was given up before it ended";

impl Shared {
    pub(crate) fn new(run: Run, calls: &[Call]) -> Arc<Self> {
        let started = (Timestamp::now(), Instant::now());
        let id = run.id.unwrap_or_else(super::new_id);
        let secrets = Arc::<Secrets>::default();
        let tokens = if run.tokens.is_empty() { calls.iter().map(token).collect() } else { run.tokens };
        Arc::new(Self {
            collection: run.collection,
            files: run.files,
            connector: run.connector,
            connections: Connections::new(run.open_at_most),
            lanes: Lanes::new(run.threads),
            prompter: run.prompter,
            roles: run.roles,
            command_line: run.command_line,
            shard: run.shard,
            journal: run.journal,
            earlier: run.earlier,
            turns: Turns::default(),
            dry_run: run.dry,
            dir: run.dir,
            terminal: run.terminal,
            input: RunInput::new(run.input),
            interactive: tokio::sync::Mutex::new(run.interactive),
            interrupt: run.interrupt,
            emitter: Emitter::new(Arc::new(Discreet { sink: run.events.clone(), secrets: secrets.clone() }), id),
            events: run.events,
            commands: run.keep_output.then(Arc::default),
            secrets,
            env: Env::default(),
            tokens,
            once: OnceMap::new(Err(ABANDONED.to_owned())),
            around: OnceMap::new(Ok(Outcome { reasons: vec![ABANDONED.to_owned()], halt: true, ..Outcome::default() })),
            asked_host: tokio::sync::Mutex::new(None),
            warned_multiplying: AtomicBool::new(false),
            inventories: super::inventories::Inventories::default(),
            warned: Mutex::default(),
            unmatched: Mutex::default(),
            sets_lists: AtomicBool::new(false),
            may_set_lists: AtomicBool::new(false),
            started,
            ledger: Ledger::default(),
        })
    }

    /// The same emitter for one execution of a task, by its place in the report, and for a host's run in it, where it is one's:
    /// what happens is gathered for the report, if that has it.
    pub(crate) fn gathering(&self, emitter: &Emitter, execution: usize, host: Option<Arc<str>>) -> Emitter {
        let Some(commands) = &self.commands else { return emitter.clone() };
        let gather = Gather { next: self.events.clone(), commands: commands.clone(), execution, host };
        emitter.to(Arc::new(Discreet { sink: Arc::new(gather), secrets: self.secrets.clone() }))
    }

    /// The settings of a task, apart from any host; `around` are those of the block that it is executed in.
    pub(crate) fn task_settings(&self, task: &Task, around: &[Overlay], env: &Env) -> Result<Arc<Settings>, RunError> {
        Ok(self.files.of(&task.namespace).resolver.settings(None, &task_layers(task, around, env))?)
    }

    /// Finds a task and binds its arguments.
    pub(crate) fn job(&self, call: &Invocation) -> Result<Job, RunError> {
        let task = self
            .collection
            .find(&call.task)
            .ok_or_else(|| RunError::UnknownTasks(vec![self.collection.unknown(&call.task)]))?;
        let args = call.bind(&task.params)?;
        Ok(Job::new(task.clone(), call.task.as_str(), args, call.selection.clone()))
    }

    /// The run, from its first call to its report.
    pub(crate) async fn start(self: Arc<Self>, calls: Vec<Call>) -> Result<Report, RunError> {
        let jobs = self.check(&calls)?;
        if let Some(earlier) = &self.earlier {
            self.record(|| Line::Earlier { done: earlier.done.clone() });
        }
        let tasks = self.shown_tokens(&calls);
        self.emitter.emit(EventKind::RunStarted { version: fabric_core::event::VERSION, tasks });
        let sole_command = matches!(calls.as_slice(), [Call::Command(_)]);
        let mut ending = Ending::Ok;
        let mut usage = None;
        let mut done = jobs.is_empty() && !calls.is_empty();
        let mut jobs = jobs.into_iter();
        while let Some((job, token)) = jobs.next() {
            if self.interrupt.is_stopping() {
                self.ledger.not_started([token]);
                break;
            }
            match super::execute::execute(self.clone(), job, None).await {
                Ok(outcome) => {
                    if outcome.not_begun {
                        self.ledger.not_started([token]);
                    }
                    done |= !outcome.emptied;
                    if !outcome.reasons.is_empty() {
                        ending = ending.max(Ending::Failed);
                    }
                    if outcome.usage.is_some() {
                        usage = outcome.usage;
                    }
                    if outcome.halt {
                        outcome
                            .advice
                            .filter(|_| jobs.len() > 0)
                            .into_iter()
                            .for_each(|advice| self.ledger.advise(advice));
                        break;
                    }
                }
                Err(error) => {
                    usage = Some(error.to_string());
                    break;
                }
            }
        }
        self.ledger.not_started(jobs.map(|(_, token)| token));
        if self.ledger.has_gone_on() {
            ending = ending.max(Ending::Failed);
        }
        if usage.is_some() {
            ending = Ending::Usage;
        }
        if self.interrupt.is_stopping() {
            ending = Ending::Interrupted;
        }
        if ending == Ending::Ok && !done {
            ending = Ending::NothingRan;
        }
        if let Some(warning) = self.never_matched() {
            self.emitter.warn(warning);
        }
        let close = async {
            self.connections.close_all().await;
            self.connector.close_all().await;
        };
        tokio::select! {
            () = close => {}
            // Who interrupts again waits for nothing but what can be done at once.
            () = async {
                self.interrupt.aborting().await;
                tokio::time::sleep(LAST_STOPS).await;
            } => {}
        }
        let left = self.input.left_over();
        if left > 0 && !self.dry_run {
            self.emitter.warn(format!(
                "standard input was not read, {left} bytes wait there: a step takes it with `stdin = true`, and `--no-stdin` \
                 leaves it alone without this warning"
            ));
        }
        Ok(self.report(ending, usage, sole_command))
    }

    /// The tasks as typed, unless an argument of theirs may be a secret.
    fn shown_tokens(&self, calls: &[Call]) -> Vec<String> {
        let tokens = |shown: bool| {
            calls.iter().map(move |call| match call {
                Call::Task(call) if shown => self.shown(call),
                call => token(call),
            })
        };
        if tokens(true).eq(tokens(false)) { self.tokens.clone() } else { tokens(true).collect() }
    }

    /// A call for people to read.
    pub(crate) fn shown(&self, call: &Invocation) -> String {
        call.shown(self.collection.find(&call.task).map(|task| task.params.as_slice()).unwrap_or_default())
    }

    fn report(&self, ending: Ending, error: Option<String>, sole_command: bool) -> Report {
        let Account { mut tasks, hosts, not_started, advice, sole } = self.ledger.close();
        if let Some(commands) = &self.commands {
            commands.give(&mut tasks);
        }
        let duration = self.started.1.elapsed();
        let sole = sole.filter(|_| sole_command && hosts.len() == 1);
        let report = Report {
            run: self.emitter.run().to_string(),
            started: self.started.0,
            duration,
            ending,
            error,
            tasks,
            hosts: hosts.iter().map(|(host, report)| (host.to_string(), report.clone())).collect(),
            not_started: not_started.clone(),
            sole_command: sole,
            shard: self.shard.map(|shard| shard.to_string()),
        };
        if self.input.was_given() {
            self.record(|| Line::TookInput);
        }
        self.record(|| Line::Ended { ending });
        let (hosts_ok, hosts_failed, hosts_skipped) = report.counts();
        self.emitter.emit(EventKind::Summary {
            hosts_ok,
            hosts_failed,
            hosts_skipped,
            duration_ms: millis(duration),
            not_started,
            advice: advice.map(str::to_owned),
            errors: hosts.iter().filter_map(|(host, report)| Some((host.clone(), report.error.clone()?))).collect(),
            hosts: hosts.into_iter().map(|(host, report)| (host, report.status)).collect(),
        });
        report
    }

    /// Warns of what a person should know about a host list, unless it was said before.
    pub(crate) fn warn_of(&self, list: &HostList, job: &Job) {
        let emitter = self.emitter.for_task(job.name.clone());
        for warning in &list.warnings {
            self.warn_once(&emitter, warning);
        }
    }

    /// Notes which hosts of `-x` a list doesn't have. Yields a warning, before anything runs on the list, if no list of
    /// this run will have them.
    pub(crate) fn note_unmatched(&self, list: &HostList, task: &str) -> Option<String> {
        if list.level != Level::Env || list.emptied == Some(Emptied::Roles) {
            return None;
        }
        let mut unmatched = self.unmatched.lock();
        match unmatched.as_mut() {
            Some(left) => left.retain(|host| list.unmatched.contains(host)),
            None => *unmatched = Some(list.unmatched.clone()),
        }
        if self.sets_lists.load(Ordering::Relaxed) {
            return None;
        }
        let hosts = std::mem::take(unmatched.as_mut()?);
        (!hosts.is_empty()).then(|| excludes_nothing(&format!("of the hosts of task `{task}`"), &hosts))
    }

    /// The warning of hosts of `-x` that no list of this run had, where that can be known at its end only.
    pub(crate) fn never_matched(&self) -> Option<String> {
        let hosts = self.unmatched.lock().take()?;
        (!hosts.is_empty()).then(|| excludes_nothing("of the hosts of this run", &hosts))
    }

    /// Warns of something, unless it has been said in this run.
    pub(crate) fn warn_once(&self, emitter: &Emitter, text: &str) {
        if self.warned.lock().insert(text.to_owned()) {
            emitter.warn(text);
        }
    }

    /// Says once a run that a nested execution multiplies.
    pub(crate) fn warn_multiplying(&self, inner: &str, outer: &str, hosts: usize) {
        if !self.warned_multiplying.swap(true, Ordering::Relaxed) {
            self.emitter.warn(format!(
                "`{inner}` is executed with a host list of its own inside `{outer}`, once for each of its {hosts} hosts \
                 (mark `{outer}` runs_once if once is meant)"
            ));
        }
    }
}

fn excludes_nothing(of: &str, hosts: &[String]) -> String {
    format!("-x excludes none {of}: {}", fabric_core::host::fold(hosts.iter().map(String::as_str)))
}

/// The settings around a task, its own, and those of its code.
pub(crate) fn task_layers(task: &Task, around: &[Overlay], env: &Env) -> Vec<Overlay> {
    around.iter().cloned().chain(task_overlay(task)).chain(env.overlay()).collect()
}

/// A task's own settings as a layer, if it has any.
pub(crate) fn task_overlay(task: &Task) -> Option<Overlay> {
    let mut values: Map = (*task.settings).clone();
    if let Some(pool_size) = task.pool_size {
        values.insert("pool_size".to_owned(), pool_size.into());
    }
    if let Some(batch) = task.batch {
        values.insert("batch".to_owned(), batch.to_string().into());
    }
    if values.is_empty() {
        return None;
    }
    let origin = task.origin.clone().unwrap_or_else(|| Origin::place(Layer::Task, format!("task `{}`", task.name)));
    Some(Overlay::new(Origin { layer: Layer::Task, ..origin }, values))
}

/// Of the settings around an `execute`, those that are in force in what it executes: all but its role's, and but who and
/// where it is and how it goes over its hosts.
pub(crate) fn passed_on(overlays: &[Overlay]) -> Vec<Overlay> {
    let own = ["user", "port", "pool_size", "batch"];
    let passed_on = |overlay: &Overlay| {
        let mut values = overlay.values.clone();
        if own.iter().any(|name| values.contains_key(*name)) {
            Arc::make_mut(&mut values).retain(|name, _| !own.contains(&name.as_str()));
        }
        Overlay { origin: overlay.origin.clone(), values }
    };
    overlays.iter().filter(|overlay| overlay.origin.layer != Layer::Role).map(passed_on).collect()
}

pub(crate) fn token(call: &Call) -> String {
    match call {
        Call::Task(call) => call.token(),
        Call::Command(line) => format!("-- {line}"),
    }
}
