//! What must succeed before a command line runs: exports, `cd`, prefixes.
//!
//! ```text
//! A && B && LINE              where LINE has nothing that would end the `&&` list
//! A && eval 'B' || exit; LINE  everywhere else
//! ```
//!
//! In the second form the line is at the end, as it was written: it keeps its here-documents, comments, functions and
//! `set -e`, and nothing in it can undo the guard, because a shell reads the line only after it. The word `eval`
//! does the same for a prefix, which has something after it.

use super::error::CommandError;
use super::quote::quote;

/// The steps before a command line.
pub(super) struct Guard {
    text: Vec<u8>,
    /// Whether all of this is inside double quotes, in which the line is not escaped
    /// (`shell_escape = false`).
    in_quotes: bool,
}

impl Guard {
    pub(super) fn new(in_quotes: bool) -> Self {
        Self { text: Vec::new(), in_quotes }
    }

    /// A step of our own making.
    pub(super) fn step(&mut self, step: &[u8]) {
        for byte in step {
            if self.in_quotes && matches!(byte, b'"' | b'$' | b'`' | b'\\') {
                self.text.push(b'\\');
            }
            self.text.push(*byte);
        }
        self.text.extend_from_slice(b" && ");
    }

    /// A step that the caller has written.
    pub(super) fn prefix(&mut self, prefix: &[u8]) -> Result<(), CommandError> {
        if self.is_plain(prefix) && !prefix.ends_with(b"\\") {
            self.text.extend_from_slice(prefix);
        } else {
            self.text.extend_from_slice(b"eval ");
            if self.in_quotes {
                self.text.push(b'\'');
                for part in prefix.split_inclusive(|byte| *byte == b'\'') {
                    self.text.extend_from_slice(part);
                    if part.ends_with(b"'") {
                        self.text.extend_from_slice(b"\\''");
                    }
                }
                self.text.push(b'\'');
            } else {
                self.text.extend_from_slice(&quote(prefix)?);
            }
        }
        self.text.extend_from_slice(b" && ");
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// All of it, and a command, which runs if each step has succeeded.
    pub(super) fn before_command(mut self, command: &[u8]) -> Vec<u8> {
        self.text.extend_from_slice(command);
        self.text
    }

    /// All of it, and the line, of which nothing runs unless each step has succeeded.
    pub(super) fn before(mut self, line: &[u8]) -> Vec<u8> {
        if !self.text.is_empty() && !self.is_plain(line) {
            self.text.truncate(self.text.len() - b" && ".len());
            // On a line of its own the guard runs before the shell finds a mistake in the command. Shells that
            // take no line ends between quotes (csh) get one only where the command has one too, or can't be read.
            let apart = line.contains(&b'\n') || scan(line).is_none();
            self.text.extend_from_slice(if apart { b" || exit\n" } else { b" || exit; " });
        }
        self.text.extend_from_slice(line);
        self.text
    }

    fn is_plain(&self, text: &[u8]) -> bool {
        let raw = self.in_quotes && text.iter().any(|byte| matches!(byte, b'\'' | b'"' | b'\\' | b'$' | b'`'));
        !raw && scan(text) == Some(true)
    }
}

/// Whether `A && text` runs nothing of the text unless `A` succeeds, and `text && B` nothing of `B` unless the
/// text does: at most pipelines joined by `&&`. `None` where quotes are left open.
///
/// It says no where it isn't sure, for then the other form does.
fn scan(text: &[u8]) -> Option<bool> {
    let mut plain = !text.trim_ascii().is_empty();
    let mut at_word_start = true;
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        let word_started = !at_word_start;
        at_word_start = false;
        match byte {
            b'\\' => {
                plain &= !rest.starts_with(b"\n");
                rest = rest.get(1..).unwrap_or_default();
            }
            b'\'' => rest = &rest[rest.iter().position(|byte| *byte == b'\'')? + 1..],
            b'"' => {
                let (inside, end) = double_quoted(rest)?;
                plain &= inside;
                rest = &rest[end..];
            }
            // `$'..'` has escapes in bash and zsh, and none in dash.
            b'$' if rest.starts_with(b"'") => plain = false,
            b'#' if !word_started => plain = false,
            b'&' if rest.starts_with(b"&") => {
                rest = &rest[1..];
                at_word_start = true;
            }
            b'\n' | b';' | b'(' | b')' | b'`' | b'&' => plain = false,
            b'|' if rest.starts_with(b"|") => plain = false,
            b'<' if rest.starts_with(b"<<") => rest = &rest[2..],
            b'<' if rest.starts_with(b"<") => plain = false,
            b'<' | b'>' if rest.starts_with(b"&") => rest = &rest[1..],
            b'|' | b'<' | b'>' | b' ' | b'\t' => at_word_start = true,
            _ => {}
        }
    }
    Some(plain)
}

/// Whether what is between double quotes is plain, and where they end. A substitution in them may hold quotes of
/// its own, by rules that differ between shells.
fn double_quoted(text: &[u8]) -> Option<(bool, usize)> {
    let mut plain = true;
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some((plain, at + 1)),
            b'\\' => at += 1,
            b'`' => plain = false,
            b'$' => match text.get(at + 1)? {
                b'(' => plain = false,
                b'{' => {
                    let name = &text[at + 2..];
                    let end = name.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
                    plain &= end.is_some_and(|end| name[end] == b'}');
                }
                _ => {}
            },
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_operators_is_plain() {
        for text in [
            "ls",
            "echo 'a; b' \"c && d\" e\\;f",
            "make 2>&1 | tee log",
            "a && b >/dev/null 2>&1",
            "echo \"${HOME}/x $y\" a#b ${x:-y} {a,b}",
            "A=1 ./configure --prefix=/usr",
            "! grep -q x <<<word",
            "echo 'two\nlines'",
        ] {
            assert_eq!(scan(text.as_bytes()), Some(true), "{text}");
        }
        for text in [
            "",
            " ",
            "a; b",
            "a\nb",
            "a || b",
            "a & b",
            "a &",
            "a # b",
            "#",
            "(a)",
            "$(a)",
            "`a`",
            "\"$(a)\"",
            "\"`a`\"",
            "cat <<E",
            "f() { x; }",
            "a\\\n",
            "echo $'a' b",
            "\"${x:-\"a\"}\"",
            "a &>f",
            "a |& b",
            "a &&& b",
        ] {
            assert_eq!(scan(text.as_bytes()), Some(false), "{text}");
        }
        for text in ["echo 'a", "echo \"a", "echo \"a\\\"", "a '\"' \"'", "\"$"] {
            assert_eq!(scan(text.as_bytes()), None, "{text}");
        }
    }
}
