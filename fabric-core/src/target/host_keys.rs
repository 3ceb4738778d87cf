//! Which host keys to trust.

use std::path::PathBuf;

use crate::setters::setters;

/// Which host keys to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostKeyPolicy {
    /// What to do about unknown keys.
    pub check: HostKeyCheck,
    /// The user's files, the first of which gets new keys. Default: none; fabric-config fills in
    /// `~/.ssh/known_hosts` and `~/.ssh/known_hosts2`.
    pub user_files: Vec<PathBuf>,
    /// The system's files, never written.
    pub system_files: Vec<PathBuf>,
    /// A program with its arguments that prints further lines of known_hosts (`KnownHostsCommand`), with the tokens `%H`, `%I`,
    /// `%K`, `%f`, `%t` and `%%`. Default: none.
    pub command: Option<Vec<String>>,
    /// A file of public keys, one a line, that no host may have, nor an authority that vouches for one (`RevokedHostKeys`). If
    /// it can't be read, no connection is made. Default: none.
    pub revoked: Option<PathBuf>,
    /// The name to look keys up under instead of the host's (`HostKeyAlias`).
    pub alias: Option<String>,
    /// Whether recorded names are hashed (`HashKnownHosts`). Default: no.
    pub hash_names: bool,
    /// Whether the user's files follow the keys that a known host says it has now (`UpdateHostKeys`). Default: no;
    /// fabric-config says yes where ssh_config(5) does.
    pub update: UpdateHostKeys,
}

setters!(HostKeyPolicy {
    check: HostKeyCheck,
    user_files: Vec<PathBuf>,
    system_files: Vec<PathBuf>,
    #[into] command: Option<Vec<String>>,
    #[into] revoked: Option<PathBuf>,
    #[into] alias: Option<String>,
    hash_names: bool,
    update: UpdateHostKeys,
});

impl Default for HostKeyPolicy {
    fn default() -> Self {
        Self {
            check: HostKeyCheck::default(),
            user_files: Vec::new(),
            system_files: Vec::new(),
            command: None,
            revoked: None,
            alias: None,
            hash_names: false,
            update: UpdateHostKeys::No,
        }
    }
}

/// What to do about a host key (`StrictHostKeyChecking`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostKeyCheck {
    /// Record keys of unknown hosts in the first of [`HostKeyPolicy::user_files`], which is made if it isn't there, and refuse
    /// changed ones. Where there is no such file, unknown hosts are refused. The default.
    #[default]
    RecordNew,
    /// The same, but without such a file keys of unknown hosts are accepted, each time anew
    /// (`StrictHostKeyChecking accept-new`).
    AcceptNew,
    /// Refuse unknown hosts and changed keys (`reject_unknown_hosts`).
    Strict,
    /// Ask a person about unknown hosts, refuse changed keys.
    Ask,
    /// Record keys of unknown hosts; take changed ones with a warning, but give such a host no password and no agent
    /// (`StrictHostKeyChecking no`).
    Lax,
    /// Take any key and record none (`disable_known_hosts`). Revoked keys are refused still.
    Off,
}

/// `UpdateHostKeys` of ssh_config(5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UpdateHostKeys {
    /// Known keys stay as they are.
    #[default]
    No,
    /// Keys that a host has proved to have are recorded.
    Yes,
    /// The same, after a person has agreed.
    Ask,
}
