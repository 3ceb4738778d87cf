//! A bounded queue of events between a run and whoever shows it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use fabric_core::{Event, EventKind, EventSink};
use parking_lot::Mutex;

/// What an event counts for beside the bytes of its output.
const FIXED: usize = 256;

/// Makes a queue whose writing side is full at `bytes` of events.
///
/// Emitting never waits and never loses an event; those who make many events wait for
/// [`EventSink::poll_ready`] before each, so that a reader that falls behind slows them down and memory
/// stays bounded. The order in which events are emitted is the order in which they are read.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use fabric_core::{Emitter, EventKind};
///
/// let (sink, mut events) = fabric_exec::queue::bounded(1 << 20);
/// let emitter = Emitter::new(std::sync::Arc::new(sink), "run-1");
/// emitter.emit(EventKind::message("hello"));
/// drop(emitter);
/// assert!(matches!(events.next().await.unwrap().kind, EventKind::Message { .. }));
/// assert!(events.next().await.is_none());
/// # }
/// ```
pub fn bounded(bytes: usize) -> (EventQueue, Events) {
    let state = Arc::new(Mutex::new(Queue { limit: bytes, open: true, ..Queue::default() }));
    (EventQueue { state: state.clone() }, Events { state })
}

#[derive(Default)]
struct Queue {
    events: VecDeque<(usize, Event)>,
    bytes: usize,
    limit: usize,
    /// Whether both sides are there.
    open: bool,
    reader: Option<Waker>,
    writers: Vec<Waker>,
}

/// The writing side: the [`EventSink`] of a run.
pub struct EventQueue {
    state: Arc<Mutex<Queue>>,
}

impl EventSink for EventQueue {
    fn emit(&self, event: Event) {
        let mut state = self.state.lock();
        if !state.open {
            return;
        }
        let size = FIXED
            + match &event.kind {
                EventKind::Output(output) => output.data.len(),
                _ => 0,
            };
        state.bytes += size;
        state.events.push_back((size, event));
        if let Some(waker) = state.reader.take() {
            waker.wake();
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if !state.open || state.bytes < state.limit {
            return Poll::Ready(());
        }
        if !state.writers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.writers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for EventQueue {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        state.open = false;
        if let Some(waker) = state.reader.take() {
            waker.wake();
        }
    }
}

/// The reading side.
pub struct Events {
    state: Arc<Mutex<Queue>>,
}

impl Events {
    /// The next event; `None` once the writing side is gone and everything was read.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next event, if there is one now.
    pub fn try_next(&mut self) -> Option<Event> {
        take(&mut self.state.lock())
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut state = self.state.lock();
        if let Some(event) = take(&mut state) {
            return Poll::Ready(Some(event));
        }
        if !state.open {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn take(state: &mut Queue) -> Option<Event> {
    let (size, event) = state.events.pop_front()?;
    state.bytes -= size;
    if state.bytes < state.limit {
        state.writers.drain(..).for_each(Waker::wake);
    }
    Some(event)
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        state.open = false;
        state.events.clear();
        state.writers.drain(..).for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fabric_core::Emitter;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn a_slow_reader_slows_writers_down_and_nothing_is_lost() {
        let (sink, mut events) = bounded(FIXED * 2);
        let emitter = Emitter::new(Arc::new(sink), "r");
        let say = |n: u32| emitter.emit(EventKind::message(n.to_string()));
        say(1);
        assert!(emitter.ready().now_or_never().is_some());
        say(2);
        assert!(emitter.ready().now_or_never().is_none());
        say(3);
        for _ in 0..2 {
            events.next().await.unwrap();
        }
        assert!(emitter.ready().now_or_never().is_some());
        assert!(events.try_next().is_some());
        let waiting = async { events.next().await };
        let (event, ()) = tokio::join!(waiting, async { say(4) });
        assert!(event.is_some());
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_blocks_nobody() {
        let (sink, events) = bounded(1);
        let emitter = Emitter::new(Arc::new(sink), "r");
        emitter.warn("x");
        let ((), ()) = tokio::join!(emitter.ready(), async { drop(events) });
        emitter.warn("y");
    }
}
