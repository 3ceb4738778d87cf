//! Output by groups of hosts: at the end of each task, identical (or nearly equal) output is shown once.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use fabric_core::event::EventKind;
use fabric_core::host::fold;
use fabric_core::{Event, HostStatus, Stream};
use indexmap::IndexMap;
use indexmap::map::Entry;

use super::host_output::{Hash, Printed, Printing};
use super::lines::LineSplitter;
use super::mask::{Mask, Places, Seen};
use super::page::Page;
use super::prefix::Prefix;
use super::printer::Render;
use super::text_store::Store;
use super::{Look, visible};

/// How much of the file is read and written at a time.
const BLOCK: usize = 64 * 1024;

/// Collects output by host, and shows identical output once when the task has ended. Errors and warnings are shown as they
/// come.
pub(super) struct Grouped {
    look: Look,
    /// Whether output that differs only in numbers and the host's own name counts as identical.
    similar: bool,
    notes: Prefix,
    store: Store,
    /// The output so far, by task and host.
    running: HashMap<TaskOnHost, Printing>,
    /// The results of tasks. Identical output is kept once, however many hosts printed it.
    finished: IndexMap<Task, Groups>,
}

/// A task; `None` outside of tasks.
type Task = Option<Arc<str>>;

/// A task on a host.
type TaskOnHost = (Task, Arc<str>);

/// The host of local commands, those of a task on other hosts included.
const LOCAL: &str = "localhost";

/// Groups of hosts with the same result.
type Groups = IndexMap<(HostStatus, [Hash; 2]), Group>;

/// A group of hosts.
struct Group {
    hosts: Vec<Arc<str>>,
    /// The output of the first one.
    printed: Printed,
    /// Digests of the masked parts of that output.
    places: [Hash; 2],
    /// The masked parts of all hosts, if they differ.
    seen: Option<Seen>,
    /// Why the masked parts of some hosts are unknown.
    error: Option<io::Error>,
}

impl Grouped {
    /// Shows identical output once.
    pub(super) fn new(look: Look, store: Store) -> Self {
        let mut quiet = look;
        quiet.levels.running = false;
        let notes = Prefix::new(quiet);
        Self { look, similar: false, notes, store, running: HashMap::new(), finished: IndexMap::new() }
    }

    /// Shows nearly equal output once too.
    pub(super) fn similar(look: Look, store: Store) -> Self {
        Self { similar: true, ..Self::new(look, store) }
    }

    fn output(&mut self, place: TaskOnHost, stream: Stream, data: &[u8]) {
        let begin = |(_, host): &TaskOnHost| {
            let mask = if self.similar { Mask::of(host) } else { Mask::nothing() };
            Printing::new(&self.store, mask)
        };
        self.running.entry(place).or_insert_with_key(begin).push(stream, data);
    }

    fn end(&mut self, place: TaskOnHost, status: HostStatus) {
        let printing = self.running.remove(&place);
        let (printed, digests) = printing.unwrap_or_else(|| Printing::new(&self.store, Mask::nothing())).end();
        let (task, host) = place;
        let (masked, places) = (digests.map(|digests| digests.masked), digests.map(|digests| digests.places));
        match self.finished.entry(task).or_default().entry((status, masked)) {
            Entry::Occupied(mut entry) => entry.get_mut().add(host, &printed, places, &self.store),
            Entry::Vacant(entry) => {
                entry.insert(Group { hosts: vec![host], printed, places, seen: None, error: None });
            }
        }
    }

    /// Shows the result of a task, with the output of its local commands.
    fn end_task(&mut self, task: &Task, page: &mut Page) {
        let local = (task.clone(), LOCAL.into());
        if self.running.contains_key(&local) {
            self.end(local, HostStatus::Ok);
        }
        self.show(task, page);
    }

    /// Shows the rest: tasks and hosts that were interrupted.
    fn end_all(&mut self, page: &mut Page) {
        let mut running: Vec<_> = self.running.keys().cloned().collect();
        running.sort();
        for place in running {
            self.end(place, HostStatus::Ok);
        }
        let tasks: Vec<_> = self.finished.keys().cloned().collect();
        for task in &tasks {
            self.show(task, page);
        }
    }

    fn show(&mut self, task: &Task, page: &mut Page) {
        for ((status, _), mut group) in self.finished.shift_remove(task).unwrap_or_default() {
            if group.printed.is_empty() && status == HostStatus::Ok {
                continue;
            }
            group.hosts.sort();
            let count = group.hosts.len();
            let names = group.names();
            let plural = if count == 1 { String::new() } else { format!(" ({count} hosts)") };
            let state = if status == HostStatus::Ok { "" } else { status.as_str() };
            let state = if state.is_empty() { String::new() } else { format!(": {}", state.replace('_', " ")) };
            let head = format!("--- {}{plural}{state}\n", visible::text(&names));
            page.to(Stream::Stdout).extend_from_slice(head.as_bytes());
            match group.printed.length_in_file() {
                Some(length) => page.unread(length as usize, Box::new(move |write| group.write(write))),
                None => group.write(&mut |stream, bytes| page.to(stream).extend_from_slice(bytes)),
            }
        }
    }
}

impl Group {
    fn add(&mut self, host: Arc<str>, printed: &Printed, places: [Hash; 2], store: &Store) {
        self.hosts.push(host);
        if self.places == places {
            return;
        }
        let seen = match &self.seen {
            Some(seen) => seen.with(printed, store),
            None => Seen::of(&self.printed, store).and_then(|seen| seen.with(printed, store)),
        };
        match seen {
            Ok(seen) => self.seen = Some(seen),
            Err(error) => self.error = Some(error),
        }
    }

    fn names(&self) -> String {
        fold(self.hosts.iter().map(AsRef::as_ref))
    }

    /// Writes the lines of a group as they are shown.
    fn write(&self, write: &mut dyn FnMut(Stream, &[u8])) {
        let (mut places, mut page) = (Places::of(self.seen.as_ref()), Page::default());
        let mut lines = [LineSplitter::new(""), LineSplitter::new("err: ")];
        let done = self.printed.read(&mut |stream, part| {
            let (lines, out) = (&mut lines[stream as usize], page.to(stream));
            places.fill(stream, part, &mut |bytes| lines.push(bytes, out))?;
            if page.len() >= BLOCK {
                page.take(&mut *write);
            }
            Ok(())
        });
        for (stream, mut lines) in [Stream::Stdout, Stream::Stderr].into_iter().zip(lines) {
            lines.end(page.to(stream));
        }
        page.take(&mut *write);
        if let Some(error) = done.err().as_ref().or(self.error.as_ref()) {
            let (hosts, error) = (visible::text(&self.names()), visible::text(&error.to_string()));
            let warning = format!(
                "warning: output of {hosts} can't be read from its temporary file: {error}; some is not shown\n"
            );
            write(Stream::Stderr, warning.as_bytes());
        }
    }
}

impl Render for Grouped {
    fn event(&mut self, event: &Event, page: &mut Page) {
        let place = || (event.task.clone(), event.host.clone().unwrap_or_else(|| LOCAL.into()));
        match &event.kind {
            EventKind::Output(output) if self.look.levels.shows(output.stream) => {
                self.output(place(), output.stream, &output.data);
            }
            kind => {
                match kind {
                    // A retry starts over.
                    EventKind::HostStarted { attempt: 2.., .. } => drop(self.running.remove(&place())),
                    EventKind::HostFinished { status, .. } => self.end(place(), *status),
                    EventKind::TaskFinished { .. } => self.end_task(&event.task, page),
                    EventKind::Summary { .. } => self.end_all(page),
                    _ => {}
                }
                self.notes.event(event, page);
            }
        }
        if let Some(message) = self.store.warning() {
            let warning = event.clone().host(None).kind(EventKind::warning(message));
            self.notes.event(&warning, page);
        }
    }

    fn finish(&mut self, page: &mut Page) {
        self.end_all(page);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{event, output, rendered};
    use super::*;

    #[test]
    fn identical_output_is_shown_once() {
        let end = |host, status| event(host, EventKind::host_finished(status, None, Duration::from_millis(1)));
        let events = [
            output("web2", Stream::Stdout, "Linux\n"),
            output("web1", Stream::Stdout, "Lin"),
            output("web1", Stream::Stdout, "ux\n"),
            output("web3", Stream::Stdout, "first try\n"),
            event("web3", EventKind::host_started(2)),
            output("web3", Stream::Stdout, "BSD\x07\n"),
            output("web3", Stream::Stderr, "odd\n"),
            end("web3", HostStatus::Failed),
            end("web2", HostStatus::Ok),
            end("web1", HostStatus::Ok),
            end("quiet", HostStatus::Ok),
            event("", EventKind::task_finished(Duration::from_millis(1))),
        ];
        assert_eq!(
            rendered(&mut Grouped::new(Look::default(), Store::default()), &events),
            "--- web3: failed\nBSD^G\n2> err: odd\n--- web[1-2] (2 hosts)\nLinux\n"
        );
    }

    #[test]
    fn in_which_order_both_streams_came_tells_no_hosts_apart() {
        for (mut grouped, other, number) in [
            (Grouped::new(Look::default(), Store::default()), 1, "1"),
            (Grouped::similar(Look::default(), Store::default()), 12, "{1..12}"),
        ] {
            let out = |host, number| output(host, Stream::Stdout, &format!("out {number}\n"));
            let err = |host, number| output(host, Stream::Stderr, &format!("err {number}!\n"));
            let events = [
                out("a", 1),
                err("a", 1),
                out("a", 1),
                err("b", other),
                out("b", other),
                out("b", other),
                end("a"),
                end("b"),
                event("", EventKind::task_finished(Duration::from_millis(1))),
            ];
            assert_eq!(
                rendered(&mut grouped, &events),
                format!("--- a,b (2 hosts)\nout {number}\n2> err: err {number}!\nout {number}\n")
            );
        }
    }

    #[test]
    fn local_commands_and_what_never_ended_are_shown_too() {
        let local = |kind| event("", kind);
        let status = |status| EventKind::host_finished(status, None, Duration::from_millis(1));
        let finished = || local(EventKind::task_finished(Duration::from_millis(1)));
        let start = EventKind::host_started(1);
        let events = [
            // A local task that fails.
            local(start.clone()),
            output("localhost", Stream::Stdout, "why\n"),
            local(status(HostStatus::Failed)),
            finished(),
            // A local command of a host's run.
            event("web1", start.clone()),
            output("web1", Stream::Stdout, "there\n"),
            output("localhost", Stream::Stdout, "here\n"),
            event("web1", status(HostStatus::Ok)),
            finished(),
            // Two executions at the same time, the second of which is cut off.
            output("web2", Stream::Stdout, "first\n"),
            event("web2", start),
            event("web2", status(HostStatus::Ok)),
            output("web2", Stream::Stdout, "second\n"),
            finished(),
        ];
        assert_eq!(
            rendered(&mut Grouped::new(Look::default(), Store::default()), &events),
            "--- localhost: failed\nwhy\n--- web1\nthere\n--- localhost\nhere\n--- web2\nfirst\n--- web2\nsecond\n"
        );
    }

    #[test]
    fn nearly_equal_output_is_shown_once_with_what_differs_marked() {
        let end = |host| event(host, EventKind::host_finished(HostStatus::Ok, None, Duration::from_millis(1)));
        let events = [
            output("red", Stream::Stdout, "red up 3 days\n"),
            output("blue", Stream::Stdout, "blue up 17 days\n"),
            output("blue", Stream::Stderr, "1 user\n"),
            output("red", Stream::Stderr, "1 user\n"),
            output("odd", Stream::Stdout, "odd is down\n"),
            end("red"),
            end("blue"),
            end("odd"),
            event("", EventKind::task_finished(Duration::from_millis(1))),
        ];
        assert_eq!(
            rendered(&mut Grouped::similar(Look::default(), Store::default()), &events),
            "--- blue,red (2 hosts)\n{host} up {3..17} days\n2> err: 1 user\n--- odd\nodd is down\n"
        );
    }

    fn end(host: &str) -> Event {
        event(host, EventKind::host_finished(HostStatus::Ok, None, Duration::from_millis(1)))
    }

    /// Hosts print this many lines at the same time, which differ in numbers; the last of them in a word too.
    fn much(grouped: &mut Grouped, hosts: usize, lines: usize, differ: bool) -> String {
        let mut page = Page::default();
        let hosts: Vec<_> = (1..=hosts).map(|n| format!("web{n}")).collect();
        for line in 0..lines {
            for (n, host) in hosts.iter().enumerate() {
                let word = if n + 1 == hosts.len() { "odd" } else { "even" };
                let text = format!("{word} {} line {line}\n", if differ { n } else { 0 });
                grouped.event(&output(host, Stream::Stdout, &text.repeat(10)), &mut page);
            }
        }
        for host in &hosts {
            grouped.event(&end(host), &mut page);
        }
        grouped.event(&event("", EventKind::task_finished(Duration::from_millis(1))), &mut page);
        page.into_text()
    }

    fn expected(hosts: usize, lines: usize, number: &str) -> String {
        let text =
            |word| (0..lines).map(|line| format!("{word} {number} line {line}\n").repeat(10)).collect::<String>();
        let even = format!("--- web[1-{}] ({} hosts)\n", hosts - 1, hosts - 1) + &text("even");
        even + &format!("--- web{hosts}\n") + &text("odd").replace(number, if number == "0" { "0" } else { "3" })
    }

    #[test]
    fn much_output_is_in_a_file_once() {
        let mut grouped = Grouped::new(Look::default(), Store::default());
        let mut page = Page::default();
        let text = "x".repeat(99_999) + "\n";
        for host in ["web1", "web2", "web3"] {
            for _ in 0..30 {
                grouped.event(&output(host, Stream::Stdout, &text), &mut page);
            }
            grouped.event(&output(host, Stream::Stderr, "odd"), &mut page);
            grouped.event(&end(host), &mut page);
            assert!(grouped.store.held() <= 64 * 1024, "{}", grouped.store.held());
        }
        // The output of the second and the third host is discarded.
        assert!(grouped.store.in_file() < 7_000_000, "{}", grouped.store.in_file());
        grouped.event(&event("", EventKind::task_finished(Duration::from_millis(1))), &mut page);
        page.note("after");
        let expected = format!("--- web[1-3] (3 hosts)\n{}2> err: odd\n2> after\n", text.repeat(30));
        assert!(page.into_text() == expected);
        assert_eq!((grouped.store.held(), grouped.store.in_file()), (0, 0));
    }

    #[test]
    fn much_output_is_told_apart_as_little_is() {
        assert!(much(&mut Grouped::new(Look::default(), Store::default()), 4, 2000, false) == expected(4, 2000, "0"));
        assert!(
            much(&mut Grouped::similar(Look::default(), Store::default()), 4, 2000, false) == expected(4, 2000, "0")
        );
        assert!(
            much(&mut Grouped::similar(Look::default(), Store::default()), 4, 2000, true)
                == expected(4, 2000, "{0..2}")
        );
    }

    #[test]
    fn without_a_disk_nothing_is_lost_and_a_warning_says_so() {
        let mut grouped = Grouped::similar(Look::default(), Store::full());
        let shown = much(&mut grouped, 4, 2000, true);
        let (warning, rest) = shown.split_once('\n').unwrap();
        assert!(warning.starts_with("2> warning: long output is kept in memory") && warning.contains("set TMPDIR"));
        assert!(rest == expected(4, 2000, "{0..2}"));
    }

    #[test]
    fn what_cannot_be_read_again_is_told() {
        let mut grouped = Grouped::new(Look::default(), Store::default());
        let mut page = Page::default();
        grouped.event(&output("web1", Stream::Stdout, &"x".repeat(100_000)), &mut page);
        grouped.store.lose();
        grouped.event(&end("web1"), &mut page);
        grouped.event(&event("", EventKind::task_finished(Duration::from_millis(1))), &mut page);
        let shown = page.into_text();
        assert!(shown.contains("2> warning: output of web1 can't be read from its temporary file: "), "{shown}");
    }
}
