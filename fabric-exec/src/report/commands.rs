//! What ran on each host, and what it printed, gathered while a run is under way.
//!
//! Each host has its share of memory; where it prints more, the end is kept.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};

use fabric_core::outcome::Direction;
use fabric_core::{Event, EventKind, EventSink, Stream};
use parking_lot::Mutex;

use super::{CommandReport, TaskReport};

/// How much is kept of what a host is asked to do and prints, over all of its tasks, in bytes.
const KEPT: usize = 64 * 1024;

/// How much is kept of all hosts together, as long as each has [`LEAST`].
const ALL: usize = 16 * 1024 * 1024;

/// What is kept of a host where they are thousands.
const LEAST: usize = 8 * 1024;

/// What a command takes beside its text.
const OVERHEAD: usize = 64;

/// The commands of a run by host; those of local runs under `None`.
#[derive(Debug, Default)]
pub(crate) struct Commands(Mutex<HashMap<Option<Arc<str>>, Host>>);

#[derive(Debug, Default)]
struct Host {
    commands: VecDeque<Command>,
    bytes: usize,
    /// How many commands were left out before those that are kept.
    left_out: u64,
}

#[derive(Debug)]
struct Command {
    /// In which execution of a task, by its place in the report.
    execution: usize,
    /// Whether it has not ended.
    open: bool,
    report: CommandReport,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// A sink that gathers what happens in one execution of a task and passes it on.
pub(crate) struct Gather {
    pub(crate) next: Arc<dyn EventSink>,
    pub(crate) commands: Arc<Commands>,
    pub(crate) execution: usize,
    /// In whose run it happens; a local command's events bear another name.
    pub(crate) host: Option<Arc<str>>,
}

impl EventSink for Gather {
    fn emit(&self, event: Event) {
        self.commands.take(self.execution, self.host.as_ref().or(event.host.as_ref()), &event);
        self.next.emit(event);
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.next.poll_ready(cx)
    }
}

impl Commands {
    fn take(&self, execution: usize, host: Option<&Arc<str>>, event: &Event) {
        let with = |change: &dyn Fn(&mut Host)| {
            let mut hosts = self.0.lock();
            let kept = kept(hosts.len());
            let host = hosts.entry(host.cloned()).or_default();
            change(host);
            // Now and then, so that not all of it is moved for each piece.
            if host.bytes > kept + kept / 2 {
                host.trim(kept);
            }
        };
        match &event.kind {
            EventKind::CommandStarted { verb, command, .. } => {
                with(&|host| host.begin(execution, &verb.to_string(), command));
            }
            EventKind::Output(output) => with(&|host| {
                let command = host.running(execution);
                match output.stream {
                    Stream::Stdout => command.stdout.extend_from_slice(&output.data),
                    Stream::Stderr => command.stderr.extend_from_slice(&output.data),
                }
                host.bytes += output.data.len();
            }),
            EventKind::CommandFinished { verb, command, exit, signal, ok, duration_ms, .. } => with(&|host| {
                let ended = host.ended(execution, |report| report.command == *command || report.verb.is_empty());
                let Some(report) = ended else { return };
                (report.verb, report.command) = (verb.to_string(), command.clone());
                (report.exit, report.signal, report.ok) = (*exit, signal.clone(), Some(*ok));
                report.duration_ms = Some(*duration_ms);
            }),
            EventKind::TransferStarted { direction, local, remote, .. } => {
                with(&|host| host.begin(execution, verb(*direction), &paths(*direction, local, remote)));
            }
            EventKind::TransferFinished { direction, local, remote, bytes, duration_ms, error, .. } => with(&|host| {
                let paths = paths(*direction, local, remote);
                let Some(report) = host.ended(execution, |report| report.command == paths) else { return };
                (report.ok, report.error) = (Some(error.is_none()), error.clone());
                (report.bytes, report.duration_ms) = (Some(*bytes), Some(*duration_ms));
            }),
            EventKind::Message { text, .. } => with(&|host| {
                host.begin(execution, "say", text);
                let _ = host.ended(execution, |report| report.verb == "say");
            }),
            _ => {}
        }
    }

    /// Puts all that was gathered to the results that it belongs to.
    pub(crate) fn give(&self, tasks: &mut [TaskReport]) {
        let hosts = std::mem::take(&mut *self.0.lock());
        let kept = kept(hosts.len());
        let mut places: HashMap<(usize, Option<String>), usize> = HashMap::new();
        for (execution, task) in tasks.iter().enumerate() {
            for (place, result) in task.results.iter().enumerate() {
                places.entry((execution, result.host.clone())).or_insert(place);
            }
        }
        for (name, mut host) in hosts {
            host.trim(kept);
            let name = name.map(|name| name.to_string());
            for command in host.commands {
                let execution = command.execution;
                // A task without hosts may have asked for one.
                let place = places.get(&(execution, name.clone())).copied().unwrap_or_default();
                if let Some(result) = tasks.get_mut(execution).and_then(|task| task.results.get_mut(place)) {
                    if result.commands.is_empty() {
                        result.commands_left_out = std::mem::take(&mut host.left_out);
                    }
                    result.commands.push(command.into_report());
                }
            }
        }
    }
}

/// How much is kept of each of so many hosts.
fn kept(hosts: usize) -> usize {
    (ALL / hosts.max(1)).clamp(LEAST, KEPT)
}

fn verb(direction: Direction) -> &'static str {
    match direction {
        Direction::Put => "put",
        Direction::Get => "get",
    }
}

fn paths(direction: Direction, local: &str, remote: &str) -> String {
    match direction {
        Direction::Put => format!("{local} -> {remote}"),
        Direction::Get => format!("{remote} -> {local}"),
    }
}

impl Host {
    fn begin(&mut self, execution: usize, verb: &str, command: &str) {
        self.bytes += command.len() + OVERHEAD;
        let report = CommandReport { verb: verb.to_string(), command: command.to_owned(), ..CommandReport::default() };
        self.commands.push_back(Command { execution, open: true, report, stdout: Vec::new(), stderr: Vec::new() });
    }

    /// The command that prints; one without a text where it is hidden that it runs.
    fn running(&mut self, execution: usize) -> &mut Command {
        let place = self.commands.iter().rposition(|command| command.execution == execution && command.open);
        let place = place.unwrap_or_else(|| {
            self.begin(execution, "", "");
            self.commands.len() - 1
        });
        &mut self.commands[place]
    }

    fn ended(&mut self, execution: usize, is: impl Fn(&CommandReport) -> bool) -> Option<&mut CommandReport> {
        let mut open = self.commands.iter_mut().filter(|command| command.execution == execution && command.open);
        let command = open.find(|command| is(&command.report))?;
        command.open = false;
        Some(&mut command.report)
    }

    /// Leaves the oldest out, until what is kept fits.
    fn trim(&mut self, kept: usize) {
        for command in &mut self.commands {
            for stream in [&mut command.stdout, &mut command.stderr] {
                let over = self.bytes.saturating_sub(kept).min(stream.len());
                if over == 0 {
                    continue;
                }
                // Whole lines, where they are not too long, and whole characters.
                let rest = &stream[over..];
                let line = rest.iter().take(kept / 8).position(|b| *b == b'\n').map_or(0, |end| end + 1);
                let character = rest[line..].iter().take_while(|b| **b & 0xc0 == 0x80).count();
                let cut = over + line + character;
                stream.drain(..cut);
                stream.shrink_to_fit();
                command.report.cut_bytes += cut as u64;
                self.bytes = self.bytes.saturating_sub(cut);
            }
        }
        while self.bytes > kept && self.commands.len() > 1 {
            let Some(gone) = self.commands.pop_front() else { return };
            let size = gone.report.command.len() + OVERHEAD + gone.stdout.len() + gone.stderr.len();
            self.bytes = self.bytes.saturating_sub(size);
            self.left_out += 1;
        }
    }
}

impl Command {
    fn into_report(self) -> CommandReport {
        let text = |bytes: Vec<u8>| match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        CommandReport { stdout: text(self.stdout), stderr: text(self.stderr), ..self.report }
    }
}

impl CommandReport {
    /// `run: uname -a`, and how it ended if it failed.
    pub(super) fn title(&self) -> String {
        let mut text = match (self.verb.as_str(), self.command.as_str()) {
            ("", _) => "(a command that is hidden)".to_owned(),
            (verb, command) => format!("{verb}: {command}"),
        };
        let ended = match (&self.error, &self.signal, self.exit) {
            (Some(error), ..) => Some(error.clone()),
            (None, Some(signal), _) => Some(format!("killed by {signal}")),
            (None, None, Some(exit)) if exit != 0 => Some(format!("exit status {exit}")),
            _ => None,
        };
        text.extend(ended.map(|ended| format!(" ({ended})")));
        text.extend(self.duration_ms.map(|ms| format!(" [{}.{:03} s]", ms / 1000, ms % 1000)));
        text
    }

    /// What is said where output was cut.
    pub(super) fn cut(&self) -> String {
        if self.cut_bytes == 0 { String::new() } else { format!("[{} bytes cut]\n", self.cut_bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_what_was_cut_is_marked() {
        let mut host = Host::default();
        for number in 0..4 {
            host.begin(0, "run", &format!("c{number}"));
            let command = host.running(0);
            for line in 0..4000 {
                command.stdout.extend_from_slice(format!("é {number} {line:05}\n").as_bytes());
            }
            host.bytes += host.commands[number].stdout.len();
            host.ended(0, |_| true);
        }
        host.trim(KEPT);
        assert!(host.bytes <= KEPT && host.bytes > KEPT / 2, "{}", host.bytes);
        let reports: Vec<CommandReport> = host.commands.into_iter().map(Command::into_report).collect();
        assert_eq!(reports.len(), 4);
        assert_eq!((reports[0].stdout.as_str(), reports[0].cut_bytes), ("", 4000 * 11));
        assert!(reports[2].stdout.starts_with("é 2 ") && reports[2].cut_bytes > 0, "{}", reports[2].stdout);
        assert_eq!((reports[3].stdout.len(), reports[3].cut_bytes), (4000 * 11, 0));
        // Many commands that print nothing.
        let mut host = Host::default();
        (0..10_000).for_each(|number| host.begin(0, "run", &format!("c{number}")));
        host.trim(KEPT);
        assert!(host.bytes <= KEPT && host.left_out as usize + host.commands.len() == 10_000);
        assert_eq!(host.commands.back().unwrap().report.command, "c9999");
    }
}
