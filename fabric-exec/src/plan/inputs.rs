//! What a run is made with.

use std::sync::Arc;

use fabric_core::Emitter;
use fabric_core::settings::{Overlay, Settings};

use super::call::Call;
use super::error::RunError;
use super::files::Files;
use super::job::Job;
use super::shares::expand;
use crate::collection::Collection;
use crate::hostlist::{EnvLists, Roles, Selection, Shard};
use crate::journal::Recorded;
use crate::task::{Env, Invocation, Means, Task, task_layers};

/// The name of the anonymous task (Fabric 1).
pub(crate) const REMAINDER: &str = "<remainder>";

/// What a run is made with; nothing of it changes while it is under way.
pub(crate) struct Inputs {
    pub(crate) collection: Arc<Collection>,
    pub(crate) files: Files,
    pub(crate) roles: Roles,
    pub(crate) command_line: Selection,
    pub(crate) shard: Option<Shard>,
    /// The run that is tried again.
    pub(crate) earlier: Option<Recorded>,
    /// What the bodies of tasks use.
    pub(crate) means: Means,
    /// Where what happens is said.
    pub(crate) emitter: Emitter,
}

impl Inputs {
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

    /// The tasks as typed, unless an argument of theirs may be a secret.
    pub(crate) fn shown_tokens(&self, calls: &[Call]) -> Vec<String> {
        let tokens = |shown: bool| {
            calls.iter().map(move |call| match call {
                Call::Task(call) if shown => self.shown(call),
                call => call.token(),
            })
        };
        if tokens(true).eq(tokens(false)) { self.means.tokens.clone() } else { tokens(true).collect() }
    }

    /// A call for people to read.
    pub(crate) fn shown(&self, call: &Invocation) -> String {
        call.shown(self.collection.find(&call.task).map(|task| task.params.as_slice()).unwrap_or_default())
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
}
