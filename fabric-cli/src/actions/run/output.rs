//! How a run is shown.

use std::io;
use std::sync::Arc;

use fabric_core::settings::Settings;
use fabric_exec::Interrupt;
use parking_lot::Mutex;

use crate::args::Progress;
use crate::render::{Look, OutputMode, Outputs, Printer, renderer};
use crate::request::Request;
use crate::surroundings::terminal_size;

/// The error of standard output, once it can't be written any more.
#[derive(Clone, Default)]
pub(super) struct OutputError(Arc<Mutex<Option<io::Error>>>);

impl OutputError {
    pub(super) fn take(&self) -> Option<io::Error> {
        self.0.lock().take()
    }
}

/// The printer of the run. If standard output can't be written any more, it stops the run.
pub(super) fn printer(request: &Request, settings: &Settings, interrupt: &Interrupt) -> (Arc<Printer>, OutputError) {
    let unwritten = OutputError::default();
    let outputs = Outputs {
        stdout: request.surroundings.stdout_writer(),
        stderr: request.surroundings.stderr_writer(),
        on_broken_stdout: Box::new({
            let (interrupt, unwritten) = (interrupt.clone(), unwritten.clone());
            move |error| {
                *unwritten.0.lock() = Some(error);
                interrupt.stop();
            }
        }),
    };
    let mode = request.options.output.unwrap_or(OutputMode::Prefix);
    let render = renderer(mode, look(request, settings), &request.surroundings.temporary());
    let printer = if wants_live_view(request, mode) {
        Printer::with_live_view(render, outputs, terminal_size)
    } else {
        Printer::new(render, outputs)
    };
    (Arc::new(printer), unwritten)
}

fn look(request: &Request, settings: &Settings) -> Look {
    let surroundings = &request.surroundings;
    let colours = surroundings.shows_messages()
        && ["NO_COLOR", "FABRIC_DISABLE_COLORS"].iter().all(|name| surroundings.variable(name).is_none());
    Look {
        levels: request.options.levels,
        output_prefix: settings.output_prefix,
        error_colours: settings.colorize_errors && colours,
    }
}

/// Whether there is a live view. By default on a terminal, unless output is raw or for a program.
fn wants_live_view(request: &Request, mode: OutputMode) -> bool {
    match request.options.progress {
        Progress::Always => true,
        Progress::Never => false,
        // What the user's code prints would get into the view.
        Progress::Auto if request.project.python().is_some() => false,
        Progress::Auto => {
            matches!(mode, OutputMode::Prefix | OutputMode::Grouped | OutputMode::Similar)
                && request.options.levels.running
                && request.surroundings.shows_messages()
                && request.surroundings.environment.get("TERM").is_none_or(|term| term != "dumb")
        }
    }
}
