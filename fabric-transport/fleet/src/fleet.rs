//! A running fleet.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::access::Access;
use super::error::FleetError;
use super::host::FleetHost;
use super::paths::{Paths, write};

/// N SSH hosts, which run until this value is dropped.
pub struct Fleet {
    pub(super) hosts: Vec<FleetHost>,
    pub(super) access: Arc<Access>,
    pub(super) paths: Paths,
    pub(super) _temporary: Option<TempDir>,
}

impl Fleet {
    /// The hosts, in the order of the builder.
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

    /// The private key that can log in everywhere, in OpenSSH's format, readable by its owner only.
    pub fn client_key(&self) -> &Path {
        &self.paths.client_key
    }

    /// A known_hosts file with every host's key, by address and by name.
    pub fn known_hosts(&self) -> &Path {
        &self.paths.known_hosts
    }

    /// An ssh_config with the hosts' names, complete for `ssh -F` and `sftp -F`.
    pub fn ssh_config(&self) -> &Path {
        &self.paths.ssh_config
    }

    pub(super) fn write_files(&self) -> Result<(), FleetError> {
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
