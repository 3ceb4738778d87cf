//! A step, and what its verb is: how it is read, what is known of it before it runs, and what it does.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::Value;
use fabric_core_document::{Members, Node};

use super::work::Work;
use crate::fabfile::declared::reader::Reader;
use crate::fabfile::declared::rename::Rename;
use crate::places::Places;
use crate::task::{Hide, KnownStep, TaskError};

/// One step of a task.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Its place, `file:line`.
    pub(crate) at: String,
    /// What it does.
    pub(crate) verb: Arc<dyn Verb>,
    /// The condition under which it does it, an expression.
    pub(crate) condition: Option<String>,
    /// The name under which its outcome is kept for the steps after it.
    pub(crate) save: Option<String>,
    /// Whether its failure is a warning; `None`: as the settings say.
    pub(crate) warn_only: Option<bool>,
    /// Which of its output is not shown.
    pub(crate) hide: Hide,
    /// Where its texts are in the fabfile.
    pub(crate) places: Places,
}

/// Reads what the word of a verb is given: the node, the step's keys, and what messages call it.
pub(super) type Read = fn(&mut Reader, &Node, &Members, &str) -> Option<Arc<dyn Verb>>;

/// How a verb is written.
pub(super) struct Form {
    /// Its word.
    pub(super) name: &'static str,
    /// The keys that go with it.
    pub(super) keys: &'static [&'static [&'static str]],
    /// How what it is given is read.
    pub(super) read: Read,
}

/// The keys of work that can fail.
pub(super) const ANY: &[&str] = &["if", "save", "warn_only", "hide"];

/// What a verb does.
#[async_trait]
pub(crate) trait Verb: fmt::Debug + Send + Sync {
    /// Its word.
    fn name(&self) -> &'static str;

    /// Its commands, paths or names, as they are written.
    fn what(&self) -> String;

    /// Adds what is known of it before it runs.
    fn outline<'a>(&'a self, known: &mut KnownStep<'a>);

    /// Whether it can't be done without a host; `None` where it may change that for what follows.
    fn needs_host(&self) -> Option<bool> {
        Some(false)
    }

    /// Whether it transfers files.
    fn moves_files(&self) -> bool {
        false
    }

    /// Whether its value is the task's, if nothing follows.
    fn yields_a_value(&self) -> bool {
        true
    }

    /// The same with the roles that it names renamed, if it names any.
    fn with_roles(&self, _: &Rename<'_>) -> Option<Arc<dyn Verb>> {
        None
    }

    /// Does it, and yields what `save` keeps.
    async fn carry_out(&self, work: &mut Work, step: &Step) -> Result<Value, TaskError>;
}
