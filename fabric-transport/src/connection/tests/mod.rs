//! Connections with the memory and the local transport.

mod commands;
mod dry;
mod forwards;
mod lifecycle;
mod runtimes;
mod shell;
mod sudo;

use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::event::{Event, EventKind, EventSink};
use fabric_core::outcome::Stream;
use fabric_core::{Emitter, PromptError, PromptRequest, Prompter, Secret, Settings};
use parking_lot::Mutex;

use super::{Connection, ConnectionBuilder};
use crate::connector::Connector;
use crate::memory::MemoryTransport;

/// Keeps all events.
#[derive(Default)]
struct Recorder(Mutex<Vec<EventKind>>);

impl EventSink for Recorder {
    fn emit(&self, event: Event) {
        self.0.lock().push(event.kind);
    }
}

impl Recorder {
    fn emitter(self: &Arc<Self>) -> Emitter {
        Emitter::new(self.clone(), "test")
    }

    /// What was shown of a stream.
    fn shown(&self, stream: Stream) -> String {
        let mut shown = Vec::new();
        for kind in self.0.lock().iter() {
            match kind {
                EventKind::Output(output) if output.stream == stream => shown.extend_from_slice(&output.data),
                _ => {}
            }
        }
        String::from_utf8(shown).unwrap()
    }

    fn count(&self, which: impl Fn(&EventKind) -> bool) -> usize {
        self.0.lock().iter().filter(|kind| which(kind)).count()
    }
}

/// Answers each question with the next text.
struct Answers(Mutex<Vec<&'static str>>, Mutex<Vec<PromptRequest>>);

impl Answers {
    fn new(answers: &[&'static str]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(answers.iter().rev().copied().collect()), Mutex::default()))
    }

    fn asked(&self) -> usize {
        self.1.lock().len()
    }
}

#[async_trait]
impl Prompter for Answers {
    async fn ask(&self, request: PromptRequest) -> Result<Secret, PromptError> {
        self.1.lock().push(request.clone());
        let PromptRequest { message, host, .. } = request;
        self.0.lock().pop().map(Secret::new).ok_or(PromptError::Cancelled { message, host })
    }
}

/// A connection to this machine, in a directory of its own.
fn here() -> Connection {
    Connection::builder("local://here").build().unwrap()
}

/// A fleet in memory, with access to its hosts.
fn fleet() -> (Arc<MemoryTransport>, impl Fn(&str) -> ConnectionBuilder) {
    let fleet = MemoryTransport::named("ssh");
    let connector = Connector::new().transport(fleet.clone());
    (fleet, move |host: &str| Connection::builder(host).connector(connector.clone()))
}

fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}
