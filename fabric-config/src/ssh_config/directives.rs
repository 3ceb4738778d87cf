//! The table of directives: name, older names, what the arguments mean, which line wins.

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
    /// The rest of the line as it is written; perhaps `none`.
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
    /// Any arguments, which mean nothing here, and are not looked at.
    Unread,
    /// Ignored, with a message at most.
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

/// What a directive does in this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Here {
    /// What ssh_config(5) says.
    Used,
    /// Nothing: it is read, and logged once with `--log`.
    Unused,
}

/// One row of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) aliases: &'static [&'static str],
    pub(super) kind: Kind,
    pub(super) keep: Keep,
    pub(super) here: Here,
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
    ($($variant:ident $name:literal $(| $alias:literal)* => $kind:expr, $keep:ident, $here:ident;)+) => {
        /// Every directive of ssh_config in OpenSSH 9.2, as Debian builds it; what releases up to 10.2 have added; and what
        /// Apple, HPN-SSH, Red Hat, SUSE, PKIX-SSH and Solaris have of their own.
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
            here: Here::$here,
        }),+];

        const ALL: &[Directive] = &[$(Directive::$variant),+];
    };
}

directives! {
    Host "host" => Kind::Host, First, Used;
    Match "match" => Kind::Match, First, Used;
    Include "include" => Kind::Include, First, Used;

    AddKeysToAgent "addkeystoagent" => Kind::AddKeys, First, Unused;
    AddressFamily "addressfamily" => Kind::Word(FAMILY), First, Used;
    BatchMode "batchmode" => Kind::Word(FLAG), First, Unused;
    BindAddress "bindaddress" => Kind::Text, First, Used;
    BindInterface "bindinterface" => Kind::Text, First, Unused;
    CanonicalDomains "canonicaldomains" => Kind::Domains, First, Used;
    CanonicalizeFallbackLocal "canonicalizefallbacklocal" => Kind::Word(FLAG), First, Used;
    CanonicalizeHostname "canonicalizehostname" => Kind::Word(CANONICALIZE), First, Used;
    CanonicalizeMaxDots "canonicalizemaxdots" => Kind::Number, First, Used;
    CanonicalizePermittedCnames "canonicalizepermittedcnames" => Kind::Cnames, First, Used;
    CaSignatureAlgorithms "casignaturealgorithms" => Kind::Algorithms(Family::CaSignature), First, Unused;
    CertificateFile "certificatefile" => Kind::Text, Every, Used;
    CheckHostIp "checkhostip" => Kind::Word(FLAG), First, Unused;
    Ciphers "ciphers" => Kind::Algorithms(Family::Cipher), First, Used;
    ClearAllForwardings "clearallforwardings" => Kind::Word(FLAG), First, Used;
    Compression "compression" => Kind::Word(COMPRESSION), First, Used;
    ConnectionAttempts "connectionattempts" => Kind::Number, First, Used;
    ConnectTimeout "connecttimeout" => Kind::Time, First, Used;
    ControlMaster "controlmaster" => Kind::Word(MASTER), First, Unused;
    ControlPath "controlpath" => Kind::Text, First, Unused;
    ControlPersist "controlpersist" => Kind::ControlPersist, First, Unused;
    DynamicForward "dynamicforward" => Kind::Forward(Direction::Dynamic), Every, Unused;
    EnableEscapeCommandline "enableescapecommandline" => Kind::Word(FLAG), First, Unused;
    EnableSshKeysign "enablesshkeysign" => Kind::Word(FLAG), First, Unused;
    EscapeChar "escapechar" => Kind::EscapeChar, First, Unused;
    ExitOnForwardFailure "exitonforwardfailure" => Kind::Word(FLAG), First, Unused;
    FingerprintHash "fingerprinthash" => Kind::Word(FINGERPRINT), First, Unused;
    ForkAfterAuthentication "forkafterauthentication" => Kind::Word(FLAG), First, Unused;
    ForwardAgent "forwardagent" => Kind::ForwardAgent, First, Used;
    ForwardX11 "forwardx11" => Kind::Word(FLAG), First, Unused;
    ForwardX11Timeout "forwardx11timeout" => Kind::Time, First, Unused;
    ForwardX11Trusted "forwardx11trusted" => Kind::Word(FLAG), First, Unused;
    GatewayPorts "gatewayports" => Kind::Word(FLAG), First, Unused;
    GlobalKnownHostsFile "globalknownhostsfile" => Kind::Files, First, Used;
    GssapiAuthentication "gssapiauthentication" => Kind::Word(FLAG), First, Used;
    GssapiClientIdentity "gssapiclientidentity" => Kind::Text, First, Unused;
    GssapiDelegateCredentials "gssapidelegatecredentials" => Kind::Word(FLAG), First, Used;
    GssapiKexAlgorithms "gssapikexalgorithms" => Kind::GssKexes, First, Unused;
    GssapiKeyExchange "gssapikeyexchange" => Kind::Word(FLAG), First, Unused;
    GssapiRenewalForcesRekey "gssapirenewalforcesrekey" => Kind::Word(FLAG), First, Unused;
    GssapiServerIdentity "gssapiserveridentity" => Kind::Text, First, Unused;
    GssapiTrustDns "gssapitrustdns" => Kind::Word(FLAG), First, Unused;
    HashKnownHosts "hashknownhosts" => Kind::Word(FLAG), First, Used;
    HostbasedAcceptedAlgorithms "hostbasedacceptedalgorithms" | "hostbasedkeytypes" => Kind::Algorithms(Family::Key), First, Unused;
    HostbasedAuthentication "hostbasedauthentication" => Kind::Word(FLAG), First, Unused;
    HostKeyAlgorithms "hostkeyalgorithms" => Kind::Algorithms(Family::Key), First, Used;
    HostKeyAlias "hostkeyalias" => Kind::Text, First, Used;
    HostName "hostname" => Kind::Text, First, Used;
    IdentitiesOnly "identitiesonly" => Kind::Word(FLAG), First, Used;
    IdentityAgent "identityagent" => Kind::AgentSocket, First, Used;
    IdentityFile "identityfile" | "identityfile2" => Kind::Text, Every, Used;
    IgnoreUnknown "ignoreunknown" => Kind::Text, First, Used;
    IpQos "ipqos" => Kind::IpQos, First, Unused;
    KbdInteractiveAuthentication "kbdinteractiveauthentication"
        | "challengeresponseauthentication" | "skeyauthentication" | "tisauthentication" => Kind::Word(FLAG), First, Used;
    KbdInteractiveDevices "kbdinteractivedevices" => Kind::Text, First, Unused;
    KexAlgorithms "kexalgorithms" => Kind::Algorithms(Family::Kex), First, Used;
    KnownHostsCommand "knownhostscommand" => Kind::Command, First, Used;
    LocalCommand "localcommand" => Kind::Command, First, Unused;
    LocalForward "localforward" => Kind::Forward(Direction::Local), Every, Unused;
    LogLevel "loglevel" => Kind::Word(LOG_LEVEL), First, Unused;
    LogVerbose "logverbose" => Kind::LogVerbose, First, Unused;
    Macs "macs" => Kind::Algorithms(Family::Mac), First, Used;
    NoHostAuthenticationForLocalhost "nohostauthenticationforlocalhost" => Kind::Word(FLAG), First, Unused;
    NumberOfPasswordPrompts "numberofpasswordprompts" => Kind::Number, First, Used;
    PasswordAuthentication "passwordauthentication" => Kind::Word(FLAG), First, Used;
    PermitLocalCommand "permitlocalcommand" => Kind::Word(FLAG), First, Unused;
    PermitRemoteOpen "permitremoteopen" => Kind::RemoteOpen, First, Unused;
    Pkcs11Provider "pkcs11provider" | "smartcarddevice" => Kind::Text, First, Unused;
    Port "port" => Kind::Port, First, Used;
    PreferredAuthentications "preferredauthentications" => Kind::Text, First, Used;
    ProxyCommand "proxycommand" => Kind::Command, First, Used;
    ProxyJump "proxyjump" => Kind::Jump, First, Used;
    ProxyUseFdpass "proxyusefdpass" => Kind::Word(FLAG), First, Unused;
    PubkeyAcceptedAlgorithms "pubkeyacceptedalgorithms" | "pubkeyacceptedkeytypes" => Kind::Algorithms(Family::Key), First, Used;
    PubkeyAuthentication "pubkeyauthentication" | "dsaauthentication" => Kind::Word(PUBKEY), First, Used;
    RekeyLimit "rekeylimit" => Kind::RekeyLimit, First, Unused;
    RemoteCommand "remotecommand" => Kind::Command, First, Used;
    RemoteForward "remoteforward" => Kind::Forward(Direction::Remote), Every, Unused;
    RequestTty "requesttty" => Kind::Word(TTY), First, Used;
    RequiredRsaSize "requiredrsasize" => Kind::Number, First, Unused;
    RevokedHostKeys "revokedhostkeys" => Kind::Text, First, Used;
    SecurityKeyProvider "securitykeyprovider" => Kind::Text, First, Unused;
    SendEnv "sendenv" => Kind::SendEnv, Every, Used;
    ServerAliveCountMax "serveralivecountmax" => Kind::Number, First, Used;
    // The last two names are Debian's.
    ServerAliveInterval "serveraliveinterval" | "protocolkeepalives" | "setuptimeout" => Kind::Time, First, Used;
    SessionType "sessiontype" => Kind::Word(SESSION), First, Used;
    SetEnv "setenv" => Kind::SetEnv, First, Used;
    StdinNull "stdinnull" => Kind::Word(FLAG), First, Unused;
    StreamLocalBindMask "streamlocalbindmask" => Kind::Mask, LastAnywhere, Unused;
    StreamLocalBindUnlink "streamlocalbindunlink" => Kind::Word(FLAG), First, Unused;
    StrictHostKeyChecking "stricthostkeychecking" => Kind::Word(STRICT), First, Used;
    SyslogFacility "syslogfacility" => Kind::Word(FACILITY), FirstAnywhere, Unused;
    TcpKeepAlive "tcpkeepalive" | "keepalive" => Kind::Word(FLAG), First, Unused;
    Tunnel "tunnel" => Kind::Word(TUNNEL), First, Unused;
    TunnelDevice "tunneldevice" => Kind::TunnelDevice, First, Unused;
    UpdateHostKeys "updatehostkeys" => Kind::Word(YES_NO_ASK), First, Used;
    User "user" => Kind::Text, First, Used;
    UserKnownHostsFile "userknownhostsfile" => Kind::Files, First, Used;
    VerifyHostKeyDns "verifyhostkeydns" => Kind::Word(YES_NO_ASK), First, Unused;
    VisualHostKey "visualhostkey" => Kind::Word(FLAG), First, Unused;
    XAuthLocation "xauthlocation" => Kind::Text, First, Unused;

    // OpenSSH after 9.2: 9.4 (Tag), 9.5 (ObscureKeystrokeTiming), 9.6 (ChannelTimeout), 10.0 (VersionAddendum), 10.1.
    ChannelTimeout "channeltimeout" => Kind::Unread, First, Unused;
    ObscureKeystrokeTiming "obscurekeystroketiming" => Kind::Unread, First, Unused;
    RefuseConnection "refuseconnection" => Kind::Text, First, Used;
    Tag "tag" => Kind::Text, First, Used;
    VersionAddendum "versionaddendum" => Kind::Unread, First, Unused;
    WarnWeakCrypto "warnweakcrypto" => Kind::Unread, First, Unused;

    // Apple's.
    UseKeychain "usekeychain" => Kind::Unread, First, Unused;
    AskPassGui "askpassgui" => Kind::Unread, First, Unused;
    KeychainIntegration "keychainintegration" => Kind::Unread, First, Unused;

    // HPN-SSH's.
    DisableMtAes "disablemtaes" => Kind::Unread, First, Unused;
    Fallback "fallback" => Kind::Unread, First, Unused;
    FallbackPort "fallbackport" => Kind::Unread, First, Unused;
    HappyDelay "happydelay" => Kind::Unread, First, Unused;
    HappyEyes "happyeyes" => Kind::Unread, First, Unused;
    HpnBufferLimit "hpnbufferlimit" => Kind::Unread, First, Unused;
    HpnBufferSize "hpnbuffersize" => Kind::Unread, First, Unused;
    HpnDisabled "hpndisabled" => Kind::Unread, First, Unused;
    MetricsInterval "metricsinterval" => Kind::Unread, First, Unused;
    MetricsPath "metricspath" | "metrics" => Kind::Unread, First, Unused;
    NoneEnabled "noneenabled" => Kind::Unread, First, Unused;
    NoneMacEnabled "nonemacenabled" => Kind::Unread, First, Unused;
    NoneSwitch "noneswitch" => Kind::Unread, First, Unused;
    TcpRcvBuf "tcprcvbuf" => Kind::Unread, First, Unused;
    TcpRcvBufPoll "tcprcvbufpoll" => Kind::Unread, First, Unused;
    UseMptcp "usemptcp" => Kind::Unread, First, Unused;

    // Red Hat's and SUSE's; the GSSAPI ones above are theirs and Debian's.
    GssapiEnableMitmAttack "gssapienablemitmattack" => Kind::Unread, First, Unused;
    RsaMinSize "rsaminsize" => Kind::Unread, First, Unused;

    // PKIX-SSH's and Solaris's.
    AllowedCertPurpose "allowedcertpurpose" => Kind::Unread, First, Unused;
    CaCertificateFile "cacertificatefile" | "usercacertificatefile" => Kind::Unread, First, Unused;
    CaCertificatePath "cacertificatepath" | "usercacertificatepath" => Kind::Unread, First, Unused;
    CaRevocationFile "carevocationfile" | "usercarevocationfile" => Kind::Unread, First, Unused;
    CaRevocationPath "carevocationpath" | "usercarevocationpath" => Kind::Unread, First, Unused;
    DisableBanner "disablebanner" => Kind::Unread, First, Unused;
    MandatoryCrl "mandatorycrl" => Kind::Unread, First, Unused;
    UseOpensslEngine "useopensslengine" => Kind::Unread, First, Unused;
    VaType "vatype" | "vacertificatefile" | "vaocspresponderurl" => Kind::Unread, First, Unused;
    X509KeyAlgorithm "x509keyalgorithm" => Kind::Unread, First, Unused;

    // Names without effect.
    Protocol "protocol" => Kind::Ignored(Ignored::Silent), First, Used;
    Deprecated "cipher" | "fallbacktorsh" | "globalknownhostsfile2" | "rhostsauthentication" | "useblacklistedkeys" | "userknownhostsfile2" | "useroaming" | "usersh" | "useprivilegedport" => Kind::Ignored(Ignored::Deprecated), First, Used;
    Unsupported "afstokenpassing" | "kerberosauthentication" | "kerberostgtpassing" | "rsaauthentication" | "rhostsrsaauthentication" | "compressionlevel" => Kind::Ignored(Ignored::Unsupported), First, Used;

    // `ForwardAgent`'s socket and `RekeyLimit`'s interval are won on their own.
    ForwardAgentSocket "" => Kind::Internal, First, Used;
    RekeyInterval "" => Kind::Internal, First, Unused;
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

    pub(super) fn all() -> impl Iterator<Item = Self> {
        ALL.iter().copied()
    }

    pub(super) fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The known name nearest to a wrong one, if it is near enough.
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
