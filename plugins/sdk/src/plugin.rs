//! The two traits, one of which a plugin implements.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use crate::message::{Description, DialRequest, OpenRequest, OptionKind, OptionSpec, PluginKind, SpawnRequest};
use crate::{Cancel, PluginError, ProcessFds};

/// Yields byte streams on which Fabric speaks SSH.
///
/// One value serves the whole program; calls come on several threads at a time.
pub trait GatewayPlugin: Default + Send + Sync + 'static {
    /// The scheme that it serves: `socks5` for `gateway = "socks5://.."`.
    const NAME: &'static str;
    /// Its own version; `env!("CARGO_PKG_VERSION")` is a good one.
    const VERSION: &'static str;

    /// What it is and which options it takes.
    fn describe(&self) -> Description;

    /// A connected stream to `request.host` and `request.port`.
    fn dial(&self, request: &DialRequest, cancel: &Cancel) -> Result<OwnedFd, PluginError>;
}

/// Starts processes on a target by itself.
///
/// One value serves the whole program; calls come on several threads at a time.
pub trait TransportPlugin: Default + Send + Sync + 'static {
    /// The name by which it is chosen: `transport = "container"`, `container://name`.
    const NAME: &'static str;
    /// Its own version; `env!("CARGO_PKG_VERSION")` is a good one.
    const VERSION: &'static str;
    /// What it keeps for an open target.
    type Session: TransportSession;

    /// What it is and which options it takes.
    fn describe(&self) -> Description;

    /// A session with the target. Dropping it ends it.
    fn open(&self, request: &OpenRequest, cancel: &Cancel) -> Result<Self::Session, PluginError>;
}

/// An open target of a [`TransportPlugin`].
pub trait TransportSession: Send + Sync + 'static {
    /// Starts a process and answers with its descriptors.
    fn spawn(&self, request: &SpawnRequest, cancel: &Cancel) -> Result<ProcessFds, PluginError>;

    /// A stream on which the far side speaks SFTP version 3. Default: there is none, and Fabric makes do
    /// with commands.
    fn files(&self, cancel: &Cancel) -> Result<OwnedFd, PluginError> {
        let _ = cancel;
        Err(PluginError::Unsupported)
    }
}

impl Description {
    /// A gateway without options.
    pub fn gateway(summary: impl Into<String>) -> Self {
        Self { kind: PluginKind::Gateway, summary: summary.into(), options: BTreeMap::new() }
    }

    /// A transport without options.
    pub fn transport(summary: impl Into<String>) -> Self {
        Self { kind: PluginKind::Transport, summary: summary.into(), options: BTreeMap::new() }
    }

    /// With an option that may be left out.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, kind: OptionKind, doc: impl Into<String>) -> Self {
        self.options.insert(name.into(), OptionSpec::new(kind, doc));
        self
    }

    /// With an option that the plugin can't do without.
    #[must_use]
    pub fn required(mut self, name: impl Into<String>, kind: OptionKind, doc: impl Into<String>) -> Self {
        self.options.insert(name.into(), OptionSpec { required: true, ..OptionSpec::new(kind, doc) });
        self
    }
}
