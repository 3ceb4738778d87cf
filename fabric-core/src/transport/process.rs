//! Processes on a host: what to start, what comes out, and how to end it.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncWrite;

use crate::error::SessionError;
use crate::outcome::ExitStatus;
use crate::setters::setters;
use crate::signal::Signal;

/// A process to start, with its terminal and environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpawnRequest {
    /// What to run.
    pub program: Program,
    /// The pseudo-terminal, if there is to be one.
    pub pty: Option<PtyRequest>,
    /// Variables sent beside the command (RFC 4254, section 6.4); the host may drop them. What must
    /// arrive is part of the rendered command instead.
    pub env: Vec<(String, Vec<u8>)>,
    /// Whether the user's agent may be reached from this process.
    pub forward_agent: bool,
    /// Whether the command is for a Bourne shell whatever the login shell is
    /// ([`Rendered::is_for_bourne`](crate::command::Rendered::is_for_bourne)). Transports whose commands are read by
    /// `/bin/sh` have nothing to do for it.
    pub for_bourne: bool,
}

impl SpawnRequest {
    /// Starts this without a terminal.
    pub fn new(program: Program) -> Self {
        Self { program, ..Self::default() }
    }
}

setters!(SpawnRequest {
    program: Program,
    #[into] pty: Option<PtyRequest>,
    env: Vec<(String, Vec<u8>)>,
    forward_agent: bool,
    for_bourne: bool,
});

/// What a process runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Program {
    /// The user's login shell, interactively.
    #[default]
    Shell,
    /// A rendered command.
    Command(Vec<u8>),
    /// A subsystem by name (`sftp`).
    Subsystem(String),
}

/// The pseudo-terminal of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PtyRequest {
    /// The terminal's type, `$TERM`.
    pub term: String,
    /// Its size.
    pub size: WindowSize,
}

impl PtyRequest {
    /// A terminal of this type and size.
    pub fn new(term: impl Into<String>, size: WindowSize) -> Self {
        Self { term: term.into(), size }
    }
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowSize {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

impl WindowSize {
    /// This many columns and rows.
    pub fn new(columns: u16, rows: u16) -> Self {
        Self { columns, rows }
    }
}

impl Default for WindowSize {
    fn default() -> Self {
        Self { columns: 80, rows: 24 }
    }
}

/// A running process. Dropping it closes its channel, which a process without a terminal may survive; see
/// [`ProcessControl::stop`].
#[non_exhaustive]
pub struct Process {
    /// Its standard input; shutting it down sends end-of-file.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its output, and at last how it ended.
    pub output: Box<dyn ProcessOutput>,
    /// Signals, window size, stopping.
    pub control: Arc<dyn ProcessControl>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}

impl Process {
    /// A process that these are the ends of.
    pub fn new(
        stdin: impl AsyncWrite + Send + Unpin + 'static,
        output: impl ProcessOutput + 'static,
        control: Arc<dyn ProcessControl>,
    ) -> Self {
        Self { stdin: Box::new(stdin), output: Box::new(output), control }
    }

    /// The next piece of output or the exit status; `None` after the last one.
    pub async fn next(&mut self) -> Option<ProcessEvent> {
        std::future::poll_fn(|cx| self.output.poll_next(cx)).await
    }
}

/// What comes out of a process, in the order in which it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessEvent {
    /// Bytes of standard output.
    Stdout(Bytes),
    /// Bytes of standard error.
    Stderr(Bytes),
    /// How it ended. Output may still follow: only `None` is the end.
    Exit(ExitStatus),
    /// The session broke: the process may still be running, and the last of its output may be missing. After
    /// [`Exit`](Self::Exit), only output may be missing.
    Lost(SessionError),
}

/// The output side of a [`Process`].
///
/// Output that is not taken is kept in a bounded buffer; when that is full, the host is not read.
pub trait ProcessOutput: Send {
    /// The next event, or `None` at the end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<ProcessEvent>>;
}

/// The control side of a [`Process`].
#[async_trait]
pub trait ProcessControl: Send + Sync {
    /// Sends a signal. Over SSH there is no answer to it, and servers may ignore it.
    async fn signal(&self, signal: Signal) -> Result<(), SessionError>;

    /// Passes on the new size of the local terminal.
    async fn resize(&self, size: WindowSize) -> Result<(), SessionError>;

    /// Ends the process and its group at once, without waiting, and returns whether the transport can do that. For
    /// destructors, which can't wait. Default: it can't.
    fn kill(&self) -> bool {
        false
    }

    /// Lets the process outlive its session, if the transport can: closing the session doesn't end the process.
    fn disown(&self) {}

    /// Ends the process and its group: TERM, then KILL after `grace`, by every way the transport has, and
    /// returns the result. The output continues to its own end.
    async fn stop(&self, grace: Duration) -> StopOutcome;
}

/// The result of stopping a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopOutcome {
    /// It has ended.
    Ended,
    /// It may still be running; the text says why it could not be ended or checked.
    Unknown(String),
}
