//! A run under way: what all of its tasks share.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use fabric_core::settings::{Map, Setting, is_secret_name};
use fabric_core::{Emitter, EventSink, Value};
use jiff::Timestamp;
use parking_lot::Mutex;

use super::connections::Connections;
use super::interactive::Interactive;
use super::lanes::Lanes;
use super::ledger::Ledger;
use super::once::OnceMap;
use super::outside::Outside;
use crate::hostlist::HostList;
use crate::journal::{Journal, Line, Unwritten};
use crate::plan::{HostLists, Inputs, Job, Outcome, RunError};
use crate::report::commands::{Commands, Gather};
use crate::report::{Execution, TaskReport};
use crate::task::{Discreet, Env, Turns};

/// What all tasks of a run share.
pub(crate) struct RunState {
    pub(super) inputs: Arc<Inputs>,
    pub(super) lists: HostLists,
    pub(super) connections: Connections,
    pub(super) lanes: Lanes,
    /// What it has come to so far.
    pub(super) ledger: Ledger,
    pub(super) env: Env,
    /// What the command line has executed so far.
    pub(super) turns: Turns,
    /// Results of `runs_once` tasks.
    pub(super) once: OnceMap<Result<Value, String>>,
    /// What the calls of `pre` and `post` came to.
    pub(super) around: OnceMap<Result<Outcome, RunError>>,
    /// Held while a shell is open: there is one terminal.
    pub(super) interactive: tokio::sync::Mutex<Option<Arc<dyn Interactive>>>,
    journal: Option<Journal>,
    events: Arc<dyn EventSink>,
    /// What the report has of commands, if it is to.
    commands: Option<Arc<Commands>>,
    /// What was said about host lists.
    warned: Mutex<HashSet<String>>,
    /// Whether it was said that a nested execution multiplies.
    warned_multiplying: AtomicBool,
    pub(super) started: (Timestamp, Instant),
}

/// What waits for work that was given up finds this.
const ABANDONED: &str = "it was given up before it ended";

impl RunState {
    pub(super) fn new(inputs: Inputs, outside: Outside) -> Arc<Self> {
        let inputs = Arc::new(inputs);
        Arc::new(Self {
            lists: HostLists::new(inputs.clone()),
            inputs,
            connections: Connections::new(outside.connector, outside.terminal, outside.open_at_most),
            lanes: Lanes::new(outside.threads),
            ledger: Ledger::default(),
            env: Env::default(),
            turns: Turns::default(),
            once: OnceMap::new(Err(ABANDONED.to_owned())),
            around: OnceMap::new(Ok(Outcome { reasons: vec![ABANDONED.to_owned()], halt: true, ..Outcome::default() })),
            interactive: tokio::sync::Mutex::new(outside.interactive),
            journal: outside.journal,
            events: outside.events,
            commands: outside.keep_output.then(Arc::default),
            warned: Mutex::default(),
            warned_multiplying: AtomicBool::new(false),
            started: (Timestamp::now(), Instant::now()),
        })
    }

    /// The same emitter for one execution of a task, and for a host's run in it, where it is one's: what happens is gathered
    /// for the report, if that has it.
    pub(super) fn gathering(&self, emitter: &Emitter, execution: Execution, host: Option<Arc<str>>) -> Emitter {
        let Some(commands) = &self.commands else { return emitter.clone() };
        let gather = Gather { next: self.events.clone(), commands: commands.clone(), execution, host };
        emitter.to(Arc::new(Discreet { sink: Arc::new(gather), secrets: self.inputs.means.secrets.clone() }))
    }

    /// Gives the report what was gathered of commands.
    pub(super) fn give_commands(&self, tasks: &mut [TaskReport]) {
        if let Some(commands) = &self.commands {
            commands.give(tasks);
        }
    }

    /// Writes a line of the journal, if there is one. That it can't be written is a warning.
    pub(super) fn record(&self, line: impl FnOnce() -> Line) {
        let Some(journal) = &self.journal else { return };
        match journal.write(&line()) {
            Ok(()) | Err(Unwritten::Refused) => {}
            Err(Unwritten::Not(dir, error)) => self
                .inputs
                .emitter
                .warn(format!("no journal in {} ({error}): --retry-failed will not know this run", dir.display())),
            Err(Unwritten::Anymore(error)) => self
                .inputs
                .emitter
                .warn(format!("the journal cannot be written ({error}): --retry-failed will not know this run")),
        }
    }

    /// What an execution set in the shared state, as a journal may hold it: not if there is a secret in it, or hosts with
    /// settings of an inventory.
    pub(super) fn recordable_state(&self, before: &Map, env: &Env) -> Option<Map> {
        let after = env.values();
        let changed = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
        let changed: Map = changed.map(|(name, value)| (name.clone(), value.clone())).collect();
        let secret = changed
            .keys()
            .any(|name| is_secret_name(name) || Setting::find(name).is_some_and(|it| it.kind.is_secret()));
        if secret || (changed.contains_key("hosts") && env.has_listed()) {
            return None;
        }
        self.recordable(&Value::Object(changed.clone())).map(|_| changed)
    }

    /// What a task returned, as a journal may hold it: not if there is a secret in it.
    pub(super) fn recordable(&self, value: &Value) -> Option<Value> {
        let text = value.to_string();
        (self.inputs.means.secrets.hidden(text.clone()) == text).then(|| value.clone())
    }

    /// Warns of what a person should know about a host list, unless it was said before.
    pub(super) fn warn_of(&self, list: &HostList, job: &Job) {
        let emitter = self.inputs.emitter.for_task(job.name.clone());
        for warning in &list.warnings {
            self.warn_once(&emitter, warning);
        }
    }

    /// Warns of something, unless it has been said in this run.
    pub(super) fn warn_once(&self, emitter: &Emitter, text: &str) {
        if self.warned.lock().insert(text.to_owned()) {
            emitter.warn(text);
        }
    }

    /// Says once a run that a nested execution multiplies.
    pub(super) fn warn_multiplying(&self, inner: &str, outer: &str, hosts: usize) {
        if !self.warned_multiplying.swap(true, Ordering::Relaxed) {
            self.inputs.emitter.warn(format!(
                "`{inner}` is executed with a host list of its own inside `{outer}`, once for each of its {hosts} hosts \
                 (mark `{outer}` runs_once if once is meant)"
            ));
        }
    }
}
