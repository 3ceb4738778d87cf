//! A request for a command, and its options.

use std::sync::Arc;
use std::time::Duration;

use fabric_core::event::Verb;
use fabric_core::{PathBehavior, Secret};
use tokio::io::AsyncWrite;

use super::handle::Connection;
use super::options::{CommandOptions, Hide, Manner, ShellChoice};
use super::stdin::Stdin;
use super::watch::Watcher;

/// A command of [`Connection::run`], [`Connection::sudo`] or [`Connection::local`], to be awaited.
///
/// Awaiting it returns the [`CommandOutcome`](fabric_core::CommandOutcome), or
/// [`Error::UnexpectedExit`](fabric_core::Error::UnexpectedExit) for a status that doesn't count as success (see
/// [`CommandRequest::warn`]). Dropping the future stops the command. Defaults come from the connection's settings, which
/// each method names.
///
/// Output is bytes, and the outcome has them unchanged. As text it is UTF-8; invalid bytes are shown as U+FFFD.
#[must_use = "a command does nothing until it is awaited or started"]
pub struct CommandRequest {
    pub(super) connection: Connection,
    pub(super) verb: Verb,
    pub(super) line: Vec<u8>,
    pub(super) options: CommandOptions,
}

impl Connection {
    /// Runs a command on the host, in the user's login shell.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let connection = fabric_transport::Connection::builder("local://localhost").build()?;
    /// use std::time::Duration;
    ///
    /// let outcome = connection
    ///     .run("ls | wc -l")
    ///     .cd("/etc")
    ///     .env("LC_ALL", "C")
    ///     .timeout(Duration::from_secs(30))
    ///     .warn(true)
    ///     .await?;
    /// println!("{} entries, {}", outcome.stdout().trim(), outcome.exit);
    /// # Ok(()) }
    /// ```
    pub fn run(&self, command: impl Into<Vec<u8>>) -> CommandRequest {
        CommandRequest::new(self.clone(), Verb::Run, command.into())
    }

    /// Runs a command on the host with `sudo`, including its directory, prefixes and environment.
    ///
    /// The password comes from `sudo_passwords`, `sudo_password`, `passwords` or `password`; otherwise the user is asked,
    /// once for each host. The prompt of `sudo` is a random text (or `sudo_prompt`), which no output can imitate and which
    /// is not part of the outcome.
    pub fn sudo(&self, command: impl Into<Vec<u8>>) -> CommandRequest {
        CommandRequest::new(self.clone(), Verb::Sudo, command.into())
    }

    /// Runs a command on this machine, with the same options and the same outcome, without opening a session.
    ///
    /// It starts in `lcwd` and inherits this program's environment. `cwd`, `use_shell`, `always_use_pty` and
    /// `combine_stderr` don't apply (Fabric 1).
    pub fn local(&self, command: impl Into<Vec<u8>>) -> CommandRequest {
        CommandRequest::new(self.clone(), Verb::Local, command.into())
    }
}

impl CommandRequest {
    pub(super) fn new(connection: Connection, verb: Verb, line: Vec<u8>) -> Self {
        let Manner { hide, silent, dry } = connection.manner();
        Self { connection, verb, line, options: CommandOptions { hide, silent, dry, ..CommandOptions::default() } }
    }

    /// Wraps the command in a shell: `true` is the `shell` setting, a text another shell. Default: as `use_shell` says,
    /// which is no; the login shell reads the command, as with `ssh`.
    pub fn shell(mut self, shell: impl Into<ShellChoice>) -> Self {
        self.options.shell = Some(shell.into());
        self
    }

    /// Whether it has a pseudo-terminal. Default: as `always_use_pty` says, which is no.
    pub fn pty(mut self, pty: bool) -> Self {
        self.options.pty = Some(pty);
        self
    }

    /// Sets an environment variable to exactly these bytes, in addition to `shell_env`.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.options.env.push((name.into(), value.into()));
        self
    }

    /// Whether the environment has only the variables of this call: without `shell_env`, and for a local command without
    /// this program's environment. Default: no.
    pub fn replace_env(mut self, replace: bool) -> Self {
        self.options.replace_env = replace;
        self
    }

    /// Changes the directory, relative to `cwd` (`lcwd` for a local command). Nests.
    pub fn cd(mut self, dir: impl Into<Vec<u8>>) -> Self {
        self.options.cd.push(dir.into());
        self
    }

    /// A command that must succeed before this one, in the same shell; after `command_prefixes`. Nests.
    pub fn prefix(mut self, command: impl Into<Vec<u8>>) -> Self {
        self.options.prefixes.push(command.into());
        self
    }

    /// Adds directories to `$PATH`, instead of those of the `path` setting.
    pub fn path(mut self, path: impl Into<Vec<u8>>, behavior: PathBehavior) -> Self {
        self.options.path = Some((path.into(), behavior));
        self
    }

    /// Which streams emit no events and so are not shown: `true` is both. Default: none, or as
    /// [`Connection::with_hidden`] says.
    pub fn hide(mut self, hide: impl Into<Hide>) -> Self {
        self.options.hide = hide.into();
        self
    }

    /// Whether the command emits events at its start and end. Default: yes.
    pub fn echo(mut self, echo: bool) -> Self {
        self.options.silent = !echo;
        self
    }

    /// Whether to only emit what would be run ([`EventKind::Planned`](fabric_core::EventKind::Planned)), also with
    /// [`start`](Self::start) and [`disown`](Self::disown); nothing is opened, and the outcome is an empty success. Default:
    /// no, or as [`Connection::with_dry`] says.
    pub fn dry(mut self, dry: bool) -> Self {
        self.options.dry = dry;
        self
    }

    /// Whether a status that doesn't count as success is a warning instead of an error. It has no effect on
    /// timeouts and broken connections. Default: as `warn_only` says, which is no.
    pub fn warn(mut self, warn: bool) -> Self {
        self.options.warn = Some(warn);
        self
    }

    /// How long it may take before it is stopped; `None` is no limit. [`Error::TimedOut`](fabric_core::Error::TimedOut) has
    /// its output so far. Default: as `command_timeout` says.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.options.timeout = Some(timeout.into());
        self
    }

    /// The statuses that count as success. Default: `ok_ret_codes`, which is 0 alone.
    pub fn ok_codes(mut self, codes: impl Into<Vec<u32>>) -> Self {
        self.options.ok_codes = Some(codes.into());
        self
    }

    /// Whether standard error is treated as standard output. Default: as `combine_stderr` says, which is no.
    pub fn combine_stderr(mut self, combine: bool) -> Self {
        self.options.combine_stderr = Some(combine);
        self
    }

    /// How many of the last bytes of each stream the outcome keeps, in memory. `None` is all; more than 8 MiB are kept in a
    /// temporary file (in `TMPDIR`, without a name). Default: `capture_buffer_size`.
    pub fn capture_limit(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.options.capture_limit = Some(bytes.into());
        self
    }

    /// Its standard input: bytes, a reader ([`Stdin::reader`]), or this program's standard input. Default: nothing.
    ///
    /// The end of the input is passed on, except with watchers: for their answers it stays open until the command ends.
    pub fn stdin(mut self, stdin: impl Into<Stdin>) -> Self {
        self.options.stdin = stdin.into();
        self
    }

    /// Whether its input is shown too. It is not captured. Default: no; a terminal echoes its input.
    pub fn echo_stdin(mut self, echo: bool) -> Self {
        self.options.echo_stdin = echo;
        self
    }

    /// Where the bytes of standard output are written as they arrive, in addition to the events.
    pub fn out_stream(mut self, sink: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        self.options.out_stream = Some(Box::new(sink));
        self
    }

    /// Where the bytes of standard error are written as they arrive, in addition to the events.
    pub fn err_stream(mut self, sink: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        self.options.err_stream = Some(Box::new(sink));
        self
    }

    /// Watches both streams and answers, in addition to the `prompts` setting. There may be several watchers, and each
    /// answers every match. The input stays open until the command ends.
    pub fn watch(mut self, watcher: impl Watcher + 'static) -> Self {
        self.options.watchers.push(Arc::new(watcher));
        self
    }

    /// After how long without output there is a warning about a watched command, which may be waiting for an answer that
    /// no pattern gives. Default: 15 s.
    pub fn silence(mut self, silence: Duration) -> Self {
        self.options.silence = Some(silence);
        self
    }

    /// The user that `sudo` becomes. Default: `sudo_user`, which is root.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.options.sudo_user = Some(user.into());
        self
    }

    /// The group that `sudo` becomes. Default: the user's.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.options.sudo_group = Some(group.into());
        self
    }

    /// The password for `sudo`, before those of the settings.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.options.sudo_password = Some(password.into());
        self
    }

    /// Shows nothing, and a failure is no error (`quiet=True` of Fabric 1).
    pub fn quiet(self) -> Self {
        self.hide(true).echo(false).warn(true)
    }

    /// How long it has to end after TERM when it is stopped, before it is killed. Default: 5 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.options.grace = Some(grace);
        self
    }
}
