//! Making a task's host list in a run: the pure rules of [`hostlist`](crate::hostlist), with roles asked
//! for their hosts.

use std::process::Stdio;
use std::str::FromStr;

use fabric_core::HostString;
use fabric_core::settings::Problem;
use indexmap::IndexMap;
use tokio::process::Command;

use super::RunError;
use super::shared::Shared;
use crate::hostlist::{
    EnvLists, HostList, HostListError, Level, Role, RoleSource, Rules, Selection, Share, ShareError, Sources, build,
    read_inventory,
};
use crate::task::Task;

impl Shared {
    /// The host list of a task, now.
    pub(crate) async fn host_list(
        &self,
        name: &str,
        task: &Task,
        arguments: &Selection,
        current: Option<&HostString>,
    ) -> Result<HostList, RunError> {
        let settings = self.task_settings(task)?;
        let env = self.global_lists(name)?;
        let sources = Sources {
            task: name,
            arguments,
            own: &task.own,
            current,
            env: &env,
            command_line: &self.command_line,
            rules: Rules {
                dedupe: settings.dedupe_hosts,
                limit: setting("limit", settings.limit.as_deref())?,
                shard: self.shard,
            },
        };
        let mut looked_up = IndexMap::new();
        let roles = sources.roles(&self.roles).map_err(|source| match &task.origin {
            Some(origin) if task.own.gives_hosts() && !arguments.gives_hosts() => {
                RunError::OwnHostList { origin: origin.clone(), source }
            }
            _ => source.into(),
        })?;
        for name in roles {
            if let (Some(role), false) = (self.roles.get(&name), looked_up.contains_key(&name)) {
                let hosts = self.look_up(&name, role).await?;
                looked_up.insert(name, hosts);
            }
        }
        let mut list = build(&sources, &looked_up)?;
        if let Some(only) = self.only.as_ref().filter(|_| list.level != Level::Current) {
            list.keep(only);
        }
        Ok(list)
    }

    /// The global lists now.
    fn global_lists(&self, task: &str) -> Result<Selection, RunError> {
        let settings = self.resolver.settings(None, &[])?;
        let expand = |list: &[String]| -> Result<Vec<String>, RunError> {
            let mut hosts = Vec::new();
            for item in list {
                let items = fabric_core::host::expand(item).map_err(|source| HostListError::Host {
                    task: task.to_owned(),
                    role: None,
                    source,
                })?;
                hosts.extend(items);
            }
            Ok(hosts)
        };
        let selection = Selection {
            hosts: expand(&settings.hosts)?,
            roles: settings.roles.clone(),
            exclude: expand(&settings.exclude_hosts)?,
        };
        let lists = EnvLists {
            settings: &selection,
            fabfile: &self.fabfile_lists,
            command_line: &self.command_line,
            runtime: &self.env.lists(),
        };
        Ok(lists.merge())
    }

    async fn look_up(&self, name: &str, role: &Role) -> Result<Vec<String>, RunError> {
        let error = |message: String| RunError::Role { role: name.to_owned(), message };
        match &role.source {
            RoleSource::Hosts(hosts) => Ok(hosts.clone()),
            RoleSource::Code(code) => code.hosts().await.map_err(error),
            RoleSource::File { path, group } => {
                let shown = path.display();
                let text = tokio::fs::read_to_string(path)
                    .await
                    .map_err(|problem| error(format!("inventory {shown} cannot be read: {problem}")))?;
                read_inventory(&text, group.as_deref().unwrap_or(name))
                    .map_err(|problem| error(format!("inventory {shown}: {problem}")))
            }
            RoleSource::Command { line, dir } => {
                let output = self.capture(line, dir).await.map_err(error)?;
                read_inventory(&output, name).map_err(|problem| error(format!("`{line}`: {problem}")))
            }
        }
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

/// A setting that is a share, if it is set.
pub(crate) fn setting<T: FromStr<Err = ShareError>>(name: &str, text: Option<&str>) -> Result<Option<T>, RunError> {
    text.map(|text| {
        text.parse()
            .map_err(|error: ShareError| RunError::Settings(Problem::new(format!("setting `{name}`: {error}")).into()))
    })
    .transpose()
}

/// The settings of a listed host that are shares.
pub(crate) struct Shares {
    pub(crate) batch: Option<Share>,
    pub(crate) max_failures: Option<Share>,
}

impl Shares {
    pub(crate) fn of(settings: &fabric_core::Settings) -> Result<Self, RunError> {
        Ok(Self {
            batch: setting("batch", settings.batch.as_deref())?,
            max_failures: setting("max_failures", settings.max_failures.as_deref())?,
        })
    }
}
