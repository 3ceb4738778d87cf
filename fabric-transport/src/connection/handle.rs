//! The handle itself.

use std::fmt;
use std::sync::Arc;

use fabric_core::error::SessionError;
use fabric_core::settings::Gate;
use fabric_core::{CommandOutcome, Emitter, Error, Prompter, Secret, SessionKey, Settings, Target};
use tokio_util::sync::CancellationToken;

use super::destinations::Destinations;
use super::options::{Hide, Manner};
use super::slot::SessionSlot;
use super::terminal::Terminal;
use crate::commands::Commands;
use crate::connector::Connector;
use crate::part_names::PartNames;

/// A handle on one host, cheap to clone; clones share the session.
///
/// The session is opened by the first `run`, `sudo`, `put`, `get` or forward; concurrent requests share it. A session that
/// broke is opened again by the next request. [`Connection::close`], or dropping the last clone, ends the session.
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
    pub(super) shared: Arc<ConnectionState>,
    pub(super) target: Arc<Target>,
    pub(super) settings: Arc<Settings>,
    pub(super) emitter: Emitter,
    pub(super) interrupt: CancellationToken,
    pub(super) terminal: Option<Terminal>,
    pub(super) manner: Manner,
    pub(super) destinations: Option<Arc<Destinations>>,
}

/// The state that all clones of a connection share, also under different names of the host.
pub(super) struct ConnectionState {
    pub(super) connector: Connector,
    pub(super) prompter: Arc<dyn Prompter>,
    pub(super) slot: SessionSlot,
    pub(super) commands: Arc<Commands>,
    /// The `sudo` password that the user entered, so that they are asked once.
    pub(super) sudo_password: tokio::sync::Mutex<Option<Secret>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({}{})", self.host_string(), if self.is_connected() { ", connected" } else { "" })
    }
}

impl Connection {
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

    /// The login user, if it is known; otherwise it is the user who runs this program.
    pub fn user(&self) -> Option<&str> {
        self.target.user.as_deref()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.target.port
    }

    /// All that is needed to connect.
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

    /// The same host and session with other settings (`with settings(..):` of Fabric 1). This connection is unchanged, so
    /// there is nothing to restore.
    ///
    /// Settings for opening a session (`user`, `timeout`, `gateway`, ..) have no effect, as the session is shared.
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

    /// The same session under another name of its host, which events and errors then have. `None` if one session can't
    /// serve both targets (see [`SessionKey`]).
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

    /// The same host and session; events go to another emitter, such as that of another task.
    #[must_use]
    pub fn with_emitter(&self, emitter: &Emitter) -> Self {
        Self { emitter: emitter.for_host(self.host_string()), ..self.clone() }
    }

    /// The same host and session; commands end with [`Error::Interrupted`] once `token` is cancelled.
    #[must_use]
    pub fn with_interrupt(&self, token: CancellationToken) -> Self {
        Self { interrupt: token, ..self.clone() }
    }

    /// The same host and session; these streams of commands are not shown by default
    /// ([`CommandRequest::hide`](super::CommandRequest::hide)).
    #[must_use]
    pub fn with_hidden(&self, hide: impl Into<Hide>) -> Self {
        Self { manner: Manner { hide: hide.into(), ..self.manner }, ..self.clone() }
    }

    /// The same host and session; whether commands and transfers emit events by default
    /// ([`CommandRequest::echo`](super::CommandRequest::echo)).
    #[must_use]
    pub fn with_echo(&self, echo: bool) -> Self {
        Self { manner: Manner { silent: !echo, ..self.manner }, ..self.clone() }
    }

    /// The same host and session; whether requests only emit events by default
    /// ([`CommandRequest::dry`](super::CommandRequest::dry)): commands, shells, transfers, forwards, streams, and changes by
    /// [`files`](Self::files), [`sftp`](Self::sftp) and [`session`](Self::session). Files can still be read, which opens the
    /// session.
    #[must_use]
    pub fn with_dry(&self, dry: bool) -> Self {
        Self { manner: Manner { dry, ..self.manner }, ..self.clone() }
    }

    /// The same host and session; its files don't overwrite those of other hosts with the same `destinations`.
    #[must_use]
    pub fn with_destinations(&self, destinations: Arc<Destinations>) -> Self {
        Self { destinations: Some(destinations), ..self.clone() }
    }

    pub(crate) fn destinations(&self) -> Option<&Destinations> {
        self.destinations.as_deref()
    }

    pub(crate) fn manner(&self) -> Manner {
        self.manner
    }

    /// Opens the session now, unless it is open.
    pub async fn open(&self) -> Result<(), Error> {
        self.session().await.map(drop)
    }

    /// Whether the session is open, as far as this side knows without asking the host.
    pub fn is_connected(&self) -> bool {
        self.shared.slot.is_open()
    }

    /// Stops the running commands, whether they are awaited, [started](super::CommandRequest::start) or dropped, and then
    /// ends the session. [Disowned](super::CommandRequest::disown) commands continue. Clones see [`Error::Interrupted`].
    ///
    /// A command is stopped as by [`Running::stop`](super::Running::stop): it has its
    /// [`grace`](super::CommandRequest::grace) time, and is given up about ten seconds later if it can't be stopped. After
    /// dropping a future, for example by `tokio::time::timeout`, close the connection: the command is stopped in the
    /// background, which doesn't finish if the runtime ends. Only local commands are killed by the drop itself.
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

    /// The names of unfinished files.
    pub(crate) fn parts(&self) -> &Arc<PartNames> {
        self.shared.connector.parts()
    }

    /// Without what settings add to each command, for this crate's own commands.
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

    /// Does `work`; an interrupt of the run ends it with [`Error::Interrupted`].
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

    pub(super) fn session_error(&self, error: SessionError) -> Error {
        Error::Session { host: self.host_string().to_owned(), error }
    }
}

impl Drop for ConnectionState {
    fn drop(&mut self) {
        self.slot.close_in_background();
    }
}
