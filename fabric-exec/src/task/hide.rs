//! What of commands and transfers is not shown.

use fabric_transport::connection;

/// What of the commands and transfers of a block, or of a step, is not shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hide {
    /// Their standard output.
    pub stdout: bool,
    /// Their standard error.
    pub stderr: bool,
    /// That they run, and that they failed where that is a warning.
    pub running: bool,
}

impl Hide {
    /// Standard output.
    pub const STDOUT: Self = Self { stdout: true, stderr: false, running: false };
    /// Standard error.
    pub const STDERR: Self = Self { stdout: false, stderr: true, running: false };
    /// That they run.
    pub const RUNNING: Self = Self { stdout: false, stderr: false, running: true };
    /// Both streams.
    pub const OUTPUT: Self = Self { stdout: true, stderr: true, running: false };
    /// Standard output, and that they run.
    pub const COMMANDS: Self = Self { stdout: true, stderr: false, running: true };
    /// All of it.
    pub const EVERYTHING: Self = Self { stdout: true, stderr: true, running: true };

    /// The streams, as connections know them.
    pub(crate) fn streams(self) -> connection::Hide {
        match (self.stdout, self.stderr) {
            (false, false) => connection::Hide::None,
            (true, false) => connection::Hide::Stdout,
            (false, true) => connection::Hide::Stderr,
            (true, true) => connection::Hide::Both,
        }
    }

    /// What either hides.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            stdout: self.stdout || other.stdout,
            stderr: self.stderr || other.stderr,
            running: self.running || other.running,
        }
    }

    /// What this hides and the other does not.
    #[must_use]
    pub fn but(self, other: Self) -> Self {
        Self {
            stdout: self.stdout && !other.stdout,
            stderr: self.stderr && !other.stderr,
            running: self.running && !other.running,
        }
    }
}
