//! What happens during a run, as data: the one thing that renderers, reports and journals are made of.

mod kind;
mod output;
mod sink;

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::setters::setters;

pub use kind::{EventKind, HostStatus, VERSION, Verb, millis};
pub use output::Output;
pub use sink::{Emitter, EventSink, NoEvents};

/// One fact during a run.
///
/// As JSON it is one object with `event`, `at` (RFC 3339), `run` and, where they apply, `host`, `task`
/// and the fields of its kind. An [`EventKind::Output`] may hold many lines; [`Event::records`] gives
/// one event for each, which is what `--output json` writes.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
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

setters!(Event {
    at: Timestamp,
    #[into] host: Option<Arc<str>>,
    #[into] task: Option<Arc<str>>,
    kind: EventKind,
});

impl Event {
    /// Something that happens now in a run.
    pub fn new(run: impl Into<Arc<str>>, kind: EventKind) -> Self {
        Self { at: Timestamp::now(), run: run.into(), host: None, task: None, kind }
    }

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
    use crate::outcome::Stream;

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
