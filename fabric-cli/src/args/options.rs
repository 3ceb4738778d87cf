//! What the command line means.

use std::path::PathBuf;

use fabric_config::shown;
use fabric_core::Value;
use fabric_core::settings::Problem;
use fabric_exec::Invocation;
use fabric_exec::hostlist::Selection;

use super::action::Action;
use super::choices::{Format, ListFormat, Progress};
use super::option::Given;
use crate::render::{Levels, OutputMode};

/// The command line, understood.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// What to do.
    pub action: Action,
    /// The option that asked for that, if one did.
    pub asked_by: Option<String>,
    /// The same command line in long options, without its secrets and with host lists read: what a journal may
    /// hold.
    pub arguments: Vec<String>,
    /// Whether the last command line is meant, on the hosts that it did not finish.
    pub retry_failed: bool,
    /// The settings that options set, in the order typed: name, value, and the option as help spells it.
    pub settings: Vec<(&'static str, Value, String)>,
    /// The texts of `--set`.
    pub set: Vec<String>,
    /// The tasks, in order.
    pub tasks: Vec<Invocation>,
    /// The tasks' words, as typed.
    pub words: Vec<String>,
    /// The command after `--`, its words joined by single blanks (Fabric 1).
    pub command: Option<String>,
    /// How tasks are listed.
    pub list_format: Option<ListFormat>,
    /// How settings and plans are shown.
    pub format: Format,
    /// How the run is shown; `None` leaves it to the program.
    pub output: Option<OutputMode>,
    /// Whether there is a live view.
    pub progress: Progress,
    /// What of the run is shown: `--show` first, then `--hide`, whatever the order typed (Fabric 1).
    pub levels: Levels,
    /// The texts of `--show`.
    pub shown: Vec<String>,
    /// The texts of `--hide`.
    pub hidden: Vec<String>,
    /// The filter of the diagnostic log.
    pub log: Option<String>,
    /// Whether commands and transfers are printed instead of done.
    pub dry_run: bool,
    /// Whether standard input is left alone.
    pub no_stdin: bool,
    /// The shard of this process, as typed.
    pub shard: Option<String>,
    /// The files that the finished run is written to.
    pub reports: Vec<PathBuf>,
    /// The reports of `--merge-reports`.
    pub merged: Vec<PathBuf>,
    /// Whether the password is asked for first.
    pub ask_password: bool,
    /// Whether the sudo password is asked for first.
    pub ask_sudo_password: bool,
    /// Two options that exclude each other.
    pub(super) conflict: Option<(String, String)>,
}

impl Options {
    /// Asks for an action. Help and version win over any other, and exclude none.
    pub(super) fn ask(&mut self, action: Action, given: &Given) {
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

    /// The value that an option has given a setting, if one has.
    pub(crate) fn setting(&self, name: &str) -> Option<&Value> {
        self.settings.iter().rev().find(|(setting, ..)| *setting == name).map(|(_, value, _)| value)
    }

    /// Whether the same fabfile and settings file are meant.
    pub(crate) fn names_the_files_of(&self, other: &Self) -> bool {
        ["fabfile", "rcfile"].iter().all(|name| self.setting(name) == other.setting(name))
    }

    /// Options that were given several times with different values, of which one is used.
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

    /// Whether nothing at all was asked for: neither a task nor a command nor anything with options.
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
        Selection { hosts: list("hosts"), roles: list("roles"), exclude: list("exclude_hosts") }
    }

    pub(super) fn set(&mut self, setting: &'static str, value: Value, given: &Given) {
        self.settings.push((setting, value, given.option.spelling()));
    }

    pub(super) fn add(&mut self, setting: &'static str, items: impl IntoIterator<Item = Value>, given: &Given) {
        let mut list = self.setting(setting).and_then(Value::as_array).cloned().unwrap_or_default();
        list.extend(items);
        self.set(setting, list.into(), given);
    }
}
