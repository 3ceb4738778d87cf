//! The live view (`--progress`): busy hosts and transfers, below the output.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fabric_core::Event;
use fabric_core::event::{EventKind, millis};
use fabric_core::outcome::Direction;
use indexmap::IndexMap;

use super::summary::duration;
use super::visible;

/// The view appears once a run has lasted this long.
const PATIENCE: Duration = Duration::from_millis(300);

/// The most busy hosts shown.
const MOST: usize = 8;

/// The state of the run that the view shows.
#[derive(Debug)]
pub(super) struct Live {
    started: Instant,
    task: Option<Arc<str>>,
    total: usize,
    done: usize,
    failed: usize,
    busy: IndexMap<Arc<str>, Busy>,
}

#[derive(Debug)]
struct Busy {
    since: Instant,
    doing: String,
    bytes: Option<(u64, Option<u64>)>,
}

impl Default for Live {
    fn default() -> Self {
        Self { started: Instant::now(), task: None, total: 0, done: 0, failed: 0, busy: IndexMap::new() }
    }
}

impl Live {
    /// Updates the state.
    pub(super) fn event(&mut self, event: &Event) {
        match (&event.kind, &event.host) {
            (EventKind::TaskStarted { hosts, .. }, _) => {
                (self.task, self.total, self.done, self.failed) = (event.task.clone(), hosts.len(), 0, 0);
            }
            (EventKind::HostStarted { .. }, Some(host)) => {
                let busy = Busy { since: Instant::now(), doing: String::new(), bytes: None };
                self.busy.insert(host.clone(), busy);
            }
            (EventKind::Connecting { .. }, Some(host)) => self.does(host, "connecting"),
            (EventKind::CommandStarted { verb, command, .. }, Some(host)) => {
                self.does(host, &format!("{verb}: {}", command.lines().next().unwrap_or_default()));
            }
            (EventKind::TransferStarted { direction, remote, size, .. }, Some(host)) => {
                let verb = if *direction == Direction::Put { "put" } else { "get" };
                self.does(host, &format!("{verb} {remote}"));
                self.moved(host, 0, *size);
            }
            (EventKind::TransferProgress { bytes, size, .. }, Some(host)) => self.moved(host, *bytes, *size),
            (EventKind::HostFinished { status, .. }, Some(host)) => {
                self.busy.shift_remove(host);
                self.done += 1;
                self.failed += usize::from(status.is_failure());
            }
            (EventKind::Summary { .. }, _) => self.busy.clear(),
            _ => {}
        }
    }

    fn does(&mut self, host: &Arc<str>, doing: &str) {
        if let Some(busy) = self.busy.get_mut(host) {
            (busy.doing, busy.since, busy.bytes) = (visible::text(doing), Instant::now(), None);
        }
    }

    fn moved(&mut self, host: &Arc<str>, bytes: u64, size: Option<u64>) {
        if let Some(busy) = self.busy.get_mut(host) {
            busy.bytes = Some((bytes, size));
        }
    }

    /// The lines to show now on a terminal of this size, if any.
    pub(super) fn lines(&self, columns: usize, rows: usize, now: Instant) -> Vec<String> {
        let age = now.saturating_duration_since(self.started);
        if self.busy.is_empty() || age < PATIENCE || columns < 20 {
            return Vec::new();
        }
        let task = self.task.as_deref().map(visible::text).unwrap_or_default();
        let failed = if self.failed == 0 { String::new() } else { format!(", {} failed", self.failed) };
        let (done, total, running) = (self.done, self.total, self.busy.len());
        let mut lines = vec![format!(
            "{task}: {done} of {total} hosts done{failed}, {running} running ({})",
            duration(millis(age))
        )];
        // The hosts that have been busy longest first.
        let mut busy: Vec<(&Arc<str>, &Busy)> = self.busy.iter().collect();
        busy.sort_by_key(|(_, busy)| busy.since);
        let room = MOST.min(rows / 3);
        let names = busy.iter().take(room).map(|(host, _)| host.chars().count()).max().unwrap_or(0).min(columns / 3);
        for (host, busy) in busy.iter().take(room) {
            let age = duration(millis(now.saturating_duration_since(busy.since)));
            let state = match busy.bytes {
                Some((bytes, size)) => progress(bytes, size),
                None => age,
            };
            lines.push(format!("  {:names$}  {state:>6}  {}", visible::text(host), busy.doing));
        }
        if busy.len() > room && room > 0 {
            lines.push(format!("  and {} more", busy.len() - room));
        }
        lines.into_iter().map(|line| line.chars().take(columns - 1).collect()).collect()
    }
}

/// `[=====>    ]  45 %`, or only the amount if the total is unknown.
fn progress(bytes: u64, size: Option<u64>) -> String {
    const WIDTH: u64 = 20;
    match size {
        Some(size) if size > 0 => {
            let share = |of: u64| u128::from(bytes.min(size)) * u128::from(of) / u128::from(size);
            let full = usize::try_from(share(WIDTH)).unwrap_or_default();
            let head = if full < WIDTH as usize { ">" } else { "" };
            format!("[{:<20}] {:>3} %", "=".repeat(full) + head, share(100))
        }
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;
    use fabric_core::HostStatus;
    use fabric_core::event::Verb;

    #[test]
    fn busy_hosts_have_a_line_each() {
        let mut live = Live::default();
        let hosts: Vec<Arc<str>> = (1..=12).map(|n| format!("web{n}").into()).collect();
        live.event(&event("", EventKind::task_started(hosts.clone(), "parallel")));
        for host in &hosts {
            live.event(&event(host, EventKind::host_started(1)));
            live.event(&event(host, EventKind::command_started(Verb::Run, "sleep 9\nmore")));
        }
        let transfer = EventKind::transfer_started(Direction::Put, "x", "/tmp/\x1bx", 200);
        live.event(&event("web1", transfer));
        live.event(&event("web1", EventKind::transfer_progress("x", 90, 200)));
        let end = EventKind::host_finished(HostStatus::Failed, None, Duration::from_millis(1));
        live.event(&event("web2", end));
        let now = live.started + Duration::from_secs(5);
        let lines = live.lines(60, 30, now);
        assert_eq!(lines[0], "deploy: 1 of 12 hosts done, 1 failed, 11 running (5.0 s)");
        assert_eq!(lines.len(), 10);
        assert!(lines[1].starts_with("  web3 ") && lines[1].ends_with("run: sleep 9"), "{}", lines[1]);
        assert_eq!(lines[9], "  and 3 more");
        assert!(live.lines(60, 30, live.started).is_empty());
        assert_eq!(live.lines(30, 3, now).len(), 3);
        let summary = EventKind::summary(IndexMap::new(), IndexMap::new(), Vec::new(), None, Duration::ZERO);
        live.event(&event("", summary));
        assert!(live.lines(60, 30, now).is_empty());
    }

    #[test]
    fn bars() {
        assert_eq!(progress(90, Some(200)), "[=========>          ]  45 %");
        assert_eq!(progress(300, Some(200)), "[====================] 100 %");
        assert_eq!(progress(3 << 20, None), "3.0 MiB");
    }
}
