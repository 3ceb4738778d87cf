//! How a run ends: by signals, and with its reports written.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fabric_exec::{Interrupt, Report};

use crate::exit::Exit;
use crate::failure::{Doing, Failure};
use crate::keyboard::Keys;
use crate::process::{Process, Signals};
use crate::prompter::TerminalPrompter;
use crate::render::Printer;
use crate::request::Request;
use crate::shell::TerminalShell;

/// How long the program waits for an orderly end after it was asked to end at once.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Signals that come together are one.
const AT_ONCE: Duration = Duration::from_millis(10);

/// Ends the run at Ctrl-C and the like: first politely, then at once.
pub(super) async fn at_signals(
    process: Process,
    mut signals: Signals,
    interrupt: Interrupt,
    printer: Arc<Printer>,
    (prompter, shell, keys): (Arc<TerminalPrompter>, Arc<TerminalShell>, Keys),
) {
    signals.next().await;
    // `timeout` signals the program and its process group: that is one request.
    tokio::time::sleep(AT_ONCE).await;
    signals.forget();
    prompter.cancel();
    interrupt.stop();
    printer.note("Stopping: what runs is ended, nothing new is started. Ctrl-C again stops at once.");
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

/// Writes the reports. One that can't be written keeps no other from being written.
pub(super) async fn write_reports(report: &Report, request: &Request) -> Result<(), Failure> {
    let mut written = Ok(());
    for path in &request.options.reports {
        let this = write(report, path, request).await;
        written = written.and(this);
    }
    written
}

/// Writes a report, which may be to a pipe without a reader: that can be interrupted, and what is only slow is waited for.
async fn write(report: &Report, path: &Path, request: &Request) -> Result<(), Failure> {
    let mut signals = Signals::watch(request.process.as_ref());
    let (report, file) = (report.clone(), request.surroundings.file(path));
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
    written.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())).map_err(|source| Failure::File {
        what: Doing::Writing,
        path: path.to_owned(),
        source,
    })
}

/// Waits for the interrupt, or for its repetition where it ended the run.
async fn again(interrupt: &Interrupt) {
    if interrupt.is_stopping() { interrupt.aborting().await } else { interrupt.stopping().await }
}
