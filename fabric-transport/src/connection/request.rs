//! A command that is asked for, with its options.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fabric_core::event::{EventKind, Verb};
use fabric_core::outcome::Stream;
use fabric_core::{CommandOutcome, Error, PathBehavior, Process, Secret, Session};
use tokio::io::AsyncWrite;
use tokio_util::sync::CancellationToken;

use super::commands::Commands;
use super::drive::Drive;
use super::prepare::prepare;
use super::running::{self, Running};
use super::stdin::Stdin;
use super::watch::Watcher;
use super::{Connection, Manner, Responder, dry};
use crate::local::LocalSession;

/// Which streams of a command are not shown. They are captured all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hide {
    /// Both are shown.
    #[default]
    None,
    /// Standard output is not.
    Stdout,
    /// Standard error is not.
    Stderr,
    /// Neither is.
    Both,
}

impl Hide {
    pub(super) fn streams(self) -> Vec<Stream> {
        match self {
            Self::None => Vec::new(),
            Self::Stdout => vec![Stream::Stdout],
            Self::Stderr => vec![Stream::Stderr],
            Self::Both => vec![Stream::Stdout, Stream::Stderr],
        }
    }
}

/// `true` is both, `false` none.
impl From<bool> for Hide {
    fn from(hide: bool) -> Self {
        if hide { Self::Both } else { Self::None }
    }
}

/// Which shell a command is wrapped in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShellChoice {
    /// None: the login shell reads it, as with `ssh`.
    No,
    /// The one in the `shell` setting.
    Setting,
    /// This one, with its options: `/bin/bash -l -c`.
    This(String),
}

impl From<bool> for ShellChoice {
    fn from(wrap: bool) -> Self {
        if wrap { Self::Setting } else { Self::No }
    }
}

impl From<&str> for ShellChoice {
    fn from(shell: &str) -> Self {
        Self::This(shell.to_owned())
    }
}

impl From<String> for ShellChoice {
    fn from(shell: String) -> Self {
        Self::This(shell)
    }
}

/// A command of [`Connection::run`], [`Connection::sudo`] or [`Connection::local`], to be awaited.
///
/// Awaiting it gives the [`CommandOutcome`], or [`Error::UnexpectedExit`] for a status that doesn't count as
/// success (see [`CommandRequest::warn`]). Dropping the future stops the command. What no method says comes
/// from the connection's settings, named with each method.
///
/// Output is bytes: the outcome has exactly those that came. Text is UTF-8; what is not shows as U+FFFD.
#[must_use = "a command does nothing until it is awaited or started"]
pub struct CommandRequest {
    pub(super) connection: Connection,
    pub(super) verb: Verb,
    pub(super) line: Vec<u8>,
    pub(super) options: Options,
}

/// How long a command has to end by itself when it is stopped.
const GRACE: Duration = Duration::from_secs(5);

pub(super) type Sink = Box<dyn AsyncWrite + Send + Unpin>;

/// What the methods said; `None` leaves a thing to the settings, where "no limit" is `Some(None)`.
#[derive(Default)]
#[allow(clippy::option_option)]
pub(super) struct Options {
    /// The user's login shell instead of a command.
    pub(super) login_shell: bool,
    pub(super) shell: Option<ShellChoice>,
    pub(super) pty: Option<bool>,
    pub(super) env: Vec<(String, Vec<u8>)>,
    pub(super) replace_env: bool,
    pub(super) cd: Vec<Vec<u8>>,
    pub(super) prefixes: Vec<Vec<u8>>,
    pub(super) path: Option<(Vec<u8>, PathBehavior)>,
    pub(super) hide: Hide,
    pub(super) silent: bool,
    pub(super) dry: bool,
    pub(super) warn: Option<bool>,
    pub(super) timeout: Option<Option<Duration>>,
    pub(super) grace: Option<Duration>,
    pub(super) ok_codes: Option<Vec<u32>>,
    pub(super) combine_stderr: Option<bool>,
    pub(super) capture_limit: Option<Option<u64>>,
    pub(super) stdin: Stdin,
    pub(super) echo_stdin: bool,
    pub(super) out_stream: Option<Sink>,
    pub(super) err_stream: Option<Sink>,
    pub(super) watchers: Vec<Arc<dyn Watcher>>,
    pub(super) silence: Option<Duration>,
    pub(super) sudo_user: Option<String>,
    pub(super) sudo_group: Option<String>,
    pub(super) sudo_password: Option<Secret>,
}

impl CommandRequest {
    pub(super) fn new(connection: Connection, verb: Verb, line: Vec<u8>) -> Self {
        let Manner { hide, silent, dry } = connection.manner();
        Self { connection, verb, line, options: Options { hide, silent, dry, ..Options::default() } }
    }

    /// Wraps the command in a shell: `true` is the one of the `shell` setting, a text is that one. Default:
    /// as `use_shell` says, which is no; the login shell reads the command, as with `ssh`.
    pub fn shell(mut self, shell: impl Into<ShellChoice>) -> Self {
        self.options.shell = Some(shell.into());
        self
    }

    /// Whether it has a pseudo-terminal. Default: as `always_use_pty` says, which is no.
    pub fn pty(mut self, pty: bool) -> Self {
        self.options.pty = Some(pty);
        self
    }

    /// Sets an environment variable to exactly these bytes, on top of `shell_env`.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.options.env.push((name.into(), value.into()));
        self
    }

    /// Whether the variables of this call are all there are: `shell_env` is left out and a local command
    /// doesn't inherit this program's environment. Default: no.
    pub fn replace_env(mut self, replace: bool) -> Self {
        self.options.replace_env = replace;
        self
    }

    /// Changes the directory, below `cwd` (`lcwd` for a local command) unless it is absolute or starts with
    /// `~`. Nests.
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

    /// Which streams are not shown, that is, make no events: `true` is both. Default: none, or as
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

    /// Whether to only tell what would be run ([`EventKind::Planned`]), also by [`start`](Self::start) and
    /// [`disown`](Self::disown); nothing is opened, and the outcome is an empty success. Default: no, or as [`Connection::with_dry`] says.
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

    /// How long it may take before it is stopped; `None` is as long as it likes. What it printed until then
    /// is in [`Error::TimedOut`]. Default: as `command_timeout` says.
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

    /// How many bytes of each stream the outcome keeps, from its end and in memory; `None` is all, of which more
    /// than 8 MiB go to a temporary file (in `TMPDIR`, without a name). Default: `capture_buffer_size`.
    pub fn capture_limit(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.options.capture_limit = Some(bytes.into());
        self
    }

    /// What it reads: bytes, a reader ([`Stdin::reader`]), or this program's own standard input. Default:
    /// nothing.
    ///
    /// The end of it is passed on, except with watchers: a closed input can't be answered on, so it stays open until
    /// the command ends.
    pub fn stdin(mut self, stdin: impl Into<Stdin>) -> Self {
        self.options.stdin = stdin.into();
        self
    }

    /// Whether what it reads is shown among what it prints. It is not captured. Default: no; a terminal
    /// echoes by itself.
    pub fn echo_stdin(mut self, echo: bool) -> Self {
        self.options.echo_stdin = echo;
        self
    }

    /// Is given the bytes of standard output as they come, besides the events.
    pub fn out_stream(mut self, sink: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        self.options.out_stream = Some(Box::new(sink));
        self
    }

    /// Is given the bytes of standard error as they come, besides the events.
    pub fn err_stream(mut self, sink: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        self.options.err_stream = Some(Box::new(sink));
        self
    }

    /// Watches both streams and answers; besides the `prompts` setting. Several may watch, and as often as their
    /// patterns match: the input stays open until the command ends.
    pub fn watch(mut self, watcher: impl Watcher + 'static) -> Self {
        self.options.watchers.push(Arc::new(watcher));
        self
    }

    /// After how long without output a command that is watched is warned of, once: it may be asking what no pattern
    /// answers. Default: 15 s.
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

    /// Nothing of it is shown and failing is no error (`quiet=True` of Fabric 1).
    pub fn quiet(self) -> Self {
        self.hide(true).echo(false).warn(true)
    }

    /// How long it has to end by itself when it is stopped, before it is killed. Default: 5 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.options.grace = Some(grace);
        self
    }

    /// Starts the command and returns a handle on it; it goes on in the background.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let connection = fabric_transport::Connection::builder("local://localhost").build()?;
    /// use fabric_transport::connection::Stdin;
    /// use tokio::io::AsyncWriteExt as _;
    ///
    /// let mut running = connection.run("cat").stdin(Stdin::Handle).start().await?;
    /// let mut stdin = running.take_stdin().expect("asked for");
    /// stdin.write_all(b"to be\n").await?;
    /// drop(stdin);
    /// assert_eq!(running.wait().await?.stdout(), "to be\n");
    /// # Ok(()) }
    /// ```
    pub async fn start(mut self) -> Result<Running, Error> {
        let stdin = matches!(self.options.stdin, Stdin::Handle).then(|| {
            let (ours, theirs) = tokio::io::duplex(running::PIPE);
            self.options.stdin = Stdin::reader(theirs);
            ours
        });
        let stop = CancellationToken::new();
        let (process, drive) = self.open(stop.clone()).await?;
        Ok(Running::new(process, drive, stop, stdin))
    }

    /// Starts the command and forgets about it: nothing is shown or captured, and no error is reported.
    ///
    /// Nothing here ends it: no interrupt, not [`Connection::close`], not the end of this program, as in Fabric 3. What it
    /// prints or reads goes over the connection, though. Once that has gone, a write ends most programs (SIGPIPE): give it
    /// `>/dev/null 2>&1 </dev/null`. A terminal that is closed ends what runs there (SIGHUP), and a plugin's transport
    /// may end all that it has started.
    pub async fn disown(mut self) -> Result<(), Error> {
        self.options.hide = Hide::Both;
        self.options.capture_limit = Some(Some(0));
        self.options.warn = Some(true);
        self.options.timeout = Some(None);
        let (process, drive) = self.open(CancellationToken::new()).await?;
        tokio::spawn(drive.disown().run(process));
        Ok(())
    }

    async fn execute(self) -> Result<CommandOutcome, Error> {
        let (process, drive) = self.open(CancellationToken::new()).await?;
        drive.run(process).await
    }

    /// Starts the process; in a dry run, one that does nothing. However a command is asked for, it comes by here.
    async fn open(mut self, stop: CancellationToken) -> Result<(Process, Drive), Error> {
        let mut prepared = prepare(&self)?;
        let outcome = &prepared.outcome;
        let emitter = self.connection.emitter.for_host(outcome.host.as_str());
        let began = Instant::now();
        if self.options.dry {
            let what = if self.options.login_shell { "a login shell" } else { &outcome.command };
            emitter.plan(self.verb.to_string(), what);
            let process = dry::process(outcome.ok_codes.first().copied().unwrap_or(0));
            prepared.sudo = None;
            (self.options.silent, self.options.stdin) = (true, Stdin::None);
            return Ok((process, Drive::new(self, prepared, None, emitter, stop, began)));
        }
        for (prompt, answer) in &self.connection.settings.prompts {
            self.options.watchers.push(Arc::new(Responder::literal(prompt, Bytes::from(format!("{answer}\n")))?));
        }
        let session = match self.verb {
            Verb::Local => Arc::new(LocalSession::here().clear_env(self.options.replace_env)) as Arc<dyn Session>,
            Verb::Run | Verb::Sudo => self.connection.with_dry(false).session().await?,
        };
        if !self.options.silent {
            emitter.emit(EventKind::CommandStarted { verb: self.verb, command: outcome.command.clone() });
        }
        let began = Instant::now();
        let spawn = std::mem::take(&mut prepared.spawn);
        let grace = self.options.grace.unwrap_or(GRACE);
        let started = Commands::start(&self.connection, session, spawn, grace).await;
        let (process, started) =
            started.map_err(|source| Error::Session { host: prepared.outcome.host.clone(), source })?;
        Ok((process, Drive::new(self, prepared, Some(started), emitter, stop, began)))
    }
}

impl IntoFuture for CommandRequest {
    type Output = Result<CommandOutcome, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.execute())
    }
}
