//! The embedded fleet: one process that is N SSH hosts on loopback, for the demo, for tests and for benchmarks.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use fabric_transport_fleet::Fleet;
//!
//! let fleet = Fleet::builder().names(["web1", "web2", "db1"]).start().await?;
//! // ssh -F <dir>/ssh_config web1 uname
//! println!("ssh -F {} web1 uname", fleet.ssh_config().display());
//! for host in fleet.hosts() {
//!     println!("{} is {}, its files are in {}", host.name(), host.address(), host.dir().display());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Each host has an address and a key of its own, and a directory that is `$HOME` and the working directory of
//! everything that runs there. Commands run in the real `/bin/sh`, terminals are real, files are served over
//! SFTP, ports are forwarded. What OpenSSH's sshd does is what a host does: where they differ, it is a mistake.
//!
//! # What is promised, and what is not
//!
//! * Nothing listens on, or connects to, anything but loopback addresses; other ones are refused.
//! * Only the throw-away key that [`Fleet::client_key`] names logs in, unless the builder says otherwise. Whoever
//!   logs in runs commands as the user this program runs as: a host's directory is where commands start, not a wall
//!   around them.
//! * Dropping the [`Fleet`] ends every connection and kills every process that its hosts have started. A fleet that
//!   made its own directory removes it.
//! * [`Faults`] make a host misbehave, from the first byte to the last.

mod access;
mod answers;
mod builder;
mod client;
mod faults;
mod forward;
mod groups;
mod host;
mod input;
mod process;
mod sftp;
mod stream;
mod terminal;

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::MethodKind;
use tempfile::TempDir;
use thiserror::Error;

pub use answers::{Answer, Answers, cheap};
pub use builder::FleetBuilder;
pub use faults::{ExitFault, Faults, Greeting, MaxStartups, Penalties};
pub use host::FleetHost;

use access::Access;

/// Why a fleet could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FleetError {
    /// A file or directory of the fleet.
    #[error("the fleet's {}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// An address cannot be listened on.
    #[error("the fleet cannot listen on {address}: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// An address was asked for that isn't a loopback one.
    #[error("the fleet listens on loopback addresses only, and {address} is none")]
    NotLoopback {
        /// Which.
        address: IpAddr,
    },
    /// More hosts than addresses.
    #[error("{asked} hosts are more than the {most} that a fleet can have")]
    TooMany {
        /// How many were asked for.
        asked: usize,
        /// How many there can be.
        most: usize,
    },
    /// A name that cannot be a host's: empty, twice there, or with characters that a path or a host string has no
    /// place for.
    #[error("`{name}` cannot be a host's name in the fleet: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A key could not be made, read or written.
    #[error("a key of the fleet: {0}")]
    Key(KeyError),
}

/// What is wrong with a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct KeyError(russh::keys::ssh_key::Error);

impl From<russh::keys::ssh_key::Error> for FleetError {
    fn from(error: russh::keys::ssh_key::Error) -> Self {
        Self::Key(KeyError(error))
    }
}

/// A way of logging in (RFC 4252, RFC 4256).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// `publickey`.
    PublicKey,
    /// `password`.
    Password,
    /// `keyboard-interactive`.
    KeyboardInteractive,
}

impl Method {
    fn kind(self) -> MethodKind {
        match self {
            Self::PublicKey => MethodKind::PublicKey,
            Self::Password => MethodKind::Password,
            Self::KeyboardInteractive => MethodKind::KeyboardInteractive,
        }
    }
}

/// N SSH hosts, until it is dropped.
pub struct Fleet {
    hosts: Vec<FleetHost>,
    access: Arc<Access>,
    paths: Paths,
    _temporary: Option<TempDir>,
}

impl Fleet {
    /// A builder of one host with everything at its default.
    pub fn builder() -> FleetBuilder {
        FleetBuilder::default()
    }

    /// The hosts, in the order in which they were asked for.
    pub fn hosts(&self) -> &[FleetHost] {
        &self.hosts
    }

    /// The host of this name.
    pub fn host(&self, name: &str) -> Option<&FleetHost> {
        self.hosts.iter().find(|host| host.name() == name)
    }

    /// `address:port` of each host, as host strings.
    pub fn host_strings(&self) -> Vec<String> {
        self.hosts.iter().map(|host| host.address().to_string()).collect()
    }

    /// The directory with all files of the fleet.
    pub fn dir(&self) -> &Path {
        &self.paths.root
    }

    /// The private key that logs in everywhere, in OpenSSH's format, readable by its owner only.
    pub fn client_key(&self) -> &Path {
        &self.paths.client_key
    }

    /// A known_hosts file with every host's key, by address and by name.
    pub fn known_hosts(&self) -> &Path {
        &self.paths.known_hosts
    }

    /// An ssh_config that knows the hosts by name, complete for `ssh -F` and `sftp -F`.
    pub fn ssh_config(&self) -> &Path {
        &self.paths.ssh_config
    }

    fn write_files(&self) -> Result<(), FleetError> {
        let mut known = String::new();
        let mut config = String::new();
        let quoted = |path: &Path| format!("\"{}\"", path.display());
        for host in &self.hosts {
            let (ip, port, key) = (host.address().ip(), host.address().port(), host.0.public_key.to_openssh()?);
            let _ = writeln!(known, "[{ip}]:{port},[{}]:{port} {key}", host.name());
            let _ = writeln!(config, "Host {} {ip}\n    HostName {ip}\n    Port {port}", host.name());
        }
        let _ = write!(
            config,
            "Host *\n    IdentityFile {}\n    IdentitiesOnly yes\n    IdentityAgent none\n    \
             UserKnownHostsFile {}\n    GlobalKnownHostsFile none\n    StrictHostKeyChecking yes\n    \
             UpdateHostKeys no\n",
            quoted(&self.paths.client_key),
            quoted(&self.paths.known_hosts),
        );
        write(&self.paths.known_hosts, known.as_bytes())?;
        write(&self.paths.ssh_config, config.as_bytes())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.access.ended.cancel();
        self.access.groups.kill_all();
    }
}

/// Where the fleet keeps what.
struct Paths {
    client_key: PathBuf,
    client_public: PathBuf,
    known_hosts: PathBuf,
    ssh_config: PathBuf,
    hosts: PathBuf,
    root: PathBuf,
}

impl Paths {
    fn new(root: PathBuf) -> Self {
        Self {
            client_key: root.join("client_key"),
            client_public: root.join("client_key.pub"),
            known_hosts: root.join("known_hosts"),
            ssh_config: root.join("ssh_config"),
            hosts: root.join("hosts"),
            root,
        }
    }
}

fn write(path: &Path, content: &[u8]) -> Result<(), FleetError> {
    std::fs::write(path, content).map_err(|error| FleetError::File { path: path.to_owned(), error })
}

fn write_private(path: &Path, content: &[u8]) -> Result<(), FleetError> {
    use std::os::unix::fs::OpenOptionsExt;
    let wrong = |error| FleetError::File { path: path.to_owned(), error };
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(wrong(error));
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(wrong)?;
    io::Write::write_all(&mut file, content).map_err(wrong)
}
