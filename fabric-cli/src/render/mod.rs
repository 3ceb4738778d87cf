//! Showing a run: renderers turn events into text, which one `Printer` writes.

mod grouped;
mod host_output;
mod json;
mod levels;
mod lines;
mod live;
mod mask;
mod page;
mod prefix;
mod printer;
mod raw;
mod summary;
mod tail;
mod text_store;
pub(crate) mod visible;

pub use levels::Levels;
pub use page::Page;
pub use printer::Render;

pub(crate) use levels::UnknownLevel;
pub(crate) use printer::{NoView, Outputs, Printer};

use std::path::Path;

use crate::choices::choices;

use text_store::Store;

choices! {
    /// How a run is shown.
    #[non_exhaustive]
    pub enum OutputMode {
        /// Each line with its host as prefix.
        Prefix = "prefix",
        /// At the end of each task, identical output once.
        Grouped = "grouped",
        /// The same, also for output that differs only in numbers and the host's own name.
        Similar = "similar",
        /// The bytes as received.
        Raw = "raw",
        /// Events as JSON, one a line.
        Json = "json",
    }
}

/// What is shown, and how.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Look {
    /// The output levels that are shown.
    pub levels: Levels,
    /// Whether lines of output begin with `[host] out:` or `[host] err:` (setting `output_prefix`).
    pub output_prefix: bool,
    /// Whether errors are red and warnings magenta (setting `colorize_errors`, where colours can be shown).
    pub error_colours: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { levels: Levels::default(), output_prefix: true, error_colours: false }
    }
}

impl Look {
    fn error_colour(self) -> &'static str {
        if self.error_colours { "\x1b[31m" } else { "" }
    }

    fn warning_colour(self) -> &'static str {
        if self.error_colours { "\x1b[35m" } else { "" }
    }
}

/// The renderer of an output mode. Long output that it keeps until the end of a task goes to a file in `temporary`.
pub fn renderer(mode: OutputMode, look: Look, temporary: &Path) -> Box<dyn Render> {
    let store = || Store::new(temporary.to_owned());
    match mode {
        OutputMode::Prefix => Box::new(prefix::Prefix::new(look)),
        OutputMode::Grouped => Box::new(grouped::Grouped::new(look, store())),
        OutputMode::Similar => Box::new(grouped::Grouped::similar(look, store())),
        OutputMode::Raw => Box::new(raw::Raw::new(look)),
        OutputMode::Json => Box::new(json::Json::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fabric_core::event::Output;
    use fabric_core::{Event, EventKind, Stream};

    /// An event of task `deploy` on this host.
    pub(super) fn event(host: &str, kind: EventKind) -> Event {
        let host = (!host.is_empty()).then(|| host.into());
        let task = Some("deploy".into());
        Event::new("r", kind).at(jiff::Timestamp::UNIX_EPOCH).host(host).task(task)
    }

    pub(super) fn output(host: &str, stream: Stream, text: &str) -> Event {
        event(host, EventKind::output(stream, text.to_owned()))
    }

    pub(super) fn partial(host: &str, stream: Stream, text: &str) -> Event {
        event(host, EventKind::Output(Output::new(stream, text.to_owned()).partial(true)))
    }

    pub(super) fn rendered(render: &mut dyn Render, events: &[Event]) -> String {
        let mut page = Page::default();
        for event in events {
            render.event(event, &mut page);
        }
        render.finish(&mut page);
        page.into_text()
    }
}
