//! What is wrong with a host string.

use thiserror::Error;

/// A text that isn't a host string or a list of host strings.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("`{text}` is not a host: {kind} (expected [user@]host[:port], IPv6 with a port as [address]:port)")]
#[non_exhaustive]
pub struct HostStringError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub kind: HostStringErrorKind,
}

impl HostStringError {
    /// An error about this text.
    pub fn new(text: impl Into<String>, kind: HostStringErrorKind) -> Self {
        Self { text: text.into(), kind }
    }
}

/// What is wrong with a host string.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostStringErrorKind {
    /// What follows `[address]` is not a port.
    #[error("`{0}` after the bracket is not a port")]
    AfterBracket(String),
    /// White space, a control character, one that OpenSSH refuses in host names (`valid_hostname` in its ssh.c), or one of
    /// patterns.
    #[error("it contains {0:?}")]
    BadCharacter(char),
    /// The port is not a number from 1 to 65535.
    #[error("port `{0}` is not a number from 1 to 65535")]
    BadPort(String),
    /// `[..]` is not a range of numbers.
    #[error("`[{0}]` is not a range such as [01-20,30], lower numbers first")]
    BadRange(String),
    /// The text before `://` is not a scheme.
    #[error("`{0}` is not a scheme")]
    BadScheme(String),
    /// There is no host part.
    #[error("the host part is empty")]
    EmptyHost,
    /// Host or user begins with a dash, which a program would read as an option.
    #[error("host and user must not begin with `-`")]
    LeadingDash,
    /// Several colons or brackets, but no IPv6 address.
    #[error("`{0}` is not an IPv6 address")]
    NotIpv6(String),
    /// A gateway that begins like the address of a plugin, but isn't one.
    #[error("the address of a plugin is scheme://[user[:password]@]proxy[:port]")]
    NotUrl,
    /// `@file` where only hosts are allowed.
    #[error(
        "a file of hosts is read on the command line only (-H @file); in a fabfile a role names it: inventory = \"..\""
    )]
    ListFile,
    /// A bracket without its partner.
    #[error("a bracket is not closed or not opened (brackets inside brackets are not read)")]
    OpenBracket,
    /// A range as shells write it.
    #[error("`{{{0}}}` is not a list of words such as {{a,b}}; a range is written [1-3]")]
    ShellRange(String),
    /// Ranges that stand for too many hosts.
    #[error("it stands for more than {0} hosts")]
    TooMany(usize),
}
