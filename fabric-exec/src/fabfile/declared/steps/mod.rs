//! Declared steps: what the tasks of a TOML, YAML or JSON fabfile are made of.
//!
//! Each verb is a file: what it has, how it is read, what is known of it before it runs, and what it does. A new one has a
//! line in [`Verb`] and in `VERBS` besides.

mod body;
mod command;
mod execute;
mod lists;
mod open_shell;
mod prompt;
mod read;
mod set;
mod transfer;
mod values;
mod work;

pub(super) use body::Steps;
pub(super) use command::CommandStep;
pub(super) use set::SetValue;
use {execute::ExecuteStep, open_shell::OpenShellStep, prompt::PromptStep, set::SetStep, transfer::TransferStep};

pub(super) use read::LEVELS;

use async_trait::async_trait;
use fabric_core::Value;
use fabric_core_document::{Members, Node};

use super::reader::Reader;
use crate::places::Places;
use crate::task::{Hide, KnownStep, TaskError};
use work::Work;

/// One step of a task.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// Its place, `file:line`.
    pub(crate) at: String,
    /// What it does.
    pub(crate) verb: Verb,
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

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verb {
    /// `run`, `sudo` and `local`: runs commands.
    Command(CommandStep),
    /// `put` and `get`: copies a file or directory.
    Transfer(TransferStep),
    /// Executes another task by all the rules of host lists.
    Execute(ExecuteStep),
    /// Sets shared state and settings for what follows.
    Set(SetStep),
    /// Asks a person.
    Prompt(PromptStep),
    /// Opens an interactive shell on the host.
    OpenShell(OpenShellStep),
}

const VERBS: &[&Form] = &[
    &command::RUN,
    &command::SUDO,
    &command::LOCAL,
    &transfer::PUT,
    &transfer::GET,
    &execute::FORM,
    &set::FORM,
    &prompt::FORM,
    &open_shell::FORM,
];

/// The keys of a step, by its verb.
pub(super) fn keys() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    VERBS.iter().map(|form| (form.name, form.keys.iter().copied().flatten().copied().chain([form.name]).collect()))
}

impl Verb {
    fn work(&self) -> &dyn StepWork {
        match self {
            Self::Command(verb) => verb,
            Self::Transfer(verb) => verb,
            Self::Execute(verb) => verb,
            Self::Set(verb) => verb,
            Self::Prompt(verb) => verb,
            Self::OpenShell(verb) => verb,
        }
    }
}

/// How a verb is written.
struct Form {
    /// Its word.
    name: &'static str,
    /// The keys that go with it.
    keys: &'static [&'static [&'static str]],
    /// Reads what the word is given: the node, the step's keys, and what messages call it.
    read: fn(&mut Reader, &Node, &Members, &str) -> Option<Verb>,
}

/// The keys of work that can fail.
const ANY: &[&str] = &["if", "save", "warn_only", "hide"];

/// What a verb does.
#[async_trait]
trait StepWork: Sync {
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

    /// Does it, and yields what `save` keeps.
    async fn carry_out(&self, work: &mut Work, step: &Step) -> Result<Value, TaskError>;
}
