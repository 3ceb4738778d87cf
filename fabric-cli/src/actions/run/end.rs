//! The end of a run: signals, and writing reports.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fabric_exec::{Interrupt, Report};

use crate::exit::Exit;
use crate::failure::{Failure, FileOperation};
use crate::keyboard::Keys;
use crate::process::{Process, Signals};
use crate::prompter::TerminalPrompter;
use crate::render::Printer;
use crate::request::Request;
use crate::shell::TerminalShell;

/// How long the program waits for an orderly end after the second signal.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Signals that arrive within this time count as one.
const AT_ONCE: Duration = Duration::from_millis(10);

/// Ends the run at signals: politely at the first, at once at the second.
pub(super) async fn at_signals(
    process: Process,
    mut signals: Signals,
    interrupt: Interrupt,
    printer: Arc<Printer>,
    (prompter, shell, keys): (Arc<TerminalPrompter>, Arc<TerminalShell>, Keys),
) {
    signals.next().await;
    // timeout(1) signals both the program and its process group.
    tokio::time::sleep(AT_ONCE).await;
    signals.forget();
    prompter.cancel();
    interrupt.stop();
    printer.note("Stopping: ending what runs, starting nothing new. Press Ctrl-C again to stop at once.");
    signals.next().await;
    interrupt.abort();
    tokio::select! {
        () = tokio::time::sleep(LAST_WAIT) => {}
        () = signals.next() => {}
    }
    shell.restore();
    keys.restore();
    process.exit(Exit::Interrupted);
}

/// Writes all reports, even if one of them can't be written.
pub(super) async fn write_reports(report: &Report, request: &Request) -> Result<(), Failure> {
    let mut written = Ok(());
    for path in &request.options.reports {
        let this = write(report, path, request).await;
        written = written.and(this);
    }
    written
}

/// Writes a report. It may be to a pipe without a reader, so that it can be interrupted; an interrupt still leaves it some time.
async fn write(report: &Report, path: &Path, request: &Request) -> Result<(), Failure> {
    let failed = |source| Failure::File { what: FileOperation::Writing, path: path.to_owned(), source };
    let file = request.surroundings.file(path);
    if !Report::may_wait(&file) {
        // A thread for it would take longer than writing it.
        return report.write(&file).map_err(failed);
    }
    let mut signals = Signals::watch(request.process.as_ref());
    let report = report.clone();
    let mut writing = tokio::task::spawn_blocking(move || report.write(&file));
    let given_up = async {
        tokio::select! {
            () = signals.next() => {}
            () = again(&request.interrupt) => {}
        }
    };
    let written = tokio::select! {
        written = &mut writing => written,
        () = given_up => tokio::time::timeout(LAST_WAIT, writing).await.map_err(|_| Failure::Interrupted)?,
    };
    written.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())).map_err(failed)
}

/// Waits for the interrupt, or for the second one if the first has ended the run.
async fn again(interrupt: &Interrupt) {
    if interrupt.is_stopping() { interrupt.aborting().await } else { interrupt.stopping().await }
}
