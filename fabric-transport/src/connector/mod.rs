//! Opens sessions, gateways included, for all connections of a run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use fabric_core::transport::{BoxStream, OpenContext};
use fabric_core::{
    ConnectError, ConnectErrorKind, Emitter, EventKind, Phase, Prompter, RefusePrompts, Session, Target, Transport,
};

use crate::gateway::GatewayDialer;

/// Opens sessions with targets by whatever transport and gateway they name.
///
/// One value serves a whole run: what is remembered (passwords, opened keys) and what is shared (gateway
/// sessions) is shared by all that clone it.
#[derive(Clone)]
pub struct Connector {
    transports: HashMap<String, Arc<dyn Transport>>,
    gateways: HashMap<String, Arc<dyn GatewayDialer>>,
    prompter: Arc<dyn Prompter>,
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    /// Knows the transport `local` and, with the feature `ssh`, `ssh`; asks nobody anything.
    pub fn new() -> Self {
        let this = Self {
            transports: HashMap::new(),
            gateways: HashMap::new(),
            prompter: Arc::new(RefusePrompts { no_terminal: true }),
        };
        let this = this.with_transport(Arc::new(crate::local::LocalTransport::new()));
        #[cfg(feature = "ssh")]
        let this = this.with_transport(Arc::new(crate::ssh::SshTransport::new()));
        this
    }

    /// Adds a transport, or replaces the one of the same name.
    #[must_use]
    pub fn with_transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transports.insert(transport.name().to_owned(), transport);
        self
    }

    /// Adds what dials gateways of a scheme, a plugin for example.
    #[must_use]
    pub fn with_gateway(mut self, scheme: &str, dialer: Arc<dyn GatewayDialer>) -> Self {
        self.gateways.insert(scheme.to_owned(), dialer);
        self
    }

    /// Who is asked for passwords, passphrases and unknown host keys. Default: nobody.
    #[must_use]
    pub fn with_prompter(mut self, prompter: Arc<dyn Prompter>) -> Self {
        self.prompter = prompter;
        self
    }

    /// Who is asked.
    pub fn prompter(&self) -> &Arc<dyn Prompter> {
        &self.prompter
    }

    /// Opens a session with `target`.
    pub async fn open(&self, target: &Target, events: &Emitter) -> Result<Arc<dyn Session>, ConnectError> {
        let address = address(target);
        events.emit(EventKind::Connecting { address: address.clone() });
        let begun = Instant::now();
        let session = self.open_once(target, events).await?;
        let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        events.emit(EventKind::Connected { address, duration_ms });
        Ok(session)
    }

    async fn open_once(&self, target: &Target, events: &Emitter) -> Result<Arc<dyn Session>, ConnectError> {
        let host = target.host_string.as_str();
        let transport = self.transports.get(&target.transport).ok_or_else(|| {
            let mut names: Vec<&str> = self.transports.keys().map(String::as_str).collect();
            names.sort_unstable();
            let hint = format!("there are {}", names.join(", "));
            let kind = ConnectErrorKind::UnknownTransport { name: target.transport.clone(), hint };
            ConnectError::new(host, Phase::Resolve, kind)
        })?;
        let stream = self.gateway_stream(target, events).await?;
        let context = OpenContext { prompter: self.prompter.clone(), events: events.clone() };
        transport.open(target, stream, &context).await
    }

    /// The byte stream that the target's gateway yields; `None` without one.
    pub async fn gateway_stream(&self, target: &Target, _events: &Emitter) -> Result<Option<BoxStream>, ConnectError> {
        if target.gateway.is_none() {
            return Ok(None);
        }
        let reason = "gateways are not built in yet".to_owned();
        Err(ConnectError::new(target.host_string.as_str(), Phase::Gateway, ConnectErrorKind::Setting { reason }))
    }

    /// Closes all gateway sessions.
    pub async fn close_all(&self) {}
}

/// `user@address:port`, as events show it.
fn address(target: &Target) -> String {
    let (host, port) = target.address();
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    match &target.user {
        Some(user) => format!("{user}@{host}:{port}"),
        None => format!("{host}:{port}"),
    }
}
