//! What calls, executions and their results are to the reference.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::generate::{Task, Where};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Skipped,
    Ok,
    RolledBack,
    Failed,
    Unreachable,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::RolledBack => "rolled_back",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
        }
    }

    pub(super) fn is_failure(self) -> bool {
        self >= Self::Failed
    }
}

/// How a task ended on a host, or locally.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) host: Option<&'static str>,
    pub(super) status: Status,
    pub(super) tolerated: bool,
    /// Whether it was tried again.
    pub(super) tried: bool,
}

/// How a body ended once.
pub(super) enum Once {
    Ok,
    Tolerated,
    /// With whether another try could end differently.
    Failed(bool),
    Unreachable,
}

/// An execution, in the order in which they begin.
#[derive(Debug)]
pub(super) struct Execution {
    pub(super) task: usize,
    /// The one in whose run it was made, if it counts no more when that is tried again.
    pub(super) within: Option<usize>,
    pub(super) superseded: bool,
    pub(super) results: Vec<(Option<&'static str>, Status)>,
}

/// A failure that was not allowed to be one.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) execution: usize,
    pub(super) host: &'static str,
    /// Whether its task goes on without the host.
    pub(super) is_allowed: bool,
}

/// What an execution came to.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    pub(super) failed: bool,
    pub(super) halt: bool,
    pub(super) emptied: bool,
    /// Whether it can't end differently in this run.
    pub(super) settled: bool,
    pub(super) results: Vec<Ended>,
}

impl Outcome {
    /// Whether it failed on a host, be it as a warning.
    pub(super) fn has_failed(&self) -> bool {
        self.results.iter().any(|ended| ended.status.is_failure())
    }
}

#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) task: usize,
    pub(super) place: Where,
    pub(super) arg: Option<&'static str>,
    pub(super) guard: Option<(Guard, Vec<&'static str>)>,
    pub(super) is_around: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Guard {
    Health,
    Rollback,
}

/// Why a list has no hosts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Emptied {
    LeftOut,
    /// They are in others.
    Shard,
}

/// In whose run a call is made, and what is in force there.
#[derive(Debug, Clone)]
pub(super) struct Inside {
    pub(super) host: Option<&'static str>,
    pub(super) runs_once: bool,
    /// Whether it is a health check, or executed by one.
    pub(super) is_check: bool,
    pub(super) execution: usize,
    /// What has been executed there in this try.
    pub(super) executed: Rc<RefCell<Vec<usize>>>,
    pub(super) block: Block,
}

/// Settings around a call, and shared state.
#[derive(Debug, Clone, Default)]
pub(super) struct Block {
    pub(super) warn_only: bool,
    pub(super) retries: Option<u32>,
    pub(super) cwd: Option<&'static str>,
    pub(super) env: BTreeMap<&'static str, &'static str>,
    pub(super) limit: Option<usize>,
    pub(super) mark: Rc<RefCell<Option<String>>>,
}

impl Block {
    /// The same with a task's own settings.
    pub(super) fn with(&self, task: &Task) -> Self {
        let mut block = self.clone();
        block.warn_only |= task.with.warn_only;
        block.retries = task.with.retries.or(block.retries);
        block.cwd = task.with.cwd.or(block.cwd);
        block.env.extend(task.with.env.iter().copied());
        block.limit = task.with.limit.or(block.limit);
        block
    }

    /// The same for one host of several that have shared state of their own.
    pub(super) fn fork(&self) -> Self {
        let mark = Rc::new(RefCell::new(self.mark.borrow().clone()));
        Self { mark, ..self.clone() }
    }
}

/// An execution under way.
pub(super) struct At<'a> {
    pub(super) call: &'a Call,
    pub(super) task: &'a Task,
    pub(super) inside: Option<&'a Inside>,
    pub(super) guard: Option<Guard>,
    pub(super) execution: usize,
}

impl At<'_> {
    /// Whether it is a health check, or executed by one.
    pub(super) fn is_check(&self) -> bool {
        self.guard == Some(Guard::Health) || self.inside.is_some_and(|inside| inside.is_check)
    }
}
