//! One host string.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::{HostStringError, HostStringErrorKind};

/// `[scheme://][user@]host[:port]`, as a person writes it.
///
/// Parsed once and compared as written, never normalised: `a`, `root@a` and `a:22` are three different
/// host strings (Fabric 1, "Execution model"). The rules:
///
/// * the scheme is taken off first; it names the transport (`container://web`);
/// * the user ends at the *last* `@`, so `me@corp.example@web1` logs in as `me@corp.example`;
/// * `[v6]:port` is an IPv6 address with a port; text with more than one `:` and no brackets is an IPv6
///   address and never yields a port (Fabric 3); zone ids (`fe80::1%eth0`) are kept;
/// * an empty user (`@web1`) or an empty port (`web1:`) counts as not given (Fabric 1).
///
/// ```
/// use fabric_core::HostString;
///
/// let host: HostString = "deploy@[2001:db8::7]:2222".parse()?;
/// assert_eq!(host.user(), Some("deploy"));
/// assert_eq!(host.host(), "2001:db8::7");
/// assert_eq!(host.port(), Some(2222));
/// assert_eq!(host.as_str(), "deploy@[2001:db8::7]:2222");
///
/// assert_eq!("::1:22".parse::<HostString>()?.port(), None);
/// assert!("web1:http".parse::<HostString>().is_err());
/// # Ok::<(), fabric_core::HostStringError>(())
/// ```
///
/// Cheap to clone: clones share the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostString(Arc<Parts>);

#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Parts {
    text: String,
    scheme: Option<String>,
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

/// Characters that OpenSSH refuses in host names, and those of lists and patterns.
const IN_NO_NAME: &str = "'`\"$\\;&<>|(){}*?,";

impl HostString {
    /// Parses a host string; surrounding white space is dropped.
    pub fn parse(text: &str) -> Result<Self, HostStringError> {
        let text = text.trim();
        let error = |kind| HostStringError { text: text.to_owned(), kind };
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme.to_owned()), rest),
            Some((scheme, _)) => return Err(error(HostStringErrorKind::BadScheme(scheme.to_owned()))),
            None => (None, text),
        };
        let (user, address) = match rest.rsplit_once('@') {
            Some((user, address)) => (Some(user).filter(|u| !u.is_empty()).map(str::to_owned), address),
            None => (None, rest),
        };
        let (host, port) = split_address(address).map_err(error)?;
        if host.is_empty() {
            return Err(error(HostStringErrorKind::EmptyHost));
        }
        // A leading dash would be read as an option by a ProxyCommand's program.
        if host.starts_with('-') || user.as_deref().is_some_and(|u| u.starts_with('-')) {
            return Err(error(HostStringErrorKind::LeadingDash));
        }
        let bad = |c: &char| c.is_whitespace() || c.is_control();
        if let Some(bad) = text.chars().find(bad).or_else(|| host.chars().find(|c| IN_NO_NAME.contains(*c))) {
            return Err(error(HostStringErrorKind::BadCharacter(bad)));
        }
        Ok(Self(Arc::new(Parts { text: text.to_owned(), scheme, user, host: host.to_owned(), port })))
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The scheme, which names a transport, if one was written.
    pub fn scheme(&self) -> Option<&str> {
        self.0.scheme.as_deref()
    }

    /// The login user, if one was written.
    pub fn user(&self) -> Option<&str> {
        self.0.user.as_deref()
    }

    /// The host part: a name, or an address without brackets.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The port, if one was written.
    pub fn port(&self) -> Option<u16> {
        self.0.port
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn split_address(address: &str) -> Result<(&str, Option<u16>), HostStringErrorKind> {
    let port = |text: &str| match text {
        "" => Ok(None),
        _ => match text.parse::<u16>() {
            Ok(port) if port > 0 => Ok(Some(port)),
            _ => Err(HostStringErrorKind::BadPort(text.to_owned())),
        },
    };
    if let Some(inside) = address.strip_prefix('[') {
        let Some((host, after)) = inside.split_once(']') else {
            return Err(HostStringErrorKind::OpenBracket);
        };
        if !is_ipv6(host) {
            return Err(HostStringErrorKind::NotIpv6(host.to_owned()));
        }
        return match after.strip_prefix(':') {
            Some(text) => Ok((host, port(text)?)),
            None if after.is_empty() => Ok((host, None)),
            None => Err(HostStringErrorKind::AfterBracket(after.to_owned())),
        };
    }
    match address.matches(':').count() {
        0 => Ok((address, None)),
        1 => {
            let (host, text) = address.split_once(':').unwrap_or((address, ""));
            Ok((host, port(text)?))
        }
        _ if is_ipv6(address) => Ok((address, None)),
        _ => Err(HostStringErrorKind::NotIpv6(address.to_owned())),
    }
}

/// An IPv6 address, with or without a zone id.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    zone != Some("") && address.parse::<std::net::Ipv6Addr>().is_ok()
}

impl FromStr for HostString {
    type Err = HostStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Debug for HostString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for HostString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl AsRef<str> for HostString {
    fn as_ref(&self) -> &str {
        &self.0.text
    }
}

impl Serialize for HostString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.text)
    }
}

impl<'de> Deserialize<'de> for HostString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_spellings() {
        let ok: &[(&str, Option<&str>, &str, Option<u16>)] = &[
            ("a", None, "a", None),
            ("@a", None, "a", None),
            ("a:", None, "a", None),
            ("u@a:1", Some("u"), "a", Some(1)),
            ("u@v@w:3", Some("u@v"), "w", Some(3)),
            ("u:p@h", Some("u:p"), "h", None),
            ("::1", None, "::1", None),
            ("[::1]", None, "::1", None),
            ("[::1]:22", None, "::1", Some(22)),
            ("2001:db8::1:8080", None, "2001:db8::1:8080", None),
            ("u@[2001:db8::1]:99", Some("u"), "2001:db8::1", Some(99)),
            ("[fe80::1%eth0]:22", None, "fe80::1%eth0", Some(22)),
            ("fe80::1%enp0s3", None, "fe80::1%enp0s3", None),
            ("::ffff:1.2.3.4", None, "::ffff:1.2.3.4", None),
            ("  web1 ", None, "web1", None),
        ];
        for (text, user, host, port) in ok {
            let parsed = HostString::parse(text).unwrap();
            assert_eq!((parsed.user(), parsed.host(), parsed.port()), (*user, *host, *port), "{text}");
            assert_eq!(parsed.as_str(), text.trim());
        }
        for text in [
            "",
            "u@",
            ":22",
            "a:b:c",
            "a:22:33",
            "[host]:22",
            "[::1",
            "[::1]x",
            "a:99999",
            "a:0",
            "-oX",
            "a b",
            "1x://h",
            "a,b",
            "a;rm",
            "web*",
            "u@$(id)",
        ] {
            assert!(HostString::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_scheme_names_the_transport() {
        let host = HostString::parse("container://root@web").unwrap();
        assert_eq!((host.scheme(), host.user(), host.host()), (Some("container"), Some("root"), "web"));
    }
}
