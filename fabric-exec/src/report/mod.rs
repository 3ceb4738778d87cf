//! A finished run as data, and the files it is written to.

pub(crate) mod commands;
mod file;
mod html;
mod junit;
mod merge;

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::time::Duration;

use fabric_core::{HostStatus, Value};
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::file::Destination;

/// Which execution of a task it is: its place among the executions of the run, in the order in which they began.
pub(crate) type Execution = usize;

/// A finished run: what ran where, how it ended, and what it returned.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The run's name.
    pub run: String,
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    #[serde(rename = "duration_ms", with = "millis")]
    pub duration: Duration,
    /// How it ended as a whole.
    pub ending: Ending,
    /// What was wrong with the command line, the fabfile or the settings, if that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The tasks in the order in which they began, nested ones included.
    pub tasks: Vec<TaskReport>,
    /// Each host's worst status over all tasks.
    pub hosts: IndexMap<String, HostReport>,
    /// The tasks of the command line that were not begun, as typed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_started: Vec<String>,
    /// The status of the command after `--`, where it was all there was and ran on one host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sole_command: Option<u8>,
    /// Which part of a run this is (`I/N`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
}

/// How a run ended as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ending {
    /// Everything succeeded, or failed only where that is a warning.
    Ok,
    /// Nothing ran, because every host list was emptied.
    NothingRan,
    /// Something failed.
    Failed,
    /// The command line, the fabfile or the settings are wrong.
    Usage,
    /// It was interrupted.
    Interrupted,
}

/// A host over all tasks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HostReport {
    /// Its worst status.
    pub status: HostStatus,
    /// Why it is not ok.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip)]
    pub(crate) hidden: Hidden,
}

/// What of a result `hide` hides: it is at hand in a program, and in no file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hidden {
    /// What the task returned.
    pub(crate) value: bool,
    /// These parts of the error.
    pub(crate) error: Vec<String>,
}

impl Hidden {
    fn is_nothing(&self) -> bool {
        !self.value && self.error.is_empty()
    }

    fn cut(&self, error: &mut Option<String>) {
        if let Some(text) = error {
            for part in &self.error {
                *text = text.replace(part, "");
            }
        }
    }
}

/// A command, a transfer or a message of a task on a host, as a report that keeps them has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CommandReport {
    /// `run`, `sudo`, `local`, `put`, `get` or `say`; empty where it is hidden that it runs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub verb: String,
    /// The command as given, the paths (`from -> to`), or the message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// Its exit status; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<u32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Whether it succeeded; absent if it did not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
    /// How long it took, in milliseconds; absent if it did not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// What it printed to standard output.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    /// What it printed to standard error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// How many bytes of its output were cut off in front of what is kept.
    #[serde(default, skip_serializing_if = "default_value")]
    pub cut_bytes: u64,
    /// How many bytes a transfer moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// What failed in a transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One execution of a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskReport {
    /// The task's name.
    pub task: String,
    /// How it ran: `local`, `serial`, `parallel`, `batches`.
    pub strategy: String,
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    #[serde(rename = "duration_ms", with = "millis")]
    pub duration: Duration,
    /// Whether the try that executed it failed and was made again, so that its results count no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub superseded: bool,
    /// What it was on each host, in the order of its host list; one without a host where it ran locally.
    pub results: Vec<HostResult>,
}

/// One execution of a task on one host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HostResult {
    /// The host string, as written; absent for a local run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// How it ended.
    pub status: HostStatus,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether its failure was asked to be a warning (`warn_only`, `skip_bad_hosts`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tolerated: bool,
    /// What the task returned.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
    /// How often it was tried.
    pub attempts: u32,
    /// How long it took, over all tries.
    #[serde(rename = "duration_ms", with = "millis")]
    pub duration: Duration,
    /// What it did, in order, where the run keeps that ([`Run::keep_output`](crate::Run::keep_output)); of each host at
    /// most 64 KiB over all of its tasks, the end of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<CommandReport>,
    /// How many commands before these are not kept.
    #[serde(default, skip_serializing_if = "default_value")]
    pub commands_left_out: u64,
    #[serde(skip)]
    pub(crate) hidden: Hidden,
}

impl HostResult {
    /// A result without anything that is seldom there.
    pub(crate) fn new(host: Option<String>, status: HostStatus) -> Self {
        Self {
            host,
            status,
            error: None,
            tolerated: false,
            value: Value::Null,
            attempts: 0,
            duration: Duration::ZERO,
            commands: Vec::new(),
            commands_left_out: 0,
            hidden: Hidden::default(),
        }
    }
}

impl Report {
    /// The exit status that the contract gives this run.
    ///
    /// `0` everything succeeded, or failed only where that is a warning; `1` a failure, or nothing ran because
    /// every host list was emptied; `2` the command line, the fabfile or the settings are wrong; `130`
    /// interrupted. A sole `-- COMMAND` on one host has that command's own status.
    pub fn exit_code(&self) -> u8 {
        match self.ending {
            Ending::Ok => 0,
            Ending::NothingRan => 1,
            Ending::Failed => self.sole_command.filter(|status| *status != 0).unwrap_or(1),
            Ending::Usage => 2,
            Ending::Interrupted => 130,
        }
    }

    /// The hosts of a status.
    pub fn hosts_with(&self, status: HostStatus) -> impl Iterator<Item = &str> {
        self.hosts.iter().filter(move |(_, host)| host.status == status).map(|(name, _)| name.as_str())
    }

    /// How many hosts are ok, failed (timed out and unreachable included), and skipped.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |test: fn(HostStatus) -> bool| self.hosts.values().filter(|host| test(host.status)).count();
        (
            count(|status| status == HostStatus::Ok),
            count(HostStatus::is_failure),
            count(|status| status == HostStatus::Skipped),
        )
    }

    /// The hosts that a further run has to do: failed ones and those never started.
    pub fn unfinished(&self) -> Vec<&str> {
        self.hosts.iter().filter(|(_, host)| host.status != HostStatus::Ok).map(|(name, _)| name.as_str()).collect()
    }
}

/// What a report is written as, by a file's ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReportFormat {
    /// JSON: everything, readable by [`Report::merge`]'s callers.
    Json,
    /// JUnit XML.
    Junit,
    /// An HTML page.
    Html,
}

impl ReportFormat {
    /// By a file's ending: `.json`, `.xml`, `.html`. JSON for pipes and devices without one (`/dev/stdout`).
    pub fn of(path: &Path) -> Option<Self> {
        let Some(ending) = path.extension() else {
            return Destination::of(path)
                .ok()
                .filter(|place| !matches!(place, Destination::File(_)))
                .map(|_| Self::Json);
        };
        match ending.to_str()? {
            "json" => Some(Self::Json),
            "xml" => Some(Self::Junit),
            "html" | "htm" => Some(Self::Html),
            _ => None,
        }
    }
}

impl Report {
    /// The report without what `hide` hides.
    fn shown(&self) -> Cow<'_, Self> {
        let results = || self.tasks.iter().flat_map(|task| &task.results).map(|result| &result.hidden);
        if results().chain(self.hosts.values().map(|host| &host.hidden)).all(Hidden::is_nothing) {
            return Cow::Borrowed(self);
        }
        let mut shown = self.clone();
        for result in shown.tasks.iter_mut().flat_map(|task| &mut task.results) {
            result.hidden.cut(&mut result.error);
            if result.hidden.value {
                result.value = Value::Null;
            }
        }
        for host in shown.hosts.values_mut() {
            host.hidden.cut(&mut host.error);
        }
        Cow::Owned(shown)
    }

    /// The report as a text of this format.
    pub fn render(&self, format: ReportFormat) -> String {
        match format {
            // Everything in it serialises.
            ReportFormat::Json => serde_json::to_string_pretty(&*self.shown()).unwrap_or_default() + "\n",
            ReportFormat::Junit => self.to_junit(),
            ReportFormat::Html => self.to_html(),
        }
    }

    /// Whether a report could be written to this file now, as far as can be known without writing it.
    ///
    /// # Errors
    ///
    /// What keeps it from being written: a directory that is missing or may not be written, for example.
    pub fn check_writable(path: &Path) -> io::Result<()> {
        Destination::of(path)?.check()
    }

    /// Whether writing a report to `path` may wait for a reader, for any time: a pipe, a terminal, a device. Also if that can't
    /// be found out.
    pub fn may_wait(path: &Path) -> bool {
        Destination::of(path).map_or(true, |place| place.may_wait())
    }

    /// Writes the report by the file's ending. A file is replaced as a whole, so that no reader sees half of it; a link to one
    /// stays a link; pipes and devices are written into.
    ///
    /// # Errors
    ///
    /// The path has no [`ReportFormat`], or cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let format = ReportFormat::of(path).ok_or_else(|| {
            let text = format!("{}: a report's file ends in .json, .xml or .html", path.display());
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?;
        Destination::of(path)?.write(&self.render(format))
    }

    /// Reads a report that was written as JSON.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no report.
    pub fn read(path: &Path) -> io::Result<Self> {
        serde_json::from_slice(&std::fs::read(path)?).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} is no report: {error}", path.display()))
        })
    }
}

/// Whether a number says nothing.
fn default_value<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Durations as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(fabric_core::event::millis(*duration))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
