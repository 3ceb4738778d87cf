//! A host string after settings and ssh_config have been applied: everything needed to connect.
//!
//! fabric-transport takes a [`Target`] and reads no settings; fabric-config makes one, gateways
//! included; a program of your own can fill one in by hand.

mod gateway;
mod host_keys;
mod login;
mod resolve;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::host::HostString;
use crate::setters::setters;
use crate::settings::{Settings, Value};

pub use gateway::Gateway;
pub use host_keys::{HostKeyCheck, HostKeyPolicy, UpdateHostKeys};
pub use login::{Auth, Identity};
pub use resolve::{Resolve, SettingsAndTarget};

/// Everything needed to connect to one host.
///
/// ```
/// use fabric_core::{Gateway, Target};
///
/// let bastion = Target::new("bastion.example.com".parse()?);
/// let target = Target::new("web1.internal".parse()?).user("deploy".to_owned()).gateway(Gateway::Jump(Box::new(bastion)));
/// assert_eq!(target.address(), ("web1.internal", 22));
/// # Ok::<(), fabric_core::HostStringError>(())
/// ```
///
/// Two are equal if all of it is, the host string as written included; [`SessionKey`](crate::SessionKey) compares what they
/// reach.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// The host string, as written; its host part is the `original_host` of Fabric 3.
    pub host_string: HostString,
    /// The name or address to dial: the setting `hostname`, else ssh_config's HostName, else the host part.
    pub host: String,
    /// The port. Default: 22.
    pub port: u16,
    /// The login user. `None`: the user this program runs as.
    pub user: Option<String>,
    /// Which of `user` and `port` are mere defaults.
    pub unasked: Unasked,
    /// The transport's name. Default: `ssh`, or the host string's scheme.
    pub transport: String,
    /// What yields the byte stream, if the transport doesn't dial by itself.
    pub gateway: Option<Gateway>,
    /// How to log in.
    pub auth: Auth,
    /// Which host keys to trust.
    pub host_keys: HostKeyPolicy,
    /// How long each phase may take, and how often to try.
    pub timeouts: Timeouts,
    /// How a silent peer is noticed.
    pub keepalive: Keepalive,
    /// Which algorithms to offer.
    pub algorithms: Algorithms,
    /// Whether to compress. Default: no.
    pub compression: bool,
    /// Whether processes there may reach the user's agent. Default: no.
    pub forward_agent: bool,
    /// Which kinds of addresses to dial.
    pub address_family: AddressFamily,
    /// The local address to dial from (`BindAddress`).
    pub bind_address: Option<String>,
    /// What an interactive shell runs.
    pub shell: Shell,
    /// Warnings for users, to show once a run. They make no difference between two targets.
    pub warnings: Vec<String>,
    /// Variables to send with each session (`SendEnv`, `SetEnv`); the host may drop them.
    pub send_env: Vec<(String, String)>,
    /// Lines of ssh_config (setting `ssh_options`) for a transport that is an ssh of its own; for `ssh` the other fields have
    /// what they say. Default: none.
    pub ssh_options: Vec<String>,
    /// Options of a plugin's transport or gateway.
    pub options: BTreeMap<String, Value>,
}

setters!(Target {
    #[into] host: String,
    port: u16,
    #[into] user: Option<String>,
    #[into] transport: String,
    #[into] gateway: Option<Gateway>,
    auth: Auth,
    host_keys: HostKeyPolicy,
    timeouts: Timeouts,
    keepalive: Keepalive,
    algorithms: Algorithms,
    compression: bool,
    forward_agent: bool,
    address_family: AddressFamily,
    #[into] bind_address: Option<String>,
    shell: Shell,
    send_env: Vec<(String, String)>,
    ssh_options: Vec<String>,
    options: BTreeMap<String, Value>,
});

impl Target {
    /// The target of a host string with defaults for everything that it doesn't say.
    pub fn new(host_string: HostString) -> Self {
        Self {
            host: host_string.host().to_owned(),
            port: host_string.port().unwrap_or(DEFAULT_PORT),
            user: host_string.user().map(str::to_owned),
            unasked: Unasked { user: false, port: host_string.port().is_none() },
            transport: host_string.scheme().unwrap_or("ssh").to_owned(),
            host_string,
            gateway: None,
            auth: Auth::default(),
            host_keys: HostKeyPolicy::default(),
            timeouts: Timeouts::default(),
            keepalive: Keepalive::default(),
            algorithms: Algorithms::default(),
            compression: false,
            forward_agent: false,
            address_family: AddressFamily::Any,
            bind_address: None,
            shell: Shell::default(),
            warnings: Vec::new(),
            send_env: Vec::new(),
            ssh_options: Vec::new(),
            options: BTreeMap::new(),
        }
    }

    /// Host and port to dial.
    pub fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// The user that was asked for: in the host string, ssh_config or a setting.
    pub fn asked_user(&self) -> Option<&str> {
        self.user.as_deref().filter(|_| !self.unasked.user)
    }

    /// The port that was asked for: in the host string, ssh_config or a setting.
    pub fn asked_port(&self) -> Option<u16> {
        Some(self.port).filter(|port| !self.unasked.port || *port != DEFAULT_PORT)
    }
}

/// Which values of a [`Target`] are mere defaults: nothing asked for them. A transport with defaults of its own, such as a
/// container's user or the `ssh` program's configuration, does not get them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unasked {
    /// The user is the one this program runs as.
    pub user: bool,
    /// The port is SSH's.
    pub port: bool,
}

setters!(Unasked { user: bool, port: bool });

/// The port of SSH.
const DEFAULT_PORT: u16 = 22;

/// How long each phase of connecting may take.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// From the beginning of connecting, of each address anew, to the server's version line (`timeout`; ConnectTimeout of
    /// ssh_config(5)). Default: 10 s. `None`: as long as it takes. A transport that is given a gateway's stream finds here
    /// what is left of it.
    pub connect: Option<Duration>,
    /// From the connected stream to the version line, and then for the key exchange (`banner_timeout`); [`Duration::MAX`] is as
    /// long as they take. Default: `None`, where `connect` covers the version line, and the key exchange may take 15 s.
    pub banner: Option<Duration>,
    /// For each answer during authentication (`auth_timeout`). Default: 30 s.
    pub auth: Option<Duration>,
    /// For opening a channel. Default: 30 s.
    pub channel: Option<Duration>,
    /// Tries in all (`connection_attempts`). Default: 1.
    pub attempts: NonZeroU32,
}

setters!(Timeouts {
    #[into] connect: Option<Duration>,
    #[into] banner: Option<Duration>,
    #[into] auth: Option<Duration>,
    #[into] channel: Option<Duration>,
    attempts: NonZeroU32,
});

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Some(Duration::from_secs(10)),
            banner: None,
            auth: Some(Duration::from_secs(30)),
            channel: Some(Duration::from_secs(30)),
            attempts: NonZeroU32::MIN,
        }
    }
}

impl Timeouts {
    /// For the key exchange.
    pub fn key_exchange(&self) -> Duration {
        self.banner.unwrap_or(Duration::from_secs(15))
    }
}

/// How a silent peer is noticed (`ServerAliveInterval`, `ServerAliveCountMax`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keepalive {
    /// After this much silence a question is sent; `None` is never. Default: 30 seconds.
    pub interval: Option<Duration>,
    /// After this many unanswered questions, and as much silence again, the connection is given up. Default: 3.
    pub count: u32,
}

setters!(Keepalive { #[into] interval: Option<Duration>, count: u32 });

impl Default for Keepalive {
    fn default() -> Self {
        Self { interval: Some(Duration::from_secs(30)), count: 3 }
    }
}

/// What an interactive shell (`open_shell`) runs: what ssh_config(5) says about `ssh HOST`. Commands and files don't use it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shell {
    /// Whether it has a terminal (`RequestTTY`). Default: the login shell has one, a command hasn't.
    pub pty: Option<bool>,
    /// What is run instead of the login shell, or which subsystem is (`RemoteCommand`).
    pub command: Option<String>,
    /// What the command is (`SessionType`).
    pub kind: ShellKind,
}

setters!(Shell { #[into] pty: Option<bool>, #[into] command: Option<String>, kind: ShellKind });

impl Shell {
    /// Whether it has a terminal.
    pub fn has_pty(&self) -> bool {
        self.pty.unwrap_or(self.command.is_none())
    }
}

/// `SessionType` of ssh_config(5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ShellKind {
    /// A shell, or a command.
    #[default]
    Default,
    /// A subsystem.
    Subsystem,
    /// None: nothing can be run.
    None,
}

/// Algorithms to offer, in order; an empty list is the transport's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Algorithms {
    /// `KexAlgorithms`.
    pub kex: Vec<String>,
    /// `Ciphers`.
    pub ciphers: Vec<String>,
    /// `MACs`.
    pub macs: Vec<String>,
    /// `HostKeyAlgorithms`.
    pub host_keys: Vec<String>,
    /// Where a list comes from, by its keyword in ssh_config(5), for errors.
    pub places: BTreeMap<&'static str, String>,
}

setters!(Algorithms {
    kex: Vec<String>,
    ciphers: Vec<String>,
    macs: Vec<String>,
    host_keys: Vec<String>,
});

/// Which kinds of addresses to dial (`AddressFamily`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum AddressFamily {
    /// Any.
    #[default]
    Any,
    /// IPv4 only.
    Inet,
    /// IPv6 only.
    Inet6,
}

impl Target {
    /// The target of a host string under these settings, ssh_config and gateway left out.
    pub fn from_settings(host_string: HostString, settings: &Settings) -> Self {
        let mut target = Self::new(host_string);
        if let Some(name) = &settings.hostname {
            target.host.clone_from(name);
        }
        let written = &target.host_string;
        let port = written.port().or(settings.port);
        target.port = port.unwrap_or(DEFAULT_PORT);
        target.unasked.port = port.is_none();
        target.user = target.user.or_else(|| settings.user.clone());
        if written.scheme().is_none() {
            target.transport.clone_from(&settings.transport);
        }
        target.auth.identities = settings.key_filename.iter().map(Identity::new).collect();
        target.auth.key.clone_from(&settings.key);
        target.auth.passphrase.clone_from(&settings.passphrase);
        target.auth.password = settings.password_for(&target.host_string, target.user.as_deref(), target.port);
        target.auth.gssapi = settings.gss_auth;
        target.auth.gssapi_delegate = settings.gss_deleg;
        target.host_keys.check = match (settings.disable_known_hosts, settings.reject_unknown_hosts) {
            (true, _) => HostKeyCheck::Off,
            (false, true) => HostKeyCheck::Strict,
            (false, false) => HostKeyCheck::default(),
        };
        target.host_keys.system_files.extend(settings.system_known_hosts.clone());
        target.timeouts = Timeouts {
            connect: settings.timeout.limit(),
            banner: settings.banner_timeout.map(|limit| limit.limit().unwrap_or(Duration::MAX)),
            auth: settings.auth_timeout.limit(),
            channel: settings.channel_timeout.limit(),
            attempts: NonZeroU32::new(settings.connection_attempts).unwrap_or(NonZeroU32::MIN),
        };
        target.keepalive.interval = settings.keepalive.limit();
        target.compression = settings.compression;
        target.algorithms = Algorithms {
            kex: settings.kex_algorithms.clone(),
            ciphers: settings.ciphers.clone(),
            macs: settings.macs.clone(),
            host_keys: settings.host_key_algorithms.clone(),
            places: BTreeMap::new(),
        };
        target.forward_agent = settings.forward_agent;
        if target.transport != "ssh" {
            target.ssh_options.clone_from(&settings.ssh_options);
        }
        target.options = settings.transport_options.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        target
    }
}
