//! Lines, keywords and words, cut as OpenSSH 9.2 cuts them.
//!
//! A line of ssh_config is cut by two sets of rules: the keyword and the
//! criteria of `Match` end at white space, at one `=` or at a closing quote ([`Cutter`]); the arguments of
//! every other directive follow shell-like quoting with `\`, `"`, `'` and `#` ([`words`]).

/// White space between the parts of a line. A form feed only counts at the end of a line ([`trim_end`]).
const BLANK: [u8; 4] = *b" \t\r\n";

fn is_blank(byte: u8) -> bool {
    BLANK.contains(&byte)
}

/// Index of the first byte at or after `from` that is not blank.
fn skip_blank(bytes: &[u8], from: usize) -> usize {
    bytes.get(from..).unwrap_or_default().iter().position(|b| !is_blank(*b)).map_or(bytes.len(), |n| from + n)
}

/// The lines of a file, numbered from 1. A line ends at its first NUL byte, as it does for a C string;
/// what is not UTF-8 becomes U+FFFD.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = (u32, String)> {
    text.split_inclusive(|b| *b == b'\n').zip(1u32..).map(|(line, number)| {
        let line = line.split(|b| *b == 0).next().unwrap_or_default();
        (number, String::from_utf8_lossy(line).into_owned())
    })
}

/// Takes white space (a form feed too) off the end, but never the first byte.
fn trim_end(line: &str) -> &str {
    let Some(last) =
        line.char_indices().rev().find(|(at, c)| *at == 0 || !matches!(c, ' ' | '\t' | '\r' | '\n' | '\x0c'))
    else {
        return line;
    };
    &line[..last.0 + last.1.len_utf8()]
}

/// Cuts one token after the other off a line.
#[derive(Debug, Clone)]
pub(super) struct Cutter {
    /// What is left; `None` once the end has been reached.
    rest: Option<String>,
}

impl Cutter {
    pub(super) fn new(line: &str) -> Self {
        Self { rest: Some(line.to_owned()) }
    }

    /// What is left of the line, if anything.
    pub(super) fn rest(&self) -> Option<&str> {
        self.rest.as_deref()
    }

    /// Ignores the rest of the line (a comment, for example).
    pub(super) fn finish(&mut self) {
        self.rest = None;
    }

    /// The next token: up to white space, one `=`, or, if a quote opens in it, the closing quote.
    ///
    /// A quote ends the token that it is in: `Ho"st" x` is `Host` and `x`. `None` at the end of the line and
    /// for a quote that is never closed; an empty token for a leading delimiter.
    pub(super) fn next(&mut self) -> Option<String> {
        let line = self.rest.take()?;
        let bytes = line.as_bytes();
        let Some(end) = bytes.iter().position(|b| is_blank(*b) || matches!(b, b'"' | b'=')) else {
            return Some(line);
        };
        if bytes[end] == b'"' {
            let close = end + 1 + bytes[end + 1..].iter().position(|b| *b == b'"')?;
            let token = [&line[..end], &line[end + 1..close]].concat();
            self.rest = Some(line[skip_blank(bytes, close + 1)..].to_owned());
            return Some(token);
        }
        let mut next = skip_blank(bytes, end + 1);
        if bytes[end] != b'=' && bytes.get(next) == Some(&b'=') {
            next = skip_blank(bytes, next + 1);
        }
        self.rest = Some(line[next..].to_owned());
        Some(line[..end].to_owned())
    }
}

/// A line's lower-cased keyword and what follows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) keyword: String,
    /// Empty where nothing follows, which is an error of every directive.
    pub(super) rest: String,
}

/// Splits a line; `None` for blank lines, comments, and a keyword with a quote that never closes (which
/// OpenSSH passes over in silence).
pub(super) fn statement(line: &str) -> Option<Statement> {
    if line.is_empty() {
        return None;
    }
    let mut cutter = Cutter::new(trim_end(line));
    let mut keyword = cutter.next()?;
    if keyword.is_empty() {
        keyword = cutter.next()?;
    }
    if keyword.is_empty() || keyword.starts_with('#') {
        return None;
    }
    keyword.make_ascii_lowercase();
    let rest = cutter.rest().unwrap_or_default();
    let rest = rest[skip_blank(rest.as_bytes(), 0)..].to_owned();
    Some(Statement { keyword, rest })
}

/// Splits a directive's arguments: separated by blanks and tabs; `"` and `'` quote; `\` takes the special
/// meaning from `\`, `"`, `'` and, outside quotes, from a blank, and is itself before anything else; `#` at
/// the start of a word ends the line. `None` if a quote is never closed.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&first) = chars.peek() {
        match first {
            ' ' | '\t' => {
                chars.next();
            }
            '#' => break,
            _ => {
                let mut word = String::new();
                let mut quote = None;
                while let Some(&c) = chars.peek() {
                    if quote.is_none() && matches!(c, ' ' | '\t') {
                        break;
                    }
                    chars.next();
                    match (c, quote) {
                        ('\\', _) => match chars.peek() {
                            Some(&next @ ('\\' | '"' | '\'')) => {
                                word.push(next);
                                chars.next();
                            }
                            Some(' ') if quote.is_none() => {
                                word.push(' ');
                                chars.next();
                            }
                            _ => word.push('\\'),
                        },
                        ('"' | '\'', None) => quote = Some(c),
                        (c, Some(open)) if c == open => quote = None,
                        _ => word.push(c),
                    }
                }
                if quote.is_some() {
                    return None;
                }
                found.push(word);
            }
        }
    }
    Some(found)
}

/// The text of a directive that takes the rest of its line as it is written (`ProxyCommand`, for example). Blanks and `=` in
/// front of it are dropped.
pub(super) fn raw(rest: &str) -> &str {
    rest.trim_start_matches([' ', '\t', '\r', '\n', '='])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_end_at_blank_equals_or_quote() {
        let cases = [
            ("Host web1", "host", "web1"),
            ("  Host\tweb1", "host", "web1"),
            ("Host=web1", "host", "web1"),
            ("Host = web1", "host", "web1"),
            ("Host == web1", "host", "= web1"),
            (" = Host web1", "host", "web1"),
            ("\"Host\" web1", "host", "web1"),
            ("Ho\"st\" web1", "host", "web1"),
            ("User\"bob\" x", "userbob", "x"),
            ("\"Host\"=web1", "host", "=web1"),
            ("Host", "host", ""),
            ("Host=", "host", ""),
        ];
        for (line, keyword, rest) in cases {
            assert_eq!(statement(line), Some(Statement { keyword: keyword.into(), rest: rest.into() }), "{line}");
        }
        assert_eq!(statement("Host a \x0c\r\n").unwrap().rest, "a");
        for line in ["", " ", " \n", "# x", "  #x", "\"Host web1", "Ho\"st web1"] {
            assert_eq!(statement(line), None, "{line}");
        }
    }

    #[test]
    fn words_follow_quotes_escapes_and_comments() {
        let cases: [(&str, &[&str]); 12] = [
            ("a b\tc", &["a", "b", "c"]),
            ("\"a b\" c", &["a b", "c"]),
            ("'a \"b' c", &["a \"b", "c"]),
            ("a\"b c\"d", &["ab cd"]),
            ("a\\ b", &["a b"]),
            ("\"a\\ b\"", &["a\\ b"]),
            ("a\\\"b \\'c \\\\d \\e", &["a\"b", "'c", "\\d", "\\e"]),
            ("a #b c", &["a"]),
            ("a#b", &["a#b"]),
            ("\"\" x", &["", "x"]),
            ("# a", &[]),
            ("a\\", &["a\\"]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text).as_deref(), Some(expected.map_to_strings().as_slice()), "{text}");
        }
        assert_eq!(words("a \"b"), None);
        assert_eq!(words("it's"), None);
        assert_eq!(words("x # it's"), Some(vec!["x".to_owned()]));
    }

    trait ToStrings {
        fn map_to_strings(&self) -> Vec<String>;
    }
    impl ToStrings for &[&str] {
        fn map_to_strings(&self) -> Vec<String> {
            self.iter().map(|s| (*s).to_owned()).collect()
        }
    }

    #[test]
    fn lines_end_at_nul() {
        let got: Vec<_> = lines(b"Host a \x0c\r\nPort 1\0 2\n \n\xff x").collect();
        assert_eq!(
            got,
            [(1, "Host a \x0c\r\n".into()), (2, "Port 1".into()), (3, " \n".into()), (4, "\u{fffd} x".to_owned())]
        );
    }
}
