//! The connections of a run: one for each user, host and port, whichever tasks use it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fabric_core::settings::Settings;
use fabric_core::target::Gateway;
use fabric_core::{Error, HostString, Target};
use fabric_transport::Connection;

use super::Context;
use super::shared::Shared;

/// What makes two host strings one connection (Fabric 1): transport, user, address and port.
type Key = (String, Option<String>, String, u16);

/// What is kept open for later tasks, of what may be open at all.
const KEPT_SHARE: usize = 4;

/// More are not worth their memory, some 100 KiB each.
const MOST_KEPT: usize = 2_000;

/// The same where no task follows: they are closed together in the end.
const MOST_KEPT_LAST: usize = 64;

/// What a program takes that a host is reached through, or that is run for it here: three pipes and a handle.
const PROGRAM: usize = 4;

/// How many descriptors a host takes that is at work.
pub(crate) fn descriptors(target: &Target) -> usize {
    match (target.transport.as_str(), &target.gateway) {
        ("ssh", Some(Gateway::Command(_))) => PROGRAM,
        ("ssh" | "memory", _) => 1,
        // `local`, and plugins that may run programs.
        _ => PROGRAM,
    }
}

pub(crate) struct Connections {
    open: Mutex<Open>,
    /// How many may be open at the same time; 0: any number.
    limit: usize,
}

#[derive(Default)]
struct Open {
    all: HashMap<Key, Connection>,
    /// By the host strings that they were made for.
    of_host: HashMap<HostString, Vec<Key>>,
}

impl Connections {
    pub(crate) fn new(limit: usize) -> Self {
        Self { open: Mutex::default(), limit }
    }

    /// How many hosts may be at work at the same time where they are fewer than `wanted`. `each` tells how many
    /// descriptors a host takes; it is asked where that matters.
    pub(crate) fn hosts_at_once(&self, wanted: usize, each: impl FnOnce() -> usize) -> Option<usize> {
        let share = self.limit - self.limit / KEPT_SHARE;
        if self.limit == 0 || wanted <= share / PROGRAM {
            return None;
        }
        Some((share / each()).max(1)).filter(|most| *most < wanted)
    }

    /// The connection with `target`, as this task on this host sees it. Opens nothing.
    pub(crate) fn get(
        &self,
        shared: &Arc<Shared>,
        context: &Context,
        target: &Target,
        settings: Arc<Settings>,
    ) -> Result<Connection, Error> {
        let key = (target.transport.clone(), target.user.clone(), target.host.clone(), target.port);
        let mut open = self.open();
        if let Some(known) = open.all.get(&key) {
            return Ok(known.with_settings(settings).with_emitter(context.emitter()));
        }
        let host = target.host_string.clone();
        let builder = Connection::builder(host.as_str())
            .target(target.clone())
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
        open.all.insert(key.clone(), connection.clone());
        open.of_host.entry(host).or_default().push(key);
        Ok(connection)
    }

    /// A task has ended on a host: its connections are let go of if enough others are open, and close when nobody
    /// uses them any more. Whoever needs one after all opens it anew. `last`: no task follows.
    pub(crate) fn release(&self, host: &HostString, last: bool) {
        let most = if last { MOST_KEPT_LAST } else { MOST_KEPT };
        let most = if self.limit == 0 { most } else { most.min(self.limit / KEPT_SHARE) };
        let mut open = self.open();
        if open.all.len() > most {
            for key in open.of_host.remove(host).unwrap_or_default() {
                open.all.remove(&key);
            }
        }
    }

    /// Ends all sessions.
    pub(crate) async fn close_all(&self) {
        let all = std::mem::take(&mut *self.open()).all;
        futures_util::future::join_all(all.values().map(Connection::close)).await;
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
