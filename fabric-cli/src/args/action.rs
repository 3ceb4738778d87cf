//! What the program can be asked to do.

use std::path::PathBuf;

use super::choices::{Format, InitKind, Shell};

/// The hidden first argument by which completion scripts ask; the words up to the cursor follow.
pub(crate) const ASK: &str = "__complete";

/// The hidden first argument of a child that hosts a plugin.
pub(crate) const HOST_PLUGIN: &str = "__plugin";

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
            [ask, words @ ..] if ask == ASK => Some(Self::Complete(words.to_vec())),
            [child, file] if child == HOST_PLUGIN => Some(Self::HostPlugin(file.into())),
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
}
