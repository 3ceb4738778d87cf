//! A person's handle on one host: [`Connection`].
//!
//! ```text
//! Connection --first use--> Connector --> Session        one, shared, reopened when it has died
//!            --run, sudo, local--> CommandRequest --.await--> CommandOutcome
//!            --put, get----------> Put, Get       --.await--> TransferOutcome
//!            --forward_local, ..-> Forward        --.await--> a guard
//! ```
//!
//! Every request is awaited directly and takes its options as methods; what a request doesn't say comes
//! from the connection's [`Settings`].

mod builder;
mod capture;
mod commands;
mod drive;
mod driver;
mod dry;
mod forward;
mod lines;
mod prepare;
mod request;
mod running;
mod shared_input;
mod shell;
mod slot;
mod stdin;
mod sudo;
mod terminal;
mod watch;
mod working_files;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use fabric_core::error::SessionError;
use fabric_core::event::Verb;
use fabric_core::settings::Gate;
use fabric_core::transport::BoxStream;
use fabric_core::{
    CommandOutcome, ConnectError, Emitter, Error, Files, Prompter, Secret, Session, SessionKey, Settings, Target,
};
use tokio_util::sync::CancellationToken;

use crate::connector::Connector;
use dry::DrySession;
use slot::SessionSlot;

pub(crate) use commands::Commands;
#[cfg(feature = "ssh")]
pub(crate) use commands::HELD;

pub use builder::ConnectionBuilder;
pub use forward::{Endpoint, EndpointError, Forward, ForwardRequest};
pub use request::{CommandRequest, Hide, ShellChoice};
pub use running::Running;
pub use shared_input::SharedInput;
pub use shell::ShellRequest;
pub use stdin::{Keyboard, Stdin};
pub use terminal::Terminal;
pub use watch::{FailingResponder, Refused, Responder, Watcher, Watching};
pub use working_files::WorkingFiles;

/// A handle on one host, cheap to clone; clones share the session.
///
/// Making one opens nothing. The first `run`, `sudo`, `put`, `get` or forward does, and several at once
/// share that one opening. A session that has died is opened anew by the next use. [`Connection::close`],
/// or dropping the last clone, ends the session.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use fabric_transport::Connection;
///
/// // `local` reaches this machine; `deploy@web1:2222` would reach a host by SSH.
/// let here = Connection::builder("local://localhost").build()?;
/// let outcome = here.run("echo $GREETING").env("GREETING", "it's me").await?;
/// assert_eq!(outcome.stdout(), "it's me\n");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
    target: Arc<Target>,
    settings: Arc<Settings>,
    emitter: Emitter,
    interrupt: CancellationToken,
    terminal: Option<Terminal>,
    manner: Manner,
    destinations: Option<Arc<crate::transfer::Destinations>>,
}

/// What every request begins with, for its own methods to change.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    pub(crate) hide: Hide,
    pub(crate) silent: bool,
    pub(crate) dry: bool,
}

/// What all clones of a connection share, whatever name each of them has for the host.
struct Shared {
    connector: Connector,
    prompter: Arc<dyn Prompter>,
    slot: SessionSlot,
    commands: Arc<Commands>,
    /// The password for `sudo` that a person gave, so that they are asked once.
    sudo_password: tokio::sync::Mutex<Option<Secret>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({}{})", self.host_string(), if self.is_connected() { ", connected" } else { "" })
    }
}

impl Connection {
    /// A connection to a target that is complete, such as one that a resolver gave.
    pub fn to(target: impl Into<Arc<Target>>) -> ConnectionBuilder {
        ConnectionBuilder::to(target.into())
    }

    /// A connection to `[user@]host[:port]`, to be completed: usually by a [`resolver`](ConnectionBuilder::resolver), which
    /// finds keys, agent, ssh_config and known_hosts.
    pub fn builder(host: impl Into<String>) -> ConnectionBuilder {
        ConnectionBuilder::new(host.into())
    }

    /// The host string, as written.
    pub fn host_string(&self) -> &str {
        self.target.host_string.as_str()
    }

    /// The host part as written, before ssh_config's HostName was applied.
    pub fn original_host(&self) -> &str {
        self.target.host_string.host()
    }

    /// The name or address that is dialled.
    pub fn host(&self) -> &str {
        &self.target.host
    }

    /// The login user, if one is known; else it is the user who runs this program.
    pub fn user(&self) -> Option<&str> {
        self.target.user.as_deref()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.target.port
    }

    /// Everything that is needed to connect.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where this connection's events go.
    pub fn emitter(&self) -> &Emitter {
        &self.emitter
    }

    /// The same host and session with other settings (`with settings(..):` of Fabric 1). Nothing has to be
    /// restored, since this connection stays as it is.
    ///
    /// Settings that steer how a session is opened (`user`, `timeout`, `gateway`, ..) have no effect here:
    /// there is one session.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let connection = fabric_transport::Connection::builder("local://localhost").build()?;
    /// let careless = connection.with(|settings| {
    ///     settings.cwd = "/usr".into();
    ///     settings.warn_only = true;
    /// });
    /// assert_eq!(careless.run("pwd; false").await?.stdout(), "/usr\n");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::clone(&self.settings);
        change(&mut settings);
        Self { settings: Arc::new(settings), ..self.clone() }
    }

    /// The same host and session with all settings replaced.
    #[must_use]
    pub fn with_settings(&self, settings: impl Into<Arc<Settings>>) -> Self {
        Self { settings: settings.into(), ..self.clone() }
    }

    /// The same session by another name of its host: everything that is said from now on is about that one. `None`
    /// where the targets are not reached by one session (see [`SessionKey`]).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::sync::Arc;
    /// use fabric_core::Target;
    /// use fabric_transport::Connection;
    ///
    /// let mut target = Target::new("web1".parse()?);
    /// let connection = Connection::to(target.clone()).build()?;
    /// target.host_string = "web1:22".parse()?;
    /// let other = connection.with_target(Arc::new(target.clone())).expect("it is the same machine");
    /// assert_eq!((connection.host_string(), other.host_string()), ("web1", "web1:22"));
    /// target.bind_address = Some("10.0.0.2".into());
    /// assert!(connection.with_target(Arc::new(target)).is_none());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_target(&self, target: Arc<Target>) -> Option<Self> {
        let same = SessionKey::new(self.target.clone()) == SessionKey::new(target.clone());
        let emitter = self.emitter.for_host(target.host_string.as_str());
        same.then(|| Self { target, emitter, ..self.clone() })
    }

    /// The same host and session with events going elsewhere: to those of another task, for example.
    #[must_use]
    pub fn with_emitter(&self, emitter: &Emitter) -> Self {
        Self { emitter: emitter.for_host(self.host_string()), ..self.clone() }
    }

    /// The same host and session; commands end with [`Error::Interrupted`] once `token` is cancelled.
    #[must_use]
    pub fn with_interrupt(&self, token: CancellationToken) -> Self {
        Self { interrupt: token, ..self.clone() }
    }

    /// The same host and session; these streams of commands are not shown, unless a command asks for it
    /// ([`CommandRequest::hide`]).
    #[must_use]
    pub fn with_hidden(&self, hide: impl Into<Hide>) -> Self {
        Self { manner: Manner { hide: hide.into(), ..self.manner }, ..self.clone() }
    }

    /// The same host and session; whether commands and transfers emit events, unless they say otherwise
    /// ([`CommandRequest::echo`]).
    #[must_use]
    pub fn with_echo(&self, echo: bool) -> Self {
        Self { manner: Manner { silent: !echo, ..self.manner }, ..self.clone() }
    }

    /// The same host and session; whether what is asked of it is an event instead of done, unless a request says
    /// otherwise ([`CommandRequest::dry`]): commands however they are started, shells, transfers, forwards, streams,
    /// and changes by [`files`](Self::files), [`sftp`](Self::sftp) and [`session`](Self::session). Files that
    /// are only read are read, for which the session is opened.
    #[must_use]
    pub fn with_dry(&self, dry: bool) -> Self {
        Self { manner: Manner { dry, ..self.manner }, ..self.clone() }
    }

    /// The same host and session; no file that it sends gets over what another host of the same `destinations` sent.
    #[must_use]
    pub fn with_destinations(&self, destinations: Arc<crate::transfer::Destinations>) -> Self {
        Self { destinations: Some(destinations), ..self.clone() }
    }

    pub(crate) fn destinations(&self) -> Option<&crate::transfer::Destinations> {
        self.destinations.as_deref()
    }

    pub(crate) fn manner(&self) -> Manner {
        self.manner
    }

    /// Opens the session now, unless it stands.
    pub async fn open(&self) -> Result<(), Error> {
        self.session().await.map(drop)
    }

    /// Whether a session stands, as far as this side can know without asking; false after the host was
    /// noticed to be gone.
    pub fn is_connected(&self) -> bool {
        self.shared.slot.is_open()
    }

    /// Ends the commands that run here, be they awaited, [started](CommandRequest::start) or given up, and then the
    /// session. Those that were [disowned](CommandRequest::disown) go on. Clones see [`Error::Interrupted`].
    ///
    /// A command is ended as by [`Running::stop`]: it has its [`grace`](CommandRequest::grace) time, and what can't be ended
    /// is given up some ten seconds later. Whoever gives a future up, by `tokio::time::timeout` for example, should close
    /// the connection: the command is stopped in the background, which a runtime that ends cuts short. Only commands of
    /// this machine are killed at once, by the drop itself.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let connection = fabric_transport::Connection::builder("local://localhost").build()?;
    /// use std::time::Duration;
    ///
    /// let given_up = tokio::time::timeout(Duration::from_millis(50), connection.run("sleep 4321")).await;
    /// assert!(given_up.is_err());
    /// connection.close().await; // Now it doesn't run any more.
    /// # Ok(()) }
    /// ```
    pub async fn close(&self) {
        self.shared.commands.stop_all().await;
        self.shared.slot.close().await;
    }

    /// The session, opened if need be: for what this type has no method for. In a dry run, one that only looks.
    pub async fn session(&self) -> Result<Arc<dyn Session>, Error> {
        if self.manner.dry {
            return Ok(Arc::new(DrySession::new(self)));
        }
        if let Some(session) = self.shared.slot.usable().await.map_err(|source| self.session_error(source))? {
            return Ok(session);
        }
        let open = || self.shared.connector.open(&self.target, &self.emitter);
        let opened = self.unless_interrupted("connect", self.shared.slot.get(open)).await?;
        // Whoever was faster may have another name for the host.
        Ok(opened.map_err(|error| ConnectError { host: self.host_string().to_owned(), ..error })?)
    }

    /// The host's files, over one channel that all of this connection's transfers share.
    pub async fn files(&self) -> Result<Arc<dyn Files>, Error> {
        let session = self.session().await?;
        self.shared.slot.files(&session).await.map_err(|source| self.session_error(source))
    }

    /// The host's files by paths from a working directory: the same value each time, as long as the session
    /// stands.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let connection = fabric_transport::Connection::builder("local://localhost").build()?;
    /// connection.sftp().await?.chdir("/etc").await?;
    /// let hosts = connection.sftp().await?.read("hosts").await?;
    /// # assert!(!hosts.is_empty());
    /// # Ok(()) }
    /// ```
    pub async fn sftp(&self) -> Result<Arc<WorkingFiles>, Error> {
        let session = self.with_dry(false).session().await?;
        let files = self.files().await?;
        Ok(self.shared.slot.working_files(&session, &self.target.host_string, self.manner.dry, files))
    }

    /// The byte stream on which a session with the target would run, through its gateway if it has one: for
    /// those who bring a protocol of their own. It is a new stream each time.
    pub async fn open_gateway(&self) -> Result<BoxStream, Error> {
        if self.manner.dry {
            self.emitter.plan("connect", self.host_string());
            return Ok(dry::stream());
        }
        let target = self.target();
        match self.shared.connector.gateway_stream(target, &self.emitter).await? {
            Some(stream) => Ok(stream),
            None => crate::local::connect(&target.host, target.port).await.map_err(|source| self.session_error(source)),
        }
    }

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

    /// Runs a command on the host by `sudo`, its directory, prefixes and environment included.
    ///
    /// The password comes from `sudo_passwords`, `sudo_password`, `passwords` or `password`, else a person
    /// is asked, once for each host. `sudo` asks for it with a random text (or `sudo_prompt`), which
    /// no output can imitate and which doesn't show in the outcome.
    pub fn sudo(&self, command: impl Into<Vec<u8>>) -> CommandRequest {
        CommandRequest::new(self.clone(), Verb::Sudo, command.into())
    }

    /// Runs a command on this machine, with the same options and the same outcome; opens nothing.
    ///
    /// It starts in `lcwd` and inherits this program's environment. `cwd`, `use_shell`, `always_use_pty` and
    /// `combine_stderr` don't apply (Fabric 1).
    pub fn local(&self, command: impl Into<Vec<u8>>) -> CommandRequest {
        CommandRequest::new(self.clone(), Verb::Local, command.into())
    }

    /// The names of unfinished files.
    pub(crate) fn parts(&self) -> &Arc<crate::transfer::Parts> {
        self.shared.connector.parts()
    }

    /// Without what settings add to each command: for commands of this crate's own.
    pub(crate) fn plain(&self) -> Self {
        let mut plain = self.with(|settings| {
            settings.cwd.clear();
            settings.command_prefixes.clear();
            settings.path.clear();
            settings.shell_env.clear();
            settings.prompts.clear();
            settings.command_timeout = None;
            settings.capture_buffer_size = None;
            settings.ok_ret_codes = vec![0];
            settings.shell_escape = true;
            settings.use_shell = Gate::Open;
            settings.inline_ssh_env = true;
        });
        plain.manner = Manner { dry: self.manner.dry, ..Manner::default() };
        plain
    }

    /// Does `work` unless the run is interrupted, which gives [`Error::Interrupted`].
    pub(crate) async fn unless_interrupted<T>(&self, what: &str, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.interrupt.cancelled() => {
                let outcome = Box::new(CommandOutcome::new(self.host_string(), what));
                Err(Error::Interrupted { outcome, still_running: None })
            }
            done = work => Ok(done),
        }
    }

    fn session_error(&self, source: SessionError) -> Error {
        Error::Session { host: self.host_string().to_owned(), source }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.slot.close_in_background();
    }
}
