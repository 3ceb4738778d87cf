//! `open_shell`: the user's terminal, connected to a shell on a host.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::{Error, ExitStatus};
use fabric_exec::run::Interactive;
use fabric_transport::Connection;
use fabric_transport::connection::Stdin;
use parking_lot::Mutex;
use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::net::unix::pipe;

use crate::render::Printer;

/// The terminal of this process, for shells.
pub(crate) struct TerminalShell {
    printer: Arc<Printer>,
    /// The terminal, and its state before the shell was opened.
    before: Mutex<Option<(File, Termios)>>,
}

impl TerminalShell {
    /// The terminal of this process. `printer` is held back while a shell is open.
    pub(crate) fn new(printer: Arc<Printer>) -> Self {
        Self { printer, before: Mutex::new(None) }
    }

    /// Restores the terminal to its previous state.
    pub(crate) fn restore(&self) {
        if let Some((terminal, before)) = self.before.lock().take() {
            // A terminal that is gone needs no restoring.
            let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
        }
    }

    /// Turns echo, line editing and signals off: every key goes to the host, Ctrl-C too.
    fn raw(&self, terminal: File) -> std::io::Result<Restored<'_>> {
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &raw)?;
        *self.before.lock() = Some((terminal, before));
        Ok(Restored(self))
    }
}

#[async_trait]
impl Interactive for TerminalShell {
    async fn open_shell(&self, connection: Connection, line: Option<String>) -> Result<ExitStatus, Error> {
        let terminal = || {
            // Opened again, so that only this descriptor becomes non-blocking.
            let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
            File::options().read(true).write(true).custom_flags(flags).open("/dev/tty")
        };
        let streams = || -> std::io::Result<_> {
            let keys = pipe::Receiver::from_file_unchecked(terminal()?)?;
            let screen = pipe::Sender::from_file_unchecked(terminal()?)?;
            Ok((keys, screen, terminal()?))
        };
        let none = |error| Error::Usage(format!("open_shell needs a terminal: {error}"));
        let (keys, screen, terminal) = streams().map_err(none)?;
        // Connect first: a password prompt needs the terminal as it was, and the printer.
        connection.open().await?;
        let _held = {
            let printer = self.printer.clone();
            // Blocks until pending output is written.
            tokio::task::spawn_blocking(move || printer.hold())
                .await
                .map_err(|error| Error::Usage(error.to_string()))?
        };
        // Without a remote terminal, echo and line editing are left to this one.
        let raw = connection.target().shell.has_pty();
        let _restored = raw.then(|| self.raw(terminal)).transpose().map_err(none)?;
        let mut shell = connection.shell().stdin(Stdin::reader(keys)).out_stream(screen);
        if let Some(line) = line {
            shell = shell.line(line);
        }
        shell.await
    }
}

/// Restores the terminal when dropped.
struct Restored<'a>(&'a TerminalShell);

impl Drop for Restored<'_> {
    fn drop(&mut self) {
        self.0.restore();
    }
}
