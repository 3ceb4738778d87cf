//! Opens sessions with targets: the transports and gateways of a run, in one place.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use fabric_core::transport::{BoxStream, OpenContext};
use fabric_core::{
    ConnectError, ConnectErrorKind, Emitter, Phase, Prompter, RefusePrompts, Session, Target, Transport,
};

use crate::local::LocalTransport;

/// Opens sessions; shared by all connections of a run.
#[derive(Clone)]
pub struct Connector {
    transports: HashMap<String, Arc<dyn Transport>>,
    prompter: Arc<dyn Prompter>,
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("transports", &self.transports.keys()).finish_non_exhaustive()
    }
}

impl Connector {
    /// Knows the `local` transport.
    pub fn new() -> Self {
        let new = Self { transports: HashMap::new(), prompter: Arc::new(RefusePrompts { no_terminal: true }) };
        new.with_transport(Arc::new(LocalTransport::new()))
    }

    /// Knows this transport too, by its name.
    #[must_use]
    pub fn with_transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transports.insert(transport.name().to_owned(), transport);
        self
    }

    /// Asks this one. Default: nobody is asked.
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
        let Some(transport) = self.transports.get(&target.transport) else {
            let kind = ConnectErrorKind::UnknownTransport { name: target.transport.clone(), hint: String::new() };
            return Err(ConnectError::new(target.host_string.as_str(), Phase::Resolve, kind));
        };
        let context = OpenContext { prompter: self.prompter.clone(), events: events.clone() };
        let stream = self.gateway_stream(target, events).await?;
        transport.open(target, stream, &context).await
    }

    /// The byte stream that the target's gateway yields; `None` without one.
    pub async fn gateway_stream(&self, target: &Target, _events: &Emitter) -> Result<Option<BoxStream>, ConnectError> {
        if target.gateway.is_none() {
            return Ok(None);
        }
        let kind = ConnectErrorKind::Setting { reason: "gateways are not here yet".to_owned() };
        Err(ConnectError::new(target.host_string.as_str(), Phase::Gateway, kind))
    }

    /// Closes what connections share.
    #[allow(clippy::unused_async)]
    pub async fn close_all(&self) {}
}
