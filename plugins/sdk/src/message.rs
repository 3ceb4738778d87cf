//! The JSON that crosses the ABI: requests, descriptions, the lines of a control descriptor.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::TcpStream;
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Options by name, from the user's settings for the plugin.
pub type Options = serde_json::Map<String, serde_json::Value>;

/// A plugin's description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Description {
    /// Gateway or transport.
    pub kind: PluginKind,
    /// One line for `fab --plugins`.
    pub summary: String,
    /// Its options. Other options are refused before the plugin is called.
    #[serde(default)]
    pub options: BTreeMap<String, OptionSpec>,
}

/// What a plugin implements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PluginKind {
    /// A gateway: it opens byte streams for Fabric's SSH.
    Gateway,
    /// A transport: it starts processes by itself.
    Transport,
}

/// One option of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OptionSpec {
    /// The type of its value.
    #[serde(rename = "type")]
    pub kind: OptionKind,
    /// Its meaning, and its default.
    #[serde(default)]
    pub doc: String,
    /// Whether the plugin requires it.
    #[serde(default)]
    pub required: bool,
}

impl OptionSpec {
    /// An optional option.
    pub fn new(kind: OptionKind, doc: impl Into<String>) -> Self {
        Self { kind, doc: doc.into(), required: false }
    }
}

/// The type of an option's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OptionKind {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Bool,
    /// A list of texts.
    List,
}

impl std::fmt::Display for OptionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Bool => "true or false",
            Self::List => "a list of texts",
        })
    }
}

impl OptionKind {
    /// Whether a value is of this type.
    pub fn fits(self, value: &serde_json::Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Bool => value.is_boolean(),
            Self::List => value.as_array().is_some_and(|items| items.iter().all(serde_json::Value::is_string)),
        }
    }
}

/// A request to a gateway: open a stream to a target.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DialRequest {
    /// The `gateway` setting, without its password: `socks5://me@proxy:1080`.
    pub url: String,
    /// The password of the `gateway` setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The target's name or address; the gateway resolves names.
    pub host: String,
    /// The target's port.
    pub port: u16,
    /// The login user on the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How long the call may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The user's options for this plugin.
    #[serde(default)]
    pub options: Options,
}

/// A request to a transport: open a session with a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OpenRequest {
    /// The host string, as written.
    pub host_string: String,
    /// The target's name.
    pub host: String,
    /// The user's port; `None` leaves it to the transport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The user's login user; `None` leaves it to the transport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How long the call may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Lines of `ssh_config` (setting `ssh_options`), such as `ServerAliveInterval=30`, for a transport that is an ssh of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_options: Vec<String>,
    /// The user's options for this plugin.
    #[serde(default)]
    pub options: Options,
}

impl OpenRequest {
    /// A session with this host; everything else at its default.
    pub fn new(host_string: impl Into<String>, host: impl Into<String>) -> Self {
        Self {
            host_string: host_string.into(),
            host: host.into(),
            port: None,
            user: None,
            timeout_ms: None,
            ssh_options: Vec::new(),
            options: Options::new(),
        }
    }
}

/// A request to a transport: start a process. Default: a login shell without a terminal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SpawnRequest {
    /// The command's bytes; `None` is a login shell.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_bytes")]
    pub command: Option<Vec<u8>>,
    /// The pseudo-terminal, if there is to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pty: Option<Pty>,
    /// Variables for the process's environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// A pseudo-terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pty {
    /// `$TERM`.
    pub term: String,
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

impl Pty {
    /// A terminal of this type and size.
    pub fn new(term: impl Into<String>, columns: u16, rows: u16) -> Self {
        Self { term: term.into(), columns, rows }
    }
}

/// A line on a control descriptor, to the plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Control {
    /// Send this signal, by its name without `SIG`.
    Signal(String),
    /// The terminal's new size.
    Resize {
        /// Columns.
        columns: u16,
        /// Rows.
        rows: u16,
    },
}

/// The last line on a control descriptor, from the plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Ended {
    /// The process ended by itself.
    Exit {
        /// With this status.
        exit: u32,
    },
    /// A signal ended it.
    Signal {
        /// Its name without `SIG`.
        signal: String,
        /// Whether it dumped core.
        #[serde(default)]
        core_dumped: bool,
    },
}

/// Without the password, as logs and panics may be read by others.
impl std::fmt::Debug for DialRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DialRequest")
            .field("url", &self.url)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("timeout_ms", &self.timeout_ms)
            .field("options", &self.options)
            .finish()
    }
}

impl DialRequest {
    /// To `host` and `port` through `url`; everything else at its default.
    pub fn new(url: impl Into<String>, host: impl Into<String>, port: u16) -> Self {
        Self {
            url: url.into(),
            password: None,
            host: host.into(),
            port,
            user: None,
            timeout_ms: None,
            options: Options::new(),
        }
    }

    /// The time limit of the call. Default: 30 seconds.
    pub fn timeout(&self) -> Duration {
        self.timeout_ms.map_or(Duration::from_secs(30), Duration::from_millis)
    }

    /// Host, port and user of the `url`; `default_port` if it has none.
    pub fn proxy(&self, default_port: u16) -> Result<Proxy, crate::PluginError> {
        let wrong = || crate::PluginError::new(format!("`{}` is not scheme://[user@]host[:port]", self.url));
        let (_, rest) = self.url.split_once("://").ok_or_else(wrong)?;
        let (user, address) = rest.rsplit_once('@').map_or((None, rest), |(user, address)| (Some(user), address));
        let address = address.trim_end_matches('/');
        let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(wrong)?)),
            None => address.rsplit_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
        };
        if host.contains(':') && !address.starts_with('[') {
            return Err(crate::PluginError::new(format!(
                "`{}`: an IPv6 address belongs in brackets, [::1]:{default_port}",
                self.url
            )));
        }
        if host.is_empty() {
            return Err(wrong());
        }
        let port = port.map_or(Ok(default_port), str::parse).map_err(|_| wrong())?;
        Ok(Proxy { host: host.to_owned(), port, user: user.map(str::to_owned) })
    }
}

impl Proxy {
    /// A proxy at this address.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, user: None }
    }

    /// A TCP connection to the proxy, by [`Cancel::connect`](crate::Cancel::connect); its error is about the proxy.
    /// [`error`](Self::error) adds the proxy's address.
    pub fn connect(&self, cancel: crate::Cancel<'_>, timeout: Duration) -> Result<TcpStream, crate::PluginError> {
        let cannot = |error| match error {
            crate::PluginError::Failed(why) => crate::PluginError::new(format!("it cannot be reached: {why}")),
            other => other,
        };
        cancel.connect(&self.host, self.port, timeout).map_err(cannot)
    }

    /// An error about this proxy, with its address before it.
    pub fn error(&self, error: crate::PluginError) -> crate::PluginError {
        match error {
            crate::PluginError::Failed(why) => crate::PluginError::new(format!("proxy {self}: {why}")),
            other => other,
        }
    }
}

/// Its address: `proxy:1080`, `[::1]:1080`.
impl std::fmt::Display for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The address of a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proxy {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user for the proxy.
    pub user: Option<String>,
}

impl SpawnRequest {
    /// A command, without a terminal.
    pub fn command(command: impl Into<Vec<u8>>) -> Self {
        Self { command: Some(command.into()), ..Self::default() }
    }

    /// The words that run it in a shell: `sh -c COMMAND`, or `sh -l` for a login shell.
    pub fn words(&self, shell: &str) -> Vec<OsString> {
        match &self.command {
            Some(command) => vec![shell.into(), "-c".into(), OsString::from_vec(command.clone())],
            None => vec![shell.into(), "-l".into()],
        }
    }
}

/// Bytes in JSON: a text if they are UTF-8, else a list of numbers.
mod optional_bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Bytes {
        Text(String),
        Raw(Vec<u8>),
    }

    #[expect(clippy::ref_option, reason = "serde's `with` passes the field by reference")]
    pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        bytes
            .clone()
            .map(|bytes| String::from_utf8(bytes).map_or_else(|e| Bytes::Raw(e.into_bytes()), Bytes::Text))
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let bytes = Option::<Bytes>::deserialize(deserializer)?;
        Ok(bytes.map(|bytes| match bytes {
            Bytes::Text(text) => text.into_bytes(),
            Bytes::Raw(raw) => raw,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_cross_byte_for_byte() {
        for command in [&b"echo hi"[..], b"\xff\x00\x80"] {
            let request = SpawnRequest::command(command);
            let json = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<SpawnRequest>(&json).unwrap(), request);
        }
    }

    #[test]
    fn control_lines_are_as_the_header_says() {
        assert_eq!(serde_json::to_string(&Control::Signal("TERM".into())).unwrap(), r#"{"signal":"TERM"}"#);
        assert_eq!(
            serde_json::to_string(&Control::Resize { columns: 80, rows: 24 }).unwrap(),
            r#"{"resize":{"columns":80,"rows":24}}"#
        );
        assert_eq!(serde_json::from_str::<Ended>(r#"{"exit":3}"#).unwrap(), Ended::Exit { exit: 3 });
    }

    #[test]
    fn a_request_is_printed_without_its_password() {
        let json = r#"{"url":"x://","host":"h","port":22,"password":"sesame"}"#;
        let text = format!("{:?}", serde_json::from_str::<DialRequest>(json).unwrap());
        assert!(text.contains("password") && !text.contains("sesame"), "{text}");
    }

    #[test]
    fn proxies_are_read_from_urls() {
        let request = |url: &str| DialRequest::new(url, "h", 22);
        let proxy = request("socks5://me@[::1]:1081").proxy(1080).unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port, proxy.user.as_deref()), ("::1", 1081, Some("me")));
        assert_eq!(request("socks5://proxy").proxy(1080).unwrap().port, 1080);
        assert!(request("socks5://proxy:http").proxy(1080).is_err());
        assert!(request("proxy").proxy(1080).is_err());
        assert!(request("socks5://").proxy(1080).is_err());
        assert_eq!(request("socks5://[::1]/").proxy(1080).unwrap().host, "::1");
        assert!(request("socks5://::1").proxy(1080).unwrap_err().to_string().contains("in brackets"));
        assert_eq!(request("socks5://[::1]").proxy(1080).unwrap().to_string(), "[::1]:1080");
        assert!(request("socks5://fe80::1").proxy(1080).unwrap_err().to_string().contains("in brackets"));
    }
}
