//! One question to a configuration: a host, the local facts, and what is decided already.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::process::{Command, Stdio};
use std::sync::Arc;

use fabric_core::target::AddressFamily;

use super::canonical::HostResolver;
use super::local::Local;

/// Runs the commands of `Match exec`.
pub trait MatchExec {
    /// Whether the command succeeds. An error ends the lookup: it could not be run, or was killed.
    fn succeeds(&self, command: &str, env: &HashMap<String, String>) -> std::io::Result<bool>;
}

/// Runs commands as OpenSSH does: by the user's shell (`$SHELL -c`, or `/bin/sh`), without input, and with standard
/// error as the only output.
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

/// Looks names up as the system does (files, DNS), over the network if it must. It does not learn the
/// canonical name of an alias, so that `CanonicalizePermittedCNAMEs` has no effect.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl HostResolver for SystemResolver {
    fn canonical_name(&self, name: &str, family: AddressFamily) -> Option<String> {
        let mut addresses = (name, 0).to_socket_addrs().ok()?;
        let fits = |address: SocketAddr| match family {
            AddressFamily::Any => true,
            AddressFamily::Inet => address.is_ipv4(),
            AddressFamily::Inet6 => address.is_ipv6(),
        };
        addresses.any(fits).then(String::new)
    }
}

/// A question to a configuration.
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
    pub(super) command: Option<&'a str>,
    pub(super) addresses: Option<&'a [IpAddr]>,
}

impl<'a> Lookup<'a> {
    /// Asks for a host, by the name that `ssh` would be given. `Match exec` runs its commands, as
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
            command: None,
            addresses: None,
        }
    }

    /// The remote user, as `ssh -l` sets it: it overrides every file, and `Match user` sees it.
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

    /// For running a command: `Match sessiontype` is `exec`, and `Match command` compares this. Without, they are `shell` and
    /// the empty text, as of `ssh HOST`.
    #[must_use]
    pub fn command(mut self, command: &'a str) -> Self {
        self.command = Some(command);
        self
    }

    /// The addresses that `Match localnetwork` compares. Without, they are those of this machine's interfaces that are up.
    #[must_use]
    pub fn local_addresses(mut self, addresses: &'a [IpAddr]) -> Self {
        self.addresses = Some(addresses);
        self
    }

    pub(super) fn session_type(&self) -> &'static str {
        if self.command.is_some() { "exec" } else { "shell" }
    }

    pub(super) fn addresses(&self) -> Cow<'a, [IpAddr]> {
        self.addresses.map_or_else(|| interface_addresses().into(), Into::into)
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

/// The addresses of this machine's interfaces that are up; empty if they can't be read.
fn interface_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let up = interfaces.filter(|interface| interface.flags.contains(nix::net::if_::InterfaceFlags::IFF_UP));
    let address = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    };
    up.filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_knows_this_machine() {
        assert_eq!(SystemResolver.canonical_name("127.0.0.1", AddressFamily::Any).as_deref(), Some(""));
        assert_eq!(SystemResolver.canonical_name("127.0.0.1", AddressFamily::Inet6), None);
    }

    #[test]
    fn commands_run_by_the_shell_of_the_environment() {
        let env = HashMap::from([("X".to_owned(), "1".to_owned())]);
        assert!(ShellExec.succeeds("test $X = 1", &env).unwrap());
        assert!(!ShellExec.succeeds("exit 3", &env).unwrap());
        assert!(ShellExec.succeeds("kill -9 $$", &env).is_err());
        let env = HashMap::from([("SHELL".to_owned(), "/no/such/shell".to_owned())]);
        assert!(ShellExec.succeeds("true", &env).is_err());
    }
}
