//! Each line with its host as prefix: `[web1] out: ..`.

use std::collections::HashMap;
use std::sync::Arc;

use fabric_core::event::{EventKind, Output, Verb};
use fabric_core::host::fold;
use fabric_core::outcome::Direction;
use fabric_core::{Event, Stream};

use super::page::Page;
use super::printer::Render;
use super::summary::{duration, summary, without_host};
use super::tail::Tails;
use super::{Look, visible};

/// Shows each line with its host as prefix.
pub(super) struct Prefix {
    look: Look,
    /// The unfinished line.
    open: Option<OpenLine>,
    /// The last warning of each host, so that a failure already reported as a warning isn't repeated as an error.
    warned: HashMap<Arc<str>, String>,
    /// Output that is hidden by levels: its end is shown if the command fails.
    tails: Tails,
}

struct OpenLine {
    host: Option<Arc<str>>,
    stream: Stream,
    /// Whether it ends in a carriage return, which is shown unless a line feed follows.
    carriage_return: bool,
}

impl Prefix {
    /// Shows a run with this look.
    pub(super) fn new(look: Look) -> Self {
        Self { look, open: None, warned: HashMap::new(), tails: Tails::default() }
    }

    /// Ends the unfinished line, if there is one.
    fn end_line(&mut self, page: &mut Page) {
        if let Some(open) = self.open.take() {
            page.to(open.stream).push(b'\n');
        }
    }

    fn output(&mut self, host: Option<&Arc<str>>, output: &Output, page: &mut Page) {
        let Output { stream, data, partial, .. } = output;
        let shown = self.look.levels.shows(*stream);
        if !shown {
            self.tails.push(host, *stream, data);
        }
        if !shown || data.is_empty() {
            return;
        }
        let mut data: &[u8] = data;
        let mut continues = self.open.as_ref().is_some_and(|open| open.stream == *stream && open.host.as_ref() == host);
        if continues {
            if self.open.take().is_some_and(|open| open.carriage_return) && !data.starts_with(b"\n") {
                visible::push(b"\r", page.to(*stream));
            }
        } else {
            self.end_line(page);
        }
        let prefix = match (self.look.output_prefix, stream) {
            (false, _) => String::new(),
            (true, Stream::Stdout) => format!("[{}] out: ", shown_host(host)),
            (true, Stream::Stderr) => format!("[{}] err: ", shown_host(host)),
        };
        let plain = visible::is_plain(data);
        let out = page.to(*stream);
        while let Some(end) = memchr::memchr(b'\n', data) {
            if !std::mem::take(&mut continues) {
                out.extend_from_slice(prefix.as_bytes());
            }
            if plain {
                out.extend_from_slice(&data[..=end]);
            } else {
                let line = &data[..end];
                visible::push(line.strip_suffix(b"\r").unwrap_or(line), out);
                out.push(b'\n');
            }
            data = &data[end + 1..];
        }
        if !data.is_empty() {
            if !continues {
                out.extend_from_slice(prefix.as_bytes());
            }
            let line = data.strip_suffix(b"\r").filter(|_| *partial).unwrap_or(data);
            visible::push(line, out);
            let carriage_return = line.len() < data.len();
            self.open = Some(OpenLine { host: host.cloned(), stream: *stream, carriage_return });
            if !partial {
                self.end_line(page);
            }
        }
    }

    /// LineSplitter about the run, on standard output.
    fn running(&mut self, event: &Event, label: &str, text: &str, page: &mut Page) {
        self.end_line(page);
        let host = shown_host(event.host.as_ref());
        let out = page.to(Stream::Stdout);
        for line in text.split('\n') {
            out.extend_from_slice(format!("[{host}] {label}{}\n", visible::text(line)).as_bytes());
        }
    }

    /// Messages, on standard error.
    fn tell(&mut self, event: &Event, label: &str, text: &str, colour: &str, page: &mut Page) {
        self.end_line(page);
        let host = event.host.as_ref().map(|host| format!("[{}] ", visible::text(host))).unwrap_or_default();
        let end = if colour.is_empty() { "" } else { "\x1b[0m" };
        for line in without_host(text, event.host.as_deref()).trim_end().split('\n') {
            page.note(&format!("{host}{colour}{label}{}{end}", visible::text(line)));
        }
    }
}

impl Render for Prefix {
    fn event(&mut self, event: &Event, page: &mut Page) {
        let levels = self.look.levels;
        if matches!(event.kind, EventKind::CommandStarted { .. } | EventKind::CommandFinished { ok: true, .. }) {
            self.tails.clear(event.host.as_ref());
        }
        match &event.kind {
            EventKind::Output(output) => self.output(event.host.as_ref(), output, page),
            EventKind::HostStarted { .. } if levels.running && event.host.is_some() => {
                let task = event.task.as_deref().unwrap_or_default();
                self.running(event, &format!("Executing task '{}'", visible::text(task)), "", page);
            }
            EventKind::CommandStarted { verb, command, .. } if levels.running => {
                let host = event.host.clone();
                // A local command without a host.
                let local = event.clone().host(host.or(Some("localhost".into())));
                let event = if *verb == Verb::Local { &local } else { event };
                self.running(event, &format!("{verb}: "), command, page);
            }
            EventKind::TransferStarted { direction, local, remote, .. } if levels.running => match direction {
                Direction::Put => self.running(event, "put: ", &format!("{local} -> {remote}"), page),
                Direction::Get => self.running(event, "download: ", &format!("{local} <- {remote}"), page),
            },
            // Whatever is hidden: this is the purpose of a dry run.
            EventKind::Planned { verb, what, condition, .. } => {
                // The same word as in a real run.
                let verb = if verb == "get" { "download" } else { verb };
                let condition = condition.as_ref().map(|text| format!("  (if {text})")).unwrap_or_default();
                self.running(event, &format!("{verb}: "), &format!("{what}{condition}"), page);
            }
            EventKind::BatchStarted { batch, batches, hosts, .. } if levels.running => {
                self.end_line(page);
                let hosts = fold(hosts.iter().map(AsRef::as_ref));
                let line = format!("Batch {batch} of {batches}: {}\n", visible::text(&hosts));
                page.to(Stream::Stdout).extend_from_slice(line.as_bytes());
            }
            EventKind::Message { text, .. } if levels.user => {
                self.end_line(page);
                let prefix = match &event.host {
                    Some(host) if self.look.output_prefix => format!("[{}] ", visible::text(host)),
                    _ => String::new(),
                };
                let out = page.to(Stream::Stdout);
                for line in text.split('\n') {
                    out.extend_from_slice(format!("{prefix}{}\n", visible::text(line)).as_bytes());
                }
            }
            EventKind::Warning { message, .. } if levels.warnings => {
                if let Some(host) = &event.host {
                    self.warned.insert(host.clone(), without_host(message, Some(host)).into_owned());
                }
                self.tell(event, "warning: ", message, self.look.warning_colour(), page);
            }
            EventKind::Retrying { attempt, error, delay_ms, .. } if levels.warnings => {
                let error = without_host(error, event.host.as_deref());
                let error = error.lines().next().unwrap_or_default();
                let again = match delay_ms {
                    0 => "trying again".to_owned(),
                    ms => format!("trying again in {}", duration(*ms)),
                };
                let text = format!("attempt {attempt} failed: {error}; {again}");
                self.tell(event, "warning: ", &text, self.look.warning_colour(), page);
            }
            EventKind::HostFinished { error: Some(error), status, .. } if levels.aborts && status.is_failure() => {
                let warned = event.host.as_ref().and_then(|host| self.warned.remove(host));
                let told = without_host(error, event.host.as_deref());
                if warned.is_some_and(|warned| warned.starts_with(&*told)) {
                    return;
                }
                let error = format!("{error}{}", self.tails.take(event.host.as_ref()));
                self.tell(event, "error: ", &error, self.look.error_colour(), page);
            }
            EventKind::TransferFinished { error: Some(error), .. } if levels.debug => {
                self.tell(event, "", error, "", page);
            }
            EventKind::HostKeyRecorded { fingerprint, file, .. } if levels.status => {
                self.tell(event, "", &format!("new host key {fingerprint} recorded in {file}"), "", page);
            }
            EventKind::Connecting { address, .. } if levels.debug => {
                self.tell(event, "", &format!("connecting to {address}"), "", page);
            }
            EventKind::Connected { address, duration_ms, .. } if levels.debug => {
                self.tell(event, "", &format!("connected to {address} in {}", duration(*duration_ms)), "", page);
            }
            EventKind::Disconnected if levels.debug => self.tell(event, "", "disconnected", "", page),
            EventKind::CommandFinished { exit, signal, duration_ms, .. } if levels.debug => {
                let end = match (exit, signal) {
                    (Some(exit), _) => format!("exit status {exit}"),
                    (None, Some(signal)) => format!("signal {signal}"),
                    (None, None) => "no exit status".to_owned(),
                };
                self.tell(event, "", &format!("{end} after {}", duration(*duration_ms)), "", page);
            }
            EventKind::Summary { .. } if levels.status => {
                self.end_line(page);
                if let Some(text) = summary(&event.kind) {
                    page.to(Stream::Stderr).extend_from_slice(text.as_bytes());
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, page: &mut Page) {
        self.end_line(page);
    }
}

fn shown_host(host: Option<&Arc<str>>) -> String {
    host.map_or_else(|| "localhost".to_owned(), |host| visible::text(host))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{event, output, partial, rendered};
    use super::*;
    use fabric_core::HostStatus;

    fn shown(look: Look, events: &[Event]) -> String {
        rendered(&mut Prefix::new(look), events)
    }

    #[test]
    fn the_format_of_the_contract() {
        let events = [
            event("web1", EventKind::host_started(1)),
            event("web1", EventKind::command_started(Verb::Run, "uname -a")),
            output("web1", Stream::Stdout, "Linux web1 6.1.0\n"),
            output("web1", Stream::Stderr, "oops\r\n"),
        ];
        assert_eq!(
            shown(Look::default(), &events),
            "[web1] Executing task 'deploy'\n\
             [web1] run: uname -a\n\
             [web1] out: Linux web1 6.1.0\n\
             2> [web1] err: oops\n"
        );
    }

    #[test]
    fn batches_of_lines_and_empty_lines() {
        let events = [output("a", Stream::Stdout, "one\n\n\x1b[1mtwo\r\n"), output("b", Stream::Stdout, "three")];
        assert_eq!(shown(Look::default(), &events), "[a] out: one\n[a] out: \n[a] out: ^[[1mtwo\n[b] out: three\n");
    }

    #[test]
    fn parts_of_a_line_are_joined_and_never_mixed() {
        let events = [
            partial("a", Stream::Stdout, "wait"),
            partial("a", Stream::Stdout, "ing"),
            output("a", Stream::Stdout, "\nnext\n"),
            partial("a", Stream::Stdout, "pass"),
            partial("b", Stream::Stdout, "other\r"),
            output("b", Stream::Stdout, "\n"),
            partial("b", Stream::Stdout, "50%\r"),
            partial("b", Stream::Stdout, "60%"),
            event("b", EventKind::message("hi")),
            partial("b", Stream::Stderr, "end"),
        ];
        assert_eq!(
            shown(Look::default(), &events),
            "[a] out: waiting\n[a] out: next\n[a] out: pass\n[b] out: other\n[b] out: 50%^M60%\n[b] hi\n\
             2> [b] err: end\n"
        );
    }

    #[test]
    fn errors_and_warnings_go_to_standard_error() {
        let error =
            |text: &str| EventKind::host_finished(HostStatus::Failed, text.to_owned(), Duration::from_millis(1));
        let events = [
            event("web1", EventKind::warning("odd")),
            event("web1", EventKind::retrying(1, "web1: down\nmore", Duration::from_millis(1500))),
            event("web1", error("web1: `false` ended with exit status 1\nstderr:\nlast words")),
            event("", EventKind::warning("all odd")),
        ];
        assert_eq!(
            shown(Look::default(), &events),
            "2> [web1] warning: odd\n\
             2> [web1] warning: attempt 1 failed: down; trying again in 1.5 s\n\
             2> [web1] error: `false` ended with exit status 1\n\
             2> [web1] error: stderr:\n\
             2> [web1] error: last words\n\
             2> warning: all odd\n"
        );
        let look = Look { error_colours: true, ..Look::default() };
        assert_eq!(
            shown(look, &events[2..3]).lines().next(),
            Some("2> [web1] \x1b[31merror: `false` ended with exit status 1\x1b[0m")
        );
    }

    #[test]
    fn the_end_of_what_was_hidden_is_shown_with_the_failure() {
        let begun = |command: &str| event("a", EventKind::command_started(Verb::Run, command));
        let ended = |ok: bool| {
            let exit = fabric_core::ExitStatus::Code(u32::from(!ok));
            event("a", EventKind::command_finished(Verb::Run, "x", &exit, ok, Duration::from_millis(1)))
        };
        let error = Some("a: `x` ended with exit status 1".to_owned());
        let lines = (1..=12).map(|n| format!("line {n}\n")).collect::<Vec<_>>().concat();
        let events = [
            begun("fine"),
            output("a", Stream::Stdout, "of no concern\n"),
            ended(true),
            begun("x"),
            output("a", Stream::Stdout, &lines),
            output("a", Stream::Stderr, "why\n"),
            ended(false),
            event("a", EventKind::host_finished(HostStatus::Failed, error, Duration::from_millis(1))),
        ];
        let mut look = Look::default();
        look.levels.hide("running,stdout").unwrap();
        let shown = shown(look, &events);
        assert!(
            shown.starts_with("2> [a] err: why\n2> [a] error: `x` ended with exit status 1\n2> [a] error: stdout:\n")
        );
        assert!(shown.contains("error: line 3\n") && shown.ends_with("error: line 12\n"), "{shown}");
        assert!(!shown.contains("line 2\n") && !shown.contains("concern"), "{shown}");
    }

    #[test]
    fn a_failure_that_was_a_warning_is_told_once() {
        let error = Some("web1: down".to_owned());
        let events = [
            event("web1", EventKind::warning("down; the host is skipped")),
            event("web1", EventKind::host_finished(HostStatus::Unreachable, error, Duration::from_millis(1))),
        ];
        assert_eq!(shown(Look::default(), &events), "2> [web1] warning: down; the host is skipped\n");
    }

    #[test]
    fn levels_and_prefixes_can_be_switched_off() {
        let events = [
            event("a", EventKind::host_started(1)),
            event("a", EventKind::command_started(Verb::Sudo, "id\nls")),
            output("a", Stream::Stdout, "one\n"),
            output("a", Stream::Stderr, "two\n"),
        ];
        let mut look = Look { output_prefix: false, ..Look::default() };
        look.levels.hide("running").unwrap();
        assert_eq!(shown(look, &events), "one\n2> two\n");
        let condition = Some("s.ok".into());
        let planned = event("a", EventKind::planned("run", "id", condition));
        assert_eq!(shown(look, &[planned]), "[a] run: id  (if s.ok)\n");
        look.levels.hide("output").unwrap();
        look.levels.show("running").unwrap();
        assert_eq!(shown(look, &events), "[a] Executing task 'deploy'\n[a] sudo: id\n[a] sudo: ls\n");
    }

    #[test]
    fn transfers_and_local_commands() {
        let transfer = |direction| EventKind::transfer_started(direction, "app.tgz", "/tmp/app.tgz", None);
        let planned = EventKind::planned("get", "app.tgz <- /tmp/app.tgz", None);
        let local = EventKind::command_started(Verb::Local, "make");
        let events = [
            event("a", transfer(Direction::Put)),
            event("a", transfer(Direction::Get)),
            event("a", planned),
            event("", local),
        ];
        assert_eq!(
            shown(Look::default(), &events),
            "[a] put: app.tgz -> /tmp/app.tgz\n[a] download: app.tgz <- /tmp/app.tgz\n\
             [a] download: app.tgz <- /tmp/app.tgz\n[localhost] local: make\n"
        );
    }
}
