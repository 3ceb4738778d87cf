//! A call of a task, ready to be executed, and what it comes to.

use std::sync::Arc;

use crate::hostlist::{HostList, Listed, Selection};
use crate::report::HostResult;
use crate::task::{Args, Task, TaskId};

/// A task with its arguments, ready to be executed.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) task: Arc<Task>,
    pub(crate) name: Arc<str>,
    pub(crate) args: Args,
    pub(crate) selection: Selection,
    /// As what it guards the way of another task over its hosts, if it does; its `pre` and `post` do so too.
    pub(crate) guard: Option<Guard>,
    /// As which call of `pre` or `post`.
    pub(crate) around: Option<String>,
    /// Whether nothing follows in this run on a host once this has ended there.
    pub(crate) last: bool,
}

/// A health check or a rollback: it runs on the hosts on which another task has begun, whatever lists of its own say.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) kind: GuardKind,
    pub(crate) hosts: Arc<[Listed]>,
    /// The tasks in whose runs that other task is executed, outermost first, and itself.
    pub(crate) path: Arc<[TaskId]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GuardKind {
    /// A failure is one, whatever `warn_only` and `skip_bad_hosts` say.
    Health,
    /// It goes to all of its hosts, whatever fails on some of them.
    Rollback,
}

/// What makes two calls one, whatever names and spellings they have: the task, its arguments, and its hosts.
pub(crate) type SameCall = (TaskId, String);

impl Job {
    /// A call that is neither `pre` nor `post` nor a guard of another.
    pub(crate) fn new(task: Arc<Task>, name: impl Into<Arc<str>>, args: Args, selection: Selection) -> Self {
        Self { task, name: name.into(), args, selection, guard: None, around: None, last: false }
    }

    /// Which call it is on these hosts.
    pub(crate) fn same_call(&self, list: &HostList) -> SameCall {
        let hosts: Vec<&str> = list.names().collect();
        (self.task.id(), serde_json::json!([self.args, list.is_local(), hosts]).to_string())
    }

    /// Which call of a task that runs once it is: the hosts don't matter.
    pub(crate) fn once(&self) -> SameCall {
        (self.task.id(), serde_json::json!(self.args).to_string())
    }

    /// Whether its list decides on more than the task: on `pre` and `post`. A guard's is that of the task that it guards.
    pub(crate) fn has_around(&self) -> bool {
        self.guard.is_none() && !(self.task.pre.is_empty() && self.task.post.is_empty())
    }

    pub(crate) fn is(&self, kind: GuardKind) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard.kind == kind)
    }
}

/// What an execution came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// In the order of the host list.
    pub(crate) results: Vec<HostResult>,
    /// Why it failed, if it did: every failure that was not asked to be a warning.
    pub(crate) reasons: Vec<String>,
    /// Whether it can't end differently in this run: it was tried several times, or what it needs is done once a run.
    pub(crate) settled: bool,
    /// Whether nothing more may be started.
    pub(crate) halt: bool,
    /// Whether it was not begun, because what it needs failed.
    pub(crate) not_begun: bool,
    /// Whether nothing ran, because the host list was emptied.
    pub(crate) emptied: bool,
    /// What was wrong with the fabfile or the settings, if that is why.
    pub(crate) usage: Option<String>,
    /// Which option would have gone on to the next task on the hosts that are left.
    pub(crate) advice: Option<&'static str>,
}

impl Outcome {
    /// Why it failed on a host, whether or not that was to be a warning.
    pub(crate) fn any_failure(&self) -> Option<String> {
        let failed = self.results.iter().find(|result| result.status.is_failure())?;
        Some(failed.error.clone().unwrap_or_else(|| failed.status.to_string()))
    }
}
