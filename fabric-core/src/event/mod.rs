//! What happens during a run, as data: the one thing that renderers, reports and journals are made of.

mod sink;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::outcome::{Direction, Stream};

pub use sink::{Emitter, EventSink, NoEvents};

/// The version of the event format; a new field or kind doesn't raise it, a changed one does.
pub const VERSION: u32 = 1;

/// A duration as events have it: whole milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One fact during a run.
///
/// As JSON it is one object with `event`, `at` (RFC 3339), `run` and, where they apply, `host`, `task`
/// and the fields of its kind. An [`EventKind::Output`] may hold many lines; [`Event::records`] gives
/// one event for each, which is what `--output json` writes.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The run it belongs to.
    pub run: Arc<str>,
    /// The host string, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Arc<str>>,
    /// The task's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Arc<str>>,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What can happen.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// The run begins.
    RunStarted {
        /// [`VERSION`].
        version: u32,
        /// The tasks of the command line, as typed.
        tasks: Vec<String>,
    },
    /// A task begins, with its host list.
    TaskStarted {
        /// The hosts, in order; none for a local task.
        hosts: Vec<Arc<str>>,
        /// How: `local`, `serial`, `parallel`, `batches`.
        strategy: String,
    },
    /// A batch of a rolling task begins.
    BatchStarted {
        /// Which, from 1.
        batch: usize,
        /// Of how many.
        batches: usize,
        /// Its hosts.
        hosts: Vec<Arc<str>>,
    },
    /// A task begins on a host (`Executing task ..`).
    HostStarted {
        /// Which try, from 1.
        attempt: u32,
    },
    /// A connection is being opened.
    Connecting {
        /// `user@address:port`.
        address: String,
    },
    /// A connection stands.
    Connected {
        /// `user@address:port`.
        address: String,
        /// How long it took.
        duration_ms: u64,
    },
    /// A connection is closed.
    Disconnected,
    /// A host's key was recorded, being unknown before.
    HostKeyRecorded {
        /// Its fingerprint.
        fingerprint: String,
        /// The file it went into.
        file: String,
    },
    /// A command begins.
    CommandStarted {
        /// `run`, `sudo` or `local`.
        verb: Verb,
        /// The command line as given.
        command: String,
    },
    /// A command printed something.
    Output(Output),
    /// A command ended.
    CommandFinished {
        /// `run`, `sudo` or `local`.
        verb: Verb,
        /// The command line as given.
        command: String,
        /// Its exit status; absent where there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        exit: Option<u32>,
        /// The signal that ended it.
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<String>,
        /// Whether its status counts as success.
        ok: bool,
        /// How long it took.
        duration_ms: u64,
    },
    /// A `put` or `get` begins.
    TransferStarted {
        /// Which way.
        direction: Direction,
        /// The local path.
        local: String,
        /// The remote path.
        remote: String,
        /// Bytes in all, where known.
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// Bytes have moved.
    TransferProgress {
        /// The remote path of the transfer.
        remote: String,
        /// How many so far.
        bytes: u64,
        /// Bytes in all, where known.
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// A `put` or `get` ended.
    TransferFinished {
        /// Which way.
        direction: Direction,
        /// The local path.
        local: String,
        /// The remote path.
        remote: String,
        /// Bytes moved.
        bytes: u64,
        /// How long it took.
        duration_ms: u64,
        /// What failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A task says something (`puts` of Fabric 1).
    Message {
        /// The text.
        text: String,
    },
    /// Something that a person should know and that stops nothing.
    Warning {
        /// The text.
        message: String,
    },
    /// A try failed and another follows.
    Retrying {
        /// Which try failed, from 1.
        attempt: u32,
        /// Why.
        error: String,
        /// How long is waited.
        delay_ms: u64,
    },
    /// What a dry run would have done.
    Planned {
        /// `run`, `sudo`, `local`, `put`, `get`, ...
        verb: String,
        /// The command or the paths. What only an outcome could tell is the template that stands for it.
        what: String,
        /// The condition under which it would be done, where only an outcome could tell whether it holds.
        #[serde(skip_serializing_if = "Option::is_none")]
        condition: Option<Arc<str>>,
    },
    /// A task ended on a host.
    HostFinished {
        /// How.
        status: HostStatus,
        /// Why it did not succeed.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// How long it took.
        duration_ms: u64,
    },
    /// A task ended on all its hosts.
    TaskFinished {
        /// How long it took.
        duration_ms: u64,
    },
    /// The run ended: always the last event.
    Summary {
        /// Hosts on which all went well.
        hosts_ok: usize,
        /// Hosts that failed, timed out, could not be reached or were rolled back.
        hosts_failed: usize,
        /// Hosts on which nothing was started.
        hosts_skipped: usize,
        /// How long the run took.
        duration_ms: u64,
        /// Each host's worst status.
        hosts: IndexMap<Arc<str>, HostStatus>,
        /// The tasks of the command line that were not begun, as typed.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        not_started: Vec<String>,
        /// Which option would have gone on, where hosts or tasks were left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        advice: Option<String>,
        /// Why each host that is not ok is not.
        #[serde(skip_serializing_if = "IndexMap::is_empty")]
        errors: IndexMap<Arc<str>, String>,
    },
}

impl EventKind {
    /// The texts in it that people wrote or that tell what went wrong, for whoever must change or check them: commands,
    /// paths, messages, errors. Not what hosts print, nor names of hosts and tasks.
    pub fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::CommandStarted { command: text, .. }
            | Self::CommandFinished { command: text, .. }
            | Self::Planned { what: text, .. }
            | Self::Message { text }
            | Self::Warning { message: text }
            | Self::Retrying { error: text, .. }
            | Self::TransferProgress { remote: text, .. } => vec![text],
            Self::TransferStarted { local, remote, .. } => vec![local, remote],
            Self::TransferFinished { local, remote, error, .. } => [local, remote].into_iter().chain(error).collect(),
            Self::HostFinished { error, .. } => error.iter_mut().collect(),
            Self::Summary { errors, not_started, .. } => errors.values_mut().chain(not_started).collect(),
            Self::RunStarted { tasks, .. } => tasks.iter_mut().collect(),
            Self::TaskStarted { .. }
            | Self::BatchStarted { .. }
            | Self::HostStarted { .. }
            | Self::Connecting { .. }
            | Self::Connected { .. }
            | Self::Disconnected
            | Self::HostKeyRecorded { .. }
            | Self::Output(_)
            | Self::TaskFinished { .. } => Vec::new(),
        }
    }
}

/// What started a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// On the host, as the login user.
    Run,
    /// On the host, as another user.
    Sudo,
    /// On this machine.
    Local,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Run => "run",
            Self::Sudo => "sudo",
            Self::Local => "local",
        })
    }
}

/// Bytes that a command printed: whole lines, one or many at once, or a part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Which stream.
    pub stream: Stream,
    /// The bytes, each line with its end as the host sent it (`\n`, `\r\n`).
    pub data: Bytes,
    /// Whether `data` ends in the middle of a line: more of it follows (`linewise` is off), or the output
    /// ended without a line end.
    pub partial: bool,
}

impl Output {
    /// The lines, exact but for their line ends.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let data: &[u8] = &self.data;
        let data = data.strip_suffix(b"\n").unwrap_or(data);
        let none = self.data.is_empty();
        data.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(move |_| !none)
    }
}

impl Serialize for Output {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let line = self.lines().next().unwrap_or_default();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("stream", &self.stream)?;
        map.serialize_entry("line", &String::from_utf8_lossy(line))?;
        if self.partial {
            map.serialize_entry("partial", &true)?;
        }
        map.end()
    }
}

/// How a task ended on a host. Of several, the worst counts; the order here is from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostStatus {
    /// Never started.
    Skipped,
    /// All well.
    Ok,
    /// All went well, and it was undone: another host failed, and the task has a rollback.
    RolledBack,
    /// A command or transfer failed.
    Failed,
    /// A command took too long.
    TimedOut,
    /// There was no connection.
    Unreachable,
}

impl HostStatus {
    /// The word for it, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::RolledBack => "rolled_back",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
        }
    }

    /// Whether it counts as a failure.
    pub fn is_failure(self) -> bool {
        self > Self::Ok
    }
}

impl fmt::Display for HostStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Event {
    /// The same fact as events that each hold at most one line of output.
    pub fn records(&self) -> Vec<Event> {
        let EventKind::Output(output) = &self.kind else { return vec![self.clone()] };
        let mut rest = output.data.clone();
        let mut records = Vec::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
            let data = rest.split_to(end);
            let partial = output.partial && rest.is_empty();
            let kind = EventKind::Output(Output { stream: output.stream, data, partial });
            records.push(Event { kind, ..self.clone() });
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_lines_are_as_many_records() {
        let output = Output { stream: Stream::Stdout, data: "one\r\n\ntwo".into(), partial: true };
        assert_eq!(output.lines().collect::<Vec<_>>(), [&b"one"[..], b"", b"two"]);
        let event = Event {
            at: Timestamp::UNIX_EPOCH,
            run: "r".into(),
            host: Some("web1".into()),
            task: None,
            kind: EventKind::Output(output),
        };
        let lines: Vec<String> = event.records().iter().map(|e| serde_json::to_string(e).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            lines[0],
            r#"{"at":"1970-01-01T00:00:00Z","run":"r","host":"web1","event":"output","stream":"stdout","line":"one"}"#
        );
        assert!(lines[2].ends_with(r#""line":"two","partial":true}"#));
    }
}
