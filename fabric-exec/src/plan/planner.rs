//! Making a plan: going the way that the run would go.

use std::borrow::Cow;
use std::collections::HashSet;

use fabric_core::settings::Overlay;

use super::error::RunError;
use super::inputs::{Inputs, REMAINDER};
use super::job::{Guard, GuardKind, Job, SameCall};
use super::lists::{HostLists, Inside};
use super::planned::{Because, Plan, PlannedStep, PlannedTask};
use super::strategy::Strategy;
use crate::hostlist::{HostList, Level, Selection, with_settings};
use crate::task::{Env, Executed, In, Invocation, KnownStep, Task, TaskId, Turns, passed_on, task_overlay};
use crate::template;

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

/// Makes a plan: goes the way that the run would go.
pub(crate) struct Planner<'l> {
    lists: &'l HostLists,
    inputs: &'l Inputs,
    /// Shared state, and what the command line has executed so far.
    env: Env,
    turns: Turns,
    around: HashSet<SameCall>,
    /// What changed the global lists, so that they are no longer known.
    changed: Option<String>,
    /// The calls of tasks that run once that are planned.
    once: HashSet<SameCall>,
    /// The tasks being planned, outermost first: a task may execute itself.
    open: Vec<TaskId>,
}

impl<'l> Planner<'l> {
    pub(crate) fn new(lists: &'l HostLists) -> Self {
        let (env, turns) = (Env::default(), Turns::default());
        Self {
            lists,
            inputs: &lists.inputs,
            env,
            turns,
            around: HashSet::new(),
            changed: None,
            once: HashSet::new(),
            open: Vec::new(),
        }
    }

    pub(crate) async fn plan(mut self, jobs: Vec<(Job, String)>) -> Result<Plan, RunError> {
        let mut tasks = Vec::new();
        for (job, token) in jobs {
            self.task(job, token, Because::Asked, None, &mut tasks).await?;
        }
        if let Some(last) = tasks.last_mut() {
            last.warnings.extend(self.lists.never_matched());
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
            && let Some(list) = self.lists.emptied_ahead(&job, self.inside(outer)?).await?
        {
            tasks.push(self.alone(job, list, token, because, outer).await?);
            return Ok(());
        }
        self.open.push(task.id());
        self.around(&task.pre, &job, Because::Pre, outer, tasks).await?;
        let list = self.lists.list_of(&job, self.inside(outer)?).await?;
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
            let shown = self.inputs.shown(call);
            let job = Job { around: Some(shown.clone()), guard: of.guard.clone(), ..self.inputs.job(call)? };
            Box::pin(self.task(job, shown, because, outer, tasks)).await?;
        }
        Ok(())
    }

    /// Where a task is planned.
    fn inside<'a>(&'a self, outer: Option<Outer<'a>>) -> Result<Inside<'a>, RunError> {
        let mut inside = Inside::nothing(&self.env);
        if let Some(outer) = outer {
            inside.around = Cow::Owned(with_settings(&outer.list.hosts));
            inside.settings = outer.settings.to_vec();
            // Where a step has set the global list, only the run knows what a task that runs once leaves.
            if !(outer.task.runs_once && self.changed.is_some()) {
                inside.current = self.lists.kept_host(outer.task, outer.list.hosts.first(), inside.env)?;
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
        let key = self.inputs.key(&job, &list, made_in, outer.map_or(&self.turns, |outer| outer.turns));
        self.inputs.leave_done(key.as_deref(), task, outer.is_some(), &mut list, &self.env);
        let around = outer.map(|outer| outer.settings).unwrap_or_default();
        let settings = self.inputs.task_settings(task, around, &self.env)?;
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
        let outline = task.body.outline();
        let code = outline.is_none() && *job.name != *REMAINDER;
        let steps = match outline {
            // What runs nowhere executes nothing.
            Some(_) if list.emptied.is_some() => Vec::new(),
            Some(outline) => {
                let settings: Vec<Overlay> = around.iter().cloned().chain(task_overlay(task)).collect();
                let settings = passed_on(&settings);
                let turns = &Turns::default();
                let outer = Outer { task, list: &list, settings: &settings, key: key.as_deref(), turns };
                self.steps(&outline.steps, outer).await?
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
            code,
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
        let job = Job { guard: Some(guard), ..self.inputs.job(call)? };
        let kept = |calls: &HashSet<SameCall>| calls.iter().map(|(task, of)| (task.same(), of.clone())).collect();
        let (around, once, changed) = (kept(&self.around), kept(&self.once), self.changed.clone());
        let mut tasks = Vec::new();
        Box::pin(self.task(job, self.inputs.shown(call), because, outer, &mut tasks)).await?;
        (self.around, self.once, self.changed) = (around, once, changed);
        Ok(tasks)
    }

    fn dynamic(&self, list: &HostList) -> Option<String> {
        let changed = self.changed.as_ref()?;
        matches!(list.level, Level::Env | Level::Local)
            .then(|| format!("{changed} sets the global host list while it runs"))
    }

    async fn steps(&mut self, steps: &[KnownStep<'_>], outer: Outer<'_>) -> Result<Vec<PlannedStep>, RunError> {
        let mut planned = Vec::new();
        for step in steps {
            let executes = match step.executes() {
                Some(executed) => self.executed(executed, outer).await?,
                None => Vec::new(),
            };
            if step.sets_lists() {
                self.changed.get_or_insert_with(|| step.at.to_owned());
            }
            planned.push(PlannedStep {
                verb: step.verb,
                what: step.what.clone(),
                condition: step.condition.map(str::to_owned),
                until: step.until.map(|(condition, _)| condition.to_owned()),
                retries: step.until.map(|(_, retries)| retries),
                executes,
            });
        }
        Ok(planned)
    }

    /// What a step executes; nothing where only the run knows.
    async fn executed(&mut self, execute: &Executed<'_>, outer: Outer<'_>) -> Result<Vec<PlannedTask>, RunError> {
        let texts = [execute.hosts, execute.roles, execute.exclude_hosts].into_iter().flatten().map(String::as_str);
        if std::iter::once(execute.task).chain(texts).any(template::is_template) {
            return Ok(Vec::new());
        }
        let Ok(mut call) = Invocation::parse(execute.task) else { return Ok(Vec::new()) };
        let expand = |list: &[String]| -> Vec<String> {
            list.iter()
                .flat_map(|item| fabric_core::host::expand(item).unwrap_or_else(|_| vec![item.clone()]))
                .collect()
        };
        let given = Selection {
            hosts: expand(execute.hosts),
            roles: execute.roles.to_vec(),
            exclude: expand(execute.exclude_hosts),
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
        call.task = self.inputs.collection.qualified(&outer.task.namespace, &call.task);
        let token = self.inputs.shown(&call);
        let Some(task) = self.inputs.collection.find(&call.task).cloned() else {
            return Err(RunError::UnknownTasks(vec![self.inputs.collection.unknown(&call.task)]));
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
