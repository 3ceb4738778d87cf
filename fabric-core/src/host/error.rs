//! What is wrong with a host string.

use thiserror::Error;

/// A text that is no host string or list of them.
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
    /// Something stands behind `[address]` that is no port.
    #[error("`{0}` after the bracket is not a port")]
    AfterBracket(String),
    /// White space, a control character, or one that OpenSSH takes in no host's name (`valid_hostname` in its ssh.c) or
    /// patterns have.
    #[error("it contains {0:?}")]
    BadCharacter(char),
    /// The port is not a number from 1 to 65535.
    #[error("port `{0}` is not a number from 1 to 65535")]
    BadPort(String),
    /// `[..]` holds no range of numbers.
    #[error("`[{0}]` is not a range such as [01-20,30], lower numbers first")]
    BadRange(String),
    /// The text before `://` is no scheme.
    #[error("`{0}` is not a scheme")]
    BadScheme(String),
    /// There is no host part.
    #[error("the host part is empty")]
    EmptyHost,
    /// Host or user begins with a dash, which a program would read as an option.
    #[error("host and user must not begin with `-`")]
    LeadingDash,
    /// Several colons, or brackets, around what is no IPv6 address.
    #[error("`{0}` is not an IPv6 address")]
    NotIpv6(String),
    /// A gateway that begins as an address of a plugin does, and is none.
    #[error("the address of a plugin is scheme://[user[:password]@]proxy[:port]")]
    NotUrl,
    /// A `@file`, where only hosts are read.
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
    /// A range or product of ranges beyond reason.
    #[error("it stands for more than {0} hosts")]
    TooMany(usize),
}
