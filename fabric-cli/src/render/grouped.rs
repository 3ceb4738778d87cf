//! Hosts with identical or nearly equal output together, at the end of each task.

use std::collections::HashMap;
use std::sync::Arc;

use fabric_core::event::EventKind;
use fabric_core::host::fold;
use fabric_core::{Event, HostStatus, Stream};
use indexmap::IndexMap;
use indexmap::map::Entry;

use super::mask::{Masked, Seen, mask, whole};
use super::page::Page;
use super::prefix::Prefix;
use super::printer::Render;
use super::{Look, visible};

/// Collects output by host and shows what is identical once, when its task has ended. Errors and warnings
/// are shown at once.
pub(super) struct Grouped {
    look: Look,
    /// Whether output that differs in numbers and in the host's own name only is shown once too.
    similar: bool,
    notes: Prefix,
    /// What hosts have printed so far.
    running: HashMap<(Name, Name), Printed>,
    /// Tasks with what came of them: the same text is kept once, however many hosts printed it.
    finished: IndexMap<Name, Groups>,
}

/// A task or a host; `None` for what belongs to none.
type Name = Option<Arc<str>>;

/// Hosts by what came of them.
type Groups = IndexMap<(HostStatus, Vec<(Stream, Masked)>), Group>;

/// Hosts that belong together, with what stood at the masked places of each piece of their output.
type Group = (Vec<Name>, Vec<Seen>);

/// Pieces of output, in order.
type Printed = Vec<(Stream, Vec<u8>)>;

impl Grouped {
    /// Shows what `look` says.
    pub(super) fn new(look: Look) -> Self {
        let mut quiet = look;
        quiet.levels.running = false;
        let notes = Prefix::new(quiet);
        Self { look, similar: false, notes, running: HashMap::new(), finished: IndexMap::new() }
    }

    /// Shows nearly equal output once too.
    pub(super) fn similar(look: Look) -> Self {
        Self { similar: true, ..Self::new(look) }
    }

    fn end(&mut self, task: Name, host: Name, status: HostStatus) {
        let printed = self.running.remove(&(task.clone(), host.clone())).unwrap_or_default();
        let (mut pieces, mut seen) = (Vec::new(), Vec::new());
        for (stream, data) in printed {
            let (masked, places) = if self.similar { mask(&data, host.as_deref()) } else { whole(data) };
            pieces.push((stream, masked));
            seen.push(places);
        }
        let groups = self.finished.entry(task).or_default();
        match groups.entry((status, pieces)) {
            Entry::Occupied(mut entry) => {
                let (hosts, places) = entry.get_mut();
                hosts.push(host);
                places.iter_mut().zip(seen).for_each(|(places, other)| places.add(other));
            }
            Entry::Vacant(entry) => drop(entry.insert((vec![host], seen))),
        }
    }

    fn show(&mut self, task: Option<&Arc<str>>, page: &mut Page) {
        for ((status, printed), (mut hosts, seen)) in self.finished.shift_remove(&task.cloned()).unwrap_or_default() {
            if printed.is_empty() && status == HostStatus::Ok {
                continue;
            }
            hosts.sort();
            let count = hosts.len();
            let names = fold(hosts.iter().map(|host| host.as_deref().unwrap_or("localhost")));
            let plural = if count == 1 { String::new() } else { format!(" ({count} hosts)") };
            let state = if status == HostStatus::Ok { "" } else { status.as_str() };
            let state = if state.is_empty() { String::new() } else { format!(": {}", state.replace('_', " ")) };
            let head = format!("--- {}{plural}{state}\n", visible::text(&names));
            let out = page.to(Stream::Stdout);
            out.extend_from_slice(head.as_bytes());
            for ((stream, masked), places) in printed.into_iter().zip(seen) {
                let data = places.fill(&masked);
                let data = data.strip_suffix(b"\n").unwrap_or(&data);
                for line in data.split(|byte| *byte == b'\n') {
                    if stream == Stream::Stderr {
                        out.extend_from_slice(b"err: ");
                    }
                    visible::push(line.strip_suffix(b"\r").unwrap_or(line), out);
                    out.push(b'\n');
                }
            }
        }
    }
}

impl Render for Grouped {
    fn event(&mut self, event: &Event, page: &mut Page) {
        let key = || (event.task.clone(), event.host.clone());
        match &event.kind {
            EventKind::Output(output) => {
                let levels = self.look.levels;
                if if output.stream == Stream::Stdout { levels.stdout } else { levels.stderr } {
                    let printed = self.running.entry(key()).or_default();
                    match printed.last_mut() {
                        Some((stream, data)) if *stream == output.stream => data.extend_from_slice(&output.data),
                        _ => printed.push((output.stream, output.data.to_vec())),
                    }
                }
            }
            // Another try starts over.
            EventKind::HostStarted { .. } => drop(self.running.remove(&key())),
            EventKind::HostFinished { status, .. } => {
                self.end(event.task.clone(), event.host.clone(), *status);
                self.notes.event(event, page);
            }
            EventKind::TaskFinished { .. } => self.show(event.task.as_ref(), page),
            EventKind::Summary { .. } => {
                // Of tasks that were interrupted.
                let tasks: Vec<_> = self.finished.keys().cloned().collect();
                for task in tasks {
                    self.show(task.as_ref(), page);
                }
                self.notes.event(event, page);
            }
            _ => self.notes.event(event, page),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{event, output, rendered};
    use super::*;

    #[test]
    fn identical_output_is_shown_once() {
        let end = |host, status| event(host, EventKind::HostFinished { status, error: None, duration_ms: 1 });
        let events = [
            output("web2", Stream::Stdout, "Linux\n"),
            output("web1", Stream::Stdout, "Lin"),
            output("web1", Stream::Stdout, "ux\n"),
            output("web3", Stream::Stdout, "first try\n"),
            event("web3", EventKind::HostStarted { attempt: 2 }),
            output("web3", Stream::Stdout, "BSD\x07\n"),
            output("web3", Stream::Stderr, "odd\n"),
            end("web3", HostStatus::Failed),
            end("web2", HostStatus::Ok),
            end("web1", HostStatus::Ok),
            end("quiet", HostStatus::Ok),
            event("", EventKind::TaskFinished { duration_ms: 1 }),
        ];
        assert_eq!(
            rendered(&mut Grouped::new(Look::default()), &events),
            "--- web3: failed\nBSD^G\nerr: odd\n--- web[1-2] (2 hosts)\nLinux\n"
        );
    }

    #[test]
    fn nearly_equal_output_is_shown_once_with_what_differs_marked() {
        let end = |host| event(host, EventKind::HostFinished { status: HostStatus::Ok, error: None, duration_ms: 1 });
        let events = [
            output("red", Stream::Stdout, "red up 3 days\n"),
            output("blue", Stream::Stdout, "blue up 17 days\n"),
            output("blue", Stream::Stderr, "1 user\n"),
            output("red", Stream::Stderr, "1 user\n"),
            output("odd", Stream::Stdout, "odd is down\n"),
            end("red"),
            end("blue"),
            end("odd"),
            event("", EventKind::TaskFinished { duration_ms: 1 }),
        ];
        assert_eq!(
            rendered(&mut Grouped::similar(Look::default()), &events),
            "--- blue,red (2 hosts)\n{host} up {3..17} days\nerr: 1 user\n--- odd\nodd is down\n"
        );
    }
}
