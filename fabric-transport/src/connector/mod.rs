//! Opens sessions, gateways included, for all connections of a run.

mod answers;
mod governor;
mod jump;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use fabric_core::error::TimeLimit;
use fabric_core::settings::Problem;
use fabric_core::transport::{BoxStream, OpenContext};
use fabric_core::{
    ConnectError, ConnectErrorKind, Emitter, EventKind, Gateway, Phase, Prompter, RefusePrompts, Session, Target,
    Transport,
};
use parking_lot::{Mutex, MutexGuard};

use self::answers::{Answers, Remembering};
use self::governor::{Governor, Who};
use self::jump::Jumps;
use crate::commands::Commands;
use crate::gateway::{GatewayDialer, command};
use crate::local::LocalTransport;
use crate::part_names::PartNames;
use crate::retry::jittered;

/// The wait before the second attempt (`connection_attempts`); each further one is twice as long.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// Opens sessions with targets, by their transport and gateway.
///
/// One connector serves a whole run. It is cheap to clone; clones share gateway sessions, entered passwords, opened keys,
/// and the count of logins in progress.
///
/// ```no_run
/// use fabric_core::{Emitter, Gateway, Target};
/// use fabric_transport::connector::Connector;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let connector = Connector::new();
/// let mut target = Target::new("deploy@web1.internal".parse()?);
/// target.gateway = Some(Gateway::Jump(Box::new(Target::new("bastion.example.com".parse()?))));
/// let session = connector.open(&target, &Emitter::none()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Connector {
    inner: Arc<ConnectorState>,
}

#[derive(Clone)]
struct ConnectorState {
    transports: HashMap<String, Arc<dyn Transport>>,
    gateways: HashMap<String, Arc<dyn GatewayDialer>>,
    lookup: Option<Arc<dyn Lookup>>,
    prompter: Arc<dyn Prompter>,
    shell: PathBuf,
    answers: Arc<Answers>,
    governor: Arc<Governor>,
    jumps: Arc<Jumps>,
    /// The commands on the connections that use it.
    commands: Arc<Mutex<Vec<Weak<Commands>>>>,
    parts: Arc<PartNames>,
    /// Warnings of targets that were emitted.
    warned: Arc<Mutex<HashSet<String>>>,
    /// How many bytes of unfinished lines are held.
    held: Arc<AtomicUsize>,
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("transports", &self.inner.transports.keys()).finish_non_exhaustive()
    }
}

/// Finds transports and gateways that a [`Connector`] doesn't have, when a host needs one.
///
/// The methods may block: they are called on blocking threads.
pub trait Lookup: Send + Sync {
    /// The transport of this name.
    fn transport(&self, name: &str) -> Option<Arc<dyn Transport>>;

    /// The dialer of gateways with this scheme.
    fn gateway(&self, scheme: &str) -> Option<Arc<dyn GatewayDialer>>;

    /// Why there is none, or what to do about it, for the error of the host.
    fn hint(&self, name: &str) -> Option<String>;
}

/// A stream from a gateway.
struct Dialled {
    stream: BoxStream,
    /// How long it took once the gateway was connected.
    took: Duration,
    /// What may explain a failure.
    witness: Option<command::Witness>,
}

/// A recursive future: a gateway's session may itself need a gateway.
type Opening<'a> = Pin<Box<dyn Future<Output = Result<Arc<dyn Session>, ConnectError>> + Send + 'a>>;

impl Connector {
    /// Has the transport `local` and, with the feature `ssh`, `ssh`; refuses prompts.
    pub fn new() -> Self {
        let inner = ConnectorState {
            transports: HashMap::new(),
            gateways: HashMap::new(),
            lookup: None,
            prompter: Arc::new(RefusePrompts::default().no_terminal(true)),
            shell: PathBuf::from("/bin/sh"),
            answers: Arc::default(),
            governor: Arc::default(),
            jumps: Arc::default(),
            commands: Arc::default(),
            parts: Arc::default(),
            warned: Arc::default(),
            held: Arc::default(),
        };
        let this = Self { inner: Arc::new(inner) };
        let this = this.transport(LocalTransport::new());
        #[cfg(feature = "ssh")]
        let this = this.transport(crate::ssh::SshTransport::new());
        this
    }

    /// Adds a transport, or replaces the one of the same name.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport + 'static) -> Self {
        Arc::make_mut(&mut self.inner).transports.insert(transport.name().to_owned(), Arc::new(transport));
        self
    }

    /// Adds a dialer for gateways with this scheme, such as a plugin.
    #[must_use]
    pub fn gateway(mut self, scheme: &str, dialer: impl GatewayDialer + 'static) -> Self {
        Arc::make_mut(&mut self.inner).gateways.insert(scheme.to_owned(), Arc::new(dialer));
        self
    }

    /// Finds transports and gateways that were not added. Default: none.
    #[must_use]
    pub fn lookup(mut self, lookup: impl Lookup + 'static) -> Self {
        Arc::make_mut(&mut self.inner).lookup = Some(Arc::new(lookup));
        self
    }

    /// Answers prompts for passwords, passphrases and unknown host keys. Default: they are refused.
    #[must_use]
    pub fn prompter(mut self, prompter: impl Prompter + 'static) -> Self {
        Arc::make_mut(&mut self.inner).prompter = Arc::new(prompter);
        self
    }

    /// The shell that runs ProxyCommands (in OpenSSH `$SHELL`). Default: `/bin/sh`.
    #[must_use]
    pub fn shell(mut self, shell: impl Into<PathBuf>) -> Self {
        Arc::make_mut(&mut self.inner).shell = shell.into();
        self
    }

    /// The user's directory for the key that marks this user's unfinished files, created when needed. Default: none; then a
    /// later run neither resumes nor removes them.
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        Arc::make_mut(&mut self.inner).parts = Arc::new(PartNames::with_state(dir.into()));
        self
    }

    pub(crate) fn held(&self) -> &Arc<AtomicUsize> {
        &self.inner.held
    }

    pub(crate) fn parts(&self) -> &Arc<PartNames> {
        &self.inner.parts
    }

    pub(crate) fn asks(&self) -> &Arc<dyn Prompter> {
        &self.inner.prompter
    }

    /// Opens a session with `target`, with as many attempts as its timeouts say if another one may help.
    pub async fn open(&self, target: &Target, events: &Emitter) -> Result<Arc<dyn Session>, ConnectError> {
        tracing::trace!(route = "a session with a host, over its gateways");
        self.open_boxed(target, Who::Host, events).await
    }

    /// Waits until a further session would not wait for many others. Wait for it before each of thousands of sessions, to
    /// save the memory of prepared ones that wait.
    pub async fn ready(&self) {
        self.inner.governor.ready().await;
    }

    /// The byte stream of the target's gateway; `None` without one.
    pub(crate) async fn gateway_stream(
        &self,
        target: &Target,
        events: &Emitter,
    ) -> Result<Option<BoxStream>, ConnectError> {
        Ok(self.dial(target, events).await?.map(|dialled| dialled.stream))
    }

    /// Stops the commands of all connections that use it, as [`Connection::close`](crate::Connection::close) does, and
    /// closes all gateway sessions; sessions through them are lost.
    pub async fn close_all(&self) {
        let all: Vec<_> = self.commands().iter().filter_map(Weak::upgrade).collect();
        futures_util::future::join_all(all.iter().map(|commands| commands.stop_all())).await;
        self.inner.jumps.close_all().await;
    }

    /// Adds the commands of another connection.
    pub(crate) fn watch_over(&self, commands: &Arc<Commands>) {
        let mut all = self.commands();
        if all.len() == all.capacity() {
            all.retain(|commands| commands.strong_count() > 0);
        }
        all.push(Arc::downgrade(commands));
    }

    fn commands(&self) -> MutexGuard<'_, Vec<Weak<Commands>>> {
        self.inner.commands.lock()
    }

    fn open_boxed<'a>(&'a self, target: &'a Target, who: Who, events: &'a Emitter) -> Opening<'a> {
        Box::pin(async move {
            for warning in &target.warnings {
                if self.inner.warned.lock().insert(warning.clone()) {
                    events.warn(warning);
                }
            }
            let address = address(target);
            events.emit(EventKind::connecting(address.clone()));
            let begun = Instant::now();
            let session = self.open_in_tries(target, who, events).await.map_err(|error| through(target, error))?;
            events.emit(EventKind::connected(address, begun.elapsed()));
            Ok(session)
        })
    }

    async fn open_in_tries(
        &self,
        target: &Target,
        who: Who,
        events: &Emitter,
    ) -> Result<Arc<dyn Session>, ConnectError> {
        let mut attempt = 1;
        loop {
            let once = || self.open_once(target, events);
            match self.inner.governor.run(governed(target), who, events, once).await {
                Err(error) if error.is_transient() && attempt < target.timeouts.attempts.get() => {
                    let delay = jittered(RETRY_WAIT * 2_u32.pow(attempt.min(5) - 1));
                    events.emit(EventKind::retrying(attempt, error.to_string(), delay));
                    tokio::time::sleep(delay).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn open_once(&self, target: &Target, events: &Emitter) -> Result<Arc<dyn Session>, ConnectError> {
        let name = &target.transport;
        let is_gateway =
            self.inner.gateways.contains_key(name).then(|| format!("it is a gateway: gateway = \"{name}://..\""));
        let transport =
            self.find(name, &self.inner.transports, is_gateway, |lookup, name| lookup.transport(name)).await;
        let transport =
            transport.map_err(|kind| ConnectError::new(target.host_string.as_str(), Phase::Resolve, kind))?;
        let prompter = Arc::new(Remembering::new(self.inner.answers.clone(), self.inner.prompter.clone()));
        let context = OpenContext::new(prompter, events.clone());
        let (opened, witness) = match self.dial(target, events).await? {
            None => (transport.open(target, None, &context).await, None),
            Some(Dialled { stream, took, witness }) => {
                let whole = target.timeouts.connect;
                let mut target = target.clone();
                target.timeouts.connect = whole.map(|whole| whole.saturating_sub(took));
                let opened = transport.open(&target, Some(stream), &context).await;
                (opened.map_err(|error| of_the_whole(error, whole)), witness)
            }
        };
        match (opened, witness) {
            (Err(error), Some(witness)) if may_be_the_gateways(&error) => Err(match witness.testimony().await {
                Some(kind) => ConnectError::new(error.host, Phase::Gateway, kind),
                None => error,
            }),
            (opened, _) => opened,
        }
    }

    /// Opens the stream of the target's gateway.
    async fn dial(&self, target: &Target, events: &Emitter) -> Result<Option<Dialled>, ConnectError> {
        let failed = |kind| ConnectError::new(target.host_string.as_str(), Phase::Gateway, kind);
        let (stream, took, witness) = match way(target) {
            None => return Ok(None),
            Some(Gateway::Jump(hop)) => {
                let events = events.for_host(hop.host_string.as_str());
                let open = || self.open_boxed(hop, Who::Gateway, &events);
                let (stream, took) = self.inner.jumps.stream(target, hop, open).await?;
                (stream, took, None)
            }
            Some(Gateway::Command(command)) => {
                let (stream, witness) = command::dial(&self.inner.shell, command).map_err(failed)?;
                (stream, Duration::ZERO, Some(witness))
            }
            Some(Gateway::Plugin { scheme, url, password, .. }) => {
                let is_transport =
                    self.inner.transports.contains_key(scheme).then(|| match url.strip_prefix("ssh://") {
                        Some(host) if Gateway::shown(url) == *url => {
                            format!("a jump host is written without a scheme: {host}")
                        }
                        _ => format!("it is a transport: transport = \"{scheme}\""),
                    });
                let dialer =
                    self.find(scheme, &self.inner.gateways, is_transport, |lookup, name| lookup.gateway(name)).await;
                let (dialer, begun) = (dialer.map_err(failed)?, Instant::now());
                (dialer.dial(target, url, password.as_ref()).await?, begun.elapsed(), None)
            }
            Some(other) => {
                return Err(failed(Problem::new(format!("{other} is not supported here")).into()));
            }
        };
        Ok(Some(Dialled { stream, took, witness }))
    }

    /// What was added under a name, otherwise what the lookup finds. A `hint` for the error takes precedence over the
    /// lookup's.
    async fn find<T: Clone + Send + 'static>(
        &self,
        name: &str,
        added: &HashMap<String, T>,
        mut hint: Option<String>,
        find: impl FnOnce(&dyn Lookup, &str) -> Option<T> + Send + 'static,
    ) -> Result<T, ConnectErrorKind> {
        if let Some(added) = added.get(name) {
            return Ok(added.clone());
        }
        if let Some(lookup) = self.inner.lookup.clone() {
            let asked = name.to_owned();
            let look = move || find(lookup.as_ref(), &asked).ok_or_else(|| lookup.hint(&asked));
            match tokio::task::spawn_blocking(look).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(why)) => hint = hint.or(why),
                Err(error) => hint = hint.or(Some(error.to_string())),
            }
        }
        let hint = hint.unwrap_or_else(|| match names(added) {
            none if none.is_empty() => "no plugin for it is loaded".to_owned(),
            names => format!("there are {names}"),
        });
        Err(ConnectErrorKind::UnknownTransport { name: name.to_owned(), hint })
    }
}

fn names<T>(of: &HashMap<String, T>) -> String {
    let mut names: Vec<&str> = of.keys().map(String::as_str).collect();
    names.sort_unstable();
    names.join(", ")
}

/// The gateway of a target. If that is the target itself it is skipped, but not its own gateway. The same address with
/// other host key checks is another machine.
fn way(target: &Target) -> Option<&Gateway> {
    let mut gateway = target.gateway.as_ref();
    while let Some(Gateway::Jump(hop)) = gateway
        && hop.address() == target.address()
        && hop.host_keys == target.host_keys
    {
        gateway = hop.gateway.as_ref();
    }
    gateway
}

/// Adds the name of the gateway whose stream ended before the login.
fn through(target: &Target, mut error: ConnectError) -> ConnectError {
    if let ConnectErrorKind::Dropped { phase, reason, .. } = &mut error.kind
        && *phase != Phase::Gateway
        && let Some(gateway) = way(target)
    {
        let gateway = gateway.to_string();
        if reason.is_empty() {
            *reason = format!("the stream of {gateway} ended");
        } else if !reason.contains(&gateway) {
            *reason = format!("{reason} (through {gateway})");
        }
    }
    error
}

/// Whether a failure before the login may come from the proxy command.
fn may_be_the_gateways(error: &ConnectError) -> bool {
    matches!(error.phase, Phase::Banner | Phase::KeyExchange)
        && matches!(error.kind, ConnectErrorKind::Dropped { .. } | ConnectErrorKind::Handshake { .. })
}

/// An error of a target behind a gateway, with the limit as it was set, not the remaining time.
fn of_the_whole(mut error: ConnectError, whole: Option<Duration>) -> ConnectError {
    if let (ConnectErrorKind::TimedOut { setting: TimeLimit::Connect, after, .. }, Some(whole)) =
        (&mut error.kind, whole)
    {
        *after = whole;
    }
    error
}

/// `user@address:port`, for events.
fn address(target: &Target) -> String {
    let (host, port) = target.address();
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    match &target.user {
        Some(user) => format!("{user}@{host}:{port}"),
        None => format!("{host}:{port}"),
    }
}

/// The key for counting logins: the address, and the gateway to it.
fn governed(target: &Target) -> String {
    let (host, port) = target.address();
    let seen_from = match &target.gateway {
        None => String::new(),
        Some(Gateway::Jump(hop)) => governed(hop),
        Some(gateway) => gateway.to_string(),
    };
    format!("{}://{host}:{port}/{seen_from}", target.transport)
}
