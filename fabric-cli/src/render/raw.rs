//! The bytes as received: for other programs and for full-screen commands.

use fabric_core::Event;
use fabric_core::event::EventKind;

use super::Look;
use super::page::Page;
use super::prefix::Prefix;
use super::printer::Render;

/// Shows output as received. Standard output has nothing else but messages of tasks and what a dry run would do.
pub(super) struct Raw {
    look: Look,
    notes: Prefix,
}

impl Raw {
    /// Shows a run with this look.
    pub(super) fn new(look: Look) -> Self {
        let mut quiet = look;
        quiet.levels.running = false;
        Self { look, notes: Prefix::new(quiet) }
    }
}

impl Render for Raw {
    fn event(&mut self, event: &Event, page: &mut Page) {
        match &event.kind {
            EventKind::Output(output) if self.look.levels.shows(output.stream) => {
                page.to(output.stream).extend_from_slice(&output.data);
            }
            _ => self.notes.event(event, page),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{event, output, partial, rendered};
    use super::*;
    use fabric_core::Stream;
    use fabric_core::event::Verb;

    #[test]
    fn bytes_pass_unchanged() {
        let events = [
            event("a", EventKind::host_started(1)),
            event("a", EventKind::command_started(Verb::Run, "x")),
            output("a", Stream::Stdout, "\x1b[1mone\r\n"),
            partial("b", Stream::Stdout, "two"),
            output("a", Stream::Stderr, "three\n"),
        ];
        assert_eq!(rendered(&mut Raw::new(Look::default()), &events), "\x1b[1mone\r\ntwo2> three\n");
    }
}
