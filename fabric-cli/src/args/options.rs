//! The meaning of a command line.

use std::path::PathBuf;

use fabric_config::shown;
use fabric_core::Value;
use fabric_core::settings::Problem;
use fabric_exec::Invocation;
use fabric_exec::hostlist::Selection;

use super::action::Action;
use super::choices::{Format, ListFormat, Progress};
use super::option::GivenOption;
use crate::render::{Levels, OutputMode};

/// The meaning of a command line.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// What is asked for.
    pub action: Action,
    /// The option that asked for it, if any.
    pub asked_by: Option<String>,
    /// The same command line for a journal: in long options, with host lists read, without secrets.
    pub arguments: Vec<String>,
    /// Whether to repeat the last run where it did not succeed.
    pub retry_failed: bool,
    /// The settings that options set, in the order typed: name, value, and the option as spelled in the help.
    pub settings: Vec<(&'static str, Value, String)>,
    /// The texts of `--set`.
    pub set: Vec<String>,
    /// The tasks, in order.
    pub tasks: Vec<Invocation>,
    /// The tasks' words, as typed.
    pub words: Vec<String>,
    /// The command after `--`, its words joined by single spaces (Fabric 1).
    pub command: Option<String>,
    /// The format of the task list.
    pub list_format: Option<ListFormat>,
    /// The format of settings and plans.
    pub format: Format,
    /// How the run is shown; `None` for the default.
    pub output: Option<OutputMode>,
    /// When the live view is shown.
    pub progress: Progress,
    /// The output levels: `--show` applies first, then `--hide`, in whatever order typed (Fabric 1).
    pub levels: Levels,
    /// The texts of `--show`.
    pub shown: Vec<String>,
    /// The texts of `--hide`.
    pub hidden: Vec<String>,
    /// The filter of the diagnostic log.
    pub log: Option<String>,
    /// Whether commands and transfers are only printed.
    pub dry_run: bool,
    /// Whether standard input is never read.
    pub no_stdin: bool,
    /// The value of `--shard`.
    pub shard: Option<String>,
    /// The values of `--report`.
    pub reports: Vec<PathBuf>,
    /// The reports of `--merge-reports`.
    pub merged: Vec<PathBuf>,
    /// The files of `--to-python3`.
    pub converted: Vec<PathBuf>,
    /// Whether to ask for the password first (`-I`).
    pub ask_password: bool,
    /// Whether to ask for the sudo password first.
    pub ask_sudo_password: bool,
    /// Two given options that exclude each other.
    pub(super) conflict: Option<(String, String)>,
}

impl Options {
    /// Sets the action. Help and version win over any other, and don't conflict with it.
    pub(super) fn ask(&mut self, action: Action, given: &GivenOption) {
        let name = given.option.name();
        if matches!(self.action, Action::Help | Action::Version) {
            return;
        }
        let wins = matches!(action, Action::Help | Action::Version);
        match &self.asked_by {
            Some(other) if !wins && *other != name && self.action != action => {
                self.conflict.get_or_insert((other.clone(), name));
            }
            _ => (self.action, self.asked_by) = (action, Some(name)),
        }
    }

    /// The value of a setting that an option has set.
    pub(crate) fn setting(&self, name: &str) -> Option<&Value> {
        self.settings.iter().rev().find(|(setting, ..)| *setting == name).map(|(_, value, _)| value)
    }

    /// Whether both name the same fabfile and settings file.
    pub(crate) fn names_the_files_of(&self, other: &Self) -> bool {
        ["fabfile", "rcfile"].iter().all(|name| self.setting(name) == other.setting(name))
    }

    /// Warns of options given several times with different values, of which only the last is used.
    pub(crate) fn overridden(&self) -> Vec<Problem> {
        let found =
            [("-g", "gateway"), ("-f", "fabfile"), ("-c", "rcfile")].into_iter().filter_map(|(letter, name)| {
                let last = self.setting(name)?;
                let other = |(setting, value, _): &&(&str, Value, _)| *setting == name && value != last;
                let (_, earlier, _) = self.settings.iter().rfind(other)?;
                let text = |value| match shown(name, value) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                let (last, earlier) = (text(last), text(earlier));
                Some(Problem::new(format!("{letter} is given more than once: `{last}` is used, `{earlier}` is not")))
            });
        found.collect()
    }

    /// Whether nothing was asked for: no task, no command, no action, no setting.
    pub(crate) fn asks_nothing(&self) -> bool {
        self.action == Action::Run
            && !self.retry_failed
            && self.tasks.is_empty()
            && self.command.is_none()
            && self.settings.is_empty()
            && self.set.is_empty()
    }

    /// `-H`, `-R` and `-x`.
    pub(crate) fn selection(&self) -> Selection {
        let list = |name: &str| match self.setting(name) {
            Some(Value::Array(items)) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        };
        Selection::default().hosts(list("hosts")).roles(list("roles")).exclude_hosts(list("exclude_hosts"))
    }

    pub(super) fn set(&mut self, setting: &'static str, value: Value, given: &GivenOption) {
        self.settings.push((setting, value, given.option.spelling()));
    }

    pub(super) fn add(&mut self, setting: &'static str, items: impl IntoIterator<Item = Value>, given: &GivenOption) {
        let mut list = self.setting(setting).and_then(Value::as_array).cloned().unwrap_or_default();
        list.extend(items);
        self.set(setting, list.into(), given);
    }
}
