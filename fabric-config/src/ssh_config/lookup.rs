//! One question to a configuration: which host, asked by whom, with what already decided.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::canonical::HostResolver;
use super::local::Local;

/// Runs the commands of `Match exec`.
pub trait MatchExec {
    /// Whether the command succeeds. An error ends the lookup: it could not be run, or was killed.
    fn succeeds(&self, command: &str, env: &HashMap<String, String>) -> std::io::Result<bool>;
}

/// Runs commands as OpenSSH does: by the user's shell (`$SHELL -c`, or `/bin/sh`), with nothing to read and
/// nowhere to print to but standard error.
#[derive(Debug, Clone, Copy, Default)]
pub struct ShellExec;

impl MatchExec for ShellExec {
    fn succeeds(&self, command: &str, env: &HashMap<String, String>) -> std::io::Result<bool> {
        let shell = env.get("SHELL").map_or("/bin/sh", String::as_str);
        let mut child = Command::new(shell);
        child.arg("-c").arg(command).env_clear().envs(env).stdin(Stdio::null()).stdout(Stdio::null());
        match child.status()?.code() {
            Some(code) => Ok(code == 0),
            None => Err(std::io::Error::other("killed by a signal")),
        }
    }
}

/// What is asked of a configuration.
///
/// ```
/// use std::sync::Arc;
/// use fabric_config::ssh_config::{Local, Lookup};
///
/// let local = Arc::new(Local::new("alice", "/home/alice", "laptop"));
/// let lookup = Lookup::new("web1", &local).user("deploy").port(2222).without_exec();
/// ```
#[derive(Clone)]
pub struct Lookup<'a> {
    pub(super) host: &'a str,
    pub(super) user: Option<&'a str>,
    pub(super) port: Option<u16>,
    pub(super) options: Vec<&'a str>,
    pub(super) local: Arc<Local>,
    pub(super) exec: Option<&'a dyn MatchExec>,
    pub(super) resolver: Option<&'a dyn HostResolver>,
}

impl<'a> Lookup<'a> {
    /// Asks for a host, by the name that a person would give to `ssh`. `Match exec` runs its commands, as
    /// [`ShellExec`] does; names are not looked up.
    pub fn new(host: &'a str, local: &Arc<Local>) -> Self {
        Self {
            host,
            user: None,
            port: None,
            options: Vec::new(),
            local: Arc::clone(local),
            exec: Some(&ShellExec),
            resolver: None,
        }
    }

    /// The remote user, as `ssh -l` sets it: it beats every file, and `Match user` sees it.
    #[must_use]
    pub fn user(mut self, user: &'a str) -> Self {
        self.user = Some(user);
        self
    }

    /// The port, as `ssh -p` sets it.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// A line that comes before all files, as `ssh -o` takes it: `"Compression=yes"`. May be given many times.
    #[must_use]
    pub fn option(mut self, line: &'a str) -> Self {
        self.options.push(line);
        self
    }

    /// Has the commands of `Match exec` run by something else.
    #[must_use]
    pub fn exec(mut self, exec: &'a dyn MatchExec) -> Self {
        self.exec = Some(exec);
        self
    }

    /// Makes a `Match exec` that would run a command an error.
    #[must_use]
    pub fn without_exec(mut self) -> Self {
        self.exec = None;
        self
    }

    /// Looks names up where `CanonicalizeHostname` or `CanonicalizePermittedCNAMEs` ask for it. Without, no
    /// name is ever found.
    #[must_use]
    pub fn resolver(mut self, resolver: &'a dyn HostResolver) -> Self {
        self.resolver = Some(resolver);
        self
    }
}
