//! The files of a fleet.

use std::io;
use std::path::{Path, PathBuf};

use super::error::FleetError;

/// The paths of a fleet's files.
pub(super) struct Paths {
    pub(super) client_key: PathBuf,
    pub(super) client_public: PathBuf,
    pub(super) known_hosts: PathBuf,
    pub(super) ssh_config: PathBuf,
    pub(super) hosts: PathBuf,
    pub(super) root: PathBuf,
}

impl Paths {
    pub(super) fn new(root: PathBuf) -> Self {
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

pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), FleetError> {
    std::fs::write(path, content).map_err(|error| FleetError::File { path: path.to_owned(), error })
}

pub(super) fn write_private(path: &Path, content: &[u8]) -> Result<(), FleetError> {
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
