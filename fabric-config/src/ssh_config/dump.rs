//! What `ssh -G` prints: every directive in force, in its order, with its spelling.

use std::cmp::Ordering;
use std::sync::Arc;

use indexmap::IndexMap;

use super::directives::{self, Directive};
use super::forward::ForwardEnd;
use super::origin::LineOrigin;
use super::parse::{ANY_TUNNEL, NO_ESCAPE};
use super::resolved::{self, Resolved};
use super::value::Value;
use super::winners::LISTS;

/// One line of `ssh -G`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DumpLine {
    /// The first word.
    pub key: &'static str,
    /// What follows it, perhaps nothing.
    pub value: String,
    /// Where the value comes from.
    pub origin: LineOrigin,
}

/// The value of a key that is printed once, or those of one that is printed several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DumpValue {
    /// One line.
    One(String),
    /// Several, in their order.
    Many(Vec<String>),
}

impl Resolved {
    /// The lines that `ssh -G` prints, in its order.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use fabric_config::ssh_config::{Local, Lookup, SshConfig};
    ///
    /// let config = SshConfig::parse("Host web*\n  Port 2222\n", "config");
    /// let local = Arc::new(Local::new("alice", "/home/alice", "laptop"));
    /// let resolved = config.resolve(&Lookup::new("web1", &local)).unwrap();
    /// let port = resolved.dump().into_iter().find(|line| line.key == "port").unwrap();
    /// assert_eq!((port.value.as_str(), port.origin.to_string().as_str()), ("2222", "config:2"));
    /// ```
    pub fn dump(&self) -> Vec<DumpLine> {
        let mut dump = Dump { resolved: self, lines: Vec::with_capacity(100) };
        dump.write();
        dump.lines
    }

    /// The lines of [`dump`](Self::dump) by their keys.
    pub fn dump_map(&self) -> IndexMap<&'static str, DumpValue> {
        let mut map: IndexMap<&'static str, DumpValue> = IndexMap::new();
        for DumpLine { key, value, .. } in self.dump() {
            match map.get_mut(key) {
                None => {
                    map.insert(key, DumpValue::One(value));
                }
                Some(DumpValue::Many(values)) => values.push(value),
                Some(one) => {
                    let DumpValue::One(first) = one else { continue };
                    *one = DumpValue::Many(vec![std::mem::take(first), value]);
                }
            }
        }
        map
    }
}

struct Dump<'a> {
    resolved: &'a Resolved,
    lines: Vec<DumpLine>,
}

impl Dump<'_> {
    fn line(&mut self, directive: Directive, value: impl Into<String>) {
        let origin = self.resolved.state.origin_of(directive);
        self.lines.push(DumpLine { key: directive.name(), value: value.into(), origin });
    }

    fn word(&mut self, directive: Directive) {
        self.line(directive, resolved::word(directive, self.resolved.number(directive)));
    }

    fn number(&mut self, directive: Directive) {
        self.line(directive, self.resolved.number(directive).to_string());
    }

    /// Printed only if set.
    fn text(&mut self, directive: Directive) {
        if let Some(text) = self.resolved.state.text(directive) {
            self.line(directive, text.to_string());
        }
    }

    /// Printed only if set, and not to `none`.
    fn text_or_none(&mut self, directive: Directive) {
        if let Some(text) = self.resolved.state.printed_text(directive) {
            self.line(directive, text.to_string());
        }
    }

    fn optional(&mut self, directive: Directive, text: Option<&str>) {
        if let Some(text) = text {
            self.line(directive, text);
        }
    }

    fn algorithms(&mut self, directive: Directive) {
        let state = &self.resolved.state;
        let place = LISTS.iter().position(|list| *list == directive);
        // From the one that failed on, lists are as they were written.
        let failed = place.zip(state.failed_list).map(|(place, failed)| place.cmp(&failed));
        match (failed, state.value(directive)) {
            (Some(Ordering::Greater), Some(Value::Algorithms { written, .. })) => {
                self.line(directive, written.to_string());
            }
            (Some(Ordering::Greater | Ordering::Equal), _) => {}
            _ => self.line(directive, self.resolved.algorithms(directive)),
        }
    }

    /// All words in one line, `none` for none.
    fn words<S: AsRef<str>>(&mut self, directive: Directive, words: &[S]) {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        self.line(directive, if words.is_empty() { "none".to_owned() } else { words.join(" ") });
    }

    fn write(&mut self) {
        use Directive as D;
        let resolved = self.resolved;
        self.lines.push(DumpLine { key: "host", value: resolved.host().to_owned(), origin: LineOrigin::CommandLine });
        self.line(D::User, resolved.user());
        self.line(D::HostName, resolved.hostname());
        self.line(D::Port, resolved.port().to_string());
        for directive in WORDS_FIRST {
            self.word(*directive);
        }
        self.text(D::GssapiClientIdentity);
        self.text(D::GssapiServerIdentity);
        self.algorithms(D::GssapiKexAlgorithms);
        for directive in WORDS_THEN {
            match directive {
                D::ProxyUseFdpass => {
                    self.line(D::ProxyUseFdpass, resolved::word(D::ProxyUseFdpass, resolved.proxy_use_fdpass().into()));
                }
                // Without forwards, there is no tunnel either.
                D::Tunnel if resolved.number(D::ClearAllForwardings) == 1 => self.line(D::Tunnel, "false"),
                _ => self.word(*directive),
            }
        }
        for directive in NUMBERS {
            self.number(*directive);
        }
        self.strings();
        self.forwards();
        self.lists();
        self.special();
    }

    fn strings(&mut self) {
        use Directive as D;
        let resolved = self.resolved;
        self.text(D::BindAddress);
        self.text(D::BindInterface);
        self.algorithms(D::Ciphers);
        let none = resolved.state.printed_text(D::ControlPath).map(|text| &**text);
        self.optional(D::ControlPath, resolved.control_path().or(none));
        self.algorithms(D::HostKeyAlgorithms);
        self.optional(D::HostKeyAlias, resolved.host_key_alias().as_deref());
        self.algorithms(D::HostbasedAcceptedAlgorithms);
        self.optional(D::IdentityAgent, resolved.expanded.identity_agent.as_deref());
        self.text(D::IgnoreUnknown);
        self.text(D::KbdInteractiveDevices);
        self.algorithms(D::KexAlgorithms);
        self.algorithms(D::CaSignatureAlgorithms);
        self.text_or_none(D::LocalCommand);
        let none = resolved.state.printed_text(D::RemoteCommand).map(|text| &**text);
        self.optional(D::RemoteCommand, resolved.remote_command().or(none));
        self.word(D::LogLevel);
        self.algorithms(D::Macs);
        self.text_or_none(D::Pkcs11Provider);
        match resolved.state.text(D::SecurityKeyProvider) {
            None => self.line(D::SecurityKeyProvider, "internal"),
            Some(_) => self.text_or_none(D::SecurityKeyProvider),
        }
        self.text(D::PreferredAuthentications);
        self.algorithms(D::PubkeyAcceptedAlgorithms);
        self.text_or_none(D::RevokedHostKeys);
        match resolved.state.text(D::XAuthLocation) {
            None => self.line(D::XAuthLocation, "/usr/bin/xauth"),
            Some(_) => self.text(D::XAuthLocation),
        }
        self.text_or_none(D::KnownHostsCommand);
    }

    fn forwards(&mut self) {
        let state = &self.resolved.state;
        let list = |wanted: Directive| {
            let list = if wanted == Directive::RemoteForward { &state.remote_forwards } else { &state.local_forwards };
            list.iter().filter_map(move |(forward, at)| {
                // OpenSSH distinguishes a local forward from a dynamic one by its host, and a socket has none.
                let by_socket = matches!(forward.connect, ForwardEnd::Unix(_));
                let value = match wanted {
                    Directive::DynamicForward => {
                        (forward.is_dynamic() || by_socket).then(|| forward.listen.to_string())?
                    }
                    Directive::LocalForward if forward.is_dynamic() => return None,
                    _ => format!("{} {}", forward.listen, forward.connect),
                };
                Some(DumpLine { key: wanted.name(), value, origin: state.origin(*at) })
            })
        };
        for directive in [Directive::DynamicForward, Directive::LocalForward, Directive::RemoteForward] {
            self.lines.extend(list(directive));
        }
    }

    fn lists(&mut self) {
        use Directive as D;
        let resolved = self.resolved;
        let state = &resolved.state;
        if state.identity_files.is_empty() {
            for file in resolved::DEFAULT_IDENTITY_FILES {
                self.line(D::IdentityFile, file);
            }
        }
        let each = |directive: Directive, value: &str, at| DumpLine {
            key: directive.name(),
            value: value.to_owned(),
            origin: state.origin(at),
        };
        self.lines.extend(state.identity_files.iter().map(|(file, _, at)| each(D::IdentityFile, file, *at)));
        self.words(D::CanonicalDomains, state.words(D::CanonicalDomains).unwrap_or_default());
        self.lines.extend(state.certificate_files.iter().map(|(file, _, at)| each(D::CertificateFile, file, *at)));
        self.words(D::GlobalKnownHostsFile, &resolved.global_known_hosts_files());
        self.words(D::UserKnownHostsFile, &resolved.user_known_hosts_files());
        self.lines.extend(state.send_env.iter().map(|(name, at)| each(D::SendEnv, name, *at)));
        for pair in state.words(D::SetEnv).unwrap_or_default() {
            self.line(D::SetEnv, pair.to_string());
        }
        self.words(D::LogVerbose, state.words(D::LogVerbose).unwrap_or_default());
    }

    fn special(&mut self) {
        use Directive as D;
        let resolved = self.resolved;
        let state = &resolved.state;
        match state.words(D::PermitRemoteOpen) {
            None => self.line(D::PermitRemoteOpen, "any"),
            Some(words) => self.words(D::PermitRemoteOpen, words),
        }
        self.line(
            D::AddKeysToAgent,
            match resolved.pair(D::AddKeysToAgent) {
                (switch, ..=0) => resolved::word(D::AddKeysToAgent, switch).to_owned(),
                (3, seconds) => format!("confirm {seconds}"),
                (_, seconds) => seconds.to_string(),
            },
        );
        match &resolved.expanded.forward_agent_socket {
            None => self.line(D::ForwardAgent, resolved::word(D::GatewayPorts, resolved.number(D::ForwardAgent))),
            Some(socket) => self.line(D::ForwardAgent, socket.clone()),
        }
        let timeout = state.number(D::ConnectTimeout).map_or("none".to_owned(), |seconds| seconds.to_string());
        self.line(D::ConnectTimeout, timeout);
        let (local, remote) = resolved.pair(D::TunnelDevice);
        let device = |number: i64| if number == ANY_TUNNEL { "any".to_owned() } else { number.to_string() };
        self.line(D::TunnelDevice, format!("{}:{}", device(local), device(remote)));
        let cnames: &[(Arc<str>, Arc<str>)] = match state.value(D::CanonicalizePermittedCnames) {
            Some(Value::Cnames(rules)) => rules,
            _ => &[],
        };
        let rules: Vec<String> = match cnames {
            [(source, target)]
                if state.failed_list.is_none() && target.is_empty() && source.eq_ignore_ascii_case("none") =>
            {
                Vec::new()
            }
            rules => rules.iter().map(|(source, target)| format!("{source}:{target}")).collect(),
        };
        self.words(D::CanonicalizePermittedCnames, &rules);
        if let Some(line) = self.lines.last_mut() {
            // The one name that OpenSSH prints with a capital letter.
            line.key = "canonicalizePermittedcnames";
        }
        self.line(
            D::ControlPersist,
            match resolved.pair(D::ControlPersist) {
                (switch, 0) | (switch @ 0, _) => resolved::word(D::ControlPersist, switch).to_owned(),
                (_, seconds) => seconds.to_string(),
            },
        );
        self.line(D::EscapeChar, escape_char(resolved.number(D::EscapeChar)));
        let (interactive, bulk) = resolved.pair(D::IpQos);
        self.line(D::IpQos, format!("{} {}", qos(interactive), qos(bulk)));
        let (bytes, seconds) = resolved.rekey_numbers();
        self.line(D::RekeyLimit, format!("{bytes} {seconds}"));
        self.line(D::StreamLocalBindMask, format!("0{:o}", resolved.number(D::StreamLocalBindMask)));
        self.word(D::SyslogFacility);
        match state.jump() {
            Some(jump) => self.line(D::ProxyJump, jump.to_string()),
            None if state.failed_list.is_some() && state.at(D::ProxyJump).is_some() => self.line(D::ProxyJump, "none"),
            None => self.text_or_none(D::ProxyCommand),
        }
    }
}

/// A packet priority by its name, else in hexadecimal.
fn qos(value: i64) -> String {
    match directives::word_of(directives::QOS, value) {
        "UNKNOWN" => format!("0x{value:02x}"),
        word => word.to_owned(),
    }
}

/// A byte made visible: `\` doubled, control characters as `\^A`, those with the high bit as `\M-a`.
fn escape_char(number: i64) -> String {
    if number == NO_ESCAPE {
        return "none".to_owned();
    }
    let byte = number as u8;
    match byte {
        b'\\' => "\\\\".to_owned(),
        b'!'..=b'~' => char::from(byte).to_string(),
        _ if byte & 0x7f == b' ' => format!("\\{byte:03o}"),
        _ => {
            let low = byte & 0x7f;
            let meta = if byte & 0x80 == 0 { "" } else { "M" };
            match low {
                0x7f => format!("\\{meta}^?"),
                0..0x20 => format!("\\{meta}^{}", char::from(low + b'@')),
                _ => format!("\\{meta}-{}", char::from(low)),
            }
        }
    }
}

const WORDS_FIRST: &[Directive] = &[
    Directive::AddressFamily,
    Directive::BatchMode,
    Directive::CanonicalizeFallbackLocal,
    Directive::CanonicalizeHostname,
    Directive::CheckHostIp,
    Directive::Compression,
    Directive::ControlMaster,
    Directive::EnableSshKeysign,
    Directive::ClearAllForwardings,
    Directive::ExitOnForwardFailure,
    Directive::FingerprintHash,
    Directive::ForwardX11,
    Directive::ForwardX11Trusted,
    Directive::GatewayPorts,
    Directive::GssapiAuthentication,
    Directive::GssapiKeyExchange,
    Directive::GssapiDelegateCredentials,
    Directive::GssapiTrustDns,
    Directive::GssapiRenewalForcesRekey,
];
const WORDS_THEN: &[Directive] = &[
    Directive::HashKnownHosts,
    Directive::HostbasedAuthentication,
    Directive::IdentitiesOnly,
    Directive::KbdInteractiveAuthentication,
    Directive::NoHostAuthenticationForLocalhost,
    Directive::PasswordAuthentication,
    Directive::PermitLocalCommand,
    Directive::ProxyUseFdpass,
    Directive::PubkeyAuthentication,
    Directive::RequestTty,
    Directive::SessionType,
    Directive::StdinNull,
    Directive::ForkAfterAuthentication,
    Directive::StreamLocalBindUnlink,
    Directive::StrictHostKeyChecking,
    Directive::TcpKeepAlive,
    Directive::Tunnel,
    Directive::VerifyHostKeyDns,
    Directive::VisualHostKey,
    Directive::UpdateHostKeys,
    Directive::EnableEscapeCommandline,
];
const NUMBERS: &[Directive] = &[
    Directive::CanonicalizeMaxDots,
    Directive::ConnectionAttempts,
    Directive::ForwardX11Timeout,
    Directive::NumberOfPasswordPrompts,
    Directive::ServerAliveCountMax,
    Directive::ServerAliveInterval,
    Directive::RequiredRsaSize,
];
