//! Random ssh_config files, meant to be nasty: odd spelling, quoting and spacing, includes in blocks, tokens,
//! lists of algorithms, and now and then something that ssh refuses.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::rng::Rng;
use crate::settings::{KEYWORDS, TEXTS, WORDS, host, setting};

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
pub(crate) struct Taste {
    /// Once in so many lines something is wrong with it.
    wrong: usize,
    /// Paths that an `Include` may name.
    includes: Vec<String>,
    /// Canonicalisation is on, so that no domain may be tried (which would ask the network).
    pub(crate) canonical: bool,
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
        for _ in 0..=rng.below(2) {
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
        match rng.below(3) {
            0 if at < chars.len() => chars[at] = c,
            1 if at < chars.len() => drop(chars.remove(at)),
            _ => chars.insert(at, c),
        }
    }
    chars.into_iter().collect()
}

/// A keyword in some case, something that separates, and the rest.
pub(crate) fn line(rng: &mut Rng, keyword: &str, rest: &str) -> String {
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
pub(crate) fn spell(rng: &mut Rng, keyword: &str, words: &[String]) -> String {
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
        "echo out; false",
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
