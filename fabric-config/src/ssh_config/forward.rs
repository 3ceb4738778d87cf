//! The values of `LocalForward`, `RemoteForward` and `DynamicForward`.

use std::fmt;

use super::error::Fault;
use super::local::Local;
use super::numbers;
use super::tokens::{self, Tokens};

/// One end of a forward: a TCP port, perhaps of a named host or address, or a Unix-domain socket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardEnd {
    /// `[host:]port`. Without a host it is the side's default (loopback for listeners). Port 0
    /// lets the server choose (listeners of `RemoteForward` only).
    Tcp {
        /// The host or address as written, without brackets; may be empty or `*`.
        host: Option<String>,
        /// The port.
        port: u16,
    },
    /// A path.
    Unix(String),
}

impl fmt::Display for ForwardEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host: None, port } => write!(f, "{port}"),
            Self::Tcp { host: Some(host), port } => write!(f, "[{host}]:{port}"),
            Self::Unix(path) => f.write_str(path),
        }
    }
}

/// A forward: where to listen, and what to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forward {
    /// The listening end: here for `LocalForward` and `DynamicForward`, on the server for `RemoteForward`.
    pub listen: ForwardEnd,
    /// The other end. For a dynamic (SOCKS) forward, `[socks]:0`, as in OpenSSH;
    /// see [`Forward::is_dynamic`].
    pub connect: ForwardEnd,
}

impl Forward {
    /// Whether the destination is chosen by SOCKS.
    pub fn is_dynamic(&self) -> bool {
        matches!(&self.connect, ForwardEnd::Tcp { host: Some(host), .. } if host == "socks")
    }

    /// Expands tokens in paths.
    pub(super) fn expand(&mut self, tokens: &impl Tokens) -> Result<(), Fault> {
        for end in [&mut self.listen, &mut self.connect] {
            if let ForwardEnd::Unix(path) = end {
                *path = tokens::percent(path, tokens)?;
            }
        }
        Ok(())
    }
}

/// The directive that a forward comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Local,
    Remote,
    Dynamic,
}

/// A forward as it was read: parsed already, or waiting for the values of environment variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ForwardSpec {
    Ready(Forward),
    Waiting { text: String, dynamic: bool, remote: bool },
}

/// How many bytes of a specification OpenSSH keeps.
const SPEC_LIMIT: usize = 255;
/// The longest host name and socket path, in bytes, plus one.
const HOST_LIMIT: usize = 1025;
const SOCKET_PATH_LIMIT: usize = 108;

impl ForwardSpec {
    /// Reads a directive's one or two arguments.
    pub(super) fn new(direction: Direction, first: &str, second: Option<&str>) -> Result<Self, Fault> {
        let second = second.filter(|s| !s.is_empty());
        let remote = direction == Direction::Remote;
        let (mut text, dynamic) = match (direction, second) {
            (Direction::Dynamic, _) | (Direction::Remote, None) => (first.to_owned(), true),
            (Direction::Local, None) => return Err(Fault::MissingArgument),
            (_, Some(second)) => (format!("{first}:{second}"), false),
        };
        if text.len() > SPEC_LIMIT {
            text.truncate((0..=SPEC_LIMIT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
        }
        if text.contains("${") {
            return Ok(Self::Waiting { text, dynamic, remote });
        }
        parse(&text, dynamic, remote).map(Self::Ready)
    }

    /// The forward, variables replaced.
    pub(super) fn get(&self, local: &Local) -> Result<Forward, Fault> {
        match self {
            Self::Ready(forward) => Ok(forward.clone()),
            Self::Waiting { text, dynamic, remote } => parse(&tokens::variables(text, local)?, *dynamic, *remote),
        }
    }
}

/// One field of a specification.
struct Field {
    text: String,
    is_path: bool,
}

/// Splits at colons; `[..]` holds a field as it is, `\` takes a character as it is.
fn fields(spec: &str) -> Result<Vec<Field>, Fault> {
    let mut fields = Vec::new();
    let mut rest = spec;
    while !rest.is_empty() && fields.len() < 4 {
        if let Some(inner) = rest.strip_prefix('[') {
            let Some((text, after)) = inner.split_once(']') else { break };
            if !(after.is_empty() || after.starts_with(':')) {
                break;
            }
            rest = after.strip_prefix(':').unwrap_or(after);
            fields.push(Field { is_path: text.contains('/'), text: text.to_owned() });
            continue;
        }
        let mut field = Field { text: String::new(), is_path: false };
        let mut chars = rest.chars();
        loop {
            match chars.next() {
                None | Some(':') => break,
                Some('\\') => field.text.push(chars.next().ok_or(Fault::BadForward)?),
                Some(c) => {
                    field.is_path |= c == '/';
                    field.text.push(c);
                }
            }
        }
        rest = chars.as_str();
        fields.push(field);
    }
    if rest.is_empty() { Ok(fields) } else { Err(Fault::BadForward) }
}

fn parse(spec: &str, dynamic: bool, remote: bool) -> Result<Forward, Fault> {
    let spec = spec.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let fields = fields(spec)?;
    let path = |at: usize| ForwardEnd::Unix(fields[at].text.clone());
    let port = |at: usize| -> Result<ForwardEnd, Fault> { tcp(None, &fields[at].text) };
    let host_port = |at: usize| -> Result<ForwardEnd, Fault> { tcp(Some(&fields[at].text), &fields[at + 1].text) };
    let is_path = |at: usize| fields[at].is_path;
    let socks = || ForwardEnd::Tcp { host: Some("socks".into()), port: 0 };
    let (listen, connect) = match fields.len() {
        1 if is_path(0) => (path(0), socks()),
        1 => (port(0)?, socks()),
        2 if is_path(0) && is_path(1) => (path(0), path(1)),
        2 if is_path(1) => (port(0)?, path(1)),
        2 => (host_port(0)?, socks()),
        3 if is_path(0) => (path(0), host_port(1)?),
        3 if is_path(2) => (host_port(0)?, path(2)),
        3 => (port(0)?, host_port(1)?),
        4 => (host_port(0)?, host_port(2)?),
        _ => return Err(Fault::BadForward),
    };
    let fits = if dynamic {
        fields.len() <= 2
    } else {
        let reaches = match &connect {
            ForwardEnd::Tcp { port, .. } => *port > 0,
            ForwardEnd::Unix(_) => true,
        };
        let listens_or_connects_by_path =
            matches!(connect, ForwardEnd::Unix(_)) || matches!(listen, ForwardEnd::Unix(_));
        reaches && (fields.len() >= 3 || listens_or_connects_by_path)
    };
    let listens = remote || !matches!(listen, ForwardEnd::Tcp { port: 0, .. });
    let short_enough = [&listen, &connect].into_iter().all(|end| match end {
        ForwardEnd::Tcp { host, .. } => host.as_ref().is_none_or(|host| host.len() < HOST_LIMIT),
        ForwardEnd::Unix(path) => path.len() < SOCKET_PATH_LIMIT,
    });
    if fits && listens && short_enough { Ok(Forward { listen, connect }) } else { Err(Fault::BadForward) }
}

fn tcp(host: Option<&str>, port: &str) -> Result<ForwardEnd, Fault> {
    let port = numbers::port(port).ok_or(Fault::BadForward)?;
    Ok(ForwardEnd::Tcp { host: host.map(str::to_owned), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(direction: Direction, first: &str, second: Option<&str>) -> Option<String> {
        let local = Local::new("me", "/home/me", "here");
        let forward = ForwardSpec::new(direction, first, second).and_then(|spec| spec.get(&local)).ok()?;
        Some(format!("{} {}", forward.listen, forward.connect))
    }

    #[test]
    fn forwards_are_read() {
        use Direction::{Dynamic, Local, Remote};
        let cases: [(Direction, &str, Option<&str>, Option<&str>); 16] = [
            (Local, "8080", Some("web:80"), Some("8080 [web]:80")),
            (Local, "8080:web:80", None, None),
            (Local, "*:8080", Some("[::1]:80"), Some("[*]:8080 [::1]:80")),
            (Local, "[::1]:8080", Some("web:80"), Some("[::1]:8080 [web]:80")),
            (Local, ":8080", Some("web:80"), Some("[]:8080 [web]:80")),
            (Local, "/a/b", Some("/c"), Some("/a/b /c")),
            (Local, "8080", Some("/c"), Some("8080 /c")),
            (Local, "/a", Some("web:80"), Some("/a [web]:80")),
            (Local, "0", Some("web:80"), None),
            (Local, "8080", Some("web"), None),
            (Local, "8080", Some("web:0"), None),
            (Remote, "0", Some("web:80"), Some("0 [web]:80")),
            (Remote, "8080", None, Some("8080 [socks]:0")),
            (Dynamic, "h:1080", None, Some("[h]:1080 [socks]:0")),
            (Dynamic, "a:b:1080", None, None),
            (Local, "8080", Some("w\\:b:80"), Some("8080 [w:b]:80")),
        ];
        for (direction, first, second, expected) in cases {
            assert_eq!(show(direction, first, second).as_deref(), expected, "{first} {second:?}");
        }
    }

    #[test]
    fn variables_are_replaced_before_a_path_is_recognised() {
        let mut local = Local::new("me", "/home/me", "here");
        let spec = ForwardSpec::new(Direction::Local, "${S}", Some("web:80")).unwrap();
        assert!(spec.get(&local).is_err());
        local.env.insert("S".into(), "/run/s".into());
        assert_eq!(spec.get(&local).unwrap().listen, ForwardEnd::Unix("/run/s".into()));
    }
}
