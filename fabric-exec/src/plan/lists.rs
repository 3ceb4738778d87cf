//! Making a task's host list in a run: the pure rules of [`hostlist`](crate::hostlist), with roles asked
//! for their hosts.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fabric_core::settings::{Amount, Overlay};
use fabric_core::{Emitter, HostString, PromptError, PromptKind, PromptRequest};
use indexmap::IndexMap;
use parking_lot::Mutex;

use super::capture::capture;
use super::error::RunError;
use super::inputs::{Inputs, REMAINDER};
use super::inventories::Inventories;
use super::job::Job;
use super::remainder::Remainder;
use super::role_error::RoleError;
use super::shares::{expand, setting};
use crate::hostlist::{
    Around, Emptied, FirstNamed, HostList, HostListError, Level, ListSources, Listed, Members, Role, RoleSource, Rules,
    Selection, Share, build, compose, expand_item, role_names, role_operands, unknown_names,
};
use crate::task::{Args, Context, Env, Task, TaskError};
use crate::template;

/// Where a task is executed inside another one's run.
#[derive(Clone)]
pub(crate) struct Inside<'a> {
    /// The host in whose run, if it is in one's.
    pub(crate) current: Option<&'a Listed>,
    /// The hosts of the task around it that came with settings.
    pub(crate) around: Cow<'a, Around>,
    /// The settings around it.
    pub(crate) settings: Vec<Overlay>,
    /// Shared state there.
    pub(crate) env: &'a Env,
}

impl<'a> Inside<'a> {
    /// On the command line.
    pub(crate) fn nothing(env: &'a Env) -> Self {
        Self { current: None, around: Cow::Owned(Around::new()), settings: Vec::new(), env }
    }

    /// In this run of a task.
    pub(crate) fn of(lists: &HostLists, parent: &'a Context) -> Result<Self, RunError> {
        Ok(Self {
            current: lists.kept_host(parent.task(), parent.listed(), parent.env())?,
            around: Cow::Borrowed(&*parent.scope().around),
            settings: parent.passed_on(),
            env: parent.env(),
        })
    }
}

/// The host lists of a run, and what is known of them so far.
pub(crate) struct HostLists {
    pub(crate) inputs: Arc<Inputs>,
    pub(super) inventories: Inventories,
    /// The host that a person named where none was known.
    asked_host: tokio::sync::Mutex<Option<HostString>>,
    /// Hosts of `-x` that no list has had so far; nothing before the first list that they apply to.
    unmatched: Mutex<Option<Vec<String>>>,
    /// Whether a step of the run sets the global lists.
    pub(super) sets_lists: AtomicBool,
    /// The same, or code that may.
    pub(super) may_set_lists: AtomicBool,
}

impl HostLists {
    pub(crate) fn new(inputs: Arc<Inputs>) -> Self {
        Self {
            inputs,
            inventories: Inventories::default(),
            asked_host: tokio::sync::Mutex::default(),
            unmatched: Mutex::default(),
            sets_lists: AtomicBool::new(false),
            may_set_lists: AtomicBool::new(false),
        }
    }

    /// The host list of a job, now.
    pub(crate) async fn list_of(&self, job: &Job, inside: Inside<'_>) -> Result<HostList, RunError> {
        let exclude = &job.selection.exclude;
        match &job.guard {
            // A `pre` of a guard may name hosts of its own.
            Some(guard) if job.around.is_none() || !job.selection.gives_hosts() => {
                Ok(HostList::exactly(&guard.hosts, exclude))
            }
            _ => self.host_list(job, inside).await,
        }
    }

    /// The host list of a job with something [around](Job::has_around) it, if it is known to be emptied before any of that
    /// runs.
    pub(crate) async fn emptied_ahead(&self, job: &Job, inside: Inside<'_>) -> Result<Option<HostList>, RunError> {
        if !self.is_fixed(job, &inside)? {
            return Ok(None);
        }
        let list = self.list_of(job, inside).await?;
        Ok(Some(list).filter(|list| list.emptied.is_some()))
    }

    /// Whether what runs before a job can't change its host list.
    fn is_fixed(&self, job: &Job, inside: &Inside<'_>) -> Result<bool, RunError> {
        let env = self.inputs.global_lists(&job.task, inside.env)?;
        let sources = self.sources(job, inside.current, &inside.around, &env);
        if matches!(sources.level(), Level::Env | Level::Local) && self.may_set_lists.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let roles = self.roles_of(&job.task, &sources)?;
        let is_written = |source: &&RoleSource| matches!(source, RoleSource::Hosts(_));
        Ok(self.origins(roles).is_none_or(|origins| origins.iter().all(is_written)))
    }

    /// Where the hosts of these roles come from in the end: the sources that aren't other roles. `None` if one of the roles,
    /// or of those that they are made of, doesn't exist.
    pub(super) fn origins(&self, roles: Vec<String>) -> Option<Vec<&RoleSource>> {
        let (mut waiting, mut seen) = (roles, HashSet::new());
        let mut origins = Vec::new();
        while let Some(name) = waiting.pop() {
            match &self.inputs.roles.get(&name)?.source {
                RoleSource::Roles(items) if seen.insert(name) => {
                    waiting.extend(role_names(items, |name| self.inputs.roles.contains_key(name)));
                }
                RoleSource::Roles(_) => {}
                source => origins.push(source),
            }
        }
        Some(origins)
    }

    /// What decides on a job's host list, but for what narrows it.
    fn sources<'a>(
        &'a self,
        job: &'a Job,
        current: Option<&'a Listed>,
        around: &'a Around,
        env: &'a Selection,
    ) -> ListSources<'a> {
        ListSources {
            task: &job.name,
            arguments: &job.selection,
            own: &job.task.own,
            current,
            around,
            env,
            command_line: &self.inputs.command_line,
            only: &[],
            rules: Rules::default(),
        }
    }

    /// The settings that the roles of the command line and their inventories give a host, as for a task without hosts of its
    /// own.
    pub(crate) async fn role_settings(&self, host: &HostString) -> Result<Vec<Overlay>, RunError> {
        let (task, env) = (Task::new(REMAINDER, Arc::new(Remainder::new(String::new()))), Env::default());
        let job = Job::new(Arc::new(task), REMAINDER, Args::new(), Selection::default());
        let list = self.host_list(&job, Inside::nothing(&env)).await?;
        let listed = list.hosts.iter().find(|listed| listed.host == *host);
        Ok(listed.map(|listed| listed.settings.to_vec()).unwrap_or_default())
    }

    /// The host list of a job by the rules, now.
    async fn host_list(&self, job: &Job, inside: Inside<'_>) -> Result<HostList, RunError> {
        let (name, task) = (&*job.name, &*job.task);
        let settings = self.inputs.task_settings(task, &inside.settings, inside.env)?;
        let env = self.inputs.global_lists(task, inside.env)?;
        let only = expand(name, &settings.only_hosts)?;
        let around = inside.env.around(&inside.around);
        let sources = ListSources {
            only: &only,
            rules: Rules {
                dedupe: settings.dedupe_hosts,
                limit: setting("limit", settings.limit.as_ref().map(Amount::as_str), Share::of_limit)?,
                shard: self.inputs.shard,
            },
            ..self.sources(job, inside.current, &around, &env)
        };
        let mut looked_up = IndexMap::new();
        for role in self.roles_of(task, &sources)? {
            let hosts = self.look_up(name, &role, inside.env, &mut Vec::new()).await?;
            looked_up.insert(role, hosts);
        }
        let mut list = build(&sources, &looked_up)?;
        list.warnings.extend(self.note_unmatched(&list, name));
        self.inventories.warn_of_bare_hosts(&self.inputs.roles, &mut list);
        list.warnings.extend(self.inventories.warnings());
        Ok(list)
    }

    /// The host of `outer`'s run that a task without hosts keeps when it is executed there. What a task that runs once
    /// executes goes to the global list if there is one: once is meant for its own steps.
    pub(crate) fn kept_host<'a>(
        &self,
        outer: &Task,
        host: Option<&'a Listed>,
        env: &Env,
    ) -> Result<Option<&'a Listed>, RunError> {
        let leaves = outer.runs_once && self.inputs.global_lists(outer, env)?.gives_hosts();
        Ok(host.filter(|_| !leaves))
    }

    /// Whether the roles of a job, or the global ones where it has none, exist: as far as can be known ahead.
    pub(super) fn check_roles(&self, job: &Job, env: &Env) -> Result<(), RunError> {
        let env = self.inputs.global_lists(&job.task, env)?;
        let around = Around::new();
        let sources = self.sources(job, None, &around, &env);
        self.roles_of(&job.task, &sources).map(drop)
    }

    fn roles_of(&self, task: &Task, sources: &ListSources<'_>) -> Result<Vec<String>, RunError> {
        sources.roles(&self.inputs.roles).map_err(|error| match &task.origin {
            Some(origin) if task.own.gives_hosts() && !sources.arguments.gives_hosts() => {
                RunError::OwnHostList { origin: origin.clone(), error }
            }
            _ => error.into(),
        })
    }

    /// Asks for a host, once a run: what was meant for a host never runs locally.
    pub(crate) async fn ask_for_host(&self) -> Result<HostString, PromptError> {
        let mut known = self.asked_host.lock().await;
        if let Some(host) = &*known {
            return Ok(host.clone());
        }
        loop {
            let request = PromptRequest::new(
                PromptKind::Host,
                "No hosts found. Please specify (single) host string for connection:",
            );
            let answer = self.inputs.means.prompter.ask(request).await?;
            match expand_item(answer.expose()).and_then(|hosts| hosts.iter().map(|host| host.parse()).collect()) {
                Ok::<Vec<HostString>, _>(hosts) if hosts.len() == 1 => {
                    return Ok(known.insert(hosts[0].clone()).clone());
                }
                Ok(hosts) => self.inputs.emitter.warn(format!("one host is asked for, not {}", hosts.len())),
                Err(error) => self.inputs.emitter.warn(error.to_string()),
            }
        }
    }

    /// The hosts of a role, with what it says about them; `open` are the roles that are being looked up, outermost
    /// first. Of a role that is made of others, each host has what the other says above what this one says.
    pub(super) async fn look_up(
        &self,
        task: &str,
        name: &str,
        env: &Env,
        open: &mut Vec<String>,
    ) -> Result<Vec<Listed>, RunError> {
        let role = &self.inputs.roles[name];
        let mut hosts = self.named_by(task, name, role, env, open).await?;
        if let Some(overlay) = role.overlay(name) {
            let alone: Arc<[Overlay]> = Arc::from([overlay.clone()]);
            for listed in &mut hosts {
                listed.settings = if listed.settings.is_empty() {
                    alone.clone()
                } else {
                    std::iter::once(overlay.clone()).chain(listed.settings.iter().cloned()).collect()
                };
            }
        }
        Ok(hosts)
    }

    /// The hosts of a role, with what its source says about them.
    async fn named_by(
        &self,
        task: &str,
        name: &str,
        role: &Role,
        env: &Env,
        open: &mut Vec<String>,
    ) -> Result<Vec<Listed>, RunError> {
        let error = |error: RoleError| RunError::Role { role: name.to_owned(), error };
        let texts = match &role.source {
            RoleSource::Roles(items) => {
                if open.iter().any(|other| other == name) {
                    return Err(error(RoleError::OfItself));
                }
                open.push(name.to_owned());
                let hosts = Box::pin(self.composed(task, items, env, open)).await?.map_err(error);
                open.pop();
                return hosts;
            }
            RoleSource::Hosts(hosts) => hosts,
            RoleSource::Code(code) => {
                return code.hosts().await.map_err(|why| error(RoleError::Code(Arc::new(why))));
            }
            RoleSource::File { path, group } => {
                let members = self.inventories.file(path, group.as_deref().unwrap_or(name)).await;
                return Ok(members.map_err(error)?.hosts);
            }
            RoleSource::Command { line, dir } => {
                let resolver = &self.inputs.files.of(&role.namespace).resolver;
                let settings = resolver.settings(None, &env.overlay().into_iter().collect::<Vec<_>>())?;
                let line = template::render(&template::environment(), line, &template::env_of(settings));
                let line = line.map_err(|problem| error(RoleError::Template(problem.to_string())))?;
                return Ok(self.inventory_command(&line, dir, name).await.map_err(error)?.hosts);
            }
        };
        let listed = |text: &String| match HostString::parse(text) {
            Ok(host) => Ok(Listed::new(host)),
            Err(error) => Err(HostListError::Host { task: task.to_owned(), role: Some(name.to_owned()), error }.into()),
        };
        texts.iter().map(listed).collect()
    }

    /// The hosts of a role that is made of others, or why there are none.
    async fn composed(
        &self,
        task: &str,
        items: &[String],
        env: &Env,
        open: &mut Vec<String>,
    ) -> Result<Result<Vec<Listed>, RoleError>, RunError> {
        let names = role_names(items, |name| self.inputs.roles.contains_key(name));
        let unknown = unknown_names(&names, &self.inputs.roles);
        if !unknown.is_empty() {
            return Ok(Err(RoleError::UnknownRoles(unknown)));
        }
        let mut hosts: IndexMap<&str, Vec<Listed>> = IndexMap::new();
        for name in &names {
            hosts.insert(name, self.look_up(task, name, env, open).await?);
        }
        let operands = items.iter().map(|item| role_operands(item, |name| self.inputs.roles.contains_key(name)));
        let mut first = FirstNamed::default();
        let hosts_of = |operator, name| {
            first.note(operator, name, &hosts[name]).map_err(RoleError::Composed)?;
            Ok(hosts[name].clone())
        };
        let composed = compose(operands, |listed: &Listed| listed.host.as_str(), hosts_of, |_, _, _| {});
        Ok(composed.map(|hosts| hosts.into_iter().map(|listed| first.as_first(listed)).collect()))
    }

    /// The hosts of a group of what an inventory command prints.
    async fn inventory_command(&self, line: &str, dir: &Path, group: &str) -> Result<Members, RoleError> {
        let output = capture(line, dir, &self.inputs.means.interrupt).await?;
        self.inventories.printed(line, &output, group)
    }

    /// The host list that a local command prints, with what it says about the hosts; what a person should know about it
    /// goes to `emitter`.
    pub(crate) async fn printed_by(&self, line: &str, emitter: &Emitter) -> Result<Vec<Listed>, TaskError> {
        let dir = self.inputs.means.dir.clone().unwrap_or_default();
        let members = self.inventory_command(line, &dir, "hosts").await;
        for warning in self.inventories.warnings() {
            emitter.warn(warning);
        }
        Ok(members.map_err(|error| TaskError::Abort(error.to_string()))?.hosts)
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
}

fn excludes_nothing(of: &str, hosts: &[String]) -> String {
    format!("-x excludes none {of}: {}", fabric_core::host::fold(hosts.iter().map(String::as_str)))
}
