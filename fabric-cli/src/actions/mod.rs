//! What the program can do: one action is chosen by the command line, and each has a module.

pub(crate) mod completion;
mod demo;
mod hand_over;
mod init;
pub(crate) mod list;
mod merge_reports;
mod plan;
mod plugins;
mod retry;
mod run;
mod settings;

use std::path::PathBuf;

use crate::args::{Format, InitKind, ListFormat, Shell, help};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::request::Request;

/// What the program is asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Action {
    /// Run tasks.
    #[default]
    Run,
    /// Show what would run where; `None` leaves it to the other options how.
    Plan(Option<Format>),
    /// Check all tasks, and run none.
    Check,
    /// Show the help, of the tasks if there are any.
    Help,
    /// Show the version.
    Version,
    /// List the tasks.
    List,
    /// Show what is known about a task.
    Display(String),
    /// Show the settings in force, for a host if one is given.
    ShowConfig(Option<String>),
    /// Show one setting's layers.
    Explain(String),
    /// List the plugins found.
    Plugins,
    /// Write a starter.
    Init(InitKind),
    /// Run the demonstration.
    Demo,
    /// Make one report out of several.
    MergeReports,
    /// Print a completion script.
    Completion(Shell),
    /// Complete the last of these words, for a completion script.
    Complete(Vec<String>),
    /// Host a plugin, as a child of the program that isolates it.
    HostPlugin(PathBuf),
    /// Build the Rust program of this manifest, and run it instead.
    HandOver(PathBuf),
}

impl Action {
    /// What this program is asked by its own scripts and its parent, by a hidden first argument.
    pub(crate) fn hidden(args: &[String]) -> Option<Self> {
        match args {
            [ask, words @ ..] if ask == completion::ASK => Some(Self::Complete(words.to_vec())),
            [child, file] if child == crate::plugins::CHILD => Some(Self::HostPlugin(file.into())),
            _ => None,
        }
    }

    /// Whether it needs neither fabfile nor settings, with these words after its option.
    pub(crate) fn reads_nothing(&self, rest: &[String]) -> bool {
        match self {
            Self::Help => rest.is_empty(),
            Self::Version | Self::Init(_) | Self::Demo | Self::MergeReports | Self::Completion(_) => true,
            _ => false,
        }
    }

    /// Whether it may be an action of `--retry-failed`, or hide it.
    pub(crate) fn may_retry(&self) -> bool {
        matches!(self, Self::Run | Self::Plan(_) | Self::Help | Self::Version)
    }

    /// An error if a task, or a command, is given to an action that runs none. Help, version and Fabric 1's list win over
    /// tasks.
    pub(crate) fn refuse_tasks(&self, asked_by: Option<&str>, task: Option<&str>) -> Result<(), Failure> {
        let (Some(option), Some(task)) = (asked_by, task) else { return Ok(()) };
        Err(Failure::Refused(match self {
            Self::Run | Self::Plan(_) | Self::Help | Self::Version | Self::List | Self::HandOver(_) => return Ok(()),
            Self::Init(_) => format!("{option}: `{task}` is none of {}", InitKind::WORDS.join(", ")),
            _ => format!("{option} runs no tasks: `{task}` can't be given with it"),
        }))
    }

    /// Does it.
    pub(crate) fn run(&self, request: &Request) -> Result<Exit, Failure> {
        tracing::trace!(route = "one action");
        let print = |text: &str| request.surroundings.print(text);
        match self {
            Self::Run | Self::Plan(_) if request.options.retry_failed => retry::run(request),
            Self::Run if request.options.asks_nothing() && request.project.collection.default_task().is_none() => {
                print(&help(&request.name, request.surroundings.width()))
            }
            Self::Run => run::run(request),
            Self::Plan(format) => plan::run(request, *format),
            Self::Check => plan::check(request),
            Self::Help if request.options.tasks.is_empty() => print(&help(&request.name, request.surroundings.width())),
            Self::Help => list::help(request),
            Self::Version => print(&format!("{} {}\n", request.name, request.version)),
            Self::List => list::list(request, request.options.list_format.unwrap_or(ListFormat::Normal)),
            Self::Display(task) => list::display(request, task),
            Self::ShowConfig(host) => settings::show(request, host.as_deref()),
            Self::Explain(setting) => settings::explain(request, setting),
            Self::Plugins => plugins::list(request),
            Self::Init(kind) => {
                request.surroundings.needs_dir()?;
                print(&init::init(*kind, &request.surroundings.dir)?)
            }
            Self::Demo => demo::run(request),
            Self::MergeReports => merge_reports::run(request),
            Self::Completion(shell) => print(&completion::script(*shell, &request.name)),
            Self::Complete(words) => print(&completion::complete(words, request)),
            Self::HostPlugin(file) => plugins::host(file),
            Self::HandOver(manifest) => hand_over::run(request, manifest),
        }
    }
}
