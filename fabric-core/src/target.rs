//! A host string after settings and ssh_config have been applied: everything needed to connect.
//!
//! fabric-transport takes a [`Target`] and reads no settings; fabric-config makes one, gateways
//! included; a program of your own can fill one in by hand.

mod resolve;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{HostStringError, HostStringErrorKind};
use crate::host::HostString;
use crate::secret::Secret;
use crate::settings::{Settings, Value};

pub use resolve::{Resolve, SettingsAndTarget};

/// Everything needed to connect to one host.
///
/// ```
/// use fabric_core::{Gateway, Target};
///
/// let mut target = Target::new("web1.internal".parse()?);
/// target.user = Some("deploy".into());
/// target.gateway = Some(Gateway::Jump(Box::new(Target::new("bastion.example.com".parse()?))));
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
    /// What an interactive shell there is.
    pub shell: Shell,
    /// What whoever connects to it should know, once a run. No difference between two targets.
    pub warnings: Vec<String>,
    /// Variables to send with each session (`SendEnv`, `SetEnv`); the host may drop them.
    pub send_env: Vec<(String, String)>,
    /// Options of a plugin's transport or gateway.
    pub options: BTreeMap<String, Value>,
}

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

/// What a [`Target`] has because it must have something, and not because it was asked for. A transport with
/// defaults of its own, such as a container's user or the `ssh` program's configuration, is not told of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unasked {
    /// The user is the one this program runs as.
    pub user: bool,
    /// The port is SSH's.
    pub port: bool,
}

/// SSH's.
const DEFAULT_PORT: u16 = 22;

/// What yields the byte stream on which a session runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gateway {
    /// Another host's session (ProxyJump). Its own gateway, if any, comes before it.
    Jump(Box<Target>),
    /// A command of the user's shell whose pipes are the stream (ProxyCommand), tokens expanded.
    Command(String),
    /// A plugin that serves this scheme.
    Plugin {
        /// The scheme, which names the plugin.
        scheme: String,
        /// The whole text, `socks5://user@proxy:1080`, without a password.
        url: String,
        /// The password, if the text had one.
        password: Option<Secret>,
    },
}

/// How to log in. The order is OpenSSH's: certificates and keys (agent first where it has them), then
/// GSSAPI, keyboard-interactive and password, as [`Auth::methods`] has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Methods in order (`PreferredAuthentications`). Default: gssapi-with-mic, publickey,
    /// keyboard-interactive, password.
    pub methods: Vec<String>,
    /// Key files in order. Those given explicitly come before the default ones.
    pub identities: Vec<Identity>,
    /// Whether the identities that were not given explicitly were named all the same (`IdentityFile`): then a failed login
    /// lists those that don't exist too. Default: no, they are those that `ssh` looks for by itself.
    pub identities_named: bool,
    /// The text of a private key (`key` of Fabric 1).
    pub key: Option<Secret>,
    /// Certificate files beside those found next to the keys (`CertificateFile`).
    pub certificates: Vec<PathBuf>,
    /// Whether to offer only the keys in `identities`, not all that the agent has.
    pub identities_only: bool,
    /// The socket of the user's agent; `None` uses no agent (`no_agent`, `IdentityAgent none`).
    pub agent: Option<PathBuf>,
    /// For key files that are encrypted; asked for where it is missing.
    pub passphrase: Option<Secret>,
    /// The login password; asked for where it is missing and the server wants one.
    pub password: Option<Secret>,
    /// How often to ask for a password. Default: 3 (`NumberOfPasswordPrompts`).
    pub password_prompts: u32,
    /// Signature algorithms to use keys with (`PubkeyAcceptedAlgorithms`, with its `+`, `^` and `-` before the first); empty
    /// is all but SHA-1.
    pub key_algorithms: Vec<String>,
    /// Whether to try GSSAPI (`GSSAPIAuthentication`). Default: no.
    pub gssapi: bool,
    /// Whether to delegate GSSAPI credentials. Default: no.
    pub gssapi_delegate: bool,
}

impl Default for Auth {
    fn default() -> Self {
        let methods = ["gssapi-with-mic", "publickey", "keyboard-interactive", "password"];
        Self {
            methods: methods.map(str::to_owned).to_vec(),
            identities: Vec::new(),
            identities_named: false,
            key: None,
            certificates: Vec::new(),
            identities_only: false,
            agent: None,
            passphrase: None,
            password: None,
            password_prompts: 3,
            key_algorithms: Vec::new(),
            gssapi: false,
            gssapi_delegate: false,
        }
    }
}

/// A private key file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Where it is, or its public half, where the agent has the private one.
    pub path: PathBuf,
    /// Whether it was asked for: a missing or unreadable file is then an error, not passed over.
    pub explicit: bool,
}

/// Which host keys to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyPolicy {
    /// What to do about unknown keys.
    pub check: HostKeyCheck,
    /// The user's files, the first of which gets new keys. Default: none; fabric-config fills in
    /// `~/.ssh/known_hosts` and `~/.ssh/known_hosts2`.
    pub user_files: Vec<PathBuf>,
    /// The system's files, never written.
    pub system_files: Vec<PathBuf>,
    /// A program with its arguments that prints further lines of known_hosts (`KnownHostsCommand`), with the tokens `%H`, `%I`,
    /// `%K`, `%f`, `%t` and `%%`. Default: none.
    pub command: Option<Vec<String>>,
    /// A file of public keys, one a line, that no host may have, nor an authority that vouches for one (`RevokedHostKeys`). If
    /// it can't be read, no host is spoken to. Default: none.
    pub revoked: Option<PathBuf>,
    /// The name to look keys up under instead of the host's (`HostKeyAlias`).
    pub alias: Option<String>,
    /// Whether recorded names are hashed (`HashKnownHosts`). Default: no.
    pub hash_names: bool,
    /// Whether the user's files follow the keys that a known host says it has now (`UpdateHostKeys`). Default: no;
    /// fabric-config says yes where ssh_config(5) does.
    pub update: UpdateHostKeys,
}

/// `UpdateHostKeys` of ssh_config(5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UpdateHostKeys {
    /// Known keys stay as they are.
    #[default]
    No,
    /// What a host has proved is taken over.
    Yes,
    /// So it is if a person says so.
    Ask,
}

impl Default for HostKeyPolicy {
    fn default() -> Self {
        Self {
            check: HostKeyCheck::default(),
            user_files: Vec::new(),
            system_files: Vec::new(),
            command: None,
            revoked: None,
            alias: None,
            hash_names: false,
            update: UpdateHostKeys::No,
        }
    }
}

/// What to do about a host key (`StrictHostKeyChecking`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostKeyCheck {
    /// Record keys of unknown hosts in the first of [`HostKeyPolicy::user_files`], which is made if it isn't there, and refuse
    /// changed ones. Where there is no such file, unknown hosts are refused. The default.
    #[default]
    RecordNew,
    /// The same, but without such a file keys of unknown hosts are accepted, each time anew
    /// (`StrictHostKeyChecking accept-new`).
    AcceptNew,
    /// Refuse unknown hosts and changed keys (`reject_unknown_hosts`).
    Strict,
    /// Ask a person about unknown hosts, refuse changed keys.
    Ask,
    /// Record keys of unknown hosts; take changed ones with a warning, but give such a host no password and no agent
    /// (`StrictHostKeyChecking no`).
    Lax,
    /// Take any key and record none (`disable_known_hosts`). Revoked keys are refused still.
    Off,
}

/// How long each phase of connecting may take.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub attempts: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Some(Duration::from_secs(10)),
            banner: None,
            auth: Some(Duration::from_secs(30)),
            channel: Some(Duration::from_secs(30)),
            attempts: 1,
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
pub struct Keepalive {
    /// After this much silence a question is sent; `None` is never. Default: 30 seconds.
    pub interval: Option<Duration>,
    /// After this many unanswered questions, and as much silence again, the connection is given up. Default: 3.
    pub count: u32,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { interval: Some(Duration::from_secs(30)), count: 3 }
    }
}

/// What an interactive shell (`open_shell`) is: what ssh_config(5) says about `ssh HOST`. Commands and files go without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shell {
    /// Whether it has a terminal (`RequestTTY`). Default: the login shell has one, a command hasn't.
    pub pty: Option<bool>,
    /// What is run instead of the login shell, or which subsystem is (`RemoteCommand`).
    pub command: Option<String>,
    /// What the command is (`SessionType`).
    pub kind: ShellKind,
}

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
pub struct Algorithms {
    /// `KexAlgorithms`.
    pub kex: Vec<String>,
    /// `Ciphers`.
    pub ciphers: Vec<String>,
    /// `MACs`.
    pub macs: Vec<String>,
    /// `HostKeyAlgorithms`.
    pub host_keys: Vec<String>,
    /// Where a list stands, by its keyword in ssh_config(5), for errors.
    pub places: BTreeMap<&'static str, String>,
}

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
        target.auth.identities =
            settings.key_filename.iter().map(|path| Identity { path: PathBuf::from(path), explicit: true }).collect();
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
            attempts: settings.connection_attempts.max(1),
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
        target.options = settings.transport_options.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        target
    }
}

impl Gateway {
    /// Reads the `gateway` setting: a plugin's where it begins with a scheme, a ProxyCommand where it has white
    /// space, else hops separated by commas, the first of which is dialled first (OpenSSH's order). `none` is no
    /// gateway. Each hop's target comes from `resolve`.
    pub fn parse<E: From<HostStringError>>(
        text: &str,
        mut resolve: impl FnMut(&HostString) -> Result<Target, E>,
    ) -> Result<Option<Self>, E> {
        let text = text.trim();
        if text.is_empty() || text.eq_ignore_ascii_case("none") {
            return Ok(None);
        }
        // First, as a password may have white space in it, and must not become a command's.
        if let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
            // A path has no login before it, whatever is in it.
            let (url, password) = match rest.rsplit_once('@').filter(|_| !rest.starts_with('/')) {
                Some((login, address)) => match login.split_once(':') {
                    Some((user, password)) => (format!("{scheme}://{user}@{address}"), Some(Secret::new(password))),
                    None => (text.to_owned(), None),
                },
                None => (text.to_owned(), None),
            };
            return Ok(Some(Self::Plugin { scheme: scheme.to_owned(), url, password }));
        }
        if split_url(text).is_some() {
            // It would be a hop with the password as a part of its user.
            return Err(HostStringError { text: Self::shown(text), kind: HostStringErrorKind::NotUrl }.into());
        }
        if text.contains(char::is_whitespace) {
            return Ok(Some(Self::Command(text.to_owned())));
        }
        let mut gateway = None;
        for hop in text.split(',') {
            let mut target = resolve(&HostString::parse(hop)?)?;
            if gateway.is_some() {
                target.gateway = gateway;
            }
            gateway = Some(Self::Jump(Box::new(target)));
        }
        Ok(gateway)
    }
}

impl Gateway {
    /// A `gateway` setting as it may be shown: whatever may be a password in it is `***`, in an address that is
    /// mistyped too.
    ///
    /// ```
    /// use fabric_core::Gateway;
    ///
    /// assert_eq!(Gateway::shown("socks5://joe:secret@proxy:1080"), "socks5://joe:***@proxy:1080");
    /// assert_eq!(Gateway::shown("socks5:/joe:secret"), "socks5:/joe:***");
    /// assert_eq!(Gateway::shown("socks5://proxy:1080"), "socks5://proxy:1080");
    /// ```
    pub fn shown(text: &str) -> String {
        let Some((scheme, rest)) = split_url(text).filter(|(_, rest)| !rest.starts_with('/')) else {
            return text.to_owned();
        };
        let (login, address) = match rest.rfind('@') {
            Some(at) => rest.split_at(at),
            None if is_address(rest) => return text.to_owned(),
            None => (rest, ""),
        };
        match login.split_once(':') {
            Some((user, _)) => format!("{scheme}{user}:***{address}"),
            None => text.to_owned(),
        }
    }
}

/// Cuts behind `scheme://`, or what may have been meant by it (`scheme:/`). Of a path its first slash stays.
fn split_url(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.trim_start().split_once(":/")?;
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    is_scheme(scheme).then(|| text.split_at(text.len() - rest.len()))
}

/// Whether this is host and port, and so without a password.
fn is_address(text: &str) -> bool {
    let text = text.trim_end_matches('/');
    text.parse::<std::net::Ipv6Addr>().is_ok()
        || text.starts_with('[')
        || text.split_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_ok())
}

/// Whether a text may stand before `://`.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

impl Settings {
    /// The login password for a host: `passwords` under its full or any shorter spelling, else `password`.
    pub fn password_for(&self, host: &HostString, user: Option<&str>, port: u16) -> Option<Secret> {
        lookup(&self.passwords, host, user, port).or_else(|| self.password.clone())
    }

    /// The password for `sudo` on a host: `sudo_passwords`, `sudo_password`, else the login password.
    pub fn sudo_password_for(&self, host: &HostString, user: Option<&str>, port: u16) -> Option<Secret> {
        lookup(&self.sudo_passwords, host, user, port)
            .or_else(|| self.sudo_password.clone())
            .or_else(|| self.password_for(host, user, port))
    }
}

fn lookup(
    secrets: &indexmap::IndexMap<String, Secret>,
    host: &HostString,
    user: Option<&str>,
    port: u16,
) -> Option<Secret> {
    if secrets.is_empty() {
        return None;
    }
    let name = host.host();
    let bracketed = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    let user = user.unwrap_or_default();
    let spellings = [
        host.as_str().to_owned(),
        format!("{user}@{bracketed}:{port}"),
        format!("{user}@{name}"),
        format!("{bracketed}:{port}"),
        name.to_owned(),
    ];
    spellings.iter().find_map(|spelling| secrets.get(spelling).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hops_are_dialled_in_the_order_written() {
        let mut settings = Settings::default();
        settings.set("gateway", &json!("a,u@b:2200")).unwrap();
        let target = settings.target(&"web1".parse().unwrap(), &[]).unwrap();
        let Some(Gateway::Jump(last)) = target.gateway else { panic!("no hop") };
        assert_eq!((last.host.as_str(), last.port), ("b", 2200));
        let Some(Gateway::Jump(first)) = last.gateway else { panic!("no first hop") };
        assert_eq!(first.host, "a");
        assert!(first.gateway.is_none());
    }

    #[test]
    fn a_plugin_url_gives_its_password_up() {
        let gateway = Gateway::parse::<HostStringError>("socks5://me:pw@proxy:1080", |_| unreachable!()).unwrap();
        let Some(Gateway::Plugin { scheme, url, password }) = gateway else { panic!("no plugin") };
        assert_eq!((scheme.as_str(), url.as_str()), ("socks5", "socks5://me@proxy:1080"));
        assert_eq!(password.unwrap().expose(), "pw");
        for (text, left, secret) in [
            // White space in a password makes no command of it.
            ("http-connect://me:p w:@/x@[::1]:1", "http-connect://me@[::1]:1", Some("p w:@/x")),
            ("socks5://me@proxy", "socks5://me@proxy", None),
            ("unix:///run/a:b@c.sock", "unix:///run/a:b@c.sock", None),
        ] {
            let gateway = Gateway::parse::<HostStringError>(text, |_| unreachable!()).unwrap();
            let Some(Gateway::Plugin { url, password, .. }) = gateway else { panic!("no plugin") };
            assert_eq!((url.as_str(), password.as_ref().map(Secret::expose)), (left, secret));
        }
        for (text, shown) in [
            ("socks5:/joe:TOP SECRET@h", "socks5:/joe:***@h"),
            ("socks5://joe:TOPSECRET", "socks5://joe:***"),
            ("socks5://joe:1:2@3@h:1", "socks5://joe:***@h:1"),
            ("unix:///run/a:b@c.sock", "unix:///run/a:b@c.sock"),
            ("socks5://[::1]:1080", "socks5://[::1]:1080"),
            ("socks5://fe80::1", "socks5://fe80::1"),
            ("a,u@b:2200", "a,u@b:2200"),
            ("nc -X 5 -x proxy:1080 %h %p", "nc -X 5 -x proxy:1080 %h %p"),
        ] {
            assert_eq!(Gateway::shown(text), shown);
        }
        let error = Gateway::parse::<HostStringError>("socks5:/me:pw@proxy", |_| unreachable!()).unwrap_err();
        assert!(error.to_string().contains("scheme://") && !error.to_string().contains("pw"), "{error}");
        let gateway = Gateway::parse::<HostStringError>("nc -X 5 -x socks5://proxy %h %p", |_| unreachable!());
        assert!(matches!(gateway, Ok(Some(Gateway::Command(_)))));
    }

    #[test]
    fn a_password_is_found_by_any_spelling_of_its_host() {
        let mut settings = Settings::default();
        settings.set("password", &json!("all")).unwrap();
        settings.set("passwords", &json!({"u@web1:22": "one", "web2": "two"})).unwrap();
        let of = |text: &str| settings.password_for(&text.parse().unwrap(), Some("u"), 22).unwrap().expose().to_owned();
        assert_eq!([of("web1"), of("x@web2"), of("web3")], ["one", "two", "all"]);
    }
}
