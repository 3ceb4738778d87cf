//! What `ProxyJump` says.

use std::fmt;

use super::numbers;

/// One hop: `[user@]host[:port]` or `ssh://[user@]host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hop {
    /// The user, if named.
    pub user: Option<String>,
    /// The host as written, without brackets. It is looked up in ssh_config like any other.
    pub host: String,
    /// The port, if named.
    pub port: Option<u16>,
}

/// The list of hops of a `ProxyJump`, in the order in which they are travelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Jump {
    pub(super) hops: Vec<Hop>,
    /// All hops but the last, as written.
    extra: Option<String>,
}

/// `ProxyJump`'s value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JumpSpec {
    None,
    Hops(Jump),
}

impl JumpSpec {
    /// Reads the rest of a `ProxyJump` line; `None` if it is not a list of hops.
    ///
    /// From `#` on it is a comment, and nothing counts after the first white space. `none` is only that if
    /// nothing follows it.
    pub(super) fn new(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("none") {
            return Some(Self::None);
        }
        let text = text.split('#').next().unwrap_or_default();
        let is_space = |(at, c): &(usize, char)| *at > 0 && (c.is_ascii_whitespace() || *c == '\x0b');
        let text = text.char_indices().find(is_space).map_or(text, |(at, _)| &text[..at]);
        let hops = text.split(',').map(hop).collect::<Option<Vec<_>>>()?;
        let extra = text.rsplit_once(',').map(|(extra, _)| extra.to_owned());
        Some(Self::Hops(Jump { hops, extra }))
    }
}

impl Jump {
    /// The last hop: the one that reaches the target.
    pub(super) fn last(&self) -> Option<&Hop> {
        self.hops.last()
    }
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(extra) = &self.extra {
            write!(f, "{extra},")?;
        }
        let Some(last) = self.last() else { return Ok(()) };
        if let Some(user) = &last.user {
            write!(f, "{user}@")?;
        }
        if last.host.contains(':') || last.host.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            write!(f, "[{}]", last.host)?;
        } else {
            f.write_str(&last.host)?;
        }
        last.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

fn hop(text: &str) -> Option<Hop> {
    if let Some(uri) = text.strip_prefix("ssh://") {
        return uri_hop(uri);
    }
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, text),
    };
    let (host, delimiter, port) = host_and_rest(rest)?;
    if user == Some("") || host.is_empty() || delimiter == Some('/') {
        return None;
    }
    let port = match port {
        "" => None,
        port => Some(numbers::port(port).filter(|port| *port > 0)?),
    };
    Some(Hop { user: user.map(str::to_owned), host: unbracket(host).to_owned(), port })
}

fn uri_hop(uri: &str) -> Option<Hop> {
    let (user, rest) = match uri.split_once('@') {
        Some((user, rest)) => {
            let user = user.split(';').next().filter(|user| !user.is_empty())?;
            (Some(url_decode(user)?), rest)
        }
        None => (None, uri),
    };
    let (host, delimiter, rest) = host_and_rest(rest)?;
    if host.is_empty() {
        return None;
    }
    let host = domain(unbracket(host))?;
    let (port, path) = match delimiter {
        Some(':') if !rest.is_empty() => {
            let (port, path) = rest.split_once('/').unwrap_or((rest, ""));
            (Some(numbers::port(port).filter(|port| *port > 0)?), path)
        }
        _ => (None, rest),
    };
    path.is_empty().then_some(Hop { user, host, port })
}

/// `host`, the `:` or `/` after it, and what follows that. A bracket at the start must be closed before.
fn host_and_rest(text: &str) -> Option<(&str, Option<char>, &str)> {
    let end = if text.starts_with('[') { text.find(']')? + 1 } else { text.find([':', '/']).unwrap_or(text.len()) };
    let (host, rest) = text.split_at(end);
    match rest.chars().next() {
        None => Some((host, None, "")),
        Some(c @ (':' | '/')) => Some((host, Some(c), &rest[1..])),
        Some(_) => None,
    }
}

fn unbracket(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn url_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let value = digit(rest.next())? * 16 + digit(rest.next())?;
                u8::try_from(value).ok().filter(|byte| *byte != 0)?
            }
            byte => byte,
        });
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Checks a domain name, and removes a dot at its end. `None` if it has other characters than letters,
/// digits, `-`, `_` and `.`, two dots in a row, or does not begin with a letter or digit.
pub(super) fn domain(name: &str) -> Option<String> {
    let fine = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        && !name.contains("..");
    fine.then(|| name.strip_suffix('.').unwrap_or(name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> Option<String> {
        JumpSpec::new(text).map(|spec| match spec {
            JumpSpec::None => "-".into(),
            JumpSpec::Hops(jump) => jump.to_string(),
        })
    }

    #[test]
    fn hops_are_read_and_printed() {
        let cases = [
            ("bastion", Some("bastion")),
            ("me@bastion:2222", Some("me@bastion:2222")),
            ("a,b@c:1,[::1]:22", Some("a,b@c:1,[::1]:22")),
            ("10.0.0.1", Some("[10.0.0.1]")),
            ("ssh://me@h:22/", Some("me@h:22")),
            ("ssh://m%65+x;fp=1@h.", Some("me x@h")),
            ("ssh://h/path", None),
            ("NONE", Some("-")),
            ("none # x", Some("none")),
            ("a b,c", Some("a")),
            ("a:", Some("a")),
            ("a:0", None),
            ("@a", None),
            ("a,,b", None),
            ("[a", None),
            ("a/b", None),
            ("\"a\"", Some("\"a\"")),
            ("u@v@w", Some("u@v@w")),
        ];
        for (text, expected) in cases {
            assert_eq!(show(text).as_deref(), expected, "{text}");
        }
    }
}
