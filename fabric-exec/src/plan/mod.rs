//! Plans: which task would run on which hosts, in which order and how, before anything runs.
//!
//! Nothing is connected to. Commands of roles are asked, since without them there is no host list; what
//! only the run itself can tell (hosts that a task sets, what code executes) is marked and not guessed.

mod text;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use fabric_core::settings::Overlay;
use serde::Serialize;

use crate::hostlist::{HostList, Level, Selection, with_settings};
use crate::run::RunError;
use crate::run::again::{In, Turns};
use crate::run::job::{Guard, GuardKind, Job, SameCall};
use crate::run::lists::Inside;
use crate::run::shared::{Shared, passed_on, task_overlay};
use crate::run::strategy::Strategy;
use crate::steps::{Step, Verb, template};
use crate::task::{Invocation, Task, TaskId};

/// What a run would do.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The tasks in the order in which they would run, `pre` and `post` included.
    pub tasks: Vec<PlannedTask>,
}

/// What a task would do.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PlannedTask {
    /// The task, with its arguments, as one would type it.
    pub task: String,
    /// Why it runs: because it was asked for, or before or after another.
    pub because: Because,
    /// Its hosts, in order.
    pub hosts: Vec<String>,
    /// Which level its host list comes from.
    pub level: Level,
    /// The roles of that level.
    pub roles: Vec<String>,
    /// How: `local`, `serial`, `parallel`, `batches`, or `nowhere`.
    pub strategy: String,
    /// How many hosts at the same time.
    pub pool_size: usize,
    /// The batches, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<Vec<String>>,
    /// Whether it runs on its first host only.
    pub runs_once: bool,
    /// How often it is tried again on a host where it fails.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// What runs on the hosts of each batch when they are done, `pre` and `post` included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<PlannedTask>,
    /// Whether a person is asked after the first batch.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pause: bool,
    /// What runs on all hosts that were begun if it doesn't come to its end, `pre` and `post` included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rollback: Vec<PlannedTask>,
    /// How its host list came to be.
    pub reasons: Vec<String>,
    /// What a person should know about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Why its host list may be another one when it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic: Option<String>,
    /// What it does, where that is declared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<PlannedStep>,
    /// Whether it is code, about which nothing is known ahead.
    pub code: bool,
}

/// Why a task runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// It was asked for.
    Asked,
    /// Before another.
    Pre,
    /// After another.
    Post,
    /// Another executes it.
    Executed,
    /// To check the hosts of a batch.
    Health,
    /// To undo what another has done.
    Rollback,
}

/// A step of a planned task.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedStep {
    /// Its verb.
    pub verb: &'static str,
    /// Its commands, paths or names, templates as they are written.
    pub what: String,
    /// The condition under which it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The condition until which it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// How often it is tried again until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// The task that it executes, `pre` and `post` included, where that can be known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub executes: Vec<PlannedTask>,
}

/// Inside which task's run another one is planned.
#[derive(Clone, Copy)]
struct Outer<'a> {
    task: &'a Task,
    list: &'a HostList,
    /// What is in force around what it executes.
    settings: &'a [Overlay],
    key: Option<&'a str>,
    turns: &'a Turns,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over like this")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Makes a plan: goes the way that the run would go.
pub(crate) struct Planner {
    shared: Arc<Shared>,
    around: HashSet<SameCall>,
    /// What changed the global lists, so that they are no longer known.
    changed: Option<String>,
    /// The calls of tasks that run once that are planned.
    once: HashSet<SameCall>,
    /// The tasks being planned, outermost first: a task may execute itself.
    open: Vec<TaskId>,
}

impl Planner {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, around: HashSet::new(), changed: None, once: HashSet::new(), open: Vec::new() }
    }

    pub(crate) async fn plan(mut self, jobs: Vec<(Job, String)>) -> Result<Plan, RunError> {
        let mut tasks = Vec::new();
        for (job, token) in jobs {
            self.task(job, token, Because::Asked, None, &mut tasks).await?;
        }
        if let Some(last) = tasks.last_mut() {
            last.warnings.extend(self.shared.never_matched());
        }
        Ok(Plan { tasks })
    }

    async fn task(
        &mut self,
        job: Job,
        token: String,
        because: Because,
        outer: Option<Outer<'_>>,
        tasks: &mut Vec<PlannedTask>,
    ) -> Result<(), RunError> {
        let task = job.task.clone();
        if job.around.is_some() && self.open.contains(&task.id()) {
            return Ok(());
        }
        if job.has_around()
            && let Some(list) = self.shared.emptied_ahead(&job, self.inside(outer)?).await?
        {
            tasks.push(self.alone(job, list, token, because, outer).await?);
            return Ok(());
        }
        self.open.push(task.id());
        self.around(&task.pre, &job, Because::Pre, outer, tasks).await?;
        let list = self.shared.list_of(&job, self.inside(outer)?).await?;
        let is_emptied = list.emptied.is_some();
        let is_around = job.around.is_some();
        let is_there = (is_around && !self.around.insert(job.same_call(&list)))
            // A task that runs once a run is there already.
            || (task.runs_once && !self.once.insert(job.once()));
        if !is_there {
            let planned = self.alone(job.clone(), list, token, because, outer).await?;
            tasks.push(planned);
        }
        if !is_emptied {
            self.around(&task.post, &job, Because::Post, outer, tasks).await?;
        }
        self.open.pop();
        Ok(())
    }

    async fn around(
        &mut self,
        calls: &[Invocation],
        of: &Job,
        because: Because,
        outer: Option<Outer<'_>>,
        tasks: &mut Vec<PlannedTask>,
    ) -> Result<(), RunError> {
        for call in calls {
            let shown = self.shared.shown(call);
            let job = Job { around: Some(shown.clone()), guard: of.guard.clone(), ..self.shared.job(call)? };
            Box::pin(self.task(job, shown, because, outer, tasks)).await?;
        }
        Ok(())
    }

    /// Where a task is planned.
    fn inside<'a>(&'a self, outer: Option<Outer<'a>>) -> Result<Inside<'a>, RunError> {
        let mut inside = Inside::of(&self.shared, None)?;
        if let Some(outer) = outer {
            inside.around = Cow::Owned(with_settings(&outer.list.hosts));
            inside.settings = outer.settings.to_vec();
            // Where a step has set the global list, only the run knows what a task that runs once leaves.
            if !(outer.task.runs_once && self.changed.is_some()) {
                inside.current = self.shared.kept_host(outer.task, outer.list.hosts.first(), inside.env)?;
            }
        }
        Ok(inside)
    }

    async fn alone(
        &mut self,
        job: Job,
        mut list: HostList,
        token: String,
        because: Because,
        outer: Option<Outer<'_>>,
    ) -> Result<PlannedTask, RunError> {
        let task = &job.task;
        let first = outer.and_then(|outer| outer.list.names().next());
        let made_in = outer.map(|outer| In { key: outer.key, host: first });
        let key = self.shared.key(&job, &list, made_in, outer.map_or(&self.shared.turns, |outer| outer.turns));
        self.shared.leave_done(key.as_deref(), task, outer.is_some(), &mut list, &self.shared.env);
        let around = outer.map(|outer| outer.settings).unwrap_or_default();
        let settings = self.shared.task_settings(task, around, &self.shared.env)?;
        let strategy = Strategy::of(&job, &settings, list.hosts.len())?;
        let hosts: Vec<String> = list.names().map(str::to_owned).collect();
        let dynamic = self.dynamic(&list);
        let asks = list.is_local() && list.emptied.is_none() && task.body.needs_host() && dynamic.is_none();
        if asks {
            list.steps =
                vec!["no hosts are given: one is asked for, and without a terminal the run ends here".to_owned()];
        }
        let rolling = Some(&task.rolling).filter(|_| list.emptied.is_none());
        let guards = [
            (GuardKind::Health, rolling.and_then(|rolling| rolling.health.as_ref())),
            (GuardKind::Rollback, rolling.and_then(|rolling| rolling.rollback.as_ref())),
        ];
        let mut planned_guards = Vec::new();
        for (kind, call) in guards {
            planned_guards.push(match call {
                Some(call) => self.guard(kind, call, &list, outer).await?,
                None => Vec::new(),
            });
        }
        let [health, rollback] = planned_guards.try_into().unwrap_or_default();
        let pause = rolling.is_some_and(|rolling| rolling.pause) && strategy.batches(&hosts).len() > 1;
        let steps = match task.body.steps() {
            // What runs nowhere executes nothing.
            Some(_) if list.emptied.is_some() => Vec::new(),
            Some(steps) => {
                let settings: Vec<Overlay> = around.iter().cloned().chain(task_overlay(task)).collect();
                let settings = passed_on(&settings);
                let turns = &Turns::default();
                let outer = Outer { task, list: &list, settings: &settings, key: key.as_deref(), turns };
                self.steps(steps, outer).await?
            }
            None => Vec::new(),
        };
        Ok(PlannedTask {
            task: token,
            because,
            level: list.level,
            roles: list.roles.clone(),
            strategy: match list.emptied {
                Some(_) => "nowhere".to_owned(),
                None if asks => "asked".to_owned(),
                None => strategy.name(hosts.len(), list.is_local()).to_owned(),
            },
            pool_size: strategy.window,
            batches: Some(strategy.batches(&hosts))
                .filter(|batches| batches.len() > 1)
                .map(|batches| batches.into_iter().map(<[String]>::to_vec).collect())
                .unwrap_or_default(),
            hosts,
            runs_once: task.runs_once,
            retries: settings.retries,
            health,
            pause,
            rollback,
            reasons: list.steps,
            warnings: list.warnings,
            dynamic,
            code: task.body.steps().is_none() && *job.name != *crate::run::shared::REMAINDER,
            steps,
        })
    }

    /// A health check or a rollback, on all hosts that it may come to. What it draws along is not done before another task
    /// needs it, as far as is known ahead.
    async fn guard(
        &mut self,
        kind: GuardKind,
        call: &Invocation,
        list: &HostList,
        outer: Option<Outer<'_>>,
    ) -> Result<Vec<PlannedTask>, RunError> {
        let because = match kind {
            GuardKind::Health => Because::Health,
            GuardKind::Rollback => Because::Rollback,
        };
        let guard = Guard { kind, hosts: list.hosts.clone().into(), path: Vec::new().into() };
        let job = Job { guard: Some(guard), ..self.shared.job(call)? };
        let kept = |calls: &HashSet<SameCall>| calls.iter().map(|(task, of)| (task.same(), of.clone())).collect();
        let (around, once, changed) = (kept(&self.around), kept(&self.once), self.changed.clone());
        let mut tasks = Vec::new();
        Box::pin(self.task(job, self.shared.shown(call), because, outer, &mut tasks)).await?;
        (self.around, self.once, self.changed) = (around, once, changed);
        Ok(tasks)
    }

    fn dynamic(&self, list: &HostList) -> Option<String> {
        let changed = self.changed.as_ref()?;
        matches!(list.level, Level::Env | Level::Local)
            .then(|| format!("{changed} sets the global host list while it runs"))
    }

    async fn steps(&mut self, steps: &[Step], outer: Outer<'_>) -> Result<Vec<PlannedStep>, RunError> {
        let mut planned = Vec::new();
        for step in steps {
            let mut executes = Vec::new();
            match &step.verb {
                Verb::Execute(execute) => executes = self.executed(execute, outer).await?,
                verb if verb.sets_hosts() => _ = self.changed.get_or_insert_with(|| step.at.clone()),
                _ => {}
            }
            planned.push(PlannedStep {
                verb: step.verb.name(),
                what: step.verb.what(),
                condition: step.condition.clone(),
                until: step.verb.until().map(|until| until.condition.clone()),
                retries: step.verb.until().map(|until| until.retries),
                executes,
            });
        }
        Ok(planned)
    }

    /// What a step executes; nothing where only the run can tell.
    async fn executed(
        &mut self,
        execute: &crate::steps::ExecuteStep,
        outer: Outer<'_>,
    ) -> Result<Vec<PlannedTask>, RunError> {
        let texts = [&execute.hosts, &execute.roles, &execute.exclude_hosts].into_iter().flatten();
        if std::iter::once(&execute.task).chain(texts).any(|text| template::is_template(text)) {
            return Ok(Vec::new());
        }
        let Ok(mut call) = Invocation::parse(&execute.task) else { return Ok(Vec::new()) };
        let expand = |list: &[String]| -> Vec<String> {
            list.iter()
                .flat_map(|item| fabric_core::host::expand(item).unwrap_or_else(|_| vec![item.clone()]))
                .collect()
        };
        let given = Selection {
            hosts: expand(&execute.hosts),
            roles: execute.roles.clone(),
            exclude: expand(&execute.exclude_hosts),
        };
        for (list, given) in [
            (&mut call.selection.hosts, given.hosts),
            (&mut call.selection.roles, given.roles),
            (&mut call.selection.exclude, given.exclude),
        ] {
            if !given.is_empty() {
                *list = given;
            }
        }
        call.named.extend(execute.args.clone());
        call.task = self.shared.collection.qualified(&outer.task.namespace, &call.task);
        let token = self.shared.shown(&call);
        let Some(task) = self.shared.collection.find(&call.task).cloned() else {
            return Err(RunError::UnknownTasks(vec![self.shared.collection.unknown(&call.task)]));
        };
        if self.open.contains(&task.id()) {
            return Ok(Vec::new());
        }
        // Arguments that are templates are bound when it runs.
        let args = call.bind(&task.params).unwrap_or_default();
        let job = Job::new(task, call.task.as_str(), args, call.selection);
        let mut tasks = Vec::new();
        Box::pin(self.task(job, token, Because::Executed, Some(outer), &mut tasks)).await?;
        Ok(tasks)
    }
}
