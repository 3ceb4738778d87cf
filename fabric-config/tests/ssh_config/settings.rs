//! Random hosts, and random settings that ssh accepts, or nearly always does.

use crate::generator::{Taste, line, spell};
use crate::rng::Rng;

const HOSTS: &[&str] = &[
    "web1",
    "WEB1",
    "web2",
    "web10",
    "web2.example.org",
    "Web2.Example.ORG",
    "db1",
    "db1.internal",
    "bastion",
    "localhost",
    "10.0.0.1",
    "127.1",
    "0x7f.1",
    "0X7F.0.0.1",
    "010.1",
    "1.2.3.4.5",
    "256.1.1.1",
    "::1",
    "2001:DB8::1",
    "::FFFF:1.2.3.4",
    "0:0:0:0:0:0:0:1",
    "fe80::1%lo",
    "::1%1",
    "a.b.c.d.e.f",
    "foo_bar",
    "none",
    "x%y",
    "é",
    "h.",
    "-",
    "a b",
    "1",
    "a,b",
    "web!",
    "we*b",
    "[::1]",
];

/// A host to ask for.
pub(crate) fn host(rng: &mut Rng) -> &'static str {
    HOSTS[if rng.one_in(3) { rng.below(HOSTS.len()) } else { rng.below(14) }]
}

fn flag(rng: &mut Rng) -> String {
    rng.pick(&["yes", "no", "yes", "no", "true", "false", "YES", "No", "True"]).to_owned()
}

fn time(rng: &mut Rng) -> String {
    rng.pick(&["0", "1", "30", "90", "5m", "1h30m", "2d", "1w", "1H5M10s", "+7", "none", "007", "2147483647"])
        .to_owned()
}

fn number(rng: &mut Rng) -> String {
    rng.pick(&["0", "1", "2", "3", "10", "0022", "+4", "2147483647"]).to_owned()
}

fn path(rng: &mut Rng) -> String {
    rng.pick(&[
        "~/.ssh/id_%h",
        "/etc/keys/%r@%h:%p",
        "~/.ssh/%n-%k",
        "none",
        "~",
        "~/",
        "/a b/c",
        "${FAB_NAME}/x",
        "/k/${FAB_PATH}",
        "%d/x",
        "~root/.ssh/x",
        "/x/%C",
        "%%",
        "/x/%i-%u-%L-%l",
        "relative/path",
        "NONE",
        "/x/${FAB_EMPTY}y",
        "/it's",
        "/a\\b",
        "/q\"q",
        "~//x",
        "/é/ü",
        "SSH_AUTH_SOCK",
        "$FAB_PATH",
        "$SSH_AUTH_SOCK",
        "/x=y",
        "/x#y",
        "#x",
    ])
    .to_owned()
}

fn free_text(rng: &mut Rng) -> String {
    rng.pick(&[
        "value",
        "two words",
        "none",
        "None",
        "a,b,c",
        "%h",
        "it's",
        "back\\slash",
        "quo\"te",
        "x=y",
        "=x",
        "#hash",
        "tab\tbed",
        "é",
        "~",
        "${FAB_NAME}",
        "\\",
        "x\\",
        "a  b",
        "publickey,password",
    ])
    .to_owned()
}

fn shell_text(rng: &mut Rng) -> String {
    rng.pick(&[
        "nc %h %p",
        "ssh -W %h:%p bastion",
        "echo 'a b' \"c d\"",
        "none",
        "NONE",
        "exec sh -c \"nc %h %p # no comment\"",
        "- x",
        "-",
        "echo # tail",
        "= x",
        "== y",
        "none ",
        "\"none\"",
        "echo %%h %n %r",
        "printf '\\n'",
        "echo a\\ b",
        "echo %u@%h %C %k %L %d %i %l",
        "#nothing",
        "echo ${FAB_NAME}",
        "  spaced  out  ",
    ])
    .to_owned()
}

fn jump(rng: &mut Rng) -> String {
    rng.pick(&[
        "none",
        "bastion",
        "me@bastion:2222",
        "a,b,c",
        "ssh://me@bastion:22",
        "ssh://bastion",
        "[::1]:22",
        "10.0.0.1",
        "u@10.0.0.1:2",
        "None",
        "none # comment",
        "bastion # comment",
        "bastion tail",
        "a,u@b:3,c",
        "web1",
        "root@web1:22",
        "2001:db8::1",
        "ssh://a%20b@h",
        "a:,b",
        "\"bastion\"",
        "u@v@w",
        "[fe80::1%lo]",
        "ssh://[::1]",
        "a/b",
        "ssh://h/",
        "ssh://h/p",
        "x#y",
        "a:ssh",
    ])
    .to_owned()
}

const CIPHERS: &[&str] =
    &["aes128-ctr", "aes256-ctr", "chacha20-poly1305@openssh.com", "3des-cbc", "aes256-gcm@openssh.com"];
const MACS: &[&str] = &[
    "hmac-sha1",
    "hmac-sha2-256",
    "umac-64@openssh.com",
    "hmac-md5-96-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
];
const KEXES: &[&str] = &[
    "curve25519-sha256",
    "diffie-hellman-group1-sha1",
    "ecdh-sha2-nistp256",
    "sntrup761x25519-sha512@openssh.com",
    "gss-gex-sha1-x",
    "curve25519-sha256@libssh.org",
];
const KEYS: &[&str] = &[
    "ssh-rsa",
    "ssh-ed25519",
    "rsa-sha2-512",
    "ssh-dss",
    "ecdsa-sha2-*",
    "ssh-*",
    "*cert*",
    "*-cert-v01@openssh.com",
    "sk-*",
    "rsa-sha2-256-cert-v01@openssh.com",
    "RSA",
    "Ed25519",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
    "null",
];

fn algorithms(rng: &mut Rng, names: &[&str]) -> String {
    let prefix = rng.pick(&["", "", "+", "-", "^"]);
    if prefix == "-" {
        let one = |rng: &mut Rng| {
            if rng.one_in(2) {
                rng.pick(names).to_owned()
            } else {
                rng.pick(&["*cbc", "*sha1*", "ecdh*", "hmac-*", "*", "!ssh-rsa", "x"]).to_owned()
            }
        };
        return format!("-{}", rng.several(1, 3, one).join(","));
    }
    format!("{prefix}{}", rng.several(1, 4, |rng| rng.pick(names)).join(","))
}

fn endpoint(rng: &mut Rng) -> String {
    rng.pick(&[
        "web:80",
        "[::1]:80",
        "localhost:443",
        "/run/x.sock",
        "${FAB_PATH}",
        "10.0.0.1:1",
        "[a:b]:9",
        "h\\:x:7",
        "socks:1",
        "/run/%h",
    ])
    .to_owned()
}

fn listener(rng: &mut Rng) -> String {
    rng.pick(&[
        "8080",
        "localhost:8080",
        "*:8080",
        ":81",
        "[::1]:82",
        "/run/l.sock",
        "/run/%u-%p",
        "443",
        "[*]:83",
        "8080:",
    ])
    .to_owned()
}

/// A setting that ssh accepts, or nearly always does.
pub(crate) fn setting(rng: &mut Rng, taste: &Taste) -> String {
    let kind = rng.below(40);
    match kind {
        0..=8 => {
            let keyword = rng.pick(FLAGS);
            let value = flag(rng);
            spell(rng, keyword, &[value])
        }
        9..=12 => {
            let (keyword, words) = WORDS[rng.below(WORDS.len())];
            if keyword == "CanonicalizeHostname" && !taste.canonical {
                return spell(rng, keyword, &["no".into()]);
            }
            let word = rng.pick(words);
            let word = if rng.one_in(5) { word.to_uppercase() } else { word.to_owned() };
            spell(rng, keyword, &[word])
        }
        13 | 14 => {
            let keyword = rng.pick(&[
                "ConnectTimeout",
                "ServerAliveInterval",
                "ForwardX11Timeout",
                "ProtocolKeepAlives",
                "SetupTimeOut",
            ]);
            let value = time(rng);
            spell(rng, keyword, &[value])
        }
        15 => {
            let keyword =
                rng.pick(&["NumberOfPasswordPrompts", "ServerAliveCountMax", "CanonicalizeMaxDots", "RequiredRSASize"]);
            let value = number(rng);
            spell(rng, keyword, &[value])
        }
        16 | 17 => {
            let keyword = rng.pick(&["IdentityFile", "CertificateFile", "IdentityFile2", "IdentityFile"]);
            let value = path(rng);
            spell(rng, keyword, &[value])
        }
        18 => {
            let keyword = rng.pick(&["ControlPath", "IdentityAgent", "ForwardAgent", "IdentityAgent", "ForwardAgent"]);
            let value = if rng.one_in(3) { flag(rng) } else { path(rng) };
            spell(rng, keyword, &[value])
        }
        19 => {
            let keyword = rng.pick(&["UserKnownHostsFile", "GlobalKnownHostsFile"]);
            let values = if rng.one_in(6) {
                vec![rng.pick(&["none", "~/.ssh/known_hosts", "None"]).to_owned()]
            } else {
                rng.several(1, 3, |rng| path(rng).replace("none", "some").replace("NONE", "some"))
            };
            spell(rng, keyword, &values)
        }
        20 | 21 => {
            let keyword = rng.pick(TEXTS);
            let value = free_text(rng);
            spell(rng, keyword, &[value])
        }
        22 => {
            let keyword =
                rng.pick(&["ProxyCommand", "RemoteCommand", "LocalCommand", "KnownHostsCommand", "ProxyCommand"]);
            let value = shell_text(rng);
            line(rng, keyword, &value)
        }
        23 => {
            let value = jump(rng);
            line(rng, "ProxyJump", &value)
        }
        24 | 25 => {
            let (keyword, names) = [
                ("Ciphers", CIPHERS),
                ("MACs", MACS),
                ("KexAlgorithms", KEXES),
                ("HostKeyAlgorithms", KEYS),
                ("PubkeyAcceptedAlgorithms", KEYS),
                ("PubkeyAcceptedKeyTypes", KEYS),
                ("HostbasedAcceptedAlgorithms", KEYS),
                ("HostbasedKeyTypes", KEYS),
                ("CASignatureAlgorithms", KEYS),
            ][rng.below(9)];
            let value = algorithms(rng, names);
            spell(rng, keyword, &[value])
        }
        26 => {
            let names =
                rng.several(1, 3, |rng| rng.pick(&["LANG", "LC_*", "-LC_*", "GIT_?", "-*", "A", "B", "-A"]).to_owned());
            spell(rng, "SendEnv", &names)
        }
        27 => {
            let pairs = rng.several(1, 3, |rng| {
                rng.pick(&["A=1", "B=two words", "A=2", "C=", "=x", "D=a=b", "E=\"q\"", "F=%h ${X}"]).to_owned()
            });
            spell(rng, "SetEnv", &pairs)
        }
        28 | 29 => match rng.below(3) {
            0 => {
                let words = [listener(rng), endpoint(rng)];
                spell(rng, "LocalForward", &words)
            }
            1 => {
                let mut words = vec![if rng.one_in(3) { "0".to_owned() } else { listener(rng) }];
                if !rng.one_in(3) {
                    words.push(endpoint(rng));
                }
                spell(rng, "RemoteForward", &words)
            }
            _ => {
                let word = listener(rng);
                spell(rng, "DynamicForward", &[word])
            }
        },
        30 => {
            let words = if rng.one_in(3) {
                vec![rng.pick(&["any", "none", "ANY"]).to_owned()]
            } else {
                rng.several(1, 3, |rng| rng.pick(&["a:1", "[::1]:80", "*:*", ":5", "h:80", "x.y:*"]).to_owned())
            };
            spell(rng, "PermitRemoteOpen", &words)
        }
        31 => {
            let words: &[&str] = [
                &["1G"][..],
                &["default"],
                &["16"],
                &["1G", "1h"],
                &["default", "none"],
                &["1.5K", "30"],
                &["0"],
                &["500m", "0"],
                &["16K!", "5"],
            ][rng.below(9)];
            spell(rng, "RekeyLimit", &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
        }
        32 => {
            let words = rng.several(1, 2, |rng| {
                rng.pick(&[
                    "af11",
                    "CS1",
                    "ef",
                    "le",
                    "lowdelay",
                    "throughput",
                    "reliability",
                    "none",
                    "0x10",
                    "0",
                    "255",
                    "0377",
                    "17",
                ])
                .to_owned()
            });
            spell(rng, "IPQoS", &words)
        }
        33 => {
            let (keyword, values): (&str, &[&str]) = [
                ("EscapeChar", &["none", "~", "^A", "^]", "x", "\\", "#", " ", "^", "\"", "^?"][..]),
                ("TunnelDevice", &["any", "0:any", "1:2", "any:3", "7", "ANY:any"]),
                ("ControlPersist", &["yes", "no", "5m", "0", "true", "false", "90"]),
                ("StreamLocalBindMask", &["0177", "0", "777", "022", "0118", "+7"]),
                ("AddKeysToAgent", &["yes", "no", "ask", "confirm", "5m", "0", "True"]),
            ][rng.below(5)];
            let value = rng.pick(values).to_owned();
            let mut words = vec![value];
            if keyword == "AddKeysToAgent" && words[0] == "confirm" && rng.one_in(2) {
                words.push("1h".into());
            }
            spell(rng, keyword, &words)
        }
        34 => {
            let value = rng.pick(&["22", "2222", "1", "65535", "022", "+80", "64000", "443"]).to_owned();
            spell(rng, "Port", &[value])
        }
        35 => {
            let value =
                rng.pick(&["deploy", "root", "Admin", "a.b", "two words", "%u", "%r", "none", "d'x"]).to_owned();
            spell(rng, "User", &[value])
        }
        36 => {
            let value = rng
                .pick(&[
                    "%h.example.org",
                    "10.0.0.7",
                    "Web1.Example.ORG",
                    "%%",
                    "127.1",
                    "::1",
                    "%h",
                    "0x7f.1",
                    "bastion",
                    "x y",
                ])
                .to_owned();
            spell(rng, "HostName", &[value])
        }
        37 if taste.canonical => {
            let value = rng.pick(&["none", "None", "none."]).to_owned();
            spell(rng, "CanonicalDomains", &[value])
        }
        37 => {
            let words = rng.several(1, 3, |rng| rng.pick(&["example.org", "A.B.", "x_y.z", "1.2", "a-b"]).to_owned());
            spell(rng, "CanonicalDomains", &words)
        }
        38 => unusual(rng),
        _ => {
            let value = rng.pick(&["bogus*,futur?", "*", "bogus", "!bogus1,bogus*", "FUTUR?"]).to_owned();
            let known = spell(rng, "IgnoreUnknown", &[value]);
            if rng.one_in(2) {
                known
            } else {
                format!("{known}\n{}", rng.pick(&["Bogus yes", "bogus1 \"x\" y", "FutureX=1"]))
            }
        }
    }
}

/// Directives without effect, with a rule of their own, or with rare arguments.
fn unusual(rng: &mut Rng) -> String {
    let rest = rng.pick(&["2", "yes", "a b c", "\"x\""]);
    match rng.below(8) {
        0 => line(rng, "Protocol", rest),
        1 => {
            let keyword = rng.pick(&[
                "Cipher",
                "UseRoaming",
                "UsePrivilegedPort",
                "FallBackToRsh",
                "RhostsAuthentication",
                "UserKnownHostsFile2",
            ]);
            line(rng, keyword, rest)
        }
        2 => {
            let keyword =
                rng.pick(&["RSAAuthentication", "CompressionLevel", "AfsTokenPassing", "KerberosAuthentication"]);
            line(rng, keyword, rest)
        }
        3 => {
            let words = rng.several(1, 3, |rng| rng.pick(&["kex.c:*", "a", "*:b:1"]).to_owned());
            spell(rng, "LogVerbose", &words)
        }
        4 => {
            let none = rng.pick(&["none", "None", "NONE"]).to_owned();
            spell(rng, "CanonicalizePermittedCNAMEs", &[none])
        }
        5 => {
            let names = rng.several(1, 3, |rng| {
                rng.pick(&["gss-gex-sha1-", "gss-group14-sha256-x", "gss-curve25519-sha256-"]).to_owned()
            });
            spell(rng, "GSSAPIKexAlgorithms", &[names.join(",")])
        }
        6 => spell(rng, "ConnectionAttempts", &["4".into()]),
        _ => {
            // Lists of which a comment leaves nothing.
            let keyword = rng.pick(&[
                "SendEnv",
                "SetEnv",
                "Host",
                "Include",
                "GlobalKnownHostsFile",
                "CanonicalDomains",
                "LogVerbose",
            ]);
            line(rng, keyword, "# nothing")
        }
    }
}

/// Directives whose arguments have a form of their own.
pub(crate) const KEYWORDS: &[&str] = &[
    "Host",
    "Match",
    "Match",
    "Include",
    "AddKeysToAgent",
    "CanonicalDomains",
    "Ciphers",
    "ConnectTimeout",
    "ControlPath",
    "ControlPersist",
    "DynamicForward",
    "EscapeChar",
    "ForwardAgent",
    "GlobalKnownHostsFile",
    "GSSAPIKexAlgorithms",
    "HostKeyAlgorithms",
    "HostName",
    "IdentityAgent",
    "IdentityFile",
    "IgnoreUnknown",
    "IPQoS",
    "KnownHostsCommand",
    "LocalForward",
    "LogVerbose",
    "NumberOfPasswordPrompts",
    "PermitRemoteOpen",
    "Port",
    "Protocol",
    "ProxyCommand",
    "ProxyJump",
    "RekeyLimit",
    "RemoteCommand",
    "RemoteForward",
    "SendEnv",
    "SetEnv",
    "StreamLocalBindMask",
    "TunnelDevice",
    "User",
    "UserKnownHostsFile",
    "Cipher",
    "RSAAuthentication",
    "Bogus",
];
const FLAGS: &[&str] = &[
    "BatchMode",
    "CanonicalizeFallbackLocal",
    "CheckHostIP",
    "ClearAllForwardings",
    "EnableEscapeCommandline",
    "EnableSSHKeysign",
    "ExitOnForwardFailure",
    "ForwardX11",
    "ForwardX11Trusted",
    "ForwardAgent",
    "GatewayPorts",
    "GSSAPIAuthentication",
    "GSSAPIDelegateCredentials",
    "GSSAPIKeyExchange",
    "GSSAPIRenewalForcesRekey",
    "GSSAPITrustDns",
    "HashKnownHosts",
    "HostbasedAuthentication",
    "IdentitiesOnly",
    "KbdInteractiveAuthentication",
    "ChallengeResponseAuthentication",
    "SKeyAuthentication",
    "TISAuthentication",
    "NoHostAuthenticationForLocalhost",
    "PasswordAuthentication",
    "PermitLocalCommand",
    "ProxyUseFdpass",
    "StdinNull",
    "StreamLocalBindUnlink",
    "TCPKeepAlive",
    "KeepAlive",
    "VisualHostKey",
];
pub(crate) const WORDS: &[(&str, &[&str])] = &[
    ("AddressFamily", &["any", "inet", "inet6"]),
    ("CanonicalizeHostname", &["yes", "no", "always", "true", "false"]),
    ("Compression", &["yes", "no"]),
    ("ControlMaster", &["yes", "no", "auto", "ask", "autoask", "true", "false"]),
    ("FingerprintHash", &["md5", "sha1", "sha256", "SHA384", "sha512"]),
    ("LogLevel", &["quiet", "silent", "fatal", "error", "info", "verbose", "debug", "debug1", "debug2", "debug3"]),
    ("PubkeyAuthentication", &["yes", "no", "unbound", "host-bound", "true"]),
    ("DSAAuthentication", &["yes", "no", "unbound"]),
    ("RequestTTY", &["yes", "no", "force", "auto", "true"]),
    ("SessionType", &["none", "subsystem", "default"]),
    ("StrictHostKeyChecking", &["yes", "no", "ask", "off", "accept-new", "true", "false"]),
    ("SyslogFacility", &["user", "daemon", "auth", "authpriv", "local0", "LOCAL7"]),
    ("Tunnel", &["yes", "no", "point-to-point", "ethernet", "true", "false"]),
    ("UpdateHostKeys", &["yes", "no", "ask"]),
    ("VerifyHostKeyDNS", &["yes", "no", "ask"]),
    ("ForkAfterAuthentication", &["no", "no", "no", "yes"]),
];
pub(crate) const TEXTS: &[&str] = &[
    "BindAddress",
    "BindInterface",
    "GSSAPIClientIdentity",
    "GSSAPIServerIdentity",
    "HostKeyAlias",
    "KbdInteractiveDevices",
    "PKCS11Provider",
    "SmartcardDevice",
    "PreferredAuthentications",
    "RevokedHostKeys",
    "SecurityKeyProvider",
    "XAuthLocation",
];
