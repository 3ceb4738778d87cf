//! What the user types on the terminal, for the command that is running while no question is open.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fabric_transport::connection::Keyboard;
use parking_lot::{Mutex, MutexGuard};
use rustix::fs::OFlags;
use rustix::process::getpgrp;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;
use tokio::time::Sleep;

use crate::render::{NoView, Printer};

/// How often a command checks whether it may read the terminal again.
const LOOK: Duration = Duration::from_millis(50);

/// Disables a special character (`_POSIX_VDISABLE`).
const DISABLED: u8 = if cfg!(target_os = "linux") { 0 } else { 0xff };

/// The keyboard of this process's terminal.
#[derive(Clone)]
pub(crate) struct Keys(Arc<KeyboardState>);

struct KeyboardState {
    printer: Arc<Printer>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many questions are open.
    questions: usize,
    /// The terminal and its previous state, while each key goes to a command.
    before: Option<(File, Termios)>,
}

impl State {
    /// Restores the terminal to its previous state.
    fn restore(&mut self) {
        if let Some((terminal, before)) = self.before.take()
            && is_foreground(&terminal)
        {
            // A terminal that is gone needs no restoring.
            let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
        }
    }
}

impl Keys {
    /// `printer` draws no live view while a command reads the keyboard.
    pub(crate) fn new(printer: Arc<Printer>) -> Self {
        Self(Arc::new(KeyboardState { printer, state: Mutex::default() }))
    }

    /// Keeps commands from reading the keyboard until the guard is dropped: for a question.
    pub(crate) fn question(&self) -> Question {
        let mut state = self.0.state();
        state.questions += 1;
        state.restore();
        Question(self.clone())
    }

    /// Restores the terminal to its previous state.
    pub(crate) fn restore(&self) {
        self.0.state().restore();
    }
}

impl KeyboardState {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// Keeps commands from reading the keyboard.
pub(crate) struct Question(Keys);

impl Drop for Question {
    fn drop(&mut self) {
        self.0.0.state().questions -= 1;
    }
}

impl Keyboard for Keys {
    fn open(&self, pty: bool) -> Option<Box<dyn AsyncRead + Send + Unpin>> {
        // Opened again, so that only this descriptor becomes non-blocking.
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let terminal = File::options().read(true).write(true).custom_flags(flags).open("/dev/tty").ok()?;
        let waiting = pipe::Receiver::from_file_unchecked(terminal.try_clone().ok()?).ok()?;
        let no_view = (!pty).then(|| self.0.printer.without_view());
        Some(Box::new(TypedInput { keys: self.clone(), terminal, waiting, pty, look: None, _no_view: no_view }))
    }
}

/// What is typed for one command.
struct TypedInput {
    keys: Keys,
    terminal: File,
    /// The same terminal, to wait for input.
    waiting: pipe::Receiver,
    pty: bool,
    /// When to check again, while other code reads the keyboard.
    look: Option<Pin<Box<Sleep>>>,
    /// What the terminal echoes appears below the output.
    _no_view: Option<NoView>,
}

impl AsyncRead for TypedInput {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(look) = &mut self.look {
                ready!(look.as_mut().poll(cx));
                self.look = None;
            }
            // While this is held no question can begin.
            let keys = self.keys.clone();
            let mut state = keys.0.state();
            let terminal = &self.terminal;
            if state.questions > 0 || !is_foreground(terminal) {
                self.look = Some(Box::pin(tokio::time::sleep(LOOK)));
                continue;
            }
            if self.pty && state.before.is_none() {
                state.before = Some((terminal.try_clone()?, each_key(terminal)?));
            }
            ready!(self.waiting.poll_read_ready(cx))?;
            // `poll_read` would clear the readiness after a short read, though there may be another line.
            match self.waiting.try_read(buf.initialize_unfilled()) {
                Ok(count) => {
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                // The terminal is gone.
                Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl Drop for TypedInput {
    fn drop(&mut self) {
        self.keys.restore();
    }
}

/// Turns echo and line editing off, which the command's own terminal does; only Ctrl-C is left to this program. Returns the
/// previous state.
fn each_key(terminal: &File) -> io::Result<Termios> {
    let before = tcgetattr(terminal)?;
    let mut modes = before.clone();
    modes.input_modes.remove(InputModes::ICRNL | InputModes::INLCR | InputModes::IGNCR | InputModes::IXON);
    modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN);
    for key in [SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT] {
        modes.special_codes[key] = DISABLED;
    }
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(terminal, OptionalActions::Now, &modes)?;
    Ok(before)
}

/// Whether this process is in the terminal's foreground; reading in the background would stop it.
fn is_foreground(terminal: &File) -> bool {
    tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp())
}
