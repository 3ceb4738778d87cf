//! Exit statuses.

use std::process::ExitCode;

use fabric_exec::Report;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// Success, or only failures that were to be warnings (`-w`, `skip_bad_hosts`): 0.
    Ok,
    /// A task or host failed, timed out or could not be reached, or nothing at all ran because every host
    /// list was emptied: 1.
    Failed,
    /// The command line, a fabfile or a configuration is wrong, or a task or role is unknown: 2.
    Usage,
    /// Interrupted: 130.
    Interrupted,
    /// The reader of its output closed it during the run: 141, as if ended by SIGPIPE.
    Unread,
    /// The exit status of the sole `-- COMMAND` on one host, or of another program run in place of this one.
    Command(u8),
}

impl Exit {
    /// How a run with this report ends.
    pub(crate) fn of(report: &Report) -> Self {
        tracing::trace!(route = "the exit status");
        match report.exit_code() {
            0 => Self::Ok,
            1 => Self::Failed,
            2 => Self::Usage,
            130 => Self::Interrupted,
            status => Self::Command(status),
        }
    }

    /// The exit status as a number.
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
