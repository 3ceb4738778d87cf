//! The exit statuses of the contract, in one place.

use std::process::ExitCode;

use fabric_core::CommandOutcome;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All well, or only failures that were asked to be warnings.
    Ok,
    /// A task or host failed, timed out or could not be reached, or nothing at all ran because every host
    /// list was emptied.
    Failed,
    /// The command line, a fabfile or a configuration is wrong, or a task or role is unknown.
    Usage,
    /// Interrupted.
    Interrupted,
    /// What read its output went away while it ran: as if SIGPIPE had ended it.
    Unread,
    /// What the sole `-- COMMAND` on one host ended with.
    Command(u8),
}

impl Exit {
    /// The status of a sole command on one host: its own, 128 + the number of its signal, or 0 where its
    /// status counts as success or failures are warnings.
    pub fn of_command(outcome: &CommandOutcome, warn_only: bool) -> Self {
        if outcome.ok() || warn_only { Self::Ok } else { Self::of_status(outcome.exit.as_shell_status()) }
    }

    /// The status of a sole command that failed, as a shell would have it in `$?`.
    pub fn of_status(status: u8) -> Self {
        // It failed, so that success would be a lie.
        if status == 0 { Self::Failed } else { Self::Command(status) }
    }

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Interrupted => 130,
            Self::Unread => 141,
            Self::Command(status) => status,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fabric_core::{ExitStatus, Signal};

    #[test]
    fn a_sole_command_ends_as_it_ended() {
        let mut outcome = CommandOutcome::new("web1", "x");
        let signal = ExitStatus::Signal { signal: Signal::Term, core_dumped: false, message: String::new() };
        for (exit, ok_codes, warn_only, expected) in [
            (ExitStatus::Code(0), vec![0], false, 0),
            (ExitStatus::Code(3), vec![0], false, 3),
            (ExitStatus::Code(3), vec![0, 3], false, 0),
            (ExitStatus::Code(3), vec![0], true, 0),
            (ExitStatus::Code(0), vec![3], false, 1),
            (signal, vec![0], false, 143),
            (ExitStatus::Unknown, vec![0], false, 255),
        ] {
            outcome.exit = exit.clone();
            outcome.ok_codes = ok_codes;
            assert_eq!(Exit::of_command(&outcome, warn_only).code(), expected, "{exit}");
        }
    }
}
