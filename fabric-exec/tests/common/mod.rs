//! Runs over hosts in memory, with everything that happened at hand.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::sync::{Arc, Mutex};

use fabric_core::{Event, EventKind, EventSink, Settings};
use fabric_exec::fabfile::{Fabfile, Format, parse};
use fabric_exec::hostlist::Selection;
use fabric_exec::{Call, Collection, Invocation, Report, Run, RunError};
use fabric_transport::connector::Connector;
use fabric_transport::memory::{MemoryTransport, Reply};

/// Keeps all events.
#[derive(Default)]
pub struct Recorder(Mutex<Vec<Event>>);

impl EventSink for Recorder {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Recorder {
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    /// What matters of the events, a word or two each, in their order.
    pub fn story(&self) -> Vec<String> {
        self.events().iter().filter_map(word).collect()
    }

    pub fn warnings(&self) -> Vec<String> {
        let warning = |event: &Event| match &event.kind {
            EventKind::Warning { message, .. } => Some(message.clone()),
            _ => None,
        };
        self.events().iter().filter_map(warning).collect()
    }
}

fn word(event: &Event) -> Option<String> {
    let host = event.host.as_deref().unwrap_or("-");
    let task = event.task.as_deref().unwrap_or("-");
    Some(match &event.kind {
        EventKind::HostStarted { attempt: 1, .. } => format!("{task}@{host}"),
        EventKind::HostStarted { attempt, .. } => format!("{task}@{host} try {attempt}"),
        EventKind::HostFinished { status, .. } => format!("{task}@{host} {status}"),
        EventKind::BatchStarted { batch, batches, .. } => format!("batch {batch}/{batches}"),
        EventKind::Planned { verb, what, condition: None, .. } => format!("plan {verb}: {what}"),
        EventKind::Planned { verb, what, condition: Some(condition), .. } => {
            format!("plan {verb}: {what} if {condition}")
        }
        _ => return None,
    })
}

/// A fleet in memory in place of SSH.
pub struct World {
    pub fleet: Arc<MemoryTransport>,
    pub events: Arc<Recorder>,
    pub settings: Settings,
    pub command_line: Selection,
}

impl World {
    pub fn new() -> Self {
        let fleet = MemoryTransport::named("ssh");
        fleet.every_host().on_match("", |_| Reply::ok());
        Self { fleet, events: Arc::default(), settings: Settings::default(), command_line: Selection::default() }
    }

    /// `-H`.
    pub fn hosts(mut self, hosts: &[&str]) -> Self {
        self.command_line.hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        self
    }

    pub fn set(mut self, name: &str, value: impl Into<fabric_core::Value>) -> Self {
        self.settings.set(name, &value.into()).unwrap();
        self
    }

    pub fn run(&self, collection: Collection) -> Run {
        let connector = Connector::new().transport(self.fleet.clone());
        Run::new(collection, self.settings.clone())
            .connector(connector)
            .events(self.events.clone())
            .command_line(self.command_line.clone())
    }

    pub async fn go(&self, collection: Collection, calls: &[&str]) -> Report {
        self.run(collection).start(self::calls(calls)).await.unwrap()
    }

    /// Runs tasks of a TOML fabfile.
    pub async fn toml(&self, text: &str, calls: &[&str]) -> Report {
        self.try_toml(text, calls).await.unwrap()
    }

    pub async fn try_toml(&self, text: &str, calls: &[&str]) -> Result<Report, RunError> {
        self.run_of(&fabfile(text)).start(self::calls(calls)).await
    }

    pub fn run_of(&self, fabfile: &Fabfile) -> Run {
        let mut world = World {
            fleet: self.fleet.clone(),
            events: self.events.clone(),
            settings: self.settings.clone(),
            command_line: self.command_line.clone(),
        };
        for (name, value, _) in &fabfile.env {
            world.settings.set(name, value).unwrap();
        }
        let mut run = world.run(fabfile.collection.clone());
        for file in &fabfile.included {
            let mut settings = world.settings.clone();
            for (name, value, _) in &file.env {
                settings.set(name, value).unwrap();
            }
            run = run.included(&file.namespace, Arc::new(settings), file.lists.clone());
        }
        run.roles(fabfile.roles.clone()).fabfile_lists(fabfile.lists.clone()).dir(&fabfile.dir)
    }

    /// The commands that a host was asked to run.
    pub fn commands(&self, host: &str) -> Vec<String> {
        self.fleet.host(host).commands()
    }
}

pub fn fabfile(text: &str) -> Fabfile {
    parse("fabfile.toml", text, Format::Toml).unwrap()
}

pub fn calls(tokens: &[&str]) -> Vec<Call> {
    tokens
        .iter()
        .map(|token| match token.strip_prefix("-- ") {
            Some(command) => Call::Command(command.to_owned()),
            None => Call::Task(Invocation::parse(token).unwrap()),
        })
        .collect()
}
