//! What can happen during a run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::output::Output;
use crate::outcome::{Direction, ExitStatus, Stream};

/// The version of the event format; a new field or kind doesn't raise it, a changed one does.
pub const VERSION: u32 = 1;

/// A duration as events have it: whole milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What can happen.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// The run begins.
    #[non_exhaustive]
    RunStarted {
        /// [`VERSION`].
        version: u32,
        /// The tasks of the command line, as typed.
        tasks: Vec<String>,
    },
    /// A task begins, with its host list.
    #[non_exhaustive]
    TaskStarted {
        /// The hosts, in order; none for a local task.
        hosts: Vec<Arc<str>>,
        /// How: `local`, `serial`, `parallel`, `batches`.
        strategy: String,
    },
    /// A batch of a rolling task begins.
    #[non_exhaustive]
    BatchStarted {
        /// Which, from 1.
        batch: usize,
        /// Of how many.
        batches: usize,
        /// Its hosts.
        hosts: Vec<Arc<str>>,
    },
    /// A task begins on a host (`Executing task ..`).
    #[non_exhaustive]
    HostStarted {
        /// Which try, from 1.
        attempt: u32,
    },
    /// A connection is being opened.
    #[non_exhaustive]
    Connecting {
        /// `user@address:port`.
        address: String,
    },
    /// A connection is open.
    #[non_exhaustive]
    Connected {
        /// `user@address:port`.
        address: String,
        /// How long it took.
        duration_ms: u64,
    },
    /// A connection is closed.
    Disconnected,
    /// A host's key was recorded, being unknown before.
    #[non_exhaustive]
    HostKeyRecorded {
        /// Its fingerprint.
        fingerprint: String,
        /// The file it went into.
        file: String,
    },
    /// A command begins.
    #[non_exhaustive]
    CommandStarted {
        /// `run`, `sudo` or `local`.
        verb: Verb,
        /// The command line as given.
        command: String,
    },
    /// A command printed something.
    Output(Output),
    /// A command ended.
    #[non_exhaustive]
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
    #[non_exhaustive]
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
    #[non_exhaustive]
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
    #[non_exhaustive]
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
    /// A task prints a message (`puts` of Fabric 1).
    #[non_exhaustive]
    Message {
        /// The text.
        text: String,
    },
    /// A warning: nothing stops because of it.
    #[non_exhaustive]
    Warning {
        /// The text.
        message: String,
    },
    /// A try failed and another follows.
    #[non_exhaustive]
    Retrying {
        /// Which try failed, from 1.
        attempt: u32,
        /// Why.
        error: String,
        /// How long is waited.
        delay_ms: u64,
    },
    /// What a dry run would have done.
    #[non_exhaustive]
    Planned {
        /// `run`, `sudo`, `local`, `put`, `get`, ...
        verb: String,
        /// The command or the paths. What depends on an outcome is shown as its template.
        what: String,
        /// The condition under which it would be done, where that depends on an outcome.
        #[serde(skip_serializing_if = "Option::is_none")]
        condition: Option<Arc<str>>,
    },
    /// A task ended on a host.
    #[non_exhaustive]
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
    #[non_exhaustive]
    TaskFinished {
        /// How long it took.
        duration_ms: u64,
    },
    /// The run ended: always the last event.
    #[non_exhaustive]
    Summary {
        /// Hosts on which everything succeeded.
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
        /// The option with which the run would have continued, where hosts or tasks were left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        advice: Option<String>,
        /// The error of each host that is not ok.
        #[serde(skip_serializing_if = "IndexMap::is_empty")]
        errors: IndexMap<Arc<str>, String>,
    },
}

/// One function for each kind, since kinds may get more fields.
impl EventKind {
    /// [`EventKind::RunStarted`], in this [`VERSION`].
    pub fn run_started(tasks: Vec<String>) -> Self {
        Self::RunStarted { version: VERSION, tasks }
    }

    /// [`EventKind::TaskStarted`].
    pub fn task_started(hosts: Vec<Arc<str>>, strategy: impl Into<String>) -> Self {
        Self::TaskStarted { hosts, strategy: strategy.into() }
    }

    /// [`EventKind::BatchStarted`].
    pub fn batch_started(batch: usize, batches: usize, hosts: Vec<Arc<str>>) -> Self {
        Self::BatchStarted { batch, batches, hosts }
    }

    /// [`EventKind::HostStarted`].
    pub fn host_started(attempt: u32) -> Self {
        Self::HostStarted { attempt }
    }

    /// [`EventKind::Connecting`].
    pub fn connecting(address: impl Into<String>) -> Self {
        Self::Connecting { address: address.into() }
    }

    /// [`EventKind::Connected`].
    pub fn connected(address: impl Into<String>, took: Duration) -> Self {
        Self::Connected { address: address.into(), duration_ms: millis(took) }
    }

    /// [`EventKind::HostKeyRecorded`].
    pub fn host_key_recorded(fingerprint: impl Into<String>, file: impl Into<String>) -> Self {
        Self::HostKeyRecorded { fingerprint: fingerprint.into(), file: file.into() }
    }

    /// [`EventKind::CommandStarted`].
    pub fn command_started(verb: Verb, command: impl Into<String>) -> Self {
        Self::CommandStarted { verb, command: command.into() }
    }

    /// [`EventKind::Output`]: these bytes, which end with a line.
    pub fn output(stream: Stream, data: impl Into<Bytes>) -> Self {
        Self::Output(Output::new(stream, data))
    }

    /// [`EventKind::CommandFinished`].
    pub fn command_finished(
        verb: Verb,
        command: impl Into<String>,
        exit: &ExitStatus,
        ok: bool,
        took: Duration,
    ) -> Self {
        let signal = match exit {
            ExitStatus::Signal { signal, .. } => Some(signal.to_string()),
            _ => None,
        };
        Self::CommandFinished {
            verb,
            command: command.into(),
            exit: exit.code(),
            signal,
            ok,
            duration_ms: millis(took),
        }
    }

    /// [`EventKind::TransferStarted`].
    pub fn transfer_started(
        direction: Direction,
        local: impl Into<String>,
        remote: impl Into<String>,
        size: impl Into<Option<u64>>,
    ) -> Self {
        Self::TransferStarted { direction, local: local.into(), remote: remote.into(), size: size.into() }
    }

    /// [`EventKind::TransferProgress`].
    pub fn transfer_progress(remote: impl Into<String>, bytes: u64, size: impl Into<Option<u64>>) -> Self {
        Self::TransferProgress { remote: remote.into(), bytes, size: size.into() }
    }

    /// [`EventKind::TransferFinished`], by an error if there is one.
    pub fn transfer_finished(
        direction: Direction,
        local: impl Into<String>,
        remote: impl Into<String>,
        bytes: u64,
        took: Duration,
        error: impl Into<Option<String>>,
    ) -> Self {
        Self::TransferFinished {
            direction,
            local: local.into(),
            remote: remote.into(),
            bytes,
            duration_ms: millis(took),
            error: error.into(),
        }
    }

    /// [`EventKind::Message`].
    pub fn message(text: impl Into<String>) -> Self {
        Self::Message { text: text.into() }
    }

    /// [`EventKind::Warning`].
    pub fn warning(message: impl Into<String>) -> Self {
        Self::Warning { message: message.into() }
    }

    /// [`EventKind::Retrying`].
    pub fn retrying(attempt: u32, error: impl Into<String>, delay: Duration) -> Self {
        Self::Retrying { attempt, error: error.into(), delay_ms: millis(delay) }
    }

    /// [`EventKind::Planned`], on a condition if there is one.
    pub fn planned(verb: impl Into<String>, what: impl Into<String>, condition: impl Into<Option<Arc<str>>>) -> Self {
        Self::Planned { verb: verb.into(), what: what.into(), condition: condition.into() }
    }

    /// [`EventKind::HostFinished`].
    pub fn host_finished(status: HostStatus, error: impl Into<Option<String>>, took: Duration) -> Self {
        Self::HostFinished { status, error: error.into(), duration_ms: millis(took) }
    }

    /// [`EventKind::TaskFinished`].
    pub fn task_finished(took: Duration) -> Self {
        Self::TaskFinished { duration_ms: millis(took) }
    }

    /// [`EventKind::Summary`], which counts the hosts by their status.
    pub fn summary(
        hosts: IndexMap<Arc<str>, HostStatus>,
        errors: IndexMap<Arc<str>, String>,
        not_started: Vec<String>,
        advice: impl Into<Option<String>>,
        took: Duration,
    ) -> Self {
        let count = |test: fn(HostStatus) -> bool| hosts.values().filter(|status| test(**status)).count();
        Self::Summary {
            hosts_ok: count(|status| status == HostStatus::Ok),
            hosts_failed: count(HostStatus::is_failure),
            hosts_skipped: count(|status| status == HostStatus::Skipped),
            duration_ms: millis(took),
            hosts,
            not_started,
            advice: advice.into(),
            errors,
        }
    }
}

impl EventKind {
    /// The texts in it that a person wrote or that say what went wrong: commands, paths, messages, errors. What hosts print, and
    /// the names of hosts and tasks, are not among them. For programs that check or change such texts.
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

/// How a task ended on a host. Of several, the worst counts; the order here is from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostStatus {
    /// Never started.
    Skipped,
    /// Everything succeeded.
    Ok,
    /// Everything succeeded, and was undone: another host failed, and the task has a rollback.
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
