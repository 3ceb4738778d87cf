//! The definition of an option: names, value, help, completion and effect.

use super::options::Options;

/// One option of `fab`.
#[derive(Debug)]
pub(crate) struct Opt {
    /// Its long name, without dashes.
    pub long: &'static str,
    /// Its letter, if it has one.
    pub short: Option<char>,
    /// Another long name with the same meaning.
    pub alias: Option<&'static str>,
    /// Whether and how it takes a value.
    pub takes: ValueKind,
    /// Its effect.
    pub does: Effect,
    /// The heading under which the help shows it.
    pub group: Group,
    /// Whether it may follow a task that doesn't declare it.
    pub after_tasks: bool,
    /// What the help says about it.
    pub help: &'static str,
    /// How its value is completed.
    pub completes: Completes,
}

/// An option as typed, with its value.
#[derive(Debug)]
pub(crate) struct GivenOption {
    pub option: &'static Opt,
    /// Its value, if one was typed.
    pub value: Option<String>,
}

impl GivenOption {
    /// Its value; empty if none was typed.
    pub(crate) fn value(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }
}

/// Whether and how an option takes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueKind {
    /// No value.
    Nothing,
    /// A value, called this in the help: attached (`--opt=value`, `-ovalue`) or the next argument, whatever it is.
    Value(&'static str),
    /// One of these words, as with [`ValueKind::Value`].
    OneOf(&'static [&'static str]),
    /// Optionally one of these words, only as `--opt=word`.
    MaybeOneOf(&'static [&'static str]),
    /// Optionally one of these words: attached, or the next argument if it is one of them.
    MaybeNextOneOf(&'static [&'static str]),
    /// Optionally a value: attached, or the next argument unless that is an option.
    MaybeNext(&'static str),
    /// All arguments up to the next option, at least one.
    Many(&'static str),
}

/// The effect of an option.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Effect {
    /// Sets a setting to the value, read by the setting's type.
    Set(&'static str),
    /// Adds the value to a setting that is a list.
    Add(&'static str),
    /// Adds the items of the value to a setting that is a list.
    Extend(&'static str),
    /// Sets a setting to the hosts in the value, with ranges, braces and `@file` expanded. Repeated options make one list.
    SetHosts(&'static str),
    /// Sets a switch.
    Switch(&'static str, bool),
    /// Sets any settings: `--set`.
    Assign,
    /// Changes the options themselves.
    Own(fn(&mut Options, &GivenOption)),
}

/// The headings of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Hosts,
    Running,
    Connecting,
    Commands,
    Output,
    Files,
    Instead,
}

impl Group {
    /// All groups, in the order of the help.
    pub(crate) const ALL: [(Self, &'static str); 7] = [
        (Self::Hosts, "Hosts"),
        (Self::Running, "Running"),
        (Self::Output, "Output"),
        (Self::Instead, "Instead of running"),
        (Self::Connecting, "Connecting"),
        (Self::Commands, "Commands"),
        (Self::Files, "Files"),
    ];
}

/// How the value of an option is completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completes {
    /// To the words that it takes, if any.
    Nothing,
    Files,
    Hosts,
    Levels,
    Roles,
    Settings,
    Tasks,
}

impl Opt {
    /// `-H, --hosts`, as help and origins of settings spell it.
    pub(crate) fn spelling(&self) -> String {
        match self.short {
            Some(short) => format!("-{short}, --{}", self.long),
            None => format!("--{}", self.long),
        }
    }

    /// Its name in messages: `--hosts`.
    pub(crate) fn name(&self) -> String {
        format!("--{}", self.long)
    }
}
