//! What can be known to be wrong with the calls of a run, and with the tasks that they draw along, before anything runs.

mod scope;
mod walk;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fabric_core::settings::{Problem, Problems, Settings};

use super::call::Call;
use super::error::RunError;
use super::inputs::REMAINDER;
use super::job::Job;
use super::lists::HostLists;
use super::remainder::Remainder;
use crate::hostlist::{RoleSource, Selection};
use crate::task::{Args, Env, Invocation, KnownStep, Task, TaskId};
use crate::template;

use scope::Names;
use walk::Checker;

impl HostLists {
    /// Everything that the calls name, and what their tasks draw along, checked before anything begins.
    pub(crate) fn check(&self, calls: &[Call]) -> Result<Vec<(Job, String)>, RunError> {
        let settings = self.inputs.files.fabfile.resolver.settings(None, &[])?;
        let (mut jobs, mut unknown, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for call in calls {
            let job = match call {
                Call::Task(call) => self.inputs.job(call).and_then(|job| {
                    self.check_cycle(&job.task, &mut Vec::new(), &mut HashSet::new())?;
                    self.check_endless(&job.task, &mut Vec::new())?;
                    Ok(job)
                }),
                Call::Command(line) => {
                    let task = Task::new(REMAINDER, Arc::new(Remainder::new(line.clone())));
                    Ok(Job::new(Arc::new(task), REMAINDER, Args::new(), Selection::default()))
                }
            };
            match job {
                Ok(job) => {
                    // Its own lists are checked with the task.
                    if job.selection.gives_hosts() || !job.task.own.gives_hosts() {
                        errors.extend(self.check_roles(&job, &Env::default()).err());
                    }
                    let shown = match call {
                        Call::Task(call) => self.inputs.shown(call),
                        Call::Command(_) => call.token(),
                    };
                    jobs.push((job, shown));
                }
                Err(RunError::UnknownTasks(names)) if settings.skip_unknown_tasks => {
                    for name in names {
                        self.inputs.emitter.warn(format!("{name}: it is skipped"));
                    }
                }
                Err(RunError::UnknownTasks(names)) => unknown.extend(names),
                Err(error) => errors.push(error),
            }
        }
        if let Some((job, _)) = jobs.last_mut() {
            job.last = job.task.is_last_on_its_hosts();
        }
        if !unknown.is_empty() {
            errors.insert(0, RunError::UnknownTasks(unknown));
        }
        let mut checker = self.checker(&settings)?;
        for (job, _) in &jobs {
            checker.asked(&job.task, &job.selection);
        }
        let problems = checker.problems();
        match (errors.len(), problems.is_empty()) {
            (0, true) => Ok(jobs),
            (1, true) => Err(errors.remove(0)),
            _ => {
                let errors = errors.into_iter().flat_map(RunError::into_problems);
                Err(RunError::Fabfile(Problems(errors.chain(problems).collect())))
            }
        }
    }

    /// Everything that is wrong with any task, and what a person should know about them: `fab --check`.
    pub(crate) async fn check_all(&self) -> Result<Vec<Problem>, RunError> {
        let settings = self.inputs.files.fabfile.resolver.settings(None, &[])?;
        let mut checker = self.checker(&settings)?;
        let mut errors = Vec::new();
        for task in self.inputs.collection.all() {
            errors.extend(self.check_cycle(task, &mut Vec::new(), &mut HashSet::new()).err());
            errors.extend(self.check_endless(task, &mut Vec::new()).err());
            checker.alone(task);
        }
        checker.all_roles();
        let (problems, mut warnings) = checker.with_warnings();
        for (name, role) in &self.inputs.roles {
            let problem = match self.known_hosts_of(name).await {
                None | Some(Ok(1..)) => continue,
                Some(Ok(0)) => Problem::new(format!("role `{name}` names no host")),
                Some(Err(error)) => Problem::new(error.to_string()),
            };
            warnings.push(problem.at(role.origin.clone()));
        }
        if errors.is_empty() && problems.is_empty() {
            return Ok(warnings);
        }
        let mut all: Vec<Problem> = Vec::new();
        for problem in errors.into_iter().flat_map(RunError::into_problems).chain(problems) {
            if !all.contains(&problem) {
                all.push(problem);
            }
        }
        Err(RunError::Fabfile(Problems(all)))
    }

    fn checker(&self, settings: &Arc<Settings>) -> Result<Checker<'_>, RunError> {
        let mut files = HashMap::new();
        for (namespace, file) in &self.inputs.files.included {
            files.insert(
                namespace.clone(),
                Arc::new(Names::new(file.resolver.settings(None, &[])?, &self.inputs.collection)),
            );
        }
        let env = Names::new(settings.clone(), &self.inputs.collection);
        let lcwd = self.inputs.means.dir.clone().unwrap_or_else(|| PathBuf::from(".")).join(&settings.lcwd);
        Ok(Checker::new(&self.inputs.collection, &self.inputs.roles, env, files, (!settings.warn_only).then_some(lcwd)))
    }

    /// How many hosts a role has, if nothing has to be run to know it.
    async fn known_hosts_of(&self, name: &str) -> Option<Result<usize, RunError>> {
        let is_run = |source: &&RoleSource| matches!(source, RoleSource::Command { .. } | RoleSource::Code(_));
        if self.origins(vec![name.to_owned()])?.iter().any(is_run) {
            return None;
        }
        Some(self.look_up(REMAINDER, name, &Env::default(), &mut Vec::new()).await.map(|hosts| hosts.len()))
    }

    /// A task that needs itself before or after it; and whether one of them sets lists of hosts.
    fn check_cycle(
        &self,
        task: &Arc<Task>,
        path: &mut Vec<TaskId>,
        executed: &mut HashSet<TaskId>,
    ) -> Result<(), RunError> {
        if path.contains(&task.id()) {
            return Err(RunError::Cycle(task.name.clone()));
        }
        path.push(task.id());
        let outline = task.body.outline();
        let sets_lists = outline.as_ref().map(|outline| outline.steps.iter().any(KnownStep::sets_lists));
        self.sets_lists.fetch_or(sets_lists == Some(true), Ordering::Relaxed);
        // Code may.
        self.may_set_lists.fetch_or(sets_lists != Some(false), Ordering::Relaxed);
        for call in task.pre.iter().chain(&task.post) {
            if let Some(task) = self.inputs.collection.find(&call.task) {
                self.check_cycle(task, path, executed)?;
            }
        }
        path.pop();
        for inner in self.executed_by(task, |_| true) {
            // A task may execute itself.
            if executed.insert(inner.id()) {
                self.check_cycle(inner, &mut Vec::new(), executed)?;
            }
        }
        Ok(())
    }

    /// A task whose steps execute it again whatever happens.
    fn check_endless(&self, task: &Arc<Task>, path: &mut Vec<TaskId>) -> Result<(), RunError> {
        if path.contains(&task.id()) {
            return Err(RunError::Endless(task.name.clone()));
        }
        path.push(task.id());
        for task in self.executed_by(task, |step| step.condition.is_none()) {
            self.check_endless(task, path)?;
        }
        path.pop();
        Ok(())
    }

    /// The tasks that the steps of a task execute by name.
    fn executed_by(&self, task: &Task, of: fn(&KnownStep<'_>) -> bool) -> Vec<&Arc<Task>> {
        let steps = task.body.outline().unwrap_or_default().steps.into_iter().filter(|step| of(step));
        let executed = steps.filter_map(|step| {
            let call = Invocation::parse(step.executes()?.task).ok()?;
            let call = Some(call).filter(|call| !template::is_template(&call.task))?;
            self.inputs.collection.find(&self.inputs.collection.qualified(&task.namespace, &call.task))
        });
        executed.collect()
    }
}
