//! Outcomes of commands and transfers.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::captured::Captured;
use crate::signal::Signal;

/// One of a command's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        })
    }
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitStatus {
    /// By itself, with this status.
    Code(u32),
    /// By a signal (RFC 4254, section 6.10).
    Signal {
        /// Which one.
        signal: Signal,
        /// Whether the other side says that it dumped core.
        core_dumped: bool,
        /// What the other side says about it; often empty.
        message: String,
    },
    /// The other side closed the channel without saying how the process ended.
    Unknown,
}

impl ExitStatus {
    /// The exit status, if the process ended by itself.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Code(code) => Some(*code),
            _ => None,
        }
    }

    /// What a shell would put into `$?`: the status, 128 + the signal's number, 255 where unknown.
    pub fn as_shell_status(&self) -> u8 {
        match self {
            Self::Code(code) => u8::try_from(*code).unwrap_or(255),
            Self::Signal { signal, .. } => signal.number().map_or(255, |n| 128_u8.saturating_add(n)),
            Self::Unknown => 255,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with exit status {code}"),
            Self::Signal { signal, core_dumped, .. } => {
                write!(f, "was killed by SIG{signal}")?;
                if *core_dumped { f.write_str(" (core dumped)") } else { Ok(()) }
            }
            Self::Unknown => f.write_str("ended without an exit status"),
        }
    }
}

/// The outcome of one command on one host (the `Result` of Fabric 3, the string of Fabric 1).
///
/// ```
/// use fabric_core::{CommandOutcome, ExitStatus};
///
/// let mut outcome = CommandOutcome::new("web1", "uname");
/// outcome.exit = ExitStatus::Code(0);
/// outcome.stdout = "Linux\n".into();
/// assert!(outcome.ok());
/// assert_eq!(outcome.stdout(), "Linux\n");
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CommandOutcome {
    /// The host string it ran on, as written; `localhost` for a local command.
    pub host: String,
    /// The command line as given.
    pub command: String,
    /// The text that went over the wire.
    pub real_command: String,
    /// The bytes of standard output, or the last of them where a capture limit was set.
    pub stdout: Captured,
    /// The bytes of standard error; empty where a terminal merged it into standard output.
    pub stderr: Captured,
    /// How it ended.
    pub exit: ExitStatus,
    /// The statuses that count as success (`ok_ret_codes`).
    pub ok_codes: Vec<u32>,
    /// The shell that was asked for, if one was.
    pub shell: Option<String>,
    /// The environment that was asked for; values are shown as they were given.
    pub env: IndexMap<String, String>,
    /// Whether it had a pseudo-terminal.
    pub pty: bool,
    /// The streams that were not shown.
    pub hidden: Vec<Stream>,
    /// From the request to the end of the process.
    pub duration: Duration,
    /// Whether output is missing: earlier output, because of a capture limit or a full disk, or its end
    /// ([`Error::OutputCut`](crate::Error::OutputCut)).
    pub truncated: bool,
}

impl CommandOutcome {
    /// The outcome of a command that has not run yet.
    pub fn new(host: impl Into<String>, command: impl Into<String>) -> Self {
        let command = command.into();
        Self {
            host: host.into(),
            real_command: command.clone(),
            command,
            stdout: Captured::default(),
            stderr: Captured::default(),
            exit: ExitStatus::Unknown,
            ok_codes: vec![0],
            shell: None,
            env: IndexMap::new(),
            pty: false,
            hidden: Vec::new(),
            duration: Duration::ZERO,
            truncated: false,
        }
    }

    /// Whether it ended with a status that counts as success.
    pub fn ok(&self) -> bool {
        self.exit.code().is_some_and(|code| self.ok_codes.contains(&code))
    }

    /// The opposite of [`CommandOutcome::ok`].
    pub fn failed(&self) -> bool {
        !self.ok()
    }

    /// Standard output as text; bytes that are not UTF-8 show as U+FFFD. Output that was so long that it went
    /// to a file is read into memory for it: [`Captured`] has other ways.
    pub fn stdout(&self) -> Cow<'_, str> {
        self.stdout.text()
    }

    /// Standard error as text, in the same way.
    pub fn stderr(&self) -> Cow<'_, str> {
        self.stderr.text()
    }

    /// The last `count` lines of a stream.
    pub fn tail(&self, stream: Stream, count: usize) -> String {
        match stream {
            Stream::Stdout => self.stdout.tail(count),
            Stream::Stderr => self.stderr.tail(count),
        }
    }
}

/// How much of output that went to a file is shown with its outcome.
const SHOWN: usize = 64 * 1024;

impl fmt::Display for CommandOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Command on {} {}.", self.host, self.exit)?;
        for (name, output) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if output.is_empty() {
                writeln!(f, "(no {name})")?;
                continue;
            }
            let shown = if output.is_in_file() { output.end(SHOWN) } else { output.bytes() };
            writeln!(f, "=== {name} ===")?;
            let before = output.len() - shown.len() as u64;
            if before > 0 {
                writeln!(f, "({before} bytes before this)")?;
            }
            writeln!(f, "{}", String::from_utf8_lossy(&shown).trim_end_matches('\n'))?;
        }
        Ok(())
    }
}

/// Which way a transfer went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From this machine to the host.
    Put,
    /// From the host to this machine.
    Get,
}

/// The outcome of one `put` or `get`, of one file or many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TransferOutcome {
    /// The host string, as written.
    pub host: String,
    /// Which way.
    pub direction: Direction,
    /// The local path as it was given; `None` for a reader or writer.
    pub orig_local: Option<String>,
    /// The remote path as it was given.
    pub orig_remote: Option<String>,
    /// The local files written or read, absolute.
    pub local: Vec<String>,
    /// The remote files written or read, absolute.
    pub remote: Vec<String>,
    /// The files that could not be transferred, by the name on the side they were read from, each with
    /// the reason.
    pub failed: Vec<(String, String)>,
    /// The links that were copied as links, by their names on the side that was written.
    #[serde(default)]
    pub links: Vec<String>,
    /// The links that were left out, by their names on the side that was read.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// The files that were written in place, not at once, because a rename can't replace them: by their names on the side that
    /// was written.
    #[serde(default)]
    pub in_place: Vec<String>,
    /// How many bytes of file content went over the wire.
    pub bytes: u64,
    /// From the request to the last file's final name.
    pub duration: Duration,
}

impl TransferOutcome {
    /// The outcome of a transfer that has not begun.
    pub fn new(host: impl Into<String>, direction: Direction) -> Self {
        Self {
            host: host.into(),
            direction,
            orig_local: None,
            orig_remote: None,
            local: Vec::new(),
            remote: Vec::new(),
            failed: Vec::new(),
            links: Vec::new(),
            left_out: Vec::new(),
            in_place: Vec::new(),
            bytes: 0,
            duration: Duration::ZERO,
        }
    }

    /// Whether every file arrived.
    pub fn ok(&self) -> bool {
        self.failed.is_empty()
    }
}
