//! Interactive login shells.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use bytes::Bytes;
use fabric_core::event::Verb;
use fabric_core::target::ShellKind;
use fabric_core::{Error, ExitStatus};
use tokio::io::{AsyncReadExt as _, AsyncWrite};

use super::handle::Connection;
use super::options::Hide;
use super::request::CommandRequest;
use super::stdin::Stdin;

/// A request for a login shell, to be awaited; see [`Connection::shell`].
#[must_use = "a shell does nothing until it is awaited"]
pub struct ShellRequest {
    request: CommandRequest,
    line: Option<Vec<u8>>,
    /// Whether the shell is the end of a command with a directory, prefixes or variables.
    guarded: bool,
}

/// A login shell of the user's.
const LOGIN_SHELL: &str = r#"exec sh -c 'exec "${SHELL:-/bin/sh}" -l'"#;

/// Not a login shell, so that `PATH` is kept: the start files of login shells often reset it.
const SHELL: &str = r#"exec sh -c 'exec "${SHELL:-/bin/sh}"'"#;

impl Connection {
    /// Runs an interactive login shell with a terminal, between the given streams. Bytes are passed unchanged both ways, and
    /// nothing is captured. Returns its exit status, whatever it is (as Fabric 3 documents; it raised an error).
    ///
    /// It starts in `cwd`, after `command_prefixes`, with `path` and `shell_env` (Fabric 1 and 3 ignored them); other
    /// settings of commands don't apply. These are checked by a command before; if one fails there is no shell:
    /// [`Error::UnexpectedExit`]. With `path` it is not a login shell.
    ///
    /// In a dry run there is no shell, and the status is 0.
    ///
    /// The target's ssh_config may name another command or a subsystem, with or without a terminal
    /// ([`Shell`](fabric_core::target::Shell)), or none, which is an error (`SessionType none`).
    ///
    /// The local terminal, raw mode included, is the caller's; see
    /// [`ConnectionBuilder::terminal`](super::ConnectionBuilder::terminal) for its size.
    pub fn shell(&self) -> ShellRequest {
        let (settings, shell) = (self.settings(), &self.target().shell);
        let is_set = !settings.cwd.is_empty()
            || !settings.command_prefixes.is_empty()
            || !settings.path.is_empty()
            || !settings.shell_env.is_empty();
        // A subsystem is no shell, and has no directory.
        let guarded = is_set && shell.kind == ShellKind::Default;
        let connection = self.plain().with(|plain| {
            plain.cwd.clone_from(&settings.cwd);
            plain.command_prefixes.clone_from(&settings.command_prefixes);
            plain.path.clone_from(&settings.path);
            plain.shell_env.clone_from(&settings.shell_env);
        });
        let line = match (guarded, &shell.command) {
            (false, _) => "",
            (true, Some(command)) => command,
            (true, None) if settings.path.is_empty() => LOGIN_SHELL,
            (true, None) => SHELL,
        };
        let mut request = CommandRequest::new(connection, Verb::Run, line.into());
        request.options.login_shell = !guarded;
        let pty = shell.has_pty();
        let request = request.pty(pty).hide(Hide::Both).echo(false).warn(true).capture_limit(0).timeout(None);
        ShellRequest { request, line: None, guarded }
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
        if self.guarded {
            let mut check = self.request.connection.run(":").dry(self.request.options.dry).pty(false).warn(true);
            check.options.silent = true;
            let mut outcome = check.await?;
            if outcome.failed() {
                "open_shell".clone_into(&mut outcome.command);
                return Err(Error::UnexpectedExit(Box::new(outcome)));
            }
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
