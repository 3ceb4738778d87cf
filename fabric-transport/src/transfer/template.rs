//! Local paths with placeholders: `{host}/{path}`, and the classic `%(host)s/%(path)s`.

use fabric_core::{Error, Target};

use crate::paths;

/// The default destination of a get.
pub(super) const DEFAULT: &[u8] = b"{host}/{path}";

/// The values of placeholders, without those of each file.
#[derive(Debug, Clone)]
pub(super) struct Values {
    /// The host part, as written.
    pub(super) host: String,
    /// The host string, as written.
    pub(super) host_string: String,
    pub(super) user: String,
    pub(super) port: u16,
}

impl Values {
    pub(super) fn of(target: &Target) -> Self {
        Self {
            host: target.host_string.host().to_owned(),
            host_string: target.host_string.as_str().to_owned(),
            user: target.user.clone().unwrap_or_default(),
            port: target.port,
        }
    }
}

/// The file that a path is for.
#[derive(Debug, Clone)]
pub(super) struct File<'a> {
    /// Its absolute path on the host.
    pub(super) absolute: &'a [u8],
    /// Its path from the last component of the requested path on.
    pub(super) path: &'a [u8],
}

/// A local path with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Key { key: Key, classic: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Host,
    User,
    Port,
    Dirname,
    Basename,
    Path,
}

impl Key {
    const ALL: [(&'static str, Self); 6] = [
        ("host", Self::Host),
        ("user", Self::User),
        ("port", Self::Port),
        ("dirname", Self::Dirname),
        ("basename", Self::Basename),
        ("path", Self::Path),
    ];

    fn find(name: &[u8]) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, key)| *key)
    }
}

impl Template {
    /// Parses placeholders. `{{` and `}}` are braces; other uses of `%` are unchanged (Fabric 1).
    pub(super) fn parse(text: &[u8]) -> Result<Self, Error> {
        let mut parts = Vec::new();
        let mut plain = Vec::new();
        let mut rest = text;
        while let Some((&byte, after)) = rest.split_first() {
            let (found, length) = match byte {
                b'{' | b'}' if after.first() == Some(&byte) => {
                    plain.push(byte);
                    (None, 2)
                }
                b'{' => match after.iter().position(|b| *b == b'}') {
                    Some(end) => match Key::find(&after[..end]) {
                        Some(key) => (Some(Part::Key { key, classic: false }), end + 2),
                        None => return Err(unknown(&after[..end])),
                    },
                    None => return Err(unknown(after)),
                },
                b'%' if after.starts_with(b"(") => {
                    let end = after.windows(2).position(|pair| pair == b")s");
                    if let Some((key, end)) = end.and_then(|end| Some((Key::find(&after[1..end])?, end))) {
                        (Some(Part::Key { key, classic: true }), end + 3)
                    } else {
                        plain.push(byte);
                        (None, 1)
                    }
                }
                _ => {
                    plain.push(byte);
                    (None, 1)
                }
            };
            if let Some(part) = found {
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(part);
            }
            rest = &rest[length..];
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// Whether each file has its own path.
    pub(super) fn is_of_file(&self) -> bool {
        use Key::{Basename, Dirname, Path};
        self.0.iter().any(|part| matches!(part, Part::Key { key: Dirname | Basename | Path, .. }))
    }

    /// Whether files keep their paths below a directory: `path` is last, and the only placeholder of files.
    pub(super) fn keeps_trees(&self) -> bool {
        let keys = |part: &Part| matches!(part, Part::Key { key: Key::Dirname | Key::Basename | Key::Path, .. });
        matches!(self.0.last(), Some(Part::Key { key: Key::Path, .. }))
            && self.0.iter().filter(|part| keys(part)).count() == 1
    }

    /// The path for a file.
    ///
    /// In a classic placeholder `host` is the host string with `-` for `:`, and `dirname` is the part of
    /// `path` before its last name (Fabric 1); else `host` is the host part, and `dirname` the absolute
    /// directory on the host (Fabric 3).
    pub(super) fn expand(&self, values: &Values, file: &File<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Key { key, classic } => match key {
                    Key::Host => {
                        let host = if *classic { &values.host_string } else { &values.host };
                        out.extend(host.bytes().map(|b| if matches!(b, b':' | b'/') { b'-' } else { b }));
                    }
                    Key::User => out.extend(values.user.bytes().map(|b| if b == b'/' { b'-' } else { b })),
                    Key::Port => out.extend_from_slice(values.port.to_string().as_bytes()),
                    Key::Basename => out.extend_from_slice(paths::base(file.path)),
                    Key::Path => out.extend_from_slice(file.path),
                    Key::Dirname if *classic => {
                        let dir = paths::parent(file.path);
                        out.extend_from_slice(if dir == b"." { b"" } else { dir });
                    }
                    Key::Dirname => out.extend_from_slice(paths::parent(file.absolute)),
                },
            }
        }
        out
    }
}

fn unknown(name: &[u8]) -> Error {
    let known: Vec<_> = Key::ALL.iter().map(|(name, _)| format!("{{{name}}}")).collect();
    let name = String::from_utf8_lossy(name);
    Error::Usage(format!("`{{{name}` in a local path is none of {}; write {{{{ for a brace", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> String {
        let values = Values { host: "::1".into(), host_string: "u@[::1]:22".into(), user: "u".into(), port: 22 };
        let file = File { absolute: b"/srv/app/log/x", path: b"log/x" };
        String::from_utf8(Template::parse(text.as_bytes()).unwrap().expand(&values, &file)).unwrap()
    }

    #[test]
    fn both_spellings() {
        assert_eq!(expand("{host}/{path}"), "--1/log/x");
        assert_eq!(expand("{user}-{port}/{basename}{dirname}"), "u-22/x/srv/app/log");
        assert_eq!(expand("%(host)s/%(dirname)s/%(basename)s"), "u@[--1]-22/log/x");
        assert_eq!(expand("x%y%20 {{a}} %(no)s"), "x%y%20 {a} %(no)s");
        assert!(Template::parse(b"{hots}").is_err());
        assert!(Template::parse(b"{").is_err());
    }
}
