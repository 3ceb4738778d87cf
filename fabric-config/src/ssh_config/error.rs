//! What can be wrong with an ssh_config, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::origin::LineOrigin;

/// Why a configuration could not be read or applied to a host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SshConfigError {
    /// A file that was asked for can't be read.
    #[error("cannot read the ssh_config file {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
    /// Lines that OpenSSH would refuse as well; all that one pass found.
    #[error("{}", BadLines(.0))]
    Bad(Vec<BadLine>),
    /// The lines are right one by one, but not for this host.
    #[error("ssh_config cannot be applied to {host}: {fault}{}", At(.origin))]
    Unusable {
        /// The host that was looked up.
        host: String,
        /// What is wrong.
        fault: Fault,
        /// The line that causes it, if a single line does.
        origin: Option<LineOrigin>,
    },
}

/// One line that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadLine {
    /// Where it is.
    pub origin: LineOrigin,
    /// The line, without surrounding white space.
    pub text: Arc<str>,
    /// What is wrong with it.
    pub fault: Fault,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: `{}`", self.origin, self.fault, self.text)
    }
}

struct BadLines<'a>(&'a [BadLine]);
impl fmt::Display for BadLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if n == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

struct At<'a>(&'a Option<LineOrigin>);
impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |origin| write!(f, " ({origin})"))
    }
}

/// What is wrong with a line or a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A keyword that is not known ([`Directive`](super::Directive)), nor covered by `IgnoreUnknown`.
    #[error("Bad configuration option: {keyword}{}", nearest.map(|n| format!(" (did you mean {n}?)")).unwrap_or_default())]
    UnknownDirective {
        /// The keyword, in lower case.
        keyword: String,
        /// The nearest right name, if one is near.
        nearest: Option<&'static str>,
    },
    /// A keyword with nothing after it.
    #[error("no argument after the keyword")]
    NoArgument,
    /// A quote that is never closed.
    #[error("invalid quotes")]
    Quotes,
    /// An argument is missing, or is empty.
    #[error("missing argument")]
    MissingArgument,
    /// More arguments than the directive takes.
    #[error("extra arguments at end of line")]
    ExtraArguments,
    /// An argument that isn't one of the words that the directive takes.
    #[error("unsupported option {value:?} (one of {})", allowed.join(", "))]
    UnknownWord {
        /// What is there.
        value: String,
        /// What could be.
        allowed: Vec<&'static str>,
    },
    /// An argument that isn't a number in range, a time, a size, a port, a mask, ...
    #[error("{value:?} is not {expected}")]
    BadValue {
        /// What is there.
        value: String,
        /// What should be.
        expected: &'static str,
    },
    /// No list of algorithms, or one from which nothing is left.
    #[error("bad list of algorithms {value:?}")]
    BadAlgorithms {
        /// The list.
        value: String,
    },
    /// A list of algorithms with no name that is known.
    #[error("bad list of algorithms {value:?} of {keyword}: none of them is known")]
    NoAlgorithm {
        /// The directive.
        keyword: &'static str,
        /// The list.
        value: String,
    },
    /// `none` or `any` beside other arguments.
    #[error("{word:?} must appear alone")]
    NotAlone {
        /// The word.
        word: String,
    },
    /// More arguments or lines than OpenSSH keeps.
    #[error("too many entries (at most {max})")]
    TooMany {
        /// How many it keeps.
        max: usize,
    },
    /// Not a forward's listening and connecting end.
    #[error("bad forwarding specification")]
    BadForward,
    /// Not a list of `[user@]host[:port]`.
    #[error("invalid ProxyJump")]
    BadJump,
    /// `Match` with an unknown criterion.
    #[error("unsupported Match attribute {word:?}")]
    UnknownCriterion {
        /// The word.
        word: String,
    },
    /// `Match` with a criterion that lacks its argument.
    #[error("missing Match criteria for {word:?}")]
    MissingCriterion {
        /// The criterion.
        word: String,
    },
    /// `Match` without any criterion.
    #[error("one or more attributes required for Match")]
    NoCriteria,
    /// `Match all` with anything else.
    #[error("'all' cannot be combined with other Match attributes")]
    AllNotAlone,
    /// `Match exec` where running commands is forbidden.
    #[error("Match exec is switched off here")]
    ExecForbidden,
    /// The command of a `Match exec` could not be run or was killed.
    #[error("the command of Match exec could not be run: {reason}")]
    ExecFailed {
        /// Why.
        reason: String,
    },
    /// `Host`, `Match` or `Include` where only settings are allowed.
    #[error("not supported as a command line option")]
    NotOnCommandLine,
    /// `Include ~/..` in the system's file.
    #[error("bad include path {path:?}: only a user's file may name a home directory")]
    IncludeHome {
        /// The path.
        path: String,
    },
    /// `Include` in a text that was parsed without its files.
    #[error("Include needs files: use SshConfig::load")]
    IncludeWithoutFiles,
    /// An included file that exists but can't be read, or that may have no end: a pipe, a device, or a file that is too large.
    #[error("cannot read {}: {reason}", path.display())]
    IncludeUnreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        reason: String,
    },
    /// Files that include each other without end, or more than 16 deep.
    #[error("too many recursive configuration includes (at most 16)")]
    TooDeep,
    /// A file that another user could have written.
    #[error("bad owner or permissions on {} (it must belong to you or root, and be writable by no other user)", path.display())]
    Insecure {
        /// The file.
        path: PathBuf,
    },
    /// A `%` token that the directive doesn't have.
    #[error("unknown key %{letter}")]
    UnknownToken {
        /// The letter after `%`.
        letter: char,
    },
    /// A `%` at the very end.
    #[error("a % without a letter after it (write %% for a percent sign)")]
    LonePercent,
    /// `${` without `}`.
    #[error("environment variable without closing '}}'")]
    OpenVariable,
    /// A variable that isn't in the environment.
    #[error("the environment variable {name} is not set")]
    UnsetVariable {
        /// Its name.
        name: String,
    },
    /// `$NAME` with characters that no name has.
    #[error("invalid environment name {name:?}")]
    BadVariable {
        /// The name.
        name: String,
    },
    /// `~user` of an unknown user.
    #[error("no such user {user:?}")]
    UnknownUser {
        /// The name.
        user: String,
    },
    /// A host name that could be taken for an option or shell code.
    #[error("hostname contains invalid characters")]
    BadHostname,
    /// Likewise a user name.
    #[error("remote username contains invalid characters")]
    BadUsername,
    /// No domain of `CanonicalDomains` has the host, and `CanonicalizeFallbackLocal` is off; or its alias
    /// was to be followed, and it has no address.
    #[error("could not resolve host {name:?}")]
    Unresolved {
        /// The name.
        name: String,
    },
    /// A host that is its own jump host.
    #[error("jumphost loop via {host}")]
    JumpLoop {
        /// The host.
        host: String,
    },
    /// Directives that contradict each other.
    #[error("{0}")]
    Conflict(&'static str),
}
