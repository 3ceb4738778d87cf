//! The traits of plugins; a plugin implements one of them.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use crate::message::{Description, DialRequest, OpenRequest, OptionKind, OptionSpec, PluginKind, SpawnRequest};
use crate::{Cancel, PluginError, ProcessFds};

/// A gateway: opens byte streams for Fabric's SSH.
///
/// One value is used by the whole program; calls come on several threads at a time.
pub trait GatewayPlugin: Default + Send + Sync + 'static {
    /// The scheme that it implements: `socks5` for `gateway = "socks5://.."`.
    const NAME: &'static str;
    /// Its own version, for example `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;

    /// Its description and its options.
    fn describe(&self) -> Description;

    /// Opens a stream to `request.host` and `request.port`.
    fn dial(&self, request: &DialRequest, cancel: &Cancel) -> Result<OwnedFd, PluginError>;
}

/// A transport: starts processes on a target by itself.
///
/// One value is used by the whole program; calls come on several threads at a time.
pub trait TransportPlugin: Default + Send + Sync + 'static {
    /// The name that selects it: `transport = "container"`, `container://name`.
    const NAME: &'static str;
    /// Its own version, for example `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// Its state for an open target.
    type Session: TransportSession;

    /// Its description and its options.
    fn describe(&self) -> Description;

    /// Opens a session with the target. Dropping it ends it.
    fn open(&self, request: &OpenRequest, cancel: &Cancel) -> Result<Self::Session, PluginError>;
}

/// An open target of a [`TransportPlugin`].
pub trait TransportSession: Send + Sync + 'static {
    /// Starts a process and returns its descriptors.
    fn spawn(&self, request: &SpawnRequest, cancel: &Cancel) -> Result<ProcessFds, PluginError>;

    /// Opens a stream to an SFTP server, version 3. Default: not supported; Fabric then uses commands for files.
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

    /// Adds an optional option.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, kind: OptionKind, doc: impl Into<String>) -> Self {
        self.options.insert(name.into(), OptionSpec::new(kind, doc));
        self
    }

    /// Adds a required option.
    #[must_use]
    pub fn required(mut self, name: impl Into<String>, kind: OptionKind, doc: impl Into<String>) -> Self {
        self.options.insert(name.into(), OptionSpec { required: true, ..OptionSpec::new(kind, doc) });
        self
    }
}
