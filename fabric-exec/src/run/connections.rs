//! The connections of a run: one for each user, host and port, whichever tasks use it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fabric_core::settings::Settings;
use fabric_core::{Error, Target};
use fabric_transport::Connection;

use super::Context;
use super::shared::Shared;

/// What makes two host strings one connection (Fabric 1): transport, user, address and port.
type Key = (String, Option<String>, String, u16);

#[derive(Default)]
pub(crate) struct Connections(Mutex<HashMap<Key, Connection>>);

impl Connections {
    /// The connection with `target`, as this task on this host sees it. Opens nothing.
    pub(crate) fn get(
        &self,
        shared: &Arc<Shared>,
        context: &Context,
        target: Target,
        settings: Arc<Settings>,
    ) -> Result<Connection, Error> {
        let key = (target.transport.clone(), target.user.clone(), target.host.clone(), target.port);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&key) {
            return Ok(known.with_settings(settings).with_emitter(context.emitter()));
        }
        let builder = Connection::builder(target.host_string.as_str())
            .target(target)
            .settings(settings)
            .connector(shared.connector.clone())
            .prompter(shared.prompter.clone())
            .emitter(context.emitter().clone())
            .interrupt(shared.interrupt.token().clone());
        let builder = match &shared.terminal {
            Some(terminal) => builder.terminal(terminal.clone()),
            None => builder,
        };
        let connection = builder.build()?;
        all.insert(key, connection.clone());
        Ok(connection)
    }

    /// Ends all sessions.
    pub(crate) async fn close_all(&self) {
        let all: Vec<Connection> =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).drain().map(|(_, connection)| connection).collect();
        futures_util::future::join_all(all.iter().map(Connection::close)).await;
    }
}
