//! What is known of a body before it runs.

use fabric_core::Value;
use indexmap::IndexMap;

use crate::hostlist::Selection;
use crate::places::Places;

/// What a body does, step by step, as far as that is known before it runs.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Outline<'a> {
    /// Its steps, in order.
    pub steps: Vec<KnownStep<'a>>,
}

/// A step of an [`Outline`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KnownStep<'a> {
    /// Its verb, as plans show it.
    pub verb: &'static str,
    /// Its commands, paths or names, templates as they are written.
    pub what: String,
    /// Where it is, `file:line`; empty where that is not known.
    pub at: &'a str,
    /// The condition under which it is done.
    pub condition: Option<&'a str>,
    /// The condition until which it is tried again, and how often it is.
    pub until: Option<(&'a str, u32)>,
    /// Its templates.
    pub texts: Vec<Text<'a>>,
    /// The name under which later steps see its outcome.
    pub save: Option<&'a str>,
    /// The attributes of that outcome, where they are known.
    pub attributes: Option<Vec<String>>,
    /// Whether its failure is a warning whatever the settings say.
    pub is_tolerant: bool,
    /// The local file that it reads: the key that names it, its path, and whether it is a template.
    pub reads: Option<(&'static str, &'a str, bool)>,
    /// What it does beyond itself.
    pub effect: Effect<'a>,
    /// Where its texts are in the fabfile.
    pub places: Option<&'a Places>,
}

/// A text of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Text<'a> {
    /// A template that is taken as it comes out.
    Plain(&'a str),
    /// A template that a shell reads.
    Shell(&'a str),
}

/// What a step does to what comes after it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Effect<'a> {
    /// Nothing that can be known ahead.
    #[default]
    None,
    /// It may make files on this machine.
    MakesFiles,
    /// It executes a task.
    Executes(Executed<'a>),
    /// It sets shared state.
    Sets {
        /// The keys.
        names: Vec<&'a str>,
        /// What it makes of the global lists, as far as it is written out.
        lists: Selection,
        /// Whether a local command says what is set.
        by_command: bool,
    },
}

/// An execution of another task by a step. Texts are templates.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Executed<'a> {
    /// The task, by name or as `task:args`.
    pub task: &'a str,
    /// Arguments by name.
    pub args: &'a IndexMap<String, Value>,
    /// Its hosts.
    pub hosts: &'a [String],
    /// Its roles.
    pub roles: &'a [String],
    /// The hosts that are left out.
    pub exclude_hosts: &'a [String],
}

impl<'a> Executed<'a> {
    /// Of the task that this text names, with these arguments.
    pub fn new(task: &'a str, args: &'a IndexMap<String, Value>) -> Self {
        Self { task, args, hosts: &[], roles: &[], exclude_hosts: &[] }
    }
}

impl<'a> Outline<'a> {
    /// Of these steps.
    pub fn new(steps: impl IntoIterator<Item = KnownStep<'a>>) -> Self {
        Self { steps: steps.into_iter().collect() }
    }
}

impl<'a> KnownStep<'a> {
    /// A step of which nothing else is known.
    pub fn new(verb: &'static str, what: impl Into<String>) -> Self {
        Self {
            verb,
            what: what.into(),
            at: "",
            condition: None,
            until: None,
            texts: Vec::new(),
            save: None,
            attributes: None,
            is_tolerant: false,
            reads: None,
            effect: Effect::None,
            places: None,
        }
    }

    /// The task that it executes.
    pub(crate) fn executes(&self) -> Option<&Executed<'a>> {
        match &self.effect {
            Effect::Executes(executed) => Some(executed),
            _ => None,
        }
    }

    /// Whether it sets a global list.
    pub(crate) fn sets_lists(&self) -> bool {
        let Effect::Sets { names, .. } = &self.effect else { return false };
        ["hosts", "roles", "exclude_hosts"].iter().any(|list| names.contains(list))
    }

    /// Whether it may make files on this machine.
    pub(crate) fn makes_files(&self) -> bool {
        matches!(self.effect, Effect::MakesFiles)
    }
}
