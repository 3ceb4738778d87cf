//! The options of a command.

use std::sync::Arc;
use std::time::Duration;

use fabric_core::outcome::Stream;
use fabric_core::{PathBehavior, Secret};
use tokio::io::AsyncWrite;

use super::stdin::Stdin;
use super::watch::Watcher;

/// Which streams of a command are not shown. They are captured all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hide {
    /// Both are shown.
    #[default]
    None,
    /// Standard output is not.
    Stdout,
    /// Standard error is not.
    Stderr,
    /// Neither is.
    Both,
}

impl Hide {
    pub(super) fn streams(self) -> Vec<Stream> {
        match self {
            Self::None => Vec::new(),
            Self::Stdout => vec![Stream::Stdout],
            Self::Stderr => vec![Stream::Stderr],
            Self::Both => vec![Stream::Stdout, Stream::Stderr],
        }
    }
}

/// `true` is both, `false` none.
impl From<bool> for Hide {
    fn from(hide: bool) -> Self {
        if hide { Self::Both } else { Self::None }
    }
}

/// Which shell a command is wrapped in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShellChoice {
    /// None: the login shell reads it, as with `ssh`.
    No,
    /// The one in the `shell` setting.
    Setting,
    /// This one, with its options: `/bin/bash -l -c`.
    This(String),
}

impl From<bool> for ShellChoice {
    fn from(wrap: bool) -> Self {
        if wrap { Self::Setting } else { Self::No }
    }
}

impl From<&str> for ShellChoice {
    fn from(shell: &str) -> Self {
        Self::This(shell.to_owned())
    }
}

impl From<String> for ShellChoice {
    fn from(shell: String) -> Self {
        Self::This(shell)
    }
}

/// The defaults of every request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    pub(crate) hide: Hide,
    pub(crate) silent: bool,
    pub(crate) dry: bool,
}

pub(super) type Sink = Box<dyn AsyncWrite + Send + Unpin>;

/// The options of a request; `None` is as in the settings, and `Some(None)` no limit.
#[derive(Default)]
#[allow(clippy::option_option)]
pub(super) struct CommandOptions {
    /// The user's login shell instead of a command.
    pub(super) login_shell: bool,
    pub(super) shell: Option<ShellChoice>,
    pub(super) pty: Option<bool>,
    pub(super) env: Vec<(String, Vec<u8>)>,
    pub(super) replace_env: bool,
    pub(super) cd: Vec<Vec<u8>>,
    pub(super) prefixes: Vec<Vec<u8>>,
    pub(super) path: Option<(Vec<u8>, PathBehavior)>,
    pub(super) hide: Hide,
    pub(super) silent: bool,
    pub(super) dry: bool,
    pub(super) warn: Option<bool>,
    pub(super) timeout: Option<Option<Duration>>,
    pub(super) grace: Option<Duration>,
    pub(super) ok_codes: Option<Vec<u32>>,
    pub(super) combine_stderr: Option<bool>,
    pub(super) capture_limit: Option<Option<u64>>,
    pub(super) stdin: Stdin,
    pub(super) echo_stdin: bool,
    pub(super) out_stream: Option<Sink>,
    pub(super) err_stream: Option<Sink>,
    pub(super) watchers: Vec<Arc<dyn Watcher>>,
    pub(super) silence: Option<Duration>,
    pub(super) sudo_user: Option<String>,
    pub(super) sudo_group: Option<String>,
    pub(super) sudo_password: Option<Secret>,
}
