//! The terminal of a client's request (RFC 4254, sections 6.2 and 8).

use std::os::fd::AsFd;

use russh::Pty;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

/// The requested terminal.
pub(super) struct Terminal {
    /// `$TERM`.
    pub(super) term: String,
    /// Columns and rows.
    pub(super) size: (u16, u16),
    modes: Vec<(Pty, u32)>,
}

impl Terminal {
    pub(super) fn new(term: &str, columns: u32, rows: u32, modes: &[(Pty, u32)]) -> Self {
        Self { term: term.to_owned(), size: (cells(columns), cells(rows)), modes: modes.to_vec() }
    }

    /// Sets the requested modes of a new terminal. Errors are ignored, as in sshd.
    pub(super) fn apply_modes(&self, terminal: impl AsFd) {
        let Ok(mut termios) = tcgetattr(&terminal) else { return };
        for (mode, value) in &self.modes {
            apply(&mut termios, *mode, *value);
        }
        let _ = tcsetattr(&terminal, OptionalActions::Now, &termios);
    }
}

/// A number of rows or columns, clamped to the system's range.
pub(super) fn cells(count: u32) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

fn apply(termios: &mut Termios, mode: Pty, value: u32) {
    let on = value != 0;
    let code = match mode {
        Pty::VINTR => Some(SpecialCodeIndex::VINTR),
        Pty::VQUIT => Some(SpecialCodeIndex::VQUIT),
        Pty::VERASE => Some(SpecialCodeIndex::VERASE),
        Pty::VKILL => Some(SpecialCodeIndex::VKILL),
        Pty::VEOF => Some(SpecialCodeIndex::VEOF),
        Pty::VSUSP => Some(SpecialCodeIndex::VSUSP),
        Pty::VSTART => Some(SpecialCodeIndex::VSTART),
        Pty::VSTOP => Some(SpecialCodeIndex::VSTOP),
        _ => None,
    };
    if let Some(code) = code {
        // 255 is "no such character" on the wire, 0 in a terminal.
        let byte = u8::try_from(value).unwrap_or(255);
        termios.special_codes[code] = if byte == 255 { 0 } else { byte };
        return;
    }
    let local = match mode {
        Pty::ISIG => LocalModes::ISIG,
        Pty::ICANON => LocalModes::ICANON,
        Pty::ECHO => LocalModes::ECHO,
        Pty::ECHOE => LocalModes::ECHOE,
        Pty::ECHOK => LocalModes::ECHOK,
        Pty::ECHONL => LocalModes::ECHONL,
        Pty::ECHOCTL => LocalModes::ECHOCTL,
        Pty::ECHOKE => LocalModes::ECHOKE,
        Pty::NOFLSH => LocalModes::NOFLSH,
        Pty::TOSTOP => LocalModes::TOSTOP,
        Pty::IEXTEN => LocalModes::IEXTEN,
        _ => LocalModes::empty(),
    };
    termios.local_modes.set(local, on);
    let input = match mode {
        Pty::IGNPAR => InputModes::IGNPAR,
        Pty::INLCR => InputModes::INLCR,
        Pty::IGNCR => InputModes::IGNCR,
        Pty::ICRNL => InputModes::ICRNL,
        Pty::IXON => InputModes::IXON,
        Pty::IXANY => InputModes::IXANY,
        Pty::IXOFF => InputModes::IXOFF,
        Pty::ISTRIP => InputModes::ISTRIP,
        _ => InputModes::empty(),
    };
    termios.input_modes.set(input, on);
    let output = match mode {
        Pty::OPOST => OutputModes::OPOST,
        Pty::ONLCR => OutputModes::ONLCR,
        Pty::OCRNL => OutputModes::OCRNL,
        Pty::ONOCR => OutputModes::ONOCR,
        Pty::ONLRET => OutputModes::ONLRET,
        _ => OutputModes::empty(),
    };
    termios.output_modes.set(output, on);
}
