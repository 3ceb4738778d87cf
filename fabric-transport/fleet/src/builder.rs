//! Building a fleet.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use fabric_core::Secret;
use russh::MethodKind;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, PublicKey};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::answers::Answers;
use super::client;
use super::error::FleetError;
use super::faults::Faults;
use super::fleet::Fleet;
use super::groups::Groups;
use super::host::{FleetHost, HostState};
use super::method::Method;
use super::paths::{Paths, write, write_private};

/// The addresses of a fleet's hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Addresses {
    /// One address each, from this one on, all with the same port.
    Each(Ipv4Addr),
    /// All on this address, with one port each.
    One(Ipv4Addr),
}

/// Builds a [`Fleet`].
#[must_use = "a builder does nothing until it is started"]
pub struct FleetBuilder {
    names: Vec<String>,
    addresses: Addresses,
    port: u16,
    root: Option<PathBuf>,
    one_host_key: bool,
    users: Vec<String>,
    authorized: Vec<String>,
    password: Option<Secret>,
    questions: Vec<(String, Secret)>,
    required: Vec<MethodKind>,
    max_sessions: usize,
    shell: PathBuf,
    env: Vec<(String, String)>,
    answers: Option<Answers>,
    faults: Faults,
}

impl Default for FleetBuilder {
    fn default() -> Self {
        Self {
            names: vec!["host1".to_owned()],
            addresses: Addresses::Each(Ipv4Addr::new(127, 0, 1, 1)),
            port: 0,
            root: None,
            one_host_key: false,
            users: Vec::new(),
            authorized: Vec::new(),
            password: None,
            questions: Vec::new(),
            required: Vec::new(),
            max_sessions: 10,
            shell: PathBuf::from("/bin/sh"),
            env: Vec::new(),
            answers: None,
            faults: Faults::default(),
        }
    }
}

impl Fleet {
    /// A builder of one host with the defaults.
    pub fn builder() -> FleetBuilder {
        FleetBuilder::default()
    }
}

impl FleetBuilder {
    /// The number of hosts, called `host1`, `host2`, ... Default: 1.
    pub fn hosts(mut self, count: usize) -> Self {
        self.names = (1..=count).map(|n| format!("host{n}")).collect();
        self
    }

    /// Uses these host names.
    pub fn names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.names = names.into_iter().map(Into::into).collect();
        self
    }

    /// The first address; the next hosts get the next ones. Default: `127.0.1.1`.
    pub fn first_address(mut self, address: Ipv4Addr) -> Self {
        self.addresses = Addresses::Each(address);
        self
    }

    /// All hosts on `127.0.0.1`, with one port each: for systems whose loopback has only one address.
    pub fn one_address(mut self) -> Self {
        self.addresses = Addresses::One(Ipv4Addr::LOCALHOST);
        self
    }

    /// The port of all hosts. Default: one that is free.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The directory for keys, configuration and the hosts' directories; created if missing, kept when the fleet ends.
    /// Default: a temporary one, removed when the fleet ends.
    pub fn root(mut self, dir: impl Into<PathBuf>) -> Self {
        self.root = Some(dir.into());
        self
    }

    /// One host key for all hosts instead of one each, which is cheaper for thousands of them.
    pub fn one_host_key(mut self) -> Self {
        self.one_host_key = true;
        self
    }

    /// The user who may log in. Default: any user with the key.
    pub fn users<U: Into<String>>(mut self, users: impl IntoIterator<Item = U>) -> Self {
        self.users = users.into_iter().map(Into::into).collect();
        self
    }

    /// Another public key that may log in, as a line of `authorized_keys` without options.
    pub fn authorized_key(mut self, key: impl Into<String>) -> Self {
        self.authorized.push(key.into());
        self
    }

    /// Also accepts this password.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Also accepts the answers to these questions, which are asked all at once (RFC 4256).
    pub fn keyboard_interactive<Q: Into<String>, A: Into<Secret>>(
        mut self,
        questions: impl IntoIterator<Item = (Q, A)>,
    ) -> Self {
        self.questions = questions.into_iter().map(|(q, a)| (q.into(), a.into())).collect();
        self
    }

    /// Methods that must all succeed, in this order, for a login (`AuthenticationMethods`). Default: any one of the
    /// methods that are set up.
    pub fn require(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.required = methods.into_iter().map(Method::kind).collect();
        self
    }

    /// How many sessions a connection may have open (`MaxSessions`). Default: 10, as in sshd.
    pub fn max_sessions(mut self, count: usize) -> Self {
        self.max_sessions = count;
        self
    }

    /// The login shell. Default: `/bin/sh`.
    pub fn shell(mut self, shell: impl Into<PathBuf>) -> Self {
        self.shell = shell.into();
        self
    }

    /// A variable in the environment of everything that runs on the hosts.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Commands that are answered without a process; for benchmarks, use [`cheap`](super::cheap).
    pub fn answers(mut self, answers: Answers) -> Self {
        self.answers = Some(answers);
        self
    }

    /// The faults of all hosts from the start; see [`FleetHost::set_faults`] for one host.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Starts the fleet on the current tokio runtime, and returns once every host accepts connections.
    pub async fn start(self) -> Result<Fleet, FleetError> {
        check_names(&self.names)?;
        allow_files(self.names.len());
        let (root, temporary) = self.make_root()?;
        let listeners = self.listen().await?;

        let mut rng = rand::rng();
        let client = PrivateKey::random(&mut rng, Algorithm::Ed25519)?;
        let paths = Paths::new(root);
        let text = client.to_openssh(LineEnding::LF)?;
        write_private(&paths.client_key, text.as_bytes())?;
        write(&paths.client_public, format!("{}\n", client.public_key().to_openssh()?).as_bytes())?;

        let mut keys = vec![client.public_key().clone()];
        for key in &self.authorized {
            keys.push(PublicKey::from_openssh(key)?);
        }
        let access = Arc::new(Access {
            users: self.users,
            keys,
            password: self.password,
            questions: self.questions,
            required: self.required,
            max_sessions: self.max_sessions,
            shell: self.shell,
            env: self.env,
            answers: self.answers,
            names: listeners
                .iter()
                .zip(&self.names)
                .map(|(listener, name)| Ok((name.clone(), listener.local_addr()?.ip())))
                .collect::<io::Result<_>>()
                .map_err(|error| FleetError::File { path: paths.root.clone(), error })?,
            ended: CancellationToken::new(),
            groups: Groups::default(),
        });

        let shared_key = if self.one_host_key { Some(PrivateKey::random(&mut rng, Algorithm::Ed25519)?) } else { None };
        let mut hosts = Vec::with_capacity(listeners.len());
        for (name, listener) in self.names.into_iter().zip(listeners) {
            let dir = paths.hosts.join(&name);
            std::fs::create_dir_all(&dir).map_err(|error| FleetError::File { path: dir.clone(), error })?;
            let key = match &shared_key {
                Some(key) => key.clone(),
                None => PrivateKey::random(&mut rng, Algorithm::Ed25519)?,
            };
            let state = HostState::new(name, &listener, dir, key, Arc::clone(&access), self.faults.clone())
                .map_err(|error| FleetError::File { path: paths.root.clone(), error })?;
            let state = Arc::new(state);
            tokio::spawn(client::accept(Arc::clone(&state), listener));
            hosts.push(FleetHost(state));
        }
        let fleet = Fleet { hosts, access, paths, _temporary: temporary };
        fleet.write_files()?;
        Ok(fleet)
    }

    fn make_root(&self) -> Result<(PathBuf, Option<TempDir>), FleetError> {
        let (root, temporary) = if let Some(root) = &self.root {
            (root.clone(), None)
        } else {
            let dir = tempfile::Builder::new()
                .prefix("fabric-fleet-")
                .tempdir()
                .map_err(|error| FleetError::File { path: std::env::temp_dir(), error })?;
            (dir.path().to_owned(), Some(dir))
        };
        let hosts = root.join("hosts");
        std::fs::create_dir_all(&hosts).map_err(|error| FleetError::File { path: hosts.clone(), error })?;
        // So that a command's `pwd -P` prints the path that the fleet reports.
        let real = root.canonicalize().map_err(|error| FleetError::File { path: root, error })?;
        Ok((real, temporary))
    }

    /// A listener for each host. A port that is free on the first address may be used on another: then the next free
    /// one is tried.
    async fn listen(&self) -> Result<Vec<TcpListener>, FleetError> {
        const TRIES: usize = 20;
        let addresses = self.host_addresses()?;
        let mut tries = 0;
        'again: loop {
            tries += 1;
            let mut port = self.port;
            let mut listeners = Vec::with_capacity(addresses.len());
            for address in &addresses {
                let address = SocketAddr::new(IpAddr::V4(*address), port);
                let bound =
                    TcpListener::bind(address).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
                match bound {
                    Ok((bound, listener)) => {
                        if matches!(self.addresses, Addresses::Each(_)) {
                            port = bound.port();
                        } else if port != 0 {
                            port += 1;
                        }
                        listeners.push(listener);
                    }
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse && self.port == 0 && tries < TRIES => {
                        continue 'again;
                    }
                    Err(error) => return Err(FleetError::Listen { address, error }),
                }
            }
            return Ok(listeners);
        }
    }

    fn host_addresses(&self) -> Result<Vec<Ipv4Addr>, FleetError> {
        let asked = self.names.len();
        let (first, step) = match self.addresses {
            Addresses::Each(first) => (first, 1),
            Addresses::One(address) => (address, 0),
        };
        if !first.is_loopback() {
            return Err(FleetError::NotLoopback { address: IpAddr::V4(first) });
        }
        // x.y.z.0 and x.y.z.255 look like networks and broadcasts to people and to some programs.
        let usable: Vec<Ipv4Addr> = (u32::from(first)..)
            .map(Ipv4Addr::from)
            .take_while(Ipv4Addr::is_loopback)
            .filter(|address| !matches!(address.octets()[3], 0 | 255))
            .take(if step == 0 { 1 } else { asked })
            .collect();
        match usable.first() {
            Some(only) if step == 0 => Ok(vec![*only; asked]),
            _ if usable.len() < asked => Err(FleetError::TooMany { asked, most: usable.len() }),
            _ => Ok(usable),
        }
    }
}

fn check_names(names: &[String]) -> Result<(), FleetError> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        let wrong = |reason| Err(FleetError::Name { name: name.clone(), reason });
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || name.starts_with(['.', '-']) || !name.chars().all(plain) {
            return wrong("use letters, digits, `.`, `-` and `_`, with a letter or digit first");
        }
        if !seen.insert(name) {
            return wrong("two hosts have it");
        }
    }
    Ok(())
}

/// Raises the soft limit of open files if a fleet of this size needs more: a host has a listener, and each connection a
/// socket and perhaps the pipes of a process.
fn allow_files(hosts: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = 256 + 6 * hosts as u64;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = limit.maximum.map_or(wanted, |most| most.min(wanted));
        // If that isn't allowed, the listener that doesn't fit reports an error.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum });
    }
}
