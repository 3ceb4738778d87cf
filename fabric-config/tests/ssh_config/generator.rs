//! Random ssh_config files, meant to be nasty: odd spelling, quoting and spacing, includes in blocks, tokens,
//! lists of algorithms, and now and then something that ssh refuses.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::rng::Rng;

/// A set of files.
pub(crate) struct Files {
    /// The one to start with.
    pub(crate) root: PathBuf,
    written: Vec<(PathBuf, String)>,
}

impl Files {
    /// All of them, for a report.
    pub(crate) fn show(&self) -> String {
        self.written.iter().fold(String::new(), |mut all, (path, text)| {
            let _ = writeln!(all, "--- {}:\n{text}", path.display());
            all
        })
    }
}

/// What a set of files is inclined to.
struct Taste {
    /// Once in so many lines something is wrong with it.
    wrong: usize,
    /// Paths that an `Include` may name.
    includes: Vec<String>,
    /// Canonicalisation is on, so that no domain may be tried (which would ask the network).
    canonical: bool,
    /// Short files that begin with all but noise.
    wild: bool,
}

/// Writes a set of files below a folder that is `$HOME` to ssh.
pub(crate) fn files(rng: &mut Rng, home: &Path) -> Files {
    let folder = home.join("conf.d");
    fs::create_dir_all(home.join(".ssh/d")).unwrap();
    fs::create_dir_all(&folder).unwrap();
    let root = home.join("config");
    let text = home.to_str().unwrap();
    let names: Vec<(PathBuf, Vec<String>)> = vec![
        (home.join(".ssh/extra"), vec!["extra".into(), "~/.ssh/extra".into(), "ext*".into(), "[!x]xtra".into()]),
        (home.join(".ssh/d/1.conf"), vec!["d/*.conf".into(), "d/1.conf".into(), "*/[0-9].conf".into()]),
        (home.join(".ssh/d/2.conf"), vec!["d/*.conf".into(), "~/.ssh/d/?.conf".into()]),
        (folder.join("a b.conf"), vec![format!("{text}/conf.d/a b.conf"), format!("{text}/conf.d/*")]),
    ];
    let wrong = [usize::MAX, usize::MAX, usize::MAX, usize::MAX, 120, 30][rng.below(6)];
    let canonical = rng.one_in(3);
    let mut written = Vec::new();
    let mut includes: Vec<String> = vec!["nothing*".into(), "/no/such/file".into(), "d/missing".into()];
    for (path, patterns) in names {
        let taste = Taste { wrong: wrong.saturating_mul(2), includes: includes.clone(), canonical, wild: false };
        written.push((path, file(rng, &taste, 0, 8)));
        includes.extend(patterns);
    }
    if rng.one_in(40) {
        includes.push(root.to_str().unwrap().to_owned());
    }
    let wild = rng.one_in(8);
    let taste = Taste { wrong, includes, canonical, wild };
    written.push((root.clone(), if wild { file(rng, &taste, 0, 2) } else { file(rng, &taste, 3, 40) }));
    for (path, text) in &written {
        fs::write(path, text).unwrap();
    }
    if rng.one_in(40) {
        fs::set_permissions(&written[0].0, fs::Permissions::from_mode(0o666)).unwrap();
    }
    Files { root, written }
}

fn file(rng: &mut Rng, taste: &Taste, least: usize, most: usize) -> String {
    let mut text = String::new();
    if taste.wild {
        for _ in 0..1 + rng.below(2) {
            text.push_str(&wild(rng));
            text.push('\n');
        }
    }
    for _ in 0..least + rng.below(most - least + 1) {
        let mut line = statement(rng, taste);
        if taste.wrong != usize::MAX && rng.one_in(taste.wrong) {
            line = spoil(rng, &line);
        }
        text.push_str(&line);
        text.push_str(rng.pick(&["\n", "\n", "\n", "\n", "\n", "\n\n", "\r\n", " \n", "\t\r\n", " \x0c\n"]));
    }
    if rng.one_in(10) {
        text.push_str("User last_line");
    }
    text
}

/// One line.
fn statement(rng: &mut Rng, taste: &Taste) -> String {
    match rng.below(30) {
        0..=3 => {
            let patterns = patterns(rng);
            spell(rng, "Host", &patterns)
        }
        4..=7 => match_line(rng),
        8 => {
            let paths = rng.several(1, 2, |rng| {
                let path = taste.includes[rng.below(taste.includes.len())].clone();
                // A blank must be quoted in this style or another; elsewhere quoting is a matter of taste.
                quote(rng, &path)
            });
            line(rng, "Include", &paths.join(" "))
        }
        9 => rng
            .pick(&["", "# comment", "   # \"comment", "\t", "#Host x", " ", "\"Host web", "Ho\"st web", "   \"\""])
            .to_owned(),
        _ => setting(rng, taste),
    }
}

/// Changes a character or two.
fn spoil(rng: &mut Rng, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=rng.below(2) {
        let at = rng.below(chars.len() + 1);
        let c = ['"', '\'', '\\', '#', '=', '%', '$', '{', '}', ' ', ',', ':', '!', '*', 'x', '0', '~', '\0']
            [rng.below(18)];
        if rng.one_in(3) && at < chars.len() {
            chars[at] = c;
        } else if rng.one_in(3) && at < chars.len() {
            chars.remove(at);
        } else {
            chars.insert(at, c);
        }
    }
    chars.into_iter().collect()
}

/// A keyword in some case, something that separates, and the rest.
fn line(rng: &mut Rng, keyword: &str, rest: &str) -> String {
    let keyword: String = match rng.below(4) {
        0 => keyword.to_lowercase(),
        1 => keyword.to_uppercase(),
        2 => keyword
            .chars()
            .map(|c| if rng.one_in(2) { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect(),
        _ => keyword.to_owned(),
    };
    let keyword = if rng.one_in(60) { format!("\"{keyword}\"") } else { keyword };
    let indent = rng.pick(&["", "", "", "  ", "\t", "    ", " \t "]);
    let separator = rng.pick(&[" ", " ", " ", " ", "\t", "  ", "=", " = ", " =", "= ", "\t=\t"]);
    format!("{indent}{keyword}{separator}{rest}")
}

/// As [`line`], with words to be quoted in some way, and perhaps a comment.
fn spell(rng: &mut Rng, keyword: &str, words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quote(rng, word)).collect();
    let between = rng.pick(&[" ", " ", " ", "  ", "\t"]);
    let comment = if rng.one_in(12) { rng.pick(&[" # comment", " #", " # it's \"open", "\t#x"]) } else { "" };
    line(rng, keyword, &format!("{}{comment}", words.join(between)))
}

/// Writes a word so that it is read as it was.
fn quote(rng: &mut Rng, word: &str) -> String {
    let plain = !word.is_empty() && !word.contains([' ', '\t', '"', '\'', '\\', '#']);
    if plain && !rng.one_in(5) {
        return word.to_owned();
    }
    let escaped = |quote: char| {
        let mut out = String::new();
        for c in word.chars() {
            if c == '\\' || c == quote {
                out.push('\\');
            }
            out.push(c);
        }
        out
    };
    match rng.below(4) {
        0 => format!("'{}'", escaped('\'')),
        1 if !word.contains(['"', '\'', '\t']) && !word.is_empty() && !word.starts_with('#') => {
            word.replace('\\', "\\\\").replace(' ', "\\ ")
        }
        2 if word.is_ascii() && word.len() > 2 && !word.contains(['"', '\'', '\\']) => {
            let at = 1 + rng.below(word.len() - 1);
            format!("\"{}\"'{}'", &word[..at], &word[at..])
        }
        _ => format!("\"{}\"", escaped('"')),
    }
}

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

fn patterns(rng: &mut Rng) -> Vec<String> {
    let one = |rng: &mut Rng| match rng.below(8) {
        0..=2 => host(rng).to_owned(),
        3 => rng.pick(&["*", "*", "**", "?*", "!*", "!", "?", "*.*"]).to_owned(),
        4 => format!("!{}", rng.pick(&["web1", "db*", "*.example.org", "10.*", "web?", "WEB*"])),
        _ => rng
            .pick(&[
                "web*",
                "web?",
                "w*1",
                "*.example.org",
                "*.org",
                "db?*",
                "10.0.*",
                "*1",
                "*.internal",
                "*e*",
                "127.*",
                "W*",
                "*:*",
            ])
            .to_owned(),
    };
    rng.several(1, 3, one)
}

fn match_line(rng: &mut Rng) -> String {
    if rng.one_in(5) {
        let rest =
            rng.pick(&["all", "ALL", "!all", "all # comment", "host web* all", "canonical all", "final all", "all #x"]);
        return line(rng, "Match", rest);
    }
    let criteria = rng.several(1, 3, |rng| {
        let bang = if rng.one_in(5) { "!" } else { "" };
        let (name, argument) = match rng.below(12) {
            0..=2 => ("host", Some(patterns(rng).join(","))),
            3 => ("originalhost", Some(patterns(rng).join(","))),
            4 | 5 => (
                "user",
                Some(rng.pick(&["root", "deploy,admin", "*,!root", "Admin", "a*", "!deploy,*", "nobody"]).to_owned()),
            ),
            6 => ("localuser", Some(rng.pick(&["root", "!root,*", "*", "alice", "r??t"]).to_owned())),
            7 => ("canonical", None),
            8 => ("final", None),
            _ => ("exec", Some(command(rng))),
        };
        let name = match rng.below(6) {
            0 => name.to_uppercase(),
            1 => name[..1].to_uppercase() + &name[1..],
            _ => name.to_owned(),
        };
        match argument {
            None => format!("{bang}{name}"),
            Some(argument) => {
                let between = rng.pick(&[" ", " ", " ", "=", " = ", "\t"]);
                // Here only double quotes quote, and nothing escapes them.
                let needs = argument.is_empty() || argument.contains([' ', '\t', '=', '#', '\'']);
                if needs || rng.one_in(4) {
                    format!("{bang}{name}{between}\"{}\"", argument.replace('"', ""))
                } else {
                    format!("{bang}{name}{between}{argument}")
                }
            }
        }
    });
    let tail = if rng.one_in(10) { rng.pick(&[" # comment", " #", "\t# x y"]) } else { "" };
    let rest = criteria.join(rng.pick(&[" ", " ", "  ", "\t"])) + tail;
    line(rng, "Match", &rest)
}

/// A command for `Match exec`.
fn command(rng: &mut Rng) -> String {
    rng.pick(&[
        "true",
        "false",
        "exit 3",
        "test %h = web1",
        "test %n = %h",
        "test %u = root",
        "test %r = deploy",
        "test %p -eq 22",
        "test %p = 2222",
        "test x$FAB_NAME = xweb",
        "test -n %L",
        "test %l = $(hostname)",
        "test %k = web1",
        "test %i = 0",
        "test %% = %%",
        "echo %d | grep -q root",
        "case %C in [0-7]*) exit 0;; *) exit 1;; esac",
        "test 1 = 1 && test '%h' = db1",
        "echo out; echo err >&2; false",
        "cat",
    ])
    .to_owned()
}

/// A line for `-o`.
pub(crate) fn option(rng: &mut Rng) -> String {
    let taste = Taste { wrong: usize::MAX, includes: vec!["x".into()], canonical: true, wild: false };
    match rng.below(12) {
        0 => rng
            .pick(&["Host web1", "Match all", "Include x", "Bogus yes", "", "# x", "ProxyJump=$(x)@y", "ProxyJump=a;b"])
            .to_owned(),
        1 => "IgnoreUnknown=bogus*,futur?".to_owned(),
        _ => {
            let lines = setting(rng, &taste);
            // One line only; and ssh wants a command for a subsystem that the command line asks for.
            let line = lines.lines().next().unwrap_or_default();
            if line.to_lowercase().contains("subsystem") { "SessionType none".to_owned() } else { line.to_owned() }
        }
    }
}

/// A known keyword with characters that mean something somewhere.
fn wild(rng: &mut Rng) -> String {
    let keyword = match rng.below(5) {
        0 => rng.pick(TEXTS),
        // Without the first two, of which one could have names looked up.
        1 => WORDS[2 + rng.below(WORDS.len() - 2)].0,
        _ => rng.pick(KEYWORDS),
    };
    let pieces = rng.several(1, 6, |rng| {
        rng.pick(&[
            " ",
            " ",
            "\t",
            "\"",
            "'",
            "\\",
            "#",
            "=",
            "%",
            "%h",
            "%%",
            "${FAB_NAME}",
            "${",
            "}",
            "$",
            "~",
            "*",
            "!",
            "?",
            ",",
            ":",
            "/",
            "[",
            "]",
            "@",
            "+",
            "-",
            "^",
            "none",
            "any",
            "yes",
            "no",
            "all",
            "host",
            "user",
            "1",
            "22",
            "0",
            "5m",
            "1G",
            "K",
            "a",
            "web1",
            "confirm",
            "aes128-ctr",
            "ssh-rsa",
            "exec true",
            "final",
            "\r",
            "\x0b",
            "\x0c",
            "é",
            ".",
            "ssh://",
            "default",
            "-A",
            "A=b",
        ])
    });
    line(rng, keyword, &pieces.concat())
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
        "localhost:http",
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
        "http",
        "[*]:83",
        "8080:",
    ])
    .to_owned()
}

/// A setting that ssh accepts, or nearly always does.
fn setting(rng: &mut Rng, taste: &Taste) -> String {
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
                rng.several(1, 3, |rng| rng.pick(&["a:1", "[::1]:80", "*:*", ":5", "h:http", "x.y:*"]).to_owned())
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
            let value = rng.pick(&["22", "2222", "1", "65535", "022", "+80", "ssh", "https"]).to_owned();
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
const KEYWORDS: &[&str] = &[
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
const WORDS: &[(&str, &[&str])] = &[
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
const TEXTS: &[&str] = &[
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
