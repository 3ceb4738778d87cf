//! The login shell, which reads every command first, and which isn't always a Bourne shell.
//!
//! sshd hands a command to the user's login shell (sshd(8)). What is put around a command (environment, `cd`,
//! prefixes) is the Bourne shell's language. csh, tcsh and fish read some of it in another way, or can't: csh has no
//! `export` and no line ends between quotes, and replaces `!word` by an earlier command even there; fish takes
//! backslashes out of single quotes. On such a host the whole text goes to `/bin/sh`, in a form that every shell
//! passes on unchanged: [`LoginShell::hand_over`].

use std::fmt;

use super::error::CommandError;
use super::rendered::LONGEST;

/// What the login shells of hosts are, as far as it matters.
///
/// ```
/// use fabric_core::command::LoginShell;
///
/// let shell = LoginShell::from_answer(b"Welcome!\nfabric-shell \\\\ !\n");
/// assert_eq!(shell, LoginShell::Csh);
/// assert_eq!(shell.hand_over(b"echo hi!there".to_vec())?, b"exec /bin/sh -c 'echo hi'\\!'there'");
/// assert_eq!(LoginShell::Bourne.hand_over(b"echo hi!there".to_vec())?, b"echo hi!there");
/// # Ok::<(), fabric_core::CommandError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginShell {
    /// sh, bash, dash, ksh, zsh, ..
    Bourne,
    /// csh or tcsh.
    Csh,
    /// fish.
    Fish,
    /// None of these: a forced command, a device, another shell.
    Other,
}

/// How an answer to the question begins.
const ANSWER: &[u8] = b"fabric-shell ";

/// The longest word, in bytes before quoting: the csh of the BSDs has a limit of a few thousand.
const WORD: usize = 900;

impl LoginShell {
    /// The command whose output says which one it is ([`LoginShell::from_answer`]), by how it reads quotes.
    pub const QUESTION: &[u8] = br"printf '%s\n' 'fabric-shell \\ \!'";

    /// Which one has printed this; start-up files may have printed something before it.
    pub fn from_answer(output: &[u8]) -> Self {
        let answer = output.split(|byte| *byte == b'\n').rev().find_map(|line| line.strip_prefix(ANSWER));
        match answer.map(<[u8]>::trim_ascii) {
            Some(br"\\ \!") => Self::Bourne,
            Some(br"\\ !") => Self::Csh,
            Some(br"\ \!") => Self::Fish,
            _ => Self::Other,
        }
    }

    /// The one that a `shell` setting names (`/usr/bin/tcsh -c`); what isn't known by its name is a Bourne shell.
    pub(super) fn named(shell: &str) -> Self {
        let program = shell.split_ascii_whitespace().next().unwrap_or_default();
        match program.rsplit('/').next().unwrap_or_default() {
            "csh" | "tcsh" | "bsd-csh" => Self::Csh,
            "fish" => Self::Fish,
            _ => Self::Bourne,
        }
    }

    /// What ends it behind a command that failed, where that isn't the Bourne shell's language. A csh that runs `-c` goes on
    /// with the next line after `exit`.
    pub(super) fn or_exit(self) -> Option<&'static [u8]> {
        match self {
            Self::Csh => Some(b"\nset fabric = $status; if ($fabric) exec sh -c \"exit $fabric\"\n"),
            Self::Fish => Some(b"\nor exit $status\n"),
            Self::Bourne | Self::Other => None,
        }
    }

    /// The text of a command in the Bourne shell's language as it goes to this login shell.
    ///
    /// # Errors
    ///
    /// [`CommandError::TooLong`] where the form that is needed is longer than [`LONGEST`] bytes.
    pub fn hand_over(self, text: Vec<u8>) -> Result<Vec<u8>, CommandError> {
        let text = match self {
            Self::Bourne | Self::Other => text,
            Self::Csh | Self::Fish => hand_over(&text),
        };
        if text.len() > LONGEST {
            return Err(CommandError::TooLong { bytes: text.len(), limit: LONGEST });
        }
        Ok(text)
    }
}

impl fmt::Display for LoginShell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bourne => "a Bourne shell",
            Self::Csh => "csh",
            Self::Fish => "fish",
            Self::Other => "no shell that is known",
        })
    }
}

/// A text for `/bin/sh`, as one line that every shell reads alike. No way to write a line end is common to all: `printf`
/// makes them of `\n`.
fn hand_over(text: &[u8]) -> Vec<u8> {
    if text.len() <= WORD && !text.contains(&b'\n') {
        let mut out = b"exec /bin/sh -c ".to_vec();
        push_word(&mut out, text);
        return out;
    }
    // The dot keeps line ends at the end.
    let mut out = b"exec /bin/sh -c 's=$(printf %b \"$@\" .); exec /bin/sh -c \"${s%.}\"' sh".to_vec();
    for part in text.chunks(WORD) {
        let mut word = Vec::with_capacity(part.len());
        for byte in part {
            match byte {
                b'\n' => word.extend_from_slice(b"\\n"),
                b'\\' => word.extend_from_slice(b"\\\\"),
                byte => word.push(*byte),
            }
        }
        out.push(b' ');
        push_word(&mut out, &word);
    }
    out
}

/// One word: between single quotes, but for what csh or fish change even there.
fn push_word(out: &mut Vec<u8>, word: &[u8]) {
    let mut quoted = false;
    for byte in word {
        let alone = matches!(byte, b'\'' | b'\\' | b'!');
        if alone == quoted {
            out.push(b'\'');
            quoted = !quoted;
        }
        if alone {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    if quoted || word.is_empty() {
        out.extend_from_slice(if quoted { b"'" } else { b"''" });
    }
}

/// Whether csh or fish would read a command that they are given as written otherwise than it was meant: several lines,
/// and what csh takes for an earlier command (`!word`, also between quotes). Anything else is theirs to read, as with
/// `ssh`.
pub(super) fn is_for_bourne(line: &[u8]) -> bool {
    let recalls = |pair: &[u8]| pair[0] == b'!' && !matches!(pair[1], b' ' | b'\t' | b'\n' | b'=' | b'(');
    line.trim_ascii().contains(&b'\n') || line.starts_with(b"^") || line.windows(2).any(recalls)
}

/// Whether all shells read these quotes alike, with which an argument of a shell or of `sudo` was made.
pub(super) fn quotes_are_common(text: &[u8]) -> bool {
    !text.iter().any(|byte| matches!(byte, b'\\' | b'!' | b'\n'))
}

/// Words that csh or fish have not, or have with another meaning.
const PARTICULAR: &str = " . : @ [[ { } alias abbr and argparse begin bg bind bindkey block break breaksw builtin case cd \
    chdir command complete contains continue coproc count declare default dirs disown do done elif else emit end endif \
    endsw esac eval exec exit export fg fi filetest for foreach function functions getopts glob goto hash hashstat history \
    hup if in jobs kill let limit local log login logout math nice nohup not notify onintr open or popd pushd random \
    read readonly rehash repeat return sched select set setenv settc shift source stop string suspend switch telltc \
    then time times trap type typeset ulimit umask unalias unhash unlimit unset unsetenv until wait where while ";

/// Whether all shells do the same with this line: plain words of programs, joined by `&&`. It says no where it isn't
/// sure, as of a pipeline, whose status differs.
pub(super) fn is_common(line: &[u8]) -> bool {
    const AND: &[u8] = b"&&";
    let mut words = vec![Vec::new()];
    let mut rest = line;
    while let [byte, after @ ..] = rest {
        rest = after;
        let word = words.last_mut().expect("there is always one");
        match byte {
            b' ' => words.push(Vec::new()),
            b'&' if word.is_empty() && rest.starts_with(b"& ") => {
                word.extend_from_slice(AND);
                rest = &rest[1..];
            }
            b'\'' | b'"' => {
                let Some(end) = rest.iter().position(|other| other == byte) else { return false };
                let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'$' | b'`' | b'\\' | b'!');
                if !rest[..end].iter().all(plain) {
                    return false;
                }
                word.extend_from_slice(b"''");
                rest = &rest[end + 1..];
            }
            b'_' | b'-' | b'.' | b'/' | b':' | b',' | b'+' | b'@' | b'=' => word.push(*byte),
            byte if byte.is_ascii_alphanumeric() => word.push(*byte),
            _ => return false,
        }
    }
    words.retain(|word| !word.is_empty());
    // `A=1 make` is an assignment in some.
    let assigns = |word: &[u8]| word.contains(&b'=') && !word.starts_with(b"-");
    let particular = |word: &[u8]| PARTICULAR.split_ascii_whitespace().any(|other| other.as_bytes() == word);
    words.split(|word| word == AND).all(|command| !command.is_empty())
        && !words.iter().any(|word| assigns(word) || particular(word))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::process;

    use proptest::prelude::*;

    use super::*;
    use crate::command::{Command, PathBehavior, Sudo, quote};

    const SHELLS: [(&str, LoginShell); 7] = [
        ("sh", LoginShell::Bourne),
        ("bash", LoginShell::Bourne),
        ("dash", LoginShell::Bourne),
        ("zsh", LoginShell::Bourne),
        ("csh", LoginShell::Csh),
        ("tcsh", LoginShell::Csh),
        ("fish", LoginShell::Fish),
    ];

    /// What `shell` prints when it gets this from sshd.
    fn said(shell: &str, text: &[u8], dir: &std::path::Path) -> process::Output {
        let mut command = process::Command::new(shell);
        command.arg("-c").arg(OsStr::from_bytes(text)).current_dir(dir).stdin(process::Stdio::null());
        command.env("HOME", dir).env("ZDOTDIR", dir).env("XDG_CONFIG_HOME", dir);
        command.output().unwrap_or_else(|error| panic!("{shell}: {error}; see scripts/setup-tests"))
    }

    /// As a transport does.
    fn sent(shell: LoginShell, command: &Command) -> Vec<u8> {
        let rendered = command.render().unwrap();
        let for_bourne = rendered.is_for_bourne();
        let text = rendered.into_bytes();
        if for_bourne { shell.hand_over(text).unwrap() } else { text }
    }

    #[test]
    fn every_shell_says_what_it_is() {
        let temp = tempfile::tempdir().unwrap();
        for (shell, kind) in SHELLS {
            let output = said(shell, LoginShell::QUESTION, temp.path());
            assert_eq!(LoginShell::from_answer(&output.stdout), kind, "{shell}: {output:?}");
        }
        assert_eq!(LoginShell::from_answer(b"fabric-shell"), LoginShell::Other);
        assert_eq!(LoginShell::from_answer(b""), LoginShell::Other);
    }

    #[test]
    fn what_shells_read_alike_is_left_alone() {
        let is_for_bourne = |command: Command| command.render().unwrap().is_for_bourne();
        for line in ["ls -l", "echo $HOME; for x in a; do y; done", "echo a!", "[ ! -e x ]", "x != y", "ls\n"] {
            assert!(!is_for_bourne(Command::new(line)), "{line}");
        }
        for line in ["a\nb", "echo a!b", "echo 'a!'", "echo \"a!\"", "echo 'a\nb'", "^a^b"] {
            assert!(is_for_bourne(Command::new(line)), "{line}");
        }
        for line in ["ls -l", "make --jobs=2 all && echo 'all done.' x/y", "systemctl restart app@1"] {
            assert!(!is_for_bourne(Command::new(line).cd("/srv")), "{line}");
        }
        for line in [
            "echo $HOME",
            "a; b",
            "a || b",
            "a\nb",
            "A=1 make",
            "export A",
            "make 2>&1",
            "a | b",
            "ls > x",
            "ls *",
            "&& a",
            "a &&",
            "echo 'a!'",
        ] {
            assert!(is_for_bourne(Command::new(line).cd("/srv")), "{line}");
        }
        assert!(is_for_bourne(Command::new("ls").cd("/my\ndir")));
        assert!(is_for_bourne(Command::new("ls").prefix("true")));
        let wrapped = Command::new("echo $HOME; for x in a; do y; done").shell("sh -c");
        assert!(!is_for_bourne(wrapped.clone()));
        assert!(!is_for_bourne(wrapped.env("A", "it's").sudo(Sudo::new("p"))));
        assert!(is_for_bourne(Command::new("echo a\\b").shell("sh -c")));
        assert!(is_for_bourne(Command::new("echo $HOME").shell("sh -c").shell_escape(false)));
    }

    #[test]
    fn long_texts_and_many_lines_arrive() {
        let temp = tempfile::tempdir().unwrap();
        let long = "a b'c\\d!e".repeat(2_000);
        let many = "it's a line !\n".repeat(1_500);
        for text in [long, many] {
            let command = Command::new([b"printf %s ", &*quote(text.as_bytes()).unwrap()].concat()).prefix("true");
            for (shell, kind) in SHELLS {
                let output = said(shell, &sent(kind, &command), temp.path());
                assert!(output.stdout == text.as_bytes(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
        let longest = Command::new("!a'".repeat(LONGEST / 3)).render().unwrap();
        assert!(matches!(LoginShell::Csh.hand_over(longest.into_bytes()), Err(CommandError::TooLong { .. })));
    }

    fn any_text() -> impl Strategy<Value = String> {
        let one = prop_oneof![
            3 => prop::sample::select("'\"\\$`!;&|<>()*?[]{}~#=% \t\n\r^-a0".chars().collect::<Vec<char>>()),
            2 => prop::char::range(' ', '~'),
            1 => any::<char>().prop_filter("no argument has it", |c| *c != '\0'),
        ];
        prop::collection::vec(one, 0..40).prop_map(String::from_iter)
    }

    proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(16))]
        #[test]
        fn every_login_shell_passes_on_what_it_is_given(value in any_text(), word in any_text(), name in any_text()) {
            let temp = tempfile::tempdir().unwrap();
            let name = format!("d{}", name.replace('/', ""));
            std::fs::create_dir(temp.path().join(&name)).unwrap();
            let quoted = String::from_utf8(quote(word.as_bytes()).unwrap().into_owned()).unwrap();
            let around = Command::new(format!("printf '%s\\0' \"$V\" {quoted} \"${{PWD##*/}}\" \"$PATH\"\n: end"))
                .env("V", value.as_str())
                .path("/x y", PathBehavior::Prepend)
                .prefix("unset CDPATH")
                .cd(&name);
            let wrapped = around.clone().shell("/bin/sh -c");
            for (shell, kind) in SHELLS {
                for command in [&around, &wrapped] {
                    let sent = sent(kind, command);
                    let output = said(shell, &sent, temp.path());
                    let fields: Vec<_> = output.stdout.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
                    let why = format!("{shell}: {}: {output:?}", String::from_utf8_lossy(&sent));
                    prop_assert!(fields.len() == 5 && output.status.success(), "{}", why);
                    prop_assert_eq!(&fields[..3], &[&*value, &*word, &*name], "{}", why);
                    prop_assert!(fields[3].starts_with("/x y:"), "{}", why);
                }
            }
        }

        #[test]
        fn what_counts_as_common_is_the_same_everywhere(
            words in prop::collection::vec(
                prop::sample::select(vec!["echo", "a", "'b c'", "\"d e\"", "-x", "--y=1", "&&", "|", "cat", "true", "false",
                    "> f", "/no/such", "a@b:1", "x=1", "cd", "exit", "set", "''"]),
                1..9,
            )
        ) {
            let command = Command::new(words.join(" ")).cd("/tmp/../tmp");
            if !command.render().unwrap().is_for_bourne() {
                let temp = tempfile::tempdir().unwrap();
                // Where it is written doesn't matter here, and must not be a shared place.
                let command = Command::new(words.join(" ")).cd(temp.path().as_os_str().as_bytes());
                let text = command.render().unwrap().into_bytes();
                let want = said("sh", &text, temp.path());
                for (shell, _) in SHELLS {
                    let got = said(shell, &text, temp.path());
                    let why = format!("{shell}: {}", String::from_utf8_lossy(&text));
                    prop_assert_eq!(&got.stdout, &want.stdout, "{}", &why);
                    prop_assert_eq!(got.status.success(), want.status.success(), "{}", &why);
                }
            }
        }
    }
}
