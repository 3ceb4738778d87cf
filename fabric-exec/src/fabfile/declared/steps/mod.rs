//! Declared steps: what the tasks of a TOML, YAML or JSON fabfile are made of.

mod body;
mod outline;
mod transfer;
mod values;
mod work;

use fabric_core::Value;
use fabric_transport::transfer::Links;
use indexmap::IndexMap;

pub use body::Steps;

pub use crate::places::Places;
use crate::task::Hide;

/// One step of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Where it stands, `file:line`.
    pub at: String,
    /// What it does.
    pub verb: Verb,
    /// The condition under which it does it, an expression.
    pub condition: Option<String>,
    /// The name under which its outcome is kept for the steps after it.
    pub save: Option<String>,
    /// Whether its failure is a warning; `None`: as the settings say.
    pub warn_only: Option<bool>,
    /// Which of its output is not shown.
    pub hide: Hide,
    /// Where its texts stand.
    pub places: Places,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Verb {
    /// Runs commands on the host.
    Run(CommandStep),
    /// Runs commands on the host as another user.
    Sudo(CommandStep),
    /// Runs commands on this machine.
    Local(CommandStep),
    /// Sends a file or directory.
    Put(TransferStep),
    /// Fetches a file or directory.
    Get(TransferStep),
    /// Executes another task by all the rules of host lists.
    Execute(ExecuteStep),
    /// Sets shared state and settings for what follows.
    Set(IndexMap<String, SetValue>),
    /// Asks a person.
    Prompt(PromptStep),
    /// Opens an interactive shell on the host.
    OpenShell {
        /// A line to begin with.
        command: Option<String>,
    },
}

impl Verb {
    fn is_remote(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Sudo(_) | Self::Put(_) | Self::Get(_) | Self::OpenShell { .. })
    }

    /// Its word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Sudo(_) => "sudo",
            Self::Local(_) => "local",
            Self::Put(_) => "put",
            Self::Get(_) => "get",
            Self::Execute(_) => "execute",
            Self::Set(_) => "set",
            Self::Prompt(_) => "prompt",
            Self::OpenShell { .. } => "open_shell",
        }
    }

    /// What its commands are tried again until, if they are.
    pub fn until(&self) -> Option<&Until> {
        match self {
            Self::Run(command) | Self::Sudo(command) | Self::Local(command) => command.until.as_ref(),
            _ => None,
        }
    }

    /// Its commands, paths or names, as they are written.
    pub fn what(&self) -> String {
        match self {
            Self::Run(command) | Self::Sudo(command) | Self::Local(command) => command.commands.join("\n"),
            Self::Put(transfer) | Self::Get(transfer) => match &transfer.to {
                Some(to) => format!("{} -> {to}", transfer.from),
                None => transfer.from.clone(),
            },
            Self::Execute(execute) => execute.task.clone(),
            Self::Set(values) => values.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
            Self::Prompt(prompt) => prompt.text.clone(),
            Self::OpenShell { command } => command.clone().unwrap_or_default(),
        }
    }
}

/// Commands and what is around them. Texts are templates.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommandStep {
    /// The command lines, one after another.
    pub commands: Vec<String>,
    /// The working directory.
    pub cd: Option<String>,
    /// Commands that must succeed first, in the same shell.
    pub prefix: Vec<String>,
    /// Directories for `$PATH`.
    pub path: Option<String>,
    /// Environment variables.
    pub env: IndexMap<String, String>,
    /// Whether to wrap it in a shell, and in which.
    pub shell: Option<ShellChoice>,
    /// Whether it gets a pseudo-terminal.
    pub pty: Option<bool>,
    /// How long it may take, in seconds.
    pub timeout: Option<f64>,
    /// The statuses that count as success.
    pub ok_ret_codes: Option<Vec<u32>>,
    /// The user to become (`sudo`).
    pub user: Option<String>,
    /// The group to become (`sudo`).
    pub group: Option<String>,
    /// Trying again until a condition holds.
    pub until: Option<Until>,
    /// What they read, each of them whole; `None`: what a person types on a terminal, else nothing.
    pub stdin: Option<StepInput>,
}

/// What a command reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepInput {
    /// Nothing.
    Nothing,
    /// What the program was given as its standard input.
    Given,
    /// This text, a template.
    Text(String),
    /// What is in this local file; a template.
    File(String),
}

/// Trying commands again until a condition holds, with growing pauses.
#[derive(Debug, Clone, PartialEq)]
pub struct Until {
    /// The condition, an expression that sees how the last command ended as `outcome`.
    pub condition: String,
    /// How many further tries there are after the first.
    pub retries: u32,
    /// The first pause, in seconds; each further one is twice as long, up to 30 s.
    pub delay: f64,
}

/// Whether a command is wrapped in a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShellChoice {
    /// In the one that the `shell` setting names, or in none.
    Wrapped(bool),
    /// In this one.
    Named(String),
}

/// A transfer. Texts are templates.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TransferStep {
    /// What is read: a local path for `put`, a remote one for `get`.
    pub from: String,
    /// What is written; `None`: the default of the verb.
    pub to: Option<String>,
    /// The mode of the written file.
    pub mode: Option<u32>,
    /// Whether the mode is exactly that of the file that is read, or left to the side that is written; `None`: new files
    /// get it under the umask there, and others keep theirs.
    pub mirror_local_mode: Option<bool>,
    /// What becomes of links in a tree.
    pub links: Links,
    /// Whether root reads or writes the remote file.
    pub use_sudo: bool,
    /// Where the remote file stands meanwhile, with `use_sudo`.
    pub temp_dir: Option<String>,
    /// Whether the local file is a template that is rendered first.
    pub template: bool,
    /// Whether files that are there already are left alone.
    pub skip_same: bool,
    /// Whether what an earlier transfer left unfinished is gone on with.
    pub resume: bool,
    /// Whether checksums are compared before a file gets its final name.
    pub verify: bool,
    /// Whether a file that can't be replaced by a rename is an error, and not written in place.
    pub atomic: bool,
}

/// An execution of another task. Texts are templates.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExecuteStep {
    /// The task, by name or as `task:args`.
    pub task: String,
    /// Arguments by name.
    pub args: IndexMap<String, Value>,
    /// Hosts for this execution.
    pub hosts: Vec<String>,
    /// Roles for this execution.
    pub roles: Vec<String>,
    /// Hosts to leave out of this execution.
    pub exclude_hosts: Vec<String>,
}

/// A value to set.
#[derive(Debug, Clone, PartialEq)]
pub enum SetValue {
    /// This; texts in it are templates.
    Plain(Value),
    /// The hosts that a local command prints. The command is a template.
    Command(String),
}

/// A question.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PromptStep {
    /// The text.
    pub text: String,
    /// The answer that an empty line stands for.
    pub default: Option<String>,
    /// Whether the answer is not shown.
    pub secret: bool,
}
