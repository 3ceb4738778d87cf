//! Actions: what a command line can ask for.

use std::path::PathBuf;

use super::choices::{DemoKind, Format, InitKind, Shell};

/// The hidden first argument used by completion scripts; the words up to the cursor follow.
pub(crate) const ASK: &str = "__complete";

/// The hidden first argument of a child process that hosts a plugin.
pub(crate) const HOST_PLUGIN: &str = "__plugin";

/// The hidden only argument of the engine of a program in Python.
pub(crate) const ENGINE: &str = "--engine";

/// What the command line asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Action {
    /// Run tasks.
    #[default]
    Run,
    /// Show what would run where; `None` leaves the format to the other options.
    Plan(Option<Format>),
    /// Check all tasks without running any.
    Check,
    /// Show the help, or that of the tasks on the command line.
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
    /// Write a starter project.
    Init(InitKind),
    /// Run the demo.
    Demo(DemoKind),
    /// Merge reports into one.
    MergeReports,
    /// Print a completion script.
    Completion(Shell),
    /// Complete the last of these words, for a completion script.
    Complete(Vec<String>),
    /// Convert fabfiles from Python 2.
    ToPython3,
    /// Do what a program in Python asks for, which started this one with a socket as its standard input.
    Engine,
    /// Host a plugin, as the child of a program that isolates it.
    HostPlugin(PathBuf),
    /// Build the Rust program with this manifest, and run it in place of this one.
    HandOver(PathBuf),
}

impl Action {
    /// The action of a hidden first argument, as used by completion scripts and by the parent of a plugin's process.
    pub(crate) fn hidden(args: &[String]) -> Option<Self> {
        match args {
            [ask, words @ ..] if ask == ASK => Some(Self::Complete(words.to_vec())),
            [engine] if engine == ENGINE => Some(Self::Engine),
            [child, file] if child == HOST_PLUGIN => Some(Self::HostPlugin(file.into())),
            _ => None,
        }
    }

    /// Whether it needs neither fabfile nor settings; `rest` are the words after the options.
    pub(crate) fn reads_nothing(&self, rest: &[String]) -> bool {
        match self {
            Self::Help => rest.is_empty(),
            Self::Version
            | Self::Init(_)
            | Self::Demo(_)
            | Self::MergeReports
            | Self::ToPython3
            | Self::Completion(_) => true,
            _ => false,
        }
    }

    /// Whether it may be combined with `--retry-failed`.
    pub(crate) fn may_retry(&self) -> bool {
        matches!(self, Self::Run | Self::Plan(_) | Self::Help | Self::Version)
    }
}
