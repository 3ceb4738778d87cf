//! Making a task's host list in a run: the pure rules of [`hostlist`](crate::hostlist), with roles asked
//! for their hosts.

use std::borrow::Cow;
use std::collections::HashSet;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fabric_core::settings::{Overlay, Problem};
use fabric_core::{HostString, PromptError, PromptKind, PromptRequest};
use indexmap::IndexMap;
use tokio::process::Command;

use super::context::Context;
use super::job::Job;
use super::shared::Shared;
use super::{Env, RunError};
use crate::hostlist::{
    Around, EnvLists, FirstNamed, HostList, HostListError, Level, Listed, Role, RoleSource, Rules, Selection, Share,
    ShareError, Sources, build, compose, expand_item, role_names, role_operands, unknown_names, unknown_roles,
};
use crate::steps::template;
use crate::task::Task;

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
    /// In this run of a task, or of the command line.
    pub(crate) fn of(shared: &'a Shared, parent: Option<&'a Context>) -> Result<Self, RunError> {
        let Some(parent) = parent else {
            let (around, env) = (Cow::Owned(Around::new()), &shared.env);
            return Ok(Self { current: None, around, settings: Vec::new(), env });
        };
        Ok(Self {
            current: shared.kept_host(parent.task(), parent.listed(), parent.env())?,
            around: Cow::Borrowed(&parent.scope().around),
            settings: parent.passed_on(),
            env: parent.env(),
        })
    }
}

impl Shared {
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
        let env = self.global_lists(&job.task, inside.env)?;
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
            match &self.roles.get(&name)?.source {
                RoleSource::Roles(items) if seen.insert(name) => {
                    waiting.extend(role_names(items, |name| self.roles.contains_key(name)));
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
    ) -> Sources<'a> {
        Sources {
            task: &job.name,
            arguments: &job.selection,
            own: &job.task.own,
            current,
            around,
            env,
            command_line: &self.command_line,
            only: &[],
            rules: Rules::default(),
        }
    }

    /// The host list of a job by the rules, now.
    async fn host_list(&self, job: &Job, inside: Inside<'_>) -> Result<HostList, RunError> {
        let (name, task) = (&*job.name, &*job.task);
        let settings = self.task_settings(task, &inside.settings, inside.env)?;
        let env = self.global_lists(task, inside.env)?;
        let only = expand(name, &settings.only_hosts)?;
        let around = inside.env.around(&inside.around);
        let sources = Sources {
            only: &only,
            rules: Rules {
                dedupe: settings.dedupe_hosts,
                limit: setting("limit", settings.limit.as_deref(), Share::of_limit)?,
                shard: self.shard,
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
        self.warn_of_bare_hosts(&mut list);
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
        let leaves = outer.runs_once && self.global_lists(outer, env)?.gives_hosts();
        Ok(host.filter(|_| !leaves))
    }

    /// Whether the roles of a job, or the global ones where it has none, exist: as far as can be known ahead.
    pub(crate) fn check_roles(&self, job: &Job) -> Result<(), RunError> {
        let env = self.global_lists(&job.task, &self.env)?;
        let around = Around::new();
        let sources = self.sources(job, None, &around, &env);
        self.roles_of(&job.task, &sources).map(drop)
    }

    fn roles_of(&self, task: &Task, sources: &Sources<'_>) -> Result<Vec<String>, RunError> {
        sources.roles(&self.roles).map_err(|source| match &task.origin {
            Some(origin) if task.own.gives_hosts() && !sources.arguments.gives_hosts() => {
                RunError::OwnHostList { origin: origin.clone(), source }
            }
            _ => source.into(),
        })
    }

    /// Asks for a host, once a run: what was meant for a host never runs locally.
    pub(crate) async fn ask_for_host(&self) -> Result<HostString, PromptError> {
        let mut known = self.asked_host.lock().await;
        if let Some(host) = &*known {
            return Ok(host.clone());
        }
        loop {
            let request = PromptRequest {
                kind: PromptKind::Host,
                host: None,
                message: "No hosts found. Please specify (single) host string for connection:".to_owned(),
            };
            let answer = self.prompter.ask(request).await?;
            match expand_item(answer.expose()).and_then(|hosts| hosts.iter().map(|host| host.parse()).collect()) {
                Ok::<Vec<HostString>, _>(hosts) if hosts.len() == 1 => {
                    return Ok(known.insert(hosts[0].clone()).clone());
                }
                Ok(hosts) => self.emitter.warn(format!("one host is asked for, not {}", hosts.len())),
                Err(error) => self.emitter.warn(error.to_string()),
            }
        }
    }

    /// The global lists now, as the file of this task has them.
    pub(crate) fn global_lists(&self, task: &Task, env: &Env) -> Result<Selection, RunError> {
        let file = self.files.of(&task.namespace);
        let settings = file.resolver.settings(None, &[])?;
        let expand = |list| expand(&task.name, list);
        let selection = Selection {
            hosts: expand(&settings.hosts)?,
            roles: settings.roles.clone(),
            exclude: expand(&settings.exclude_hosts)?,
        };
        let lists = EnvLists {
            settings: &selection,
            fabfile: &file.lists,
            command_line: &self.command_line,
            runtime: &env.lists(),
        };
        Ok(lists.merge())
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
        let role = &self.roles[name];
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
        let error = |message: String| RunError::Role { role: name.to_owned(), message };
        let texts = match &role.source {
            RoleSource::Roles(items) => {
                if open.iter().any(|other| other == name) {
                    return Err(error("it is made of itself".to_owned()));
                }
                open.push(name.to_owned());
                let hosts = Box::pin(self.composed(task, items, env, open)).await?.map_err(error);
                open.pop();
                return hosts;
            }
            RoleSource::Hosts(hosts) => Ok(hosts.clone()),
            RoleSource::Code(code) => code.hosts().await.map_err(error),
            RoleSource::File { path, group } => {
                let members = self.inventory_file(path, group.as_deref().unwrap_or(name)).await;
                return Ok(members.map_err(error)?.hosts);
            }
            RoleSource::Command { line, dir } => {
                let resolver = &self.files.of(&role.namespace).resolver;
                let settings = resolver.settings(None, &env.overlay().into_iter().collect::<Vec<_>>())?;
                let line = template::render(&template::environment(), line, &template::env_of(settings));
                let line = line.map_err(|problem| error(problem.to_string()))?;
                return Ok(self.inventory_command(&line, dir, name).await.map_err(error)?.hosts);
            }
        }?;
        let listed = |text: &String| match HostString::parse(text) {
            Ok(host) => Ok(Listed::new(host)),
            Err(source) => {
                Err(HostListError::Host { task: task.to_owned(), role: Some(name.to_owned()), source }.into())
            }
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
    ) -> Result<Result<Vec<Listed>, String>, RunError> {
        let names = role_names(items, |name| self.roles.contains_key(name));
        let unknown = unknown_names(&names, &self.roles);
        if !unknown.is_empty() {
            return Ok(Err(unknown_roles(&unknown)));
        }
        let mut hosts: IndexMap<&str, Vec<Listed>> = IndexMap::new();
        for name in &names {
            hosts.insert(name, self.look_up(task, name, env, open).await?);
        }
        let operands = items.iter().map(|item| role_operands(item, |name| self.roles.contains_key(name)));
        let mut first = FirstNamed::default();
        let hosts_of = |operator, name| {
            first.note(operator, name, &hosts[name]).map_err(|error| error.to_string())?;
            Ok(hosts[name].clone())
        };
        let composed = compose(operands, |listed: &Listed| listed.host.as_str(), hosts_of, |_, _, _| {});
        Ok(composed.map(|hosts| hosts.into_iter().map(|listed| first.as_first(listed)).collect()))
    }

    /// What a local command prints; anything but success is an error with the end of what it said.
    pub(crate) async fn capture(&self, line: &str, dir: &std::path::Path) -> Result<String, String> {
        let child = Command::new("/bin/sh")
            .args(["-c", line])
            .current_dir(if dir.as_os_str().is_empty() { std::path::Path::new(".") } else { dir })
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("`{line}` cannot be run: {error}"))?;
        let output = tokio::select! {
            output = child.wait_with_output() => output.map_err(|error| format!("`{line}`: {error}"))?,
            () = self.interrupt.stopping() => return Err(format!("`{line}` was interrupted")),
        };
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = said.trim_end().lines().collect();
        let said = said[said.len().saturating_sub(5)..].join("\n");
        let colon = if said.is_empty() { "" } else { ": " };
        Err(format!("`{line}` ended with {}{colon}{said}", output.status))
    }
}

/// A list of a setting, which may be written by hand, with its ranges and braces expanded.
fn expand(task: &str, list: &[String]) -> Result<Vec<String>, RunError> {
    let mut hosts = Vec::new();
    for item in list {
        let error = |source| HostListError::Host { task: task.to_owned(), role: None, source };
        hosts.extend(fabric_core::host::expand(item).map_err(error)?);
    }
    Ok(hosts)
}

/// A setting that is a share, if it is set.
fn setting(
    name: &str,
    text: Option<&str>,
    read: impl Fn(&str) -> Result<Share, ShareError>,
) -> Result<Option<Share>, RunError> {
    let error = |error| RunError::Settings(Problem::new(format!("setting `{name}`: {error}")).into());
    text.map(|text| read(text).map_err(error)).transpose()
}

/// The settings of a listed host that are shares.
pub(crate) struct Shares {
    pub(crate) batch: Option<Share>,
    pub(crate) max_failures: Option<Share>,
}

impl Shares {
    pub(crate) fn of(settings: &fabric_core::Settings) -> Result<Self, RunError> {
        Ok(Self {
            batch: setting("batch", settings.batch.as_deref(), Share::of_batch)?,
            max_failures: setting("max_failures", settings.max_failures.as_deref(), str::parse)?,
        })
    }
}
