//! The terminal: reads a line, shown or hidden, and always restores the terminal's state.

use std::fs::File;
use std::io::{self, Write};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr, tcsetattr,
};

/// A terminal.
#[derive(Debug)]
pub(crate) struct Tty {
    file: File,
    /// Its state before the open question, if the answer is hidden.
    before: Mutex<Option<Termios>>,
    cancelled: OwnedFd,
    cancel: Mutex<Option<OwnedFd>>,
}

impl Tty {
    /// Opens the process's terminal, wherever its standard streams go.
    pub(crate) fn open() -> io::Result<Self> {
        Self::new(File::options().read(true).write(true).open("/dev/tty")?)
    }

    /// Uses this terminal.
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let (cancelled, cancel) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Self { file, before: Mutex::new(None), cancelled, cancel: Mutex::new(Some(cancel)) })
    }

    /// Ends the open question and all later ones without an answer.
    pub(crate) fn cancel(&self) {
        drop(self.cancel.lock().take());
        self.restore();
    }

    /// Restores the terminal to its previous state: for ending the process while a question is open.
    pub(crate) fn restore(&self) {
        if let Some(before) = self.before.lock().take() {
            // A terminal that is gone needs no restoring.
            let _ = tcsetattr(&self.file, OptionalActions::Now, &before);
        }
    }

    /// Writes a text.
    pub(crate) fn show(&self, text: &str) -> io::Result<()> {
        (&self.file).write_all(text.as_bytes())
    }

    /// Shows a question and reads a line, without its line end; `None` at the end of input or if cancelled. Discards what was typed
    /// before the question. With `hidden` the line is not echoed.
    ///
    /// # Errors
    ///
    /// The terminal is gone; or, with [`io::ErrorKind::Interrupted`], Ctrl-C was typed at a hidden question, where it sends no
    /// signal so that the terminal is restored first.
    pub(crate) fn ask(&self, question: &str, hidden: bool) -> io::Result<Option<String>> {
        let _restored = hidden.then(|| self.hide()).transpose()?;
        tcflush(&self.file, QueueSelector::IFlush)?;
        self.show(question)?;
        let mut line = Line::default();
        loop {
            let mut events = [PollFd::new(&self.cancelled, PollFlags::IN), PollFd::new(&self.file, PollFlags::IN)];
            match poll(&mut events, None) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            if !events[0].revents().is_empty() {
                return Ok(None);
            }
            let mut byte = [0_u8];
            let count = rustix::io::read(self.file.as_fd(), &mut byte)?;
            match (count, byte[0], hidden) {
                (0, ..) => return Ok(None),
                (_, b'\n' | b'\r', _) => {
                    if hidden {
                        self.show("\n")?;
                    }
                    return Ok(Some(line.text()));
                }
                // Line editing, which the terminal does itself if the line is shown.
                (_, 0x03, true) => return Err(io::ErrorKind::Interrupted.into()),
                (_, 0x04, true) if line.0.is_empty() => return Ok(None),
                (_, 0x08 | 0x7f, true) => line.rub_out(),
                (_, 0x15, true) => line.clear(),
                (_, byte, true) if byte < b' ' => {}
                (_, byte, _) => line.0.push(byte),
            }
        }
    }

    /// Turns echo off, and signals too: one would end the program and leave the terminal without echo.
    fn hide(&self) -> io::Result<Restored<'_>> {
        let before = tcgetattr(&self.file)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        *self.before.lock() = Some(before);
        let restored = Restored(self);
        tcsetattr(&self.file, OptionalActions::Now, &hidden)?;
        Ok(restored)
    }
}

/// Restores the terminal when dropped.
struct Restored<'a>(&'a Tty);

impl Drop for Restored<'_> {
    fn drop(&mut self) {
        self.0.restore();
    }
}

/// The line typed so far; wiped when dropped.
struct Line(Vec<u8>);

impl Default for Line {
    /// Large enough not to be moved, which would leave copies.
    fn default() -> Self {
        Self(Vec::with_capacity(1024))
    }
}

impl Line {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// Deletes the last character.
    fn rub_out(&mut self) {
        while self.0.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
    }

    fn clear(&mut self) {
        self.0.fill(0);
        // Keeps the compiler from optimising the write away.
        std::hint::black_box(&self.0);
        self.0.clear();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.clear();
    }
}
