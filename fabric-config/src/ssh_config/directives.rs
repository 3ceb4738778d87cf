//! The one table of directives: name, older names, what the arguments mean, which line wins.

use super::algorithms::Family;
use super::forward::Direction;

/// A word that a directive takes, and the number behind it. Words of one number mean the same; the first is
/// the one that `ssh -G` prints.
pub(super) type Words = &'static [(&'static str, i64)];

/// What a directive's arguments are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One of some words, in any case.
    Word(Words),
    /// A number from 0 to 2^31-1.
    Number,
    /// Seconds, or `none`, which leaves the directive unset.
    Time,
    Port,
    /// One argument.
    Text,
    /// The rest of the line as it stands; perhaps `none`.
    Command,
    Jump,
    /// `yes`, `no` or where an agent's socket is.
    ForwardAgent,
    /// Where an agent's socket is.
    AgentSocket,
    /// File names, or `none` alone; at most 32.
    Files,
    /// Only the first of several arguments is kept.
    LogVerbose,
    Algorithms(Family),
    GssKexes,
    Forward(Direction),
    RemoteOpen,
    EscapeChar,
    SendEnv,
    SetEnv,
    ControlPersist,
    TunnelDevice,
    IpQos,
    RekeyLimit,
    Domains,
    Cnames,
    Mask,
    AddKeys,
    Host,
    Match,
    Include,
    /// Read over in silence, or with no more than a word to say about it.
    Ignored(Ignored),
    /// Holds part of another directive's value; no line can name it.
    Internal,
}

/// Why a directive does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ignored {
    /// `Protocol`: there is only one left.
    Silent,
    Deprecated,
    Unsupported,
}

/// Which of several lines counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// The first in a block that applies.
    First,
    /// All in blocks that apply.
    Every,
    /// The first, in a block that applies or not.
    FirstAnywhere,
    /// The last, in a block that applies or not.
    LastAnywhere,
}

/// One row of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) aliases: &'static [&'static str],
    pub(super) kind: Kind,
    pub(super) keep: Keep,
}

pub(super) const FLAG: Words = &[("yes", 1), ("no", 0), ("true", 1), ("false", 0)];
const YES_NO_ASK: Words = &[("true", 1), ("false", 0), ("yes", 1), ("no", 0), ("ask", 2)];
pub(super) const YES_NO_ASK_CONFIRM: Words =
    &[("true", 1), ("false", 0), ("yes", 1), ("no", 0), ("ask", 2), ("confirm", 3)];
const STRICT: Words = &[("true", 2), ("false", 0), ("yes", 2), ("no", 0), ("ask", 3), ("off", 0), ("accept-new", 1)];
const FAMILY: Words = &[("inet", 4), ("inet6", 6), ("any", 0)];
const MASTER: Words = &[("true", 1), ("yes", 1), ("false", 0), ("no", 0), ("auto", 2), ("ask", 3), ("autoask", 4)];
const TUNNEL: Words = &[("ethernet", 2), ("point-to-point", 1), ("true", 1), ("yes", 1), ("false", 0), ("no", 0)];
const TTY: Words = &[("true", 2), ("yes", 2), ("false", 1), ("no", 1), ("force", 3), ("auto", 0)];
const SESSION: Words = &[("none", 0), ("subsystem", 1), ("default", 2)];
const CANONICALIZE: Words = &[("true", 1), ("false", 0), ("yes", 1), ("no", 0), ("always", 2)];
const PUBKEY: Words = &[("true", 3), ("false", 0), ("yes", 3), ("no", 0), ("unbound", 1), ("host-bound", 2)];
const COMPRESSION: Words = &[("yes", 1), ("no", 0)];
const FINGERPRINT: Words = &[("MD5", 0), ("SHA1", 2), ("SHA256", 3), ("SHA384", 4), ("SHA512", 5)];
const LOG_LEVEL: Words = &[
    ("SILENT", 0),
    ("QUIET", 0),
    ("FATAL", 1),
    ("ERROR", 2),
    ("INFO", 3),
    ("VERBOSE", 4),
    ("DEBUG", 5),
    ("DEBUG1", 5),
    ("DEBUG2", 6),
    ("DEBUG3", 7),
];
const FACILITY: Words = &[
    ("DAEMON", 0),
    ("USER", 1),
    ("AUTH", 2),
    ("AUTHPRIV", 3),
    ("LOCAL0", 10),
    ("LOCAL1", 11),
    ("LOCAL2", 12),
    ("LOCAL3", 13),
    ("LOCAL4", 14),
    ("LOCAL5", 15),
    ("LOCAL6", 16),
    ("LOCAL7", 17),
];
/// Packet priorities: names of the byte in the IP header; `none` leaves the system's.
pub(super) const QOS: Words = &[
    ("none", i32::MAX as i64),
    ("af11", 0x28),
    ("af12", 0x30),
    ("af13", 0x38),
    ("af21", 0x48),
    ("af22", 0x50),
    ("af23", 0x58),
    ("af31", 0x68),
    ("af32", 0x70),
    ("af33", 0x78),
    ("af41", 0x88),
    ("af42", 0x90),
    ("af43", 0x98),
    ("cs0", 0x00),
    ("cs1", 0x20),
    ("cs2", 0x40),
    ("cs3", 0x60),
    ("cs4", 0x80),
    ("cs5", 0xa0),
    ("cs6", 0xc0),
    ("cs7", 0xe0),
    ("ef", 0xb8),
    ("le", 0x04),
    ("lowdelay", 0x10),
    ("throughput", 0x08),
    ("reliability", 0x04),
];

macro_rules! directives {
    ($($variant:ident $name:literal $(| $alias:literal)* => $kind:expr, $keep:ident;)+) => {
        /// Every directive of ssh_config in OpenSSH 9.2, as Debian builds it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[allow(missing_docs)] // Named as in ssh_config(5), which says what they mean.
        pub enum Directive { $($variant),+ }

        /// All rows, in the order of [`Directive`]'s variants.
        pub(super) static TABLE: &[Row] = &[$(Row {
            name: $name,
            aliases: &[$($alias),*],
            kind: $kind,
            keep: Keep::$keep,
        }),+];

        const ALL: &[Directive] = &[$(Directive::$variant),+];
    };
}

directives! {
    Host "host" => Kind::Host, First;
    Match "match" => Kind::Match, First;
    Include "include" => Kind::Include, First;

    AddKeysToAgent "addkeystoagent" => Kind::AddKeys, First;
    AddressFamily "addressfamily" => Kind::Word(FAMILY), First;
    BatchMode "batchmode" => Kind::Word(FLAG), First;
    BindAddress "bindaddress" => Kind::Text, First;
    BindInterface "bindinterface" => Kind::Text, First;
    CanonicalDomains "canonicaldomains" => Kind::Domains, First;
    CanonicalizeFallbackLocal "canonicalizefallbacklocal" => Kind::Word(FLAG), First;
    CanonicalizeHostname "canonicalizehostname" => Kind::Word(CANONICALIZE), First;
    CanonicalizeMaxDots "canonicalizemaxdots" => Kind::Number, First;
    CanonicalizePermittedCnames "canonicalizepermittedcnames" => Kind::Cnames, First;
    CaSignatureAlgorithms "casignaturealgorithms" => Kind::Algorithms(Family::CaSignature), First;
    CertificateFile "certificatefile" => Kind::Text, Every;
    CheckHostIp "checkhostip" => Kind::Word(FLAG), First;
    Ciphers "ciphers" => Kind::Algorithms(Family::Cipher), First;
    ClearAllForwardings "clearallforwardings" => Kind::Word(FLAG), First;
    Compression "compression" => Kind::Word(COMPRESSION), First;
    ConnectionAttempts "connectionattempts" => Kind::Number, First;
    ConnectTimeout "connecttimeout" => Kind::Time, First;
    ControlMaster "controlmaster" => Kind::Word(MASTER), First;
    ControlPath "controlpath" => Kind::Text, First;
    ControlPersist "controlpersist" => Kind::ControlPersist, First;
    DynamicForward "dynamicforward" => Kind::Forward(Direction::Dynamic), Every;
    EnableEscapeCommandline "enableescapecommandline" => Kind::Word(FLAG), First;
    EnableSshKeysign "enablesshkeysign" => Kind::Word(FLAG), First;
    EscapeChar "escapechar" => Kind::EscapeChar, First;
    ExitOnForwardFailure "exitonforwardfailure" => Kind::Word(FLAG), First;
    FingerprintHash "fingerprinthash" => Kind::Word(FINGERPRINT), First;
    ForkAfterAuthentication "forkafterauthentication" => Kind::Word(FLAG), First;
    ForwardAgent "forwardagent" => Kind::ForwardAgent, First;
    ForwardX11 "forwardx11" => Kind::Word(FLAG), First;
    ForwardX11Timeout "forwardx11timeout" => Kind::Time, First;
    ForwardX11Trusted "forwardx11trusted" => Kind::Word(FLAG), First;
    GatewayPorts "gatewayports" => Kind::Word(FLAG), First;
    GlobalKnownHostsFile "globalknownhostsfile" => Kind::Files, First;
    GssapiAuthentication "gssapiauthentication" => Kind::Word(FLAG), First;
    GssapiClientIdentity "gssapiclientidentity" => Kind::Text, First;
    GssapiDelegateCredentials "gssapidelegatecredentials" => Kind::Word(FLAG), First;
    GssapiKexAlgorithms "gssapikexalgorithms" => Kind::GssKexes, First;
    GssapiKeyExchange "gssapikeyexchange" => Kind::Word(FLAG), First;
    GssapiRenewalForcesRekey "gssapirenewalforcesrekey" => Kind::Word(FLAG), First;
    GssapiServerIdentity "gssapiserveridentity" => Kind::Text, First;
    GssapiTrustDns "gssapitrustdns" => Kind::Word(FLAG), First;
    HashKnownHosts "hashknownhosts" => Kind::Word(FLAG), First;
    HostbasedAcceptedAlgorithms "hostbasedacceptedalgorithms" | "hostbasedkeytypes" => Kind::Algorithms(Family::Key), First;
    HostbasedAuthentication "hostbasedauthentication" => Kind::Word(FLAG), First;
    HostKeyAlgorithms "hostkeyalgorithms" => Kind::Algorithms(Family::Key), First;
    HostKeyAlias "hostkeyalias" => Kind::Text, First;
    HostName "hostname" => Kind::Text, First;
    IdentitiesOnly "identitiesonly" => Kind::Word(FLAG), First;
    IdentityAgent "identityagent" => Kind::AgentSocket, First;
    IdentityFile "identityfile" | "identityfile2" => Kind::Text, Every;
    IgnoreUnknown "ignoreunknown" => Kind::Text, First;
    IpQos "ipqos" => Kind::IpQos, First;
    KbdInteractiveAuthentication "kbdinteractiveauthentication"
        | "challengeresponseauthentication" | "skeyauthentication" | "tisauthentication" => Kind::Word(FLAG), First;
    KbdInteractiveDevices "kbdinteractivedevices" => Kind::Text, First;
    KexAlgorithms "kexalgorithms" => Kind::Algorithms(Family::Kex), First;
    KnownHostsCommand "knownhostscommand" => Kind::Command, First;
    LocalCommand "localcommand" => Kind::Command, First;
    LocalForward "localforward" => Kind::Forward(Direction::Local), Every;
    LogLevel "loglevel" => Kind::Word(LOG_LEVEL), First;
    LogVerbose "logverbose" => Kind::LogVerbose, First;
    Macs "macs" => Kind::Algorithms(Family::Mac), First;
    NoHostAuthenticationForLocalhost "nohostauthenticationforlocalhost" => Kind::Word(FLAG), First;
    NumberOfPasswordPrompts "numberofpasswordprompts" => Kind::Number, First;
    PasswordAuthentication "passwordauthentication" => Kind::Word(FLAG), First;
    PermitLocalCommand "permitlocalcommand" => Kind::Word(FLAG), First;
    PermitRemoteOpen "permitremoteopen" => Kind::RemoteOpen, First;
    Pkcs11Provider "pkcs11provider" | "smartcarddevice" => Kind::Text, First;
    Port "port" => Kind::Port, First;
    PreferredAuthentications "preferredauthentications" => Kind::Text, First;
    ProxyCommand "proxycommand" => Kind::Command, First;
    ProxyJump "proxyjump" => Kind::Jump, First;
    ProxyUseFdpass "proxyusefdpass" => Kind::Word(FLAG), First;
    PubkeyAcceptedAlgorithms "pubkeyacceptedalgorithms" | "pubkeyacceptedkeytypes" => Kind::Algorithms(Family::Key), First;
    PubkeyAuthentication "pubkeyauthentication" | "dsaauthentication" => Kind::Word(PUBKEY), First;
    RekeyLimit "rekeylimit" => Kind::RekeyLimit, First;
    RemoteCommand "remotecommand" => Kind::Command, First;
    RemoteForward "remoteforward" => Kind::Forward(Direction::Remote), Every;
    RequestTty "requesttty" => Kind::Word(TTY), First;
    RequiredRsaSize "requiredrsasize" => Kind::Number, First;
    RevokedHostKeys "revokedhostkeys" => Kind::Text, First;
    SecurityKeyProvider "securitykeyprovider" => Kind::Text, First;
    SendEnv "sendenv" => Kind::SendEnv, Every;
    ServerAliveCountMax "serveralivecountmax" => Kind::Number, First;
    // The last two names are Debian's.
    ServerAliveInterval "serveraliveinterval" | "protocolkeepalives" | "setuptimeout" => Kind::Time, First;
    SessionType "sessiontype" => Kind::Word(SESSION), First;
    SetEnv "setenv" => Kind::SetEnv, First;
    StdinNull "stdinnull" => Kind::Word(FLAG), First;
    StreamLocalBindMask "streamlocalbindmask" => Kind::Mask, LastAnywhere;
    StreamLocalBindUnlink "streamlocalbindunlink" => Kind::Word(FLAG), First;
    StrictHostKeyChecking "stricthostkeychecking" => Kind::Word(STRICT), First;
    SyslogFacility "syslogfacility" => Kind::Word(FACILITY), FirstAnywhere;
    TcpKeepAlive "tcpkeepalive" | "keepalive" => Kind::Word(FLAG), First;
    Tunnel "tunnel" => Kind::Word(TUNNEL), First;
    TunnelDevice "tunneldevice" => Kind::TunnelDevice, First;
    UpdateHostKeys "updatehostkeys" => Kind::Word(YES_NO_ASK), First;
    User "user" => Kind::Text, First;
    UserKnownHostsFile "userknownhostsfile" => Kind::Files, First;
    VerifyHostKeyDns "verifyhostkeydns" => Kind::Word(YES_NO_ASK), First;
    VisualHostKey "visualhostkey" => Kind::Word(FLAG), First;
    XAuthLocation "xauthlocation" => Kind::Text, First;

    // Names without effect.
    Protocol "protocol" => Kind::Ignored(Ignored::Silent), First;
    Deprecated "cipher" | "fallbacktorsh" | "globalknownhostsfile2" | "rhostsauthentication" | "useblacklistedkeys" | "userknownhostsfile2" | "useroaming" | "usersh" | "useprivilegedport" => Kind::Ignored(Ignored::Deprecated), First;
    Unsupported "afstokenpassing" | "kerberosauthentication" | "kerberostgtpassing" | "rsaauthentication" | "rhostsrsaauthentication" | "compressionlevel" => Kind::Ignored(Ignored::Unsupported), First;

    // `ForwardAgent`'s socket and `RekeyLimit`'s interval are won on their own.
    ForwardAgentSocket "" => Kind::Internal, First;
    RekeyInterval "" => Kind::Internal, First;
}

impl Directive {
    /// The directive of a keyword, in any case and by any of its names.
    ///
    /// ```
    /// use fabric_config::ssh_config::Directive;
    ///
    /// assert_eq!(Directive::named("TCPKeepAlive"), Some(Directive::TcpKeepAlive));
    /// assert_eq!(Directive::named("keepalive"), Some(Directive::TcpKeepAlive));
    /// assert_eq!(Directive::named("colour"), None);
    /// ```
    pub fn named(keyword: &str) -> Option<Self> {
        let matches = |row: &&Row| {
            row.kind != Kind::Internal
                && (row.name.eq_ignore_ascii_case(keyword)
                    || row.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(keyword)))
        };
        TABLE.iter().position(|row| matches(&row)).map(|at| ALL[at])
    }

    /// Its name in lower case, as `ssh -G` prints it.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    pub(super) fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The known name nearest to a wrong one, if it is near enough to be meant.
    pub(super) fn nearest(keyword: &str) -> Option<&'static str> {
        let rows = TABLE.iter().filter(|row| !matches!(row.kind, Kind::Internal | Kind::Ignored(_)));
        let names = rows.flat_map(|row| std::iter::once(&row.name).chain(row.aliases));
        names
            .map(|name| (strsim::damerau_levenshtein(keyword, name), *name))
            .min_by_key(|(distance, _)| *distance)
            .filter(|(distance, name)| *distance <= (name.len() / 3).clamp(1, 4))
            .map(|(_, name)| name)
    }
}

/// The number of a word.
pub(super) fn number_of(words: Words, word: &str) -> Option<i64> {
    words.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, number)| *number)
}

/// The word that is printed for a number.
pub(super) fn word_of(words: Words, number: i64) -> &'static str {
    words.iter().find(|(_, known)| *known == number).map_or("UNKNOWN", |(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        let mut names: Vec<&str> = Vec::new();
        for (row, directive) in TABLE.iter().zip(ALL) {
            assert!(std::ptr::eq(directive.row(), row));
            if row.kind != Kind::Internal {
                names.push(row.name);
                names.extend(row.aliases);
                assert_eq!(Directive::named(row.name), Some(*directive));
            }
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn wrong_names_are_guessed() {
        assert_eq!(Directive::nearest("hostnme"), Some("hostname"));
        assert_eq!(Directive::nearest("identifyfile"), Some("identityfile"));
        assert_eq!(Directive::nearest("colour"), None);
    }
}
