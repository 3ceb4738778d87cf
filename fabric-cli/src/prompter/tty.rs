//! The terminal: one line at a time, shown or not, and always left as it was found.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};

/// The terminal of a person.
#[derive(Debug)]
pub struct Tty {
    file: File,
    /// Its state before the question that is being asked, while its answer is not shown.
    before: Mutex<Option<Termios>>,
    cancelled: OwnedFd,
    cancel: Mutex<Option<OwnedFd>>,
}

impl Tty {
    /// This process's terminal, wherever its standard streams go.
    pub fn open() -> io::Result<Self> {
        Self::new(File::options().read(true).write(true).open("/dev/tty")?)
    }

    /// This terminal.
    pub fn new(file: File) -> io::Result<Self> {
        let (cancelled, cancel) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Self { file, before: Mutex::new(None), cancelled, cancel: Mutex::new(Some(cancel)) })
    }

    /// Ends the question that is being asked, and every later one, without an answer.
    pub fn cancel(&self) {
        drop(self.cancel.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.restore();
    }

    /// Puts the terminal back into the state it was found in. For whoever ends the process while a question
    /// is being asked.
    pub fn restore(&self) {
        if let Some(before) = self.before.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A terminal that is gone needs no restoring.
            let _ = tcsetattr(&self.file, OptionalActions::Now, &before);
        }
    }

    /// Shows a text.
    pub fn show(&self, text: &str) -> io::Result<()> {
        (&self.file).write_all(text.as_bytes())
    }

    /// Shows a question and reads a line, without its end; `None` at the end of input or when cancelled. With
    /// `hidden` it is not shown, and what was typed before the question doesn't count.
    pub fn ask(&self, question: &str, hidden: bool) -> io::Result<Option<String>> {
        let _restored = hidden.then(|| self.hide()).transpose()?;
        self.show(question)?;
        let mut line = zeroize_on_drop();
        loop {
            let mut events = [PollFd::new(&self.cancelled, PollFlags::IN), PollFd::new(&self.file, PollFlags::IN)];
            match poll(&mut events, None) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            if !events[0].revents().is_empty() {
                return Ok(None);
            }
            let mut chunk = [0_u8; 256];
            let count = rustix::io::read(self.file.as_fd(), &mut chunk)?;
            line.0.extend_from_slice(&chunk[..count]);
            chunk.fill(0);
            if hidden && line.0.ends_with(b"\n") {
                self.show("\n")?;
            }
            match line.0.strip_suffix(b"\n") {
                Some(text) => return Ok(Some(String::from_utf8_lossy(text).into_owned())),
                None if count == 0 => return Ok(None),
                None => {}
            }
        }
    }

    fn hide(&self) -> io::Result<Restored<'_>> {
        let before = tcgetattr(&self.file)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ICANON | LocalModes::ISIG);
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        let restored = Restored(self);
        tcflush(&self.file, QueueSelector::IFlush)?;
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

/// Bytes that are wiped when dropped.
struct Wiped(Vec<u8>);

fn zeroize_on_drop() -> Wiped {
    Wiped(Vec::with_capacity(1024))
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the compiler from leaving the write out.
        std::hint::black_box(&self.0);
    }
}
