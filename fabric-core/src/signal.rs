//! Signals, by their names.

use std::fmt;

/// A signal by its name without `SIG` (RFC 4254, section 6.10).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// Abnormal termination.
    Abrt,
    /// Alarm.
    Alrm,
    /// Arithmetic error.
    Fpe,
    /// Hang-up.
    Hup,
    /// Illegal instruction.
    Ill,
    /// Interrupt, as of Ctrl-C.
    Int,
    /// The one that cannot be caught.
    Kill,
    /// Broken pipe.
    Pipe,
    /// Quit.
    Quit,
    /// Segmentation fault.
    Segv,
    /// Termination.
    Term,
    /// The first of the user's own.
    Usr1,
    /// The second of the user's own.
    Usr2,
    /// Any other, by its name.
    Other(String),
}

impl Signal {
    const TABLE: [(Self, &'static str, u8); 13] = [
        (Self::Abrt, "ABRT", 6),
        (Self::Alrm, "ALRM", 14),
        (Self::Fpe, "FPE", 8),
        (Self::Hup, "HUP", 1),
        (Self::Ill, "ILL", 4),
        (Self::Int, "INT", 2),
        (Self::Kill, "KILL", 9),
        (Self::Pipe, "PIPE", 13),
        (Self::Quit, "QUIT", 3),
        (Self::Segv, "SEGV", 11),
        (Self::Term, "TERM", 15),
        (Self::Usr1, "USR1", 10),
        (Self::Usr2, "USR2", 12),
    ];

    /// The signal of this name, with or without `SIG`.
    pub fn from_name(name: &str) -> Self {
        let name = name.strip_prefix("SIG").unwrap_or(name);
        let known = Self::TABLE.iter().find(|(_, n, _)| *n == name);
        known.map_or_else(|| Self::Other(name.to_owned()), |(signal, ..)| signal.clone())
    }

    /// Its name without `SIG`.
    pub fn name(&self) -> &str {
        match self {
            Self::Other(name) => name,
            _ => Self::TABLE.iter().find(|(signal, ..)| signal == self).map_or("", |(_, name, _)| name),
        }
    }

    /// Its number on Linux; `None` for one that only has a name.
    pub fn number(&self) -> Option<u8> {
        Self::TABLE.iter().find(|(signal, ..)| signal == self).map(|(.., number)| *number)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
