//! The answer to a lookup: typed values, and where each comes from.

use std::time::Duration;

use fabric_core::target::{AddressFamily, ShellKind};

use super::algorithms::{self, Family};
use super::choices::{
    ForwardAgent, IdentityAgent, IpQos, LogLevel, RekeyLimit, RequestTty, StrictHostKeyChecking, YesNoAsk,
};
use super::directives::{self, Directive, Here, Kind};
use super::error::Fault;
use super::facts::Facts;
use super::forward::Forward;
use super::jump::Hop;
use super::lexer;
use super::origin::LineOrigin;
use super::tokens::{self, Tokens as _};
use super::value::Value;
use super::winners::{At, Winners};

/// Values that OpenSSH expands as soon as everything is known.
#[derive(Debug, Clone)]
pub(super) struct Expanded {
    pub(super) remote_command: Option<String>,
    pub(super) control_path: Option<String>,
    pub(super) identity_agent: Option<String>,
    pub(super) forward_agent_socket: Option<String>,
    pub(super) user_known_hosts: Option<Vec<String>>,
}

/// A value that several lines may give, with the line that this one comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: LineOrigin,
}

/// Everything that is in force for one host.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub(super) state: Winners,
    pub(super) facts: Facts,
    pub(super) expanded: Expanded,
}

macro_rules! flags {
    ($($(#[doc = $doc:literal])+ $name:ident $directive:ident;)+) => {
        $(
            $(#[doc = $doc])+
            pub fn $name(&self) -> bool {
                self.number(Directive::$directive) != 0
            }
        )+
    };
}

macro_rules! texts {
    ($($(#[doc = $doc:literal])+ $name:ident $directive:ident;)+) => {
        $(
            $(#[doc = $doc])+
            pub fn $name(&self) -> Option<&str> {
                self.state.text(Directive::$directive).map(|text| &**text)
            }
        )+
    };
}

impl Resolved {
    /// The host as it was asked for.
    pub fn host(&self) -> &str {
        &self.facts.host
    }

    /// `HostName`: the name or address to connect to, canonical if that was asked for.
    pub fn hostname(&self) -> &str {
        &self.facts.hostname
    }

    /// `User`: the remote user. Default: the local user's name.
    pub fn user(&self) -> &str {
        &self.facts.user
    }

    /// `Port`.
    pub fn port(&self) -> u16 {
        self.facts.port
    }

    /// Where a directive's value comes from; of a list, where its first one does.
    pub fn origin(&self, directive: Directive) -> LineOrigin {
        let single = self.state.at(directive).map(|at| self.state.origin(at));
        single.or_else(|| self.origins(directive).into_iter().next()).unwrap_or(LineOrigin::Default)
    }

    /// Where each of a directive's values comes from; nothing where the default is in force.
    pub fn origins(&self, directive: Directive) -> Vec<LineOrigin> {
        let state = &self.state;
        let of = |list: &[_]| list.iter().map(|at| state.origin(*at)).collect();
        let forwards = |list: &[(Forward, _)], dynamic: bool| {
            list.iter().filter(|(f, _)| f.is_dynamic() == dynamic).map(|(_, at)| state.origin(*at)).collect()
        };
        match directive {
            Directive::IdentityFile => of(&state.identity_files.iter().map(|(_, _, at)| *at).collect::<Vec<_>>()),
            Directive::CertificateFile => of(&state.certificate_files.iter().map(|(_, _, at)| *at).collect::<Vec<_>>()),
            Directive::SendEnv => of(&state.send_env.iter().map(|(_, at)| *at).collect::<Vec<_>>()),
            Directive::LocalForward => forwards(&state.local_forwards, false),
            Directive::DynamicForward => forwards(&state.local_forwards, true),
            Directive::RemoteForward => state.remote_forwards.iter().map(|(_, at)| state.origin(*at)).collect(),
            _ => state.at(directive).map(|at| state.origin(at)).into_iter().collect(),
        }
    }

    /// `IdentityFile`: private keys to try, in their order, `~`, tokens and variables expanded; OpenSSH's
    /// own list if no line names one. `none` is left out. Fails on an unknown token or an unset variable.
    pub fn identity_files(&self) -> Result<Vec<Sourced<String>>, Fault> {
        if self.state.identity_files.is_empty() {
            let expand = |file: &&str| Ok(Sourced { value: self.path(file)?, origin: LineOrigin::Default });
            return DEFAULT_IDENTITY_FILES.iter().map(expand).collect();
        }
        let files = self.state.identity_files.iter().filter(|(file, _, _)| !file.eq_ignore_ascii_case("none"));
        files.map(|(file, _, at)| Ok(Sourced { value: self.path(file)?, origin: self.state.origin(*at) })).collect()
    }

    /// Whether a line has `IdentityFile`: if not, [`identity_files`](Self::identity_files) are OpenSSH's defaults.
    pub fn names_identity_files(&self) -> bool {
        !self.state.identity_files.is_empty()
    }

    /// `CertificateFile`: certificates to offer, expanded. Fails on an unknown token or an unset variable.
    pub fn certificate_files(&self) -> Result<Vec<Sourced<String>>, Fault> {
        let files = self.state.certificate_files.iter();
        files.map(|(file, _, at)| Ok(Sourced { value: self.path(file)?, origin: self.state.origin(*at) })).collect()
    }

    /// `IdentityAgent`.
    pub fn identity_agent(&self) -> IdentityAgent {
        match self.expanded.identity_agent.as_deref() {
            None | Some("SSH_AUTH_SOCK") => IdentityAgent::Environment,
            Some(none) if none.eq_ignore_ascii_case("none") => IdentityAgent::None,
            Some(text) => match text.strip_prefix('$') {
                Some(name) => IdentityAgent::Variable(name.to_owned()),
                None => IdentityAgent::Socket(text.to_owned()),
            },
        }
    }

    /// `ForwardAgent`.
    pub fn forward_agent(&self) -> ForwardAgent {
        if self.number(Directive::ForwardAgent) == 0 {
            return ForwardAgent::No;
        }
        match self.expanded.forward_agent_socket.as_deref() {
            None => ForwardAgent::Yes,
            Some(text) => match text.strip_prefix('$') {
                Some(name) => ForwardAgent::Variable(name.to_owned()),
                None => ForwardAgent::Socket(text.to_owned()),
            },
        }
    }

    /// `ProxyJump`: the hops in the order in which they are travelled; none for a direct connection.
    pub fn proxy_jump(&self) -> &[Hop] {
        self.state.jump().map_or(&[], |jump| &jump.hops)
    }

    /// `ProxyCommand` as written; none if it is `none` or [`proxy_jump`](Self::proxy_jump) is in force.
    pub fn proxy_command(&self) -> Option<&str> {
        self.state.text_or_none(Directive::ProxyCommand).map(|text| &**text)
    }

    /// `ProxyCommand` with `%%`, `%h`, `%k`, `%n`, `%p` and `%r` replaced, ready for the user's shell (to be
    /// run with `exec`, as OpenSSH does). Fails on an unknown token.
    pub fn expanded_proxy_command(&self) -> Result<Option<String>, Fault> {
        let tokens = |letter: char, out: &mut String| "hknpr".contains(letter) && self.facts.push(letter, out);
        self.proxy_command().map(|command| tokens::percent(command, &tokens)).transpose()
    }

    /// `ProxyUseFdpass`: the command passes a connected socket. Always off with hops.
    pub fn proxy_use_fdpass(&self) -> bool {
        self.state.jump().is_none() && self.number(Directive::ProxyUseFdpass) == 1
    }

    /// `StrictHostKeyChecking`.
    pub fn strict_host_key_checking(&self) -> StrictHostKeyChecking {
        match self.number(Directive::StrictHostKeyChecking) {
            0 => StrictHostKeyChecking::Off,
            1 => StrictHostKeyChecking::AcceptNew,
            2 => StrictHostKeyChecking::Yes,
            _ => StrictHostKeyChecking::Ask,
        }
    }

    /// `UserKnownHostsFile`, expanded; empty for `none`.
    pub fn user_known_hosts_files(&self) -> Vec<String> {
        match &self.expanded.user_known_hosts {
            Some(files) => files.clone(),
            // `~` alone can't fail.
            None => USER_KNOWN_HOSTS.iter().filter_map(|file| self.path(file).ok()).collect(),
        }
    }

    /// `GlobalKnownHostsFile`; empty for `none`.
    pub fn global_known_hosts_files(&self) -> Vec<&str> {
        match self.state.words(Directive::GlobalKnownHostsFile) {
            None => GLOBAL_KNOWN_HOSTS.to_vec(),
            Some([none]) if none.eq_ignore_ascii_case("none") => Vec::new(),
            Some(files) => files.iter().map(|file| &**file).collect(),
        }
    }

    /// `HostKeyAlias`, in lower case: the name under which the host's key is looked up instead of its own.
    pub fn host_key_alias(&self) -> Option<String> {
        self.state.text(Directive::HostKeyAlias).map(|alias| alias.to_ascii_lowercase())
    }

    /// `HostKeyAlgorithms`, in order of preference.
    pub fn host_key_algorithms(&self) -> Vec<&str> {
        self.algorithms(Directive::HostKeyAlgorithms).split(',').collect()
    }

    /// `KexAlgorithms`, in order of preference.
    pub fn kex_algorithms(&self) -> Vec<&str> {
        self.algorithms(Directive::KexAlgorithms).split(',').collect()
    }

    /// `Ciphers`, in order of preference.
    pub fn ciphers(&self) -> Vec<&str> {
        self.algorithms(Directive::Ciphers).split(',').collect()
    }

    /// `MACs`, in order of preference.
    pub fn macs(&self) -> Vec<&str> {
        self.algorithms(Directive::Macs).split(',').collect()
    }

    /// `PubkeyAcceptedAlgorithms`, in order of preference.
    pub fn pubkey_accepted_algorithms(&self) -> Vec<&str> {
        self.algorithms(Directive::PubkeyAcceptedAlgorithms).split(',').collect()
    }

    /// `CASignatureAlgorithms`.
    pub fn ca_signature_algorithms(&self) -> Vec<&str> {
        self.algorithms(Directive::CaSignatureAlgorithms).split(',').collect()
    }

    /// The directives in force that have no effect in this program, with their origins, for logs.
    pub fn unused(&self) -> impl Iterator<Item = (Directive, LineOrigin)> {
        let unused = Directive::all().filter(|directive| directive.row().here == Here::Unused);
        unused.flat_map(|directive| self.origins(directive).into_iter().map(move |origin| (directive, origin)))
    }

    /// The lists of algorithms in force that have unknown names, with those names, which are left out of the lists.
    pub fn unknown_algorithms(&self) -> impl Iterator<Item = (Directive, Vec<&str>)> {
        Directive::all().filter_map(|directive| match self.state.value(directive)? {
            Value::Algorithms { unknown, .. } if !unknown.is_empty() => {
                Some((directive, unknown.iter().map(|name| &**name).collect()))
            }
            _ => None,
        })
    }

    /// Whether a line left a list of algorithms empty.
    pub fn left_no_algorithm(&self, directive: Directive) -> bool {
        match self.state.value(directive) {
            Some(Value::Algorithms { list, .. }) => list.as_ref().is_none_or(|list| list.is_empty()),
            _ => false,
        }
    }

    /// Whether a line changed a list of algorithms: if not, a program may use defaults of its own.
    pub fn names(&self, directive: Directive) -> bool {
        self.state.at(directive).is_some()
    }

    flags! {
        /// `IdentitiesOnly`: no keys but the named ones, even if an agent has more.
        identities_only IdentitiesOnly;
        /// `HashKnownHosts`: names in known_hosts are written as hashes.
        hash_known_hosts HashKnownHosts;
        /// `CheckHostIP`: the address is looked up in known_hosts too.
        check_host_ip CheckHostIp;
        /// `Compression`.
        compression Compression;
        /// `PasswordAuthentication`.
        password_authentication PasswordAuthentication;
        /// `KbdInteractiveAuthentication`.
        kbd_interactive_authentication KbdInteractiveAuthentication;
        /// `PubkeyAuthentication`, in any of its forms.
        pubkey_authentication PubkeyAuthentication;
        /// `HostbasedAuthentication`.
        hostbased_authentication HostbasedAuthentication;
        /// `GSSAPIAuthentication`.
        gssapi_authentication GssapiAuthentication;
        /// `GSSAPIDelegateCredentials`.
        gssapi_delegate_credentials GssapiDelegateCredentials;
        /// `GSSAPIKeyExchange` (Debian's).
        gssapi_key_exchange GssapiKeyExchange;
        /// `GSSAPITrustDns` (Debian's).
        gssapi_trust_dns GssapiTrustDns;
        /// `BatchMode`: no questions.
        batch_mode BatchMode;
        /// `TCPKeepAlive`.
        tcp_keep_alive TcpKeepAlive;
        /// `ExitOnForwardFailure`.
        exit_on_forward_failure ExitOnForwardFailure;
        /// `GatewayPorts`: local listeners take connections from elsewhere.
        gateway_ports GatewayPorts;
        /// `StreamLocalBindUnlink`: an old socket is removed before listening.
        stream_local_bind_unlink StreamLocalBindUnlink;
        /// `NoHostAuthenticationForLocalhost`.
        no_host_authentication_for_localhost NoHostAuthenticationForLocalhost;
    }

    texts! {
        /// `RefuseConnection`: why the host must not be connected to.
        refuse_connection RefuseConnection;
        /// `Tag`, which `Match tagged` compares.
        tag Tag;
        /// `BindAddress`: the local address to connect from.
        bind_address BindAddress;
        /// `BindInterface`: the network interface to connect from.
        bind_interface BindInterface;
        /// `PreferredAuthentications`: methods, comma-separated, in the order in which to try them.
        preferred_authentications PreferredAuthentications;
        /// `GSSAPIClientIdentity`.
        gssapi_client_identity GssapiClientIdentity;
        /// `GSSAPIServerIdentity`.
        gssapi_server_identity GssapiServerIdentity;
        /// `KbdInteractiveDevices`.
        kbd_interactive_devices KbdInteractiveDevices;
    }

    /// `RevokedHostKeys`: a file of keys that no host may have; OpenSSH 9.2 expands nothing in it.
    pub fn revoked_host_keys(&self) -> Option<&str> {
        self.state.text_or_none(Directive::RevokedHostKeys).map(|text| &**text)
    }

    /// `KnownHostsCommand`, tokens not replaced: a command that prints further lines of known_hosts.
    pub fn known_hosts_command(&self) -> Option<&str> {
        self.state.text_or_none(Directive::KnownHostsCommand).map(|text| &**text)
    }

    /// The words of [`known_hosts_command`](Self::known_hosts_command), the first of which is an absolute path, with all tokens
    /// replaced but `%%` and those that depend on the key that is looked for: `%H`, `%I`, `%K`, `%f` and `%t`.
    pub fn known_hosts_command_words(&self) -> Result<Option<Vec<String>>, Fault> {
        let Some(text) = self.known_hosts_command() else { return Ok(None) };
        let tokens = |letter: char, out: &mut String| {
            if matches!(letter, 'H' | 'I' | 'K' | 'f' | 't') {
                out.extend(['%', letter]);
                return true;
            }
            let mut value = String::new();
            let known = self.facts.push(letter, &mut value);
            out.push_str(&value.replace('%', "%%"));
            known
        };
        let words = lexer::words(text).ok_or(Fault::Quotes)?;
        let words: Vec<String> =
            words.iter().map(|word| tokens::percent(&word.replace("%%", "%%%%"), &tokens)).collect::<Result<_, _>>()?;
        match words.first() {
            Some(program) if program.starts_with('/') => Ok(Some(words)),
            _ => Err(Fault::Conflict("KnownHostsCommand needs the program's absolute path")),
        }
    }

    /// `NumberOfPasswordPrompts`.
    pub fn number_of_password_prompts(&self) -> u32 {
        self.number(Directive::NumberOfPasswordPrompts) as u32
    }

    /// `RequiredRSASize`, in bits.
    pub fn required_rsa_size(&self) -> u32 {
        self.number(Directive::RequiredRsaSize) as u32
    }

    /// `ConnectTimeout`; `None` is the system's.
    pub fn connect_timeout(&self) -> Option<Duration> {
        self.state.number(Directive::ConnectTimeout).map(|seconds| Duration::from_secs(seconds as u64))
    }

    /// `ConnectionAttempts`: at least 1.
    pub fn connection_attempts(&self) -> u32 {
        self.number(Directive::ConnectionAttempts) as u32
    }

    /// `ServerAliveInterval`; `None` is off (0).
    pub fn server_alive_interval(&self) -> Option<Duration> {
        Some(self.number(Directive::ServerAliveInterval) as u64).filter(|s| *s > 0).map(Duration::from_secs)
    }

    /// `ServerAliveCountMax`.
    pub fn server_alive_count_max(&self) -> u32 {
        self.number(Directive::ServerAliveCountMax) as u32
    }

    /// `AddressFamily`.
    pub fn address_family(&self) -> AddressFamily {
        self.state.address_family()
    }

    /// `SendEnv`: patterns of variables to send.
    pub fn send_env(&self) -> Vec<Sourced<&str>> {
        let names = self.state.send_env.iter();
        names.map(|(name, at)| Sourced { value: &**name, origin: self.state.origin(*at) }).collect()
    }

    /// `SetEnv`: variables to send, by name and value.
    pub fn set_env(&self) -> Vec<(&str, &str)> {
        let pairs = self.state.words(Directive::SetEnv).unwrap_or_default();
        pairs.iter().filter_map(|pair| pair.split_once('=')).collect()
    }

    /// `SessionType`.
    pub fn session_type(&self) -> ShellKind {
        match self.number(Directive::SessionType) {
            0 => ShellKind::None,
            1 => ShellKind::Subsystem,
            _ => ShellKind::Default,
        }
    }

    /// `RequestTTY`.
    pub fn request_tty(&self) -> RequestTty {
        match self.number(Directive::RequestTty) {
            1 => RequestTty::No,
            2 => RequestTty::Yes,
            3 => RequestTty::Force,
            _ => RequestTty::Auto,
        }
    }

    /// `RemoteCommand`, tokens replaced.
    pub fn remote_command(&self) -> Option<&str> {
        self.expanded.remote_command.as_deref()
    }

    /// `ControlPath`, expanded; none if it is `none`.
    pub fn control_path(&self) -> Option<&str> {
        self.expanded.control_path.as_deref()
    }

    /// `LocalForward`s.
    pub fn local_forwards(&self) -> Vec<Sourced<&Forward>> {
        self.forwards(&self.state.local_forwards, false)
    }

    /// `DynamicForward`s.
    pub fn dynamic_forwards(&self) -> Vec<Sourced<&Forward>> {
        self.forwards(&self.state.local_forwards, true)
    }

    /// `RemoteForward`s, the dynamic ones too.
    pub fn remote_forwards(&self) -> Vec<Sourced<&Forward>> {
        let forwards = self.state.remote_forwards.iter();
        forwards.map(|(value, at)| Sourced { value, origin: self.state.origin(*at) }).collect()
    }

    fn forwards<'a>(&'a self, list: &'a [(Forward, At)], dynamic: bool) -> Vec<Sourced<&'a Forward>> {
        let forwards = list.iter().filter(|(forward, _)| forward.is_dynamic() == dynamic);
        forwards.map(|(value, at)| Sourced { value, origin: self.state.origin(*at) }).collect()
    }

    /// `LogLevel`.
    pub fn log_level(&self) -> LogLevel {
        match self.number(Directive::LogLevel) {
            0 => LogLevel::Quiet,
            1 => LogLevel::Fatal,
            2 => LogLevel::Error,
            4 => LogLevel::Verbose,
            5 => LogLevel::Debug1,
            6 => LogLevel::Debug2,
            7 => LogLevel::Debug3,
            _ => LogLevel::Info,
        }
    }

    /// `UpdateHostKeys`. By default on, unless `UserKnownHostsFile` or `VerifyHostKeyDNS` is set.
    pub fn update_host_keys(&self) -> YesNoAsk {
        yes_no_ask(self.number(Directive::UpdateHostKeys))
    }

    /// `VerifyHostKeyDNS`.
    pub fn verify_host_key_dns(&self) -> YesNoAsk {
        yes_no_ask(self.number(Directive::VerifyHostKeyDns))
    }

    /// `RekeyLimit`.
    pub fn rekey_limit(&self) -> RekeyLimit {
        let (bytes, seconds) = self.rekey_numbers();
        let positive = |n: i64| u64::try_from(n).ok().filter(|n| *n > 0);
        RekeyLimit { bytes: positive(bytes), interval: positive(seconds).map(Duration::from_secs) }
    }

    /// `IPQoS`.
    pub fn ip_qos(&self) -> IpQos {
        let (interactive, bulk) = self.pair(Directive::IpQos);
        IpQos { interactive: u8::try_from(interactive).ok(), bulk: u8::try_from(bulk).ok() }
    }

    fn path(&self, text: &str) -> Result<String, Fault> {
        let local = &self.facts.local;
        tokens::percent_and_variables(&tokens::tilde(text, local)?, &self.facts, local)
    }

    /// A number, word or switch in force.
    pub(super) fn number(&self, directive: Directive) -> i64 {
        let set = self.state.number(directive);
        match directive {
            Directive::UpdateHostKeys => self.update_host_keys_number(set),
            Directive::ServerAliveInterval => {
                set.unwrap_or(if self.state.number(Directive::BatchMode) == Some(1) { 300 } else { 0 })
            }
            _ => set.unwrap_or_else(|| default_number(directive)),
        }
    }

    fn update_host_keys_number(&self, set: Option<i64>) -> i64 {
        let state = &self.state;
        let number = set.unwrap_or_else(|| {
            let usual_files = match state.words(Directive::UserKnownHostsFile) {
                None => true,
                Some([file]) => &**file == USER_KNOWN_HOSTS[0],
                Some(_) => false,
            };
            i64::from(usual_files && state.number(Directive::VerifyHostKeyDns).unwrap_or(0) == 0)
        });
        // If no question can be asked, `ask` is off.
        let persists = self.pair(Directive::ControlPersist).0 != 0 && self.control_path().is_some();
        let cannot_ask = persists
            || self.remote_command().is_some()
            || self.number(Directive::RequestTty) == 1
            || self.number(Directive::LogLevel) < 3;
        if number == 2 && cannot_ask { 0 } else { number }
    }

    pub(super) fn pair(&self, directive: Directive) -> (i64, i64) {
        match (self.state.value(directive), directive) {
            (Some(Value::Pair(first, second)), _) => (*first, *second),
            (_, Directive::IpQos) => (0x10, 0x08),
            (_, Directive::TunnelDevice) => (super::parse::ANY_TUNNEL, super::parse::ANY_TUNNEL),
            _ => (0, 0),
        }
    }

    pub(super) fn rekey_numbers(&self) -> (i64, i64) {
        let bytes = match self.state.value(Directive::RekeyLimit) {
            Some(Value::Rekey(bytes, _)) => *bytes,
            _ => 0,
        };
        match self.state.value(Directive::RekeyInterval) {
            Some(Value::Rekey(_, Some(seconds))) => (bytes, *seconds),
            _ => (bytes, 0),
        }
    }

    /// A list of algorithms in force, comma-separated; the default if a line left nothing.
    pub(super) fn algorithms(&self, directive: Directive) -> &str {
        match self.state.value(directive) {
            Some(Value::Algorithms { list: Some(list), .. } | Value::Text(list)) => list,
            _ => match directive.row().kind {
                Kind::Algorithms(family) => family.default_list(),
                Kind::GssKexes => algorithms::DEFAULT_GSS_KEXES,
                _ => Family::Key.default_list(),
            },
        }
    }
}

fn yes_no_ask(number: i64) -> YesNoAsk {
    match number {
        0 => YesNoAsk::No,
        1 => YesNoAsk::Yes,
        _ => YesNoAsk::Ask,
    }
}

/// What `ssh -G` prints for `IdentityFile` if no line names one.
pub(super) const DEFAULT_IDENTITY_FILES: [&str; 7] = [
    "~/.ssh/id_rsa",
    "~/.ssh/id_ecdsa",
    "~/.ssh/id_ecdsa_sk",
    "~/.ssh/id_ed25519",
    "~/.ssh/id_ed25519_sk",
    "~/.ssh/id_xmss",
    "~/.ssh/id_dsa",
];
pub(super) const USER_KNOWN_HOSTS: [&str; 2] = ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"];
pub(super) const GLOBAL_KNOWN_HOSTS: [&str; 2] = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];

/// OpenSSH's defaults of everything that is a number, a word or a switch.
fn default_number(directive: Directive) -> i64 {
    match directive {
        Directive::CanonicalizeFallbackLocal
        | Directive::CanonicalizeMaxDots
        | Directive::ConnectionAttempts
        | Directive::ForwardX11Trusted
        | Directive::KbdInteractiveAuthentication
        | Directive::PasswordAuthentication
        | Directive::SyslogFacility
        | Directive::TcpKeepAlive => 1,
        Directive::SessionType => 2,
        Directive::FingerprintHash
        | Directive::LogLevel
        | Directive::NumberOfPasswordPrompts
        | Directive::PubkeyAuthentication
        | Directive::ServerAliveCountMax
        | Directive::StrictHostKeyChecking => 3,
        Directive::EscapeChar => i64::from(b'~'),
        Directive::ForwardX11Timeout => 1200,
        Directive::RequiredRsaSize => 1024,
        Directive::StreamLocalBindMask => 0o177,
        _ => 0,
    }
}

/// The word that is printed for a directive's number.
pub(super) fn word(directive: Directive, number: i64) -> &'static str {
    match directive.row().kind {
        Kind::Word(words) => directives::word_of(words, number),
        Kind::AddKeys => directives::word_of(directives::YES_NO_ASK_CONFIRM, number),
        _ => directives::word_of(directives::FLAG, number),
    }
}
