//! Where events go: [`EventSink`], and what writes to one: [`Emitter`].

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Event, EventKind};

/// Where events go.
///
/// [`EventSink::poll_ready`] is how a reader that falls behind slows the run down: sources of many events wait for it
/// before each, and the host whose output they carry is not read in the meantime.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: Event);

    /// Ready when there is room for more. Default: always.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Ready(())
    }
}

impl<S: EventSink + ?Sized> EventSink for Arc<S> {
    fn emit(&self, event: Event) {
        (**self).emit(event);
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        (**self).poll_ready(cx)
    }
}

/// Drops all events.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEvents;

impl EventSink for NoEvents {
    fn emit(&self, _event: Event) {}
}

/// An [`EventSink`] with the run, host and task that its events are about: what a connection is given.
#[derive(Clone)]
pub struct Emitter {
    sink: Arc<dyn EventSink>,
    run: Arc<str>,
    host: Option<Arc<str>>,
    task: Option<Arc<str>>,
    condition: Option<Arc<str>>,
}

impl Emitter {
    /// Events of the run `run` go to `sink`.
    pub fn new(sink: Arc<dyn EventSink>, run: impl Into<Arc<str>>) -> Self {
        Self { sink, run: run.into(), host: None, task: None, condition: None }
    }

    /// Events go nowhere.
    pub fn none() -> Self {
        Self::new(Arc::new(NoEvents), "")
    }

    /// The same to another sink.
    #[must_use]
    pub fn to(&self, sink: Arc<dyn EventSink>) -> Self {
        Self { sink, ..self.clone() }
    }

    /// The same for this host.
    #[must_use]
    pub fn for_host(&self, host: impl Into<Arc<str>>) -> Self {
        Self { host: Some(host.into()), ..self.clone() }
    }

    /// The same for this task.
    #[must_use]
    pub fn for_task(&self, task: impl Into<Arc<str>>) -> Self {
        Self { task: Some(task.into()), ..self.clone() }
    }

    /// The same for work that is done only if this condition holds too, which a dry run can't know.
    #[must_use]
    pub fn on_condition(&self, condition: &str) -> Self {
        let condition = match &self.condition {
            Some(outer) => format!("({outer}) and ({condition})").into(),
            None => condition.into(),
        };
        Self { condition: Some(condition), ..self.clone() }
    }

    /// The condition, if there is one.
    pub fn condition(&self) -> Option<&str> {
        self.condition.as_deref()
    }

    /// The host, if there is one.
    pub fn host(&self) -> Option<&Arc<str>> {
        self.host.as_ref()
    }

    /// The run's name.
    pub fn run(&self) -> &Arc<str> {
        &self.run
    }

    /// Emits what happens now.
    pub fn emit(&self, kind: EventKind) {
        self.sink.emit(Event::new(self.run.clone(), kind).host(self.host.clone()).task(self.task.clone()));
    }

    /// Emits what a dry run would have done.
    pub fn plan(&self, verb: impl Into<String>, what: impl Into<String>) {
        self.emit(EventKind::planned(verb, what, self.condition.clone()));
    }

    /// Emits a warning.
    pub fn warn(&self, message: impl Into<String>) {
        self.emit(EventKind::warning(message));
    }

    /// Waits until there is room for more.
    pub async fn ready(&self) {
        std::future::poll_fn(|cx| self.sink.poll_ready(cx)).await;
    }
}

impl fmt::Debug for Emitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emitter")
            .field("run", &self.run)
            .field("host", &self.host)
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}
