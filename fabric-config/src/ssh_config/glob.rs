//! File names by pattern, as `Include` takes them: `*`, `?`, `[a-z]`, `[!a]`, `[[:alpha:]]`, and `\` before a
//! character that is meant as it is.
//!
//! A wildcard never matches a dot at the start of a name, nor a slash. Names come out in byte order.

use std::fs;
use std::path::Path;

use fabric_core::wildcard;

/// One character of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Byte(u8),
    One,
    Any,
    Set { negated: bool, members: Vec<Member> },
}

/// One member of `[..]`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Member {
    Range(u8, u8),
    Class(Class),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Alnum,
    Alpha,
    Blank,
    Cntrl,
    Digit,
    Graph,
    Lower,
    Print,
    Punct,
    Space,
    Upper,
    Xdigit,
}

impl Class {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "alnum" => Self::Alnum,
            "alpha" => Self::Alpha,
            "blank" => Self::Blank,
            "cntrl" => Self::Cntrl,
            "digit" => Self::Digit,
            "graph" => Self::Graph,
            "lower" => Self::Lower,
            "print" => Self::Print,
            "punct" => Self::Punct,
            "space" => Self::Space,
            "upper" => Self::Upper,
            "xdigit" => Self::Xdigit,
            _ => return None,
        })
    }

    fn contains(self, b: u8) -> bool {
        match self {
            Self::Alnum => b.is_ascii_alphanumeric(),
            Self::Alpha => b.is_ascii_alphabetic(),
            Self::Blank => matches!(b, b' ' | b'\t'),
            Self::Cntrl => b.is_ascii_control(),
            Self::Digit => b.is_ascii_digit(),
            Self::Graph => b.is_ascii_graphic(),
            Self::Lower => b.is_ascii_lowercase(),
            Self::Print => b.is_ascii_graphic() || b == b' ',
            Self::Punct => b.is_ascii_punctuation(),
            Self::Space => b.is_ascii_whitespace() || b == b'\x0b',
            Self::Upper => b.is_ascii_uppercase(),
            Self::Xdigit => b.is_ascii_hexdigit(),
        }
    }
}

/// All existing paths that match, in byte order. Empty if there are none, or if the pattern names a character class
/// that there isn't.
pub(super) fn glob(pattern: &str) -> Vec<String> {
    let Some(parts) = compile(pattern) else { return Vec::new() };
    let mut found = Vec::new();
    walk(&mut Vec::new(), &parts, &mut found);
    found.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    found
}

/// Cuts a pattern into parts; `[` without `]` is a bracket. `None` for an unknown character class.
fn compile(pattern: &str) -> Option<Vec<Part>> {
    // Bytes, and whether a backslash protects them.
    let mut bytes = Vec::new();
    let mut rest = pattern.bytes().peekable();
    while let Some(byte) = rest.next() {
        bytes.push(match (byte, rest.peek()) {
            (b'\\', Some(_)) => (rest.next().unwrap_or(b'\\'), true),
            (b'\\', None) => (b'\\', true),
            (byte, _) => (byte, false),
        });
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut at = 0;
    while let Some(&(byte, protected)) = bytes.get(at) {
        at += 1;
        match byte {
            b'*' if !protected => {
                if parts.last() != Some(&Part::Any) {
                    parts.push(Part::Any);
                }
            }
            b'?' if !protected => parts.push(Part::One),
            b'[' if !protected && closes(&bytes, at) => {
                let (part, next) = set(&bytes, at)?;
                parts.push(part);
                at = next;
            }
            _ => parts.push(Part::Byte(byte)),
        }
    }
    Some(parts)
}

/// Whether `[..]` is closed, seen from behind its bracket. The first member may be `]`.
fn closes(bytes: &[(u8, bool)], start: usize) -> bool {
    let start = start + usize::from(bytes.get(start) == Some(&(b'!', false)));
    bytes.iter().skip(start + 1).any(|byte| *byte == (b']', false))
}

/// Reads `[..]` from after the opening bracket, and returns where it ends.
fn set(bytes: &[(u8, bool)], start: usize) -> Option<(Part, usize)> {
    let plain = |at: usize, byte: u8| bytes.get(at) == Some(&(byte, false));
    let negated = plain(start, b'!');
    let mut at = start + usize::from(negated);
    let mut members = Vec::new();
    let mut first = true;
    while first || !plain(at, b']') {
        let (byte, _) = *bytes.get(at)?;
        first = false;
        if plain(at, b'[') && plain(at + 1, b':') {
            let name: Vec<u8> = bytes[at + 2..].iter().map(|(b, _)| *b).take_while(|b| *b != b':').collect();
            if plain(at + 2 + name.len(), b':') && plain(at + 3 + name.len(), b']') {
                let class = std::str::from_utf8(&name).ok().and_then(Class::named)?;
                members.push(Member::Class(class));
                at += name.len() + 4;
                continue;
            }
        }
        at += 1;
        match bytes.get(at + 1) {
            Some(&(end, _)) if plain(at, b'-') && !plain(at + 1, b']') => {
                members.push(Member::Range(byte, end));
                at += 2;
            }
            _ => members.push(Member::Range(byte, byte)),
        }
    }
    Some((Part::Set { negated, members }, at + 1))
}

/// Follows the pattern segment by segment through the file system.
fn walk(path: &mut Vec<u8>, parts: &[Part], found: &mut Vec<String>) {
    let end = parts.iter().position(|part| *part == Part::Byte(b'/')).unwrap_or(parts.len());
    let (segment, rest) = parts.split_at(end);
    let slashes = rest.iter().take_while(|part| **part == Part::Byte(b'/')).count();
    let literal: Option<Vec<u8>> =
        segment.iter().map(|part| if let Part::Byte(b) = part { Some(*b) } else { None }).collect();
    let length = path.len();
    if let Some(literal) = literal {
        path.extend(literal);
        path.extend(std::iter::repeat_n(b'/', slashes));
        if rest.is_empty() || slashes == rest.len() {
            let text = String::from_utf8_lossy(path).into_owned();
            if fs::symlink_metadata(Path::new(&text)).is_ok() {
                found.push(text);
            }
        } else {
            walk(path, &rest[slashes..], found);
        }
        path.truncate(length);
        return;
    }
    let directory = String::from_utf8_lossy(path).into_owned();
    let directory = if directory.is_empty() { ".".to_owned() } else { directory };
    let Ok(entries) = fs::read_dir(directory) else { return };
    let dots = [".".to_owned(), "..".to_owned()];
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).chain(dots);
    for name in names {
        if name.starts_with('.') && segment.first() != Some(&Part::Byte(b'.')) {
            continue;
        }
        if matches(segment, name.as_bytes()) {
            path.extend(name.as_bytes());
            if rest.is_empty() {
                found.push(String::from_utf8_lossy(path).into_owned());
            } else {
                walk(path, rest, found);
            }
            path.truncate(length);
        }
    }
}

fn matches(segment: &[Part], name: &[u8]) -> bool {
    wildcard::matches_parts(segment, name, |part| *part == Part::Any, Part::fits)
}

impl Part {
    /// Whether it fits one byte.
    fn fits(&self, byte: u8) -> bool {
        match self {
            Self::Byte(own) => *own == byte,
            Self::One | Self::Any => true,
            Self::Set { negated, members } => {
                let member = members.iter().any(|member| match member {
                    Member::Range(from, to) => (*from..=*to).contains(&byte),
                    Member::Class(class) => class.contains(byte),
                });
                member != *negated
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        for name in ["a1", "a2", "b[1]", ".hidden", "z*"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::write(dir.path().join("d/x.conf"), "").unwrap();
        let cases: [(&str, &[&str]); 15] = [
            ("*", &["a1", "a2", "b[1]", "d", "z*"]),
            ("a?", &["a1", "a2"]),
            ("a[!1]", &["a2"]),
            ("a[0-1]", &["a1"]),
            ("[[:alpha:]][[:digit:]]", &["a1", "a2"]),
            (".h*", &[".hidden"]),
            ("b[1]", &[]),
            ("b\\[1]", &["b[1]"]),
            ("b[[]1[]]", &["b[1]"]),
            ("z\\*", &["z*"]),
            ("*/*.conf", &["d/x.conf"]),
            ("d/x.conf", &["d/x.conf"]),
            ("nothing", &[]),
            ("d//x.*", &["d//x.conf"]),
            ("b[1", &[]),
        ];
        for (pattern, expected) in cases {
            let found = glob(&format!("{root}/{pattern}"));
            let expected: Vec<_> = expected.iter().map(|name| format!("{root}/{name}")).collect();
            assert_eq!(found, expected, "{pattern}");
        }
        assert!(glob("/[[:nope:]]*").is_empty());
    }
}
