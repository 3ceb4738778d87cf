//! What a command of a memory host does: a list of steps.

use std::time::Duration;

use bytes::Bytes;
use fabric_core::outcome::Stream;
use fabric_core::transport::StopOutcome;
use fabric_core::{ExitStatus, SessionError, Signal};

/// What a command does, step by step, and its exit status. Default: 0.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub(super) steps: Vec<ReplyStep>,
    pub(super) exit: Option<ExitStatus>,
    pub(super) stop: Option<StopOutcome>,
}

#[derive(Debug, Clone)]
pub(super) enum ReplyStep {
    Print(Stream, Bytes),
    Wait(Duration),
    ReadLine(Option<Bytes>),
    EchoStdin,
    Hang,
    Flood(Stream, Bytes, u64),
    Die(SessionError),
}

impl Reply {
    /// Prints nothing.
    pub fn ok() -> Self {
        Self::default()
    }

    /// Prints this to standard output.
    pub fn stdout(bytes: impl Into<Bytes>) -> Self {
        Self::ok().out(bytes)
    }

    /// Prints this to standard error.
    pub fn stderr(bytes: impl Into<Bytes>) -> Self {
        Self::ok().err(bytes)
    }

    /// Prints nothing and ends with this status.
    pub fn status(code: u32) -> Self {
        Self::ok().exit(code)
    }

    /// Then prints this to standard output, in one write.
    #[must_use]
    pub fn out(self, bytes: impl Into<Bytes>) -> Self {
        self.then(ReplyStep::Print(Stream::Stdout, bytes.into()))
    }

    /// Then prints this to standard error, in one write.
    #[must_use]
    pub fn err(self, bytes: impl Into<Bytes>) -> Self {
        self.then(ReplyStep::Print(Stream::Stderr, bytes.into()))
    }

    /// Then pauses for this time.
    #[must_use]
    pub fn delay(self, time: Duration) -> Self {
        self.then(ReplyStep::Wait(time))
    }

    /// Then reads a line of its standard input, and goes on whatever it is.
    #[must_use]
    pub fn read_line(self) -> Self {
        self.then(ReplyStep::ReadLine(None))
    }

    /// Then reads a line of its standard input; if it is another one, or none, it ends with status 1.
    #[must_use]
    pub fn expect_line(self, line: impl Into<Bytes>) -> Self {
        self.then(ReplyStep::ReadLine(Some(line.into())))
    }

    /// Then copies its standard input to its standard output until end-of-file, like `cat`.
    #[must_use]
    pub fn echo_stdin(self) -> Self {
        self.then(ReplyStep::EchoStdin)
    }

    /// Then blocks until it is stopped.
    #[must_use]
    pub fn hang(self) -> Self {
        self.then(ReplyStep::Hang)
    }

    /// Then prints `piece` repeatedly until `bytes` were printed.
    #[must_use]
    pub fn flood(self, stream: Stream, piece: impl Into<Bytes>, bytes: u64) -> Self {
        self.then(ReplyStep::Flood(stream, piece.into(), bytes))
    }

    /// Then breaks the connection to the host.
    #[must_use]
    pub fn die(self) -> Self {
        self.then(ReplyStep::Die(SessionError::Lost { reason: "the host died".to_owned() }))
    }

    /// Ends with this status.
    #[must_use]
    pub fn exit(mut self, code: u32) -> Self {
        self.exit = Some(ExitStatus::Code(code));
        self
    }

    /// Ends by this signal.
    #[must_use]
    pub fn killed_by(mut self, signal: Signal) -> Self {
        self.exit = Some(ExitStatus::Signal { signal, core_dumped: false, message: String::new() });
        self
    }

    /// Ends without an exit status.
    #[must_use]
    pub fn without_status(mut self) -> Self {
        self.exit = Some(ExitStatus::Unknown);
        self
    }

    /// Can't be stopped, for this reason.
    #[must_use]
    pub fn unstoppable(mut self, reason: impl Into<String>) -> Self {
        self.stop = Some(StopOutcome::Unknown(reason.into()));
        self
    }

    fn then(mut self, step: ReplyStep) -> Self {
        self.steps.push(step);
        self
    }
}
