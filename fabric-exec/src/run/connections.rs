//! The connections of a run: one for each machine and way to it, whichever tasks and host strings use it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use fabric_core::settings::Settings;
use fabric_core::target::Gateway;
use fabric_core::{Emitter, Error, HostString, SessionKey, Target};
use fabric_transport::connection::Terminal;
use fabric_transport::{Connection, Connector};
use parking_lot::{Mutex, MutexGuard};

use crate::task::Means;

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
    connector: Connector,
    terminal: Option<Terminal>,
    open: Mutex<Open>,
    /// How many may be open at the same time; 0: any number.
    limit: usize,
}

#[derive(Default)]
struct Open {
    all: HashMap<SessionKey, InUse>,
    /// Those that each host string uses.
    of_host: HashMap<HostString, Vec<SessionKey>>,
    /// How many tasks are at work on a host.
    at_work: HashMap<HostString, usize>,
}

/// A connection, and how many host strings use it.
struct InUse {
    connection: Connection,
    users: usize,
}

impl Connections {
    pub(crate) fn new(connector: Connector, terminal: Option<Terminal>, limit: usize) -> Self {
        Self { connector, terminal, open: Mutex::default(), limit }
    }

    /// Waits until a further login can begin.
    pub(crate) async fn ready(&self) {
        self.connector.ready().await;
    }

    /// How many hosts may be at work at the same time where they are fewer than `wanted`. `each` yields how many
    /// descriptors a host takes; it is asked where that matters.
    pub(crate) fn hosts_at_once(&self, wanted: usize, each: impl FnOnce() -> usize) -> Option<usize> {
        let share = self.limit - self.limit / KEPT_SHARE;
        if self.limit == 0 || wanted <= share / PROGRAM {
            return None;
        }
        Some((share / each()).max(1)).filter(|most| *most < wanted)
    }

    /// The connection with `target`, whose events go to `emitter`. Opens nothing.
    pub(crate) fn get(
        &self,
        means: &Means,
        emitter: &Emitter,
        target: &Arc<Target>,
        settings: Arc<Settings>,
    ) -> Result<Connection, Error> {
        let key = SessionKey::new(target.clone());
        let mut open = self.open();
        let Open { all, of_host, .. } = &mut *open;
        let known = all.get(&key).and_then(|known| known.connection.with_target(target.clone()));
        let connection = if let Some(known) = known {
            known.with_settings(settings).with_emitter(emitter)
        } else {
            let builder = Connection::to(target.clone())
                .settings(settings)
                .connector(self.connector.clone())
                .prompter(means.prompter.clone())
                .emitter(emitter.clone())
                .interrupt(means.interrupt.token().clone());
            let connection = match &self.terminal {
                Some(terminal) => builder.terminal(terminal.clone()).build()?,
                None => builder.build()?,
            };
            all.insert(key.clone(), InUse { connection: connection.clone(), users: 0 });
            connection
        };
        let keys = of_host.entry(target.host_string.clone()).or_default();
        if !keys.contains(&key) {
            all.entry(key.clone()).and_modify(|in_use| in_use.users += 1);
            keys.push(key);
        }
        Ok(connection)
    }

    /// A task has ended on a host: its connections are closed if enough others are open, and close when
    /// the last user lets go of them. A later task opens a new one. `last`: no task follows.
    pub(crate) fn release(&self, host: &HostString, last: bool) {
        let most = if last { MOST_KEPT_LAST } else { MOST_KEPT };
        let most = if self.limit == 0 { most } else { most.min(self.limit / KEPT_SHARE) };
        let mut open = self.open();
        if open.all.len() > most {
            for key in open.of_host.remove(host).unwrap_or_default() {
                if let Entry::Occupied(mut in_use) = open.all.entry(key) {
                    in_use.get_mut().users -= 1;
                    if in_use.get().users == 0 {
                        in_use.remove();
                    }
                }
            }
        }
    }

    /// A task begins on a host.
    pub(crate) fn at_work(&self, host: &HostString) {
        *self.open().at_work.entry(host.clone()).or_default() += 1;
    }

    /// A task has ended on a host.
    pub(crate) fn at_rest(&self, host: &HostString) {
        let mut open = self.open();
        if let Some(tasks) = open.at_work.get_mut(host) {
            *tasks -= 1;
            if *tasks == 0 {
                open.at_work.remove(host);
            }
        }
    }

    /// Ends the sessions that only hosts use on which no task is at work.
    pub(crate) async fn close_idle(&self) {
        let mut idle = Vec::new();
        {
            let mut open = self.open();
            let Open { all, of_host, at_work } = &mut *open;
            of_host.retain(|host, keys| {
                if at_work.contains_key(host) {
                    return true;
                }
                for key in keys.drain(..) {
                    if let Entry::Occupied(mut in_use) = all.entry(key) {
                        in_use.get_mut().users -= 1;
                        if in_use.get().users == 0 {
                            idle.push(in_use.remove().connection);
                        }
                    }
                }
                false
            });
        }
        futures_util::future::join_all(idle.iter().map(Connection::close)).await;
    }

    /// Ends all sessions.
    pub(crate) async fn close_all(&self) {
        let all = std::mem::take(&mut *self.open()).all;
        futures_util::future::join_all(all.values().map(|in_use| in_use.connection.close())).await;
        self.connector.close_all().await;
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock()
    }
}
