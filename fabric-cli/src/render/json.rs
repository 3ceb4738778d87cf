//! Events as JSON, one a line: for programs.

use fabric_core::event::EventKind;
use fabric_core::{Event, Stream};

use super::page::Page;
use super::printer::Render;

/// Shows each event as one JSON object on a line of its own; several lines of output are as many objects.
#[derive(Debug, Default)]
pub(super) struct Json {
    buffer: Vec<u8>,
}

impl Render for Json {
    fn event(&mut self, event: &Event, page: &mut Page) {
        match &event.kind {
            EventKind::Output(_) => event.records().iter().for_each(|event| self.line(event, page)),
            _ => self.line(event, page),
        }
    }
}

impl Json {
    fn line(&mut self, event: &Event, page: &mut Page) {
        self.buffer.clear();
        // Serialising texts and numbers to memory cannot fail.
        if serde_json::to_writer(&mut self.buffer, event).is_ok() {
            let out = page.to(Stream::Stdout);
            push_harmless(&self.buffer, out);
            out.push(b'\n');
        }
    }
}

/// JSON allows DEL and the C1 controls unescaped. Escaped they mean the same and can't harm a terminal.
fn push_harmless(json: &[u8], out: &mut Vec<u8>) {
    let mut rest = json;
    while let Some(at) = memchr::memchr2(0x7f, 0xc2, rest) {
        out.extend_from_slice(&rest[..at]);
        rest = match (rest[at], rest.get(at + 1)) {
            (0xc2, Some(second @ 0x80..=0x9f)) => {
                out.extend_from_slice(format!("\\u{second:04x}").as_bytes());
                &rest[at + 2..]
            }
            (0x7f, _) => {
                out.extend_from_slice(b"\\u007f");
                &rest[at + 1..]
            }
            (byte, _) => {
                out.push(byte);
                &rest[at + 1..]
            }
        };
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{event, output, rendered};
    use super::*;

    #[test]
    fn an_object_a_line() {
        let text = "one\n\u{fc}\u{9b}\x7f\x1b\u{a0}\n";
        let events = [event("a", EventKind::host_started(1)), output("a", Stream::Stderr, text)];
        let shown = rendered(&mut Json::default(), &events);
        assert_eq!(
            shown.lines().collect::<Vec<_>>(),
            [
                r#"{"at":"1970-01-01T00:00:00Z","run":"r","host":"a","task":"deploy","event":"host_started","attempt":1}"#,
                r#"{"at":"1970-01-01T00:00:00Z","run":"r","host":"a","task":"deploy","event":"output","stream":"stderr","line":"one"}"#,
                &format!(
                    r#"{{"at":"1970-01-01T00:00:00Z","run":"r","host":"a","task":"deploy","event":"output","stream":"stderr","line":"{}"}}"#,
                    "\u{fc}\\u009b\\u007f\\u001b\u{a0}"
                ),
            ]
        );
        let last: serde_json::Value = serde_json::from_str(shown.lines().last().unwrap()).unwrap();
        assert_eq!(last["line"], "\u{fc}\u{9b}\x7f\x1b\u{a0}");
    }
}
