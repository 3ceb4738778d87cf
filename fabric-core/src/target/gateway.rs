//! What yields the byte stream on which a session runs, and the setting that names it.

use std::fmt;

use super::Target;
use crate::host::{HostString, HostStringError, HostStringErrorKind};
use crate::secret::Secret;

/// What yields the byte stream on which a session runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gateway {
    /// Another host's session (ProxyJump). Its own gateway, if any, comes before it.
    Jump(Box<Target>),
    /// A command of the user's shell whose pipes are the stream (ProxyCommand), tokens expanded.
    Command(String),
    /// A plugin that serves this scheme.
    #[non_exhaustive]
    Plugin {
        /// The scheme, which names the plugin.
        scheme: String,
        /// The whole text, `socks5://user@proxy:1080`, without a password.
        url: String,
        /// The password, if the text had one.
        password: Option<Secret>,
    },
}

impl Gateway {
    /// The gateway of the plugin that serves a scheme; `url` has no password.
    pub fn plugin(scheme: impl Into<String>, url: impl Into<String>, password: impl Into<Option<Secret>>) -> Self {
        Self::Plugin { scheme: scheme.into(), url: url.into(), password: password.into() }
    }

    /// Reads the `gateway` setting: a plugin's where it begins with a scheme, a ProxyCommand where it has white
    /// space, else hops separated by commas, the first of which is dialled first (OpenSSH's order). `none` is no
    /// gateway. Each hop's target comes from `resolve`.
    pub fn parse<E: From<HostStringError>>(
        text: &str,
        mut resolve: impl FnMut(&HostString) -> Result<Target, E>,
    ) -> Result<Option<Self>, E> {
        let text = text.trim();
        if text.is_empty() || text.eq_ignore_ascii_case("none") {
            return Ok(None);
        }
        // First: a password may contain white space, and must not become part of a command.
        if let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
            // A path has no login before it, whatever it contains.
            let (url, password) = match rest.rsplit_once('@').filter(|_| !rest.starts_with('/')) {
                Some((login, address)) => match login.split_once(':') {
                    Some((user, password)) => (format!("{scheme}://{user}@{address}"), Some(Secret::new(password))),
                    None => (text.to_owned(), None),
                },
                None => (text.to_owned(), None),
            };
            return Ok(Some(Self::Plugin { scheme: scheme.to_owned(), url, password }));
        }
        if split_url(text).is_some() {
            // Otherwise it would be a hop with the password as a part of its user.
            return Err(HostStringError { text: Self::shown(text), kind: HostStringErrorKind::NotUrl }.into());
        }
        if text.contains(char::is_whitespace) {
            return Ok(Some(Self::Command(text.to_owned())));
        }
        let mut gateway = None;
        for hop in text.split(',') {
            let mut target = resolve(&HostString::parse(hop)?)?;
            if gateway.is_some() {
                target.gateway = gateway;
            }
            gateway = Some(Self::Jump(Box::new(target)));
        }
        Ok(gateway)
    }

    /// A `gateway` setting as it may be shown: whatever may be a password in it is `***`, in an address that is
    /// mistyped too.
    ///
    /// ```
    /// use fabric_core::Gateway;
    ///
    /// assert_eq!(Gateway::shown("socks5://joe:secret@proxy:1080"), "socks5://joe:***@proxy:1080");
    /// assert_eq!(Gateway::shown("socks5:/joe:secret"), "socks5:/joe:***");
    /// assert_eq!(Gateway::shown("socks5://proxy:1080"), "socks5://proxy:1080");
    /// ```
    pub fn shown(text: &str) -> String {
        let Some((scheme, rest)) = split_url(text).filter(|(_, rest)| !rest.starts_with('/')) else {
            return text.to_owned();
        };
        let (login, address) = match rest.rfind('@') {
            Some(at) => rest.split_at(at),
            None if is_address(rest) => return text.to_owned(),
            None => (rest, ""),
        };
        match login.split_once(':') {
            Some((user, _)) => format!("{scheme}{user}:***{address}"),
            None => text.to_owned(),
        }
    }
}

/// As errors name it, without a password.
impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jump(hop) => write!(f, "gateway {}", hop.host_string),
            Self::Command(command) => write!(f, "proxy command `{command}`"),
            Self::Plugin { url, .. } => write!(f, "gateway {}", Self::shown(url)),
        }
    }
}

/// Cuts after `scheme://`, or what may be a mistyped one (`scheme:/`). The first slash of a path stays.
fn split_url(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.trim_start().split_once(":/")?;
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    is_scheme(scheme).then(|| text.split_at(text.len() - rest.len()))
}

/// Whether this is a host and a port, and so has no password.
fn is_address(text: &str) -> bool {
    let text = text.trim_end_matches('/');
    text.parse::<std::net::Ipv6Addr>().is_ok()
        || text.starts_with('[')
        || text.split_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_ok())
}

/// Whether a text can be the scheme before `://`.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::Settings;
    use crate::target::Resolve as _;

    #[test]
    fn hops_are_dialled_in_the_order_written() {
        let mut settings = Settings::default();
        settings.set("gateway", &json!("a,u@b:2200")).unwrap();
        let target = settings.target(&"web1".parse().unwrap(), &[]).unwrap();
        let Some(Gateway::Jump(last)) = target.gateway else { panic!("no hop") };
        assert_eq!((last.host.as_str(), last.port), ("b", 2200));
        let Some(Gateway::Jump(first)) = last.gateway else { panic!("no first hop") };
        assert_eq!(first.host, "a");
        assert!(first.gateway.is_none());
    }

    #[test]
    fn a_plugin_url_gives_its_password_up() {
        let gateway = Gateway::parse::<HostStringError>("socks5://me:pw@proxy:1080", |_| unreachable!()).unwrap();
        let Some(Gateway::Plugin { scheme, url, password }) = gateway else { panic!("no plugin") };
        assert_eq!((scheme.as_str(), url.as_str()), ("socks5", "socks5://me@proxy:1080"));
        assert_eq!(password.unwrap().expose(), "pw");
        for (text, left, secret) in [
            // White space in a password makes no command of it.
            ("http-connect://me:p w:@/x@[::1]:1", "http-connect://me@[::1]:1", Some("p w:@/x")),
            ("socks5://me@proxy", "socks5://me@proxy", None),
            ("unix:///run/a:b@c.sock", "unix:///run/a:b@c.sock", None),
        ] {
            let gateway = Gateway::parse::<HostStringError>(text, |_| unreachable!()).unwrap();
            let Some(Gateway::Plugin { url, password, .. }) = gateway else { panic!("no plugin") };
            assert_eq!((url.as_str(), password.as_ref().map(Secret::expose)), (left, secret));
        }
        for (text, shown) in [
            ("socks5:/joe:TOP SECRET@h", "socks5:/joe:***@h"),
            ("socks5://joe:TOPSECRET", "socks5://joe:***"),
            ("socks5://joe:1:2@3@h:1", "socks5://joe:***@h:1"),
            ("unix:///run/a:b@c.sock", "unix:///run/a:b@c.sock"),
            ("socks5://[::1]:1080", "socks5://[::1]:1080"),
            ("socks5://fe80::1", "socks5://fe80::1"),
            ("a,u@b:2200", "a,u@b:2200"),
            ("nc -X 5 -x proxy:1080 %h %p", "nc -X 5 -x proxy:1080 %h %p"),
        ] {
            assert_eq!(Gateway::shown(text), shown);
        }
        let error = Gateway::parse::<HostStringError>("socks5:/me:pw@proxy", |_| unreachable!()).unwrap_err();
        assert!(error.to_string().contains("scheme://") && !error.to_string().contains("pw"), "{error}");
        let gateway = Gateway::parse::<HostStringError>("nc -X 5 -x socks5://proxy %h %p", |_| unreachable!());
        assert!(matches!(gateway, Ok(Some(Gateway::Command(_)))));
    }
}
