//! A person at a host: an interactive login shell.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use bytes::Bytes;
use fabric_core::event::Verb;
use fabric_core::{Error, ExitStatus};
use tokio::io::{AsyncReadExt as _, AsyncWrite};

use super::request::CommandRequest;
use super::stdin::Stdin;
use super::{Connection, Hide};

/// A login shell that is asked for, to be awaited; see [`Connection::shell`].
#[must_use = "a shell does nothing until it is awaited"]
pub struct ShellRequest {
    request: CommandRequest,
    line: Option<Vec<u8>>,
}

impl Connection {
    /// Runs an interactive login shell, with a terminal, between the streams that are given: bytes go both
    /// ways as they are, nothing is captured, and `shell`, `cwd` and the like don't apply. Gives its exit status,
    /// whatever it is (Fabric 3's documentation; its program raised).
    ///
    /// In a dry run none is opened, and the status is 0.
    ///
    /// Where the target's ssh_config says so, it is another command or a subsystem, with or without a terminal
    /// ([`Shell`](fabric_core::target::Shell)), or an error (`SessionType none`).
    ///
    /// The local terminal, raw mode included, is the caller's; see
    /// [`ConnectionBuilder::terminal`](super::ConnectionBuilder::terminal) for its size.
    pub fn shell(&self) -> ShellRequest {
        let connection = self.plain();
        let mut request = CommandRequest::new(connection, Verb::Run, Vec::new());
        request.options.login_shell = true;
        let pty = self.target().shell.has_pty();
        let request = request.pty(pty).hide(Hide::Both).echo(false).warn(true).capture_limit(0).timeout(None);
        ShellRequest { request, line: None }
    }
}

impl ShellRequest {
    /// What the shell reads. Default: nothing.
    pub fn stdin(mut self, stdin: impl Into<Stdin>) -> Self {
        self.request = self.request.stdin(stdin);
        self
    }

    /// Where the shell's output goes. Default: nowhere.
    pub fn out_stream(mut self, sink: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        self.request = self.request.out_stream(sink);
        self
    }

    /// Where its standard error goes, if it has no terminal. Default: nowhere.
    pub fn err_stream(mut self, sink: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        self.request = self.request.err_stream(sink);
        self
    }

    /// Whether it has a terminal. Default: yes, unless the target says otherwise.
    pub fn pty(mut self, pty: bool) -> Self {
        self.request = self.request.pty(pty);
        self
    }

    /// A line that is typed first (`open_shell(command)` of Fabric 1).
    pub fn line(mut self, line: impl Into<Vec<u8>>) -> Self {
        self.line = Some(line.into());
        self
    }

    async fn execute(mut self) -> Result<ExitStatus, Error> {
        if let Some(mut line) = self.line {
            line.push(b'\n');
            let line = Bytes::from(line);
            let stdin = std::mem::take(&mut self.request.options.stdin);
            self.request.options.stdin = match stdin.into_reader(self.request.options.pty != Some(false)) {
                Some(rest) => Stdin::reader(std::io::Cursor::new(line).chain(rest)),
                None => Stdin::Bytes(line),
            };
        }
        Ok(self.request.await?.exit)
    }
}

impl IntoFuture for ShellRequest {
    type Output = Result<ExitStatus, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.execute())
    }
}
