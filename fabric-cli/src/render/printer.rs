//! The printer: takes events from all threads, renders them in order, and writes batches from a thread of its own.
//!
//! While one batch is written the next one is collected, so that a busy run makes few large writes and a quiet one is shown at
//! once. A slow reader slows the run down through [`EventSink::poll_ready`]; it never blocks other threads.

use std::io::{self, Write};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use fabric_core::{Event, EventSink, Stream};
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::live::Live;
use super::page::Page;

/// How often the live view is redrawn.
const TICK: Duration = Duration::from_millis(100);

/// How much may wait to be written before the run is slowed down.
const FULL: usize = 1 << 20;

/// How much is written without a pause.
const MUCH: usize = FULL / 4;

/// How long little text waits after a write, so that a line from each of a thousand hosts doesn't become a thousand writes, each
/// of which wakes a thread. Too short to be noticed.
const PAUSE: Duration = Duration::from_millis(20);

/// Turns events into text.
pub trait Render: Send {
    /// Adds the text of an event.
    fn event(&mut self, event: &Event, page: &mut Page);

    /// Adds what is left, after the last event.
    fn finish(&mut self, page: &mut Page) {
        let _ = page;
    }
}

/// The streams that text is written to.
pub(crate) struct Outputs {
    /// Standard output.
    pub stdout: Box<dyn Write + Send>,
    /// Standard error.
    pub stderr: Box<dyn Write + Send>,
    /// Called once, when standard output can't be written any more: its reader is gone, or a disk is full.
    pub on_broken_stdout: Box<dyn Fn(io::Error) + Send>,
}

/// Takes events and shows them.
pub(crate) struct Printer {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<Pending>,
    /// The size of the live view's terminal, in columns and rows.
    size: fn() -> (usize, usize),
    /// Signals that there is something to write, or that nothing will follow.
    work: Condvar,
    /// Signals that a batch was written.
    written: Condvar,
    outputs: Mutex<Open>,
}

struct Pending {
    render: Box<dyn Render>,
    page: Page,
    live: Option<Live>,
    /// How many guards keep the live view from being drawn.
    without_view: usize,
    writing: bool,
    /// The writer has just written: it checks again by itself, and has to be woken only if there is much.
    resting: bool,
    held: bool,
    /// Whether there is a thread that writes.
    begun: bool,
    closing: bool,
    wakers: Vec<Waker>,
}

struct Open {
    outputs: Outputs,
    broken: bool,
    /// How many lines of the live view are on the screen.
    drawn: usize,
    /// Whether the last line written has ended, so that the view can be drawn below it.
    at_line_start: bool,
}

impl Printer {
    /// Renders events by `render`, and writes them to `outputs` once it has [begun](Self::begin).
    pub(crate) fn new(render: Box<dyn Render>, outputs: Outputs) -> Self {
        Self::start(render, outputs, None, || (0, 0))
    }

    /// The same with a live view below the output, on standard error, a terminal whose columns and rows `size` returns.
    pub(crate) fn with_live_view(render: Box<dyn Render>, outputs: Outputs, size: fn() -> (usize, usize)) -> Self {
        Self::start(render, outputs, Some(Live::default()), size)
    }

    fn start(render: Box<dyn Render>, outputs: Outputs, live: Option<Live>, size: fn() -> (usize, usize)) -> Self {
        let page = Page::default();
        let state = Pending {
            render,
            page,
            live,
            without_view: 0,
            writing: false,
            resting: false,
            held: false,
            begun: false,
            closing: false,
            wakers: Vec::new(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            size,
            work: Condvar::new(),
            written: Condvar::new(),
            outputs: Mutex::new(Open { outputs, broken: false, drawn: 0, at_line_start: true }),
        });
        Self { shared }
    }

    /// Begins to write. Until then all is kept: starting a thread takes a fifth of a millisecond, in which a run can begin to
    /// connect.
    pub(crate) fn begin(&self) {
        let mut state = self.shared.state();
        if state.begun || state.closing {
            return;
        }
        let shared = self.shared.clone();
        let writer = std::thread::Builder::new().name("output".to_owned()).spawn(move || shared.write_all());
        // If there is no thread, everything is written at the end.
        state.begun = writer.is_ok();
    }

    /// Writes what there is, then holds output back until the guard is dropped: for a question, which output must not interrupt.
    /// Blocks until all is written.
    pub(crate) fn hold(&self) -> Held {
        let mut state = self.shared.state();
        while state.writing || state.held {
            self.shared.written.wait(&mut state);
        }
        state.held = true;
        let mut page = std::mem::take(&mut state.page);
        drop(state);
        self.shared.write(&mut page, &[]);
        Held(self.shared.clone())
    }

    /// Draws no live view until the guard is dropped, as the user types below the output.
    pub(crate) fn without_view(&self) -> NoView {
        self.shared.state().without_view += 1;
        NoView(self.shared.clone())
    }

    /// Writes a message of the program itself to standard error, after what came before.
    pub(crate) fn note(&self, line: &str) {
        self.shared.state().page.note(line);
        self.shared.work.notify_one();
    }

    /// Writes what is left. Later events are lost.
    ///
    /// It is written here, since waking the thread and waiting for it takes a fifth of a millisecond. The thread ends by itself.
    pub(crate) fn finish(&self) {
        let mut state = self.shared.state();
        while state.writing || state.held {
            self.shared.written.wait(&mut state);
        }
        if !state.closing {
            state.closing = true;
            let Pending { render, page, .. } = &mut *state;
            render.finish(page);
        }
        let mut page = std::mem::take(&mut state.page);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        self.shared.write(&mut page, &[]);
        self.shared.work.notify_all();
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        self.finish();
    }
}

impl EventSink for Printer {
    fn emit(&self, event: Event) {
        tracing::trace!(route = "events become text");
        let mut state = self.shared.state();
        let Pending { render, page, live, resting, .. } = &mut *state;
        let before = page.len();
        render.event(&event, page);
        if let Some(live) = live {
            live.event(&event);
        }
        let after = page.len();
        if (before == 0 && after > 0 && !*resting) || (before < MUCH && after >= MUCH) {
            self.shared.work.notify_one();
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.state();
        if state.page.len() < FULL || !state.begun || state.closing {
            return Poll::Ready(());
        }
        state.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, Pending> {
        self.state.lock()
    }

    fn write_all(&self) {
        let mut page = Page::default();
        let mut state = self.state();
        loop {
            if state.closing {
                // What is left is written by `finish`.
                return;
            }
            let mut due = false;
            if state.held || state.page.is_empty() {
                if state.live.is_none() || state.held {
                    self.work.wait(&mut state);
                    continue;
                }
                due = self.work.wait_for(&mut state, TICK).timed_out();
            }
            if state.closing || state.held || (state.page.is_empty() && !due) {
                continue;
            }
            std::mem::swap(&mut state.page, &mut page);
            state.writing = true;
            let view = self.view(&state);
            let wakers = std::mem::take(&mut state.wakers);
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
            self.write(&mut page, &view);
            state = self.state();
            state.writing = false;
            self.written.notify_all();
            state.resting = true;
            let little = |state: &mut Pending| state.page.len() < MUCH && !state.closing;
            self.work.wait_while_for(&mut state, little, PAUSE);
            state.resting = false;
        }
    }

    /// The current lines of the live view.
    fn view(&self, state: &Pending) -> Vec<String> {
        let Some(live) = state.live.as_ref().filter(|_| !state.closing && state.without_view == 0) else {
            return Vec::new();
        };
        let (columns, rows) = (self.size)();
        live.lines(columns, rows, Instant::now())
    }

    /// Writes a page, and redraws the live view below it.
    fn write(&self, page: &mut Page, view: &[String]) {
        let Open { outputs, broken, drawn, at_line_start } = &mut *self.outputs.lock();
        // An error of standard error could be reported nowhere.
        let on_stderr = |outputs: &mut Outputs, bytes: &[u8]| {
            let _ = outputs.stderr.write_all(bytes).and_then(|()| outputs.stderr.flush());
        };
        if *drawn > 0 {
            on_stderr(outputs, format!("\x1b[{drawn}A\x1b[J").as_bytes());
            *drawn = 0;
        }
        page.take(|stream, bytes| {
            *at_line_start = bytes.ends_with(b"\n");
            match stream {
                Stream::Stdout if *broken => {}
                Stream::Stdout => {
                    if let Err(error) = outputs.stdout.write_all(bytes).and_then(|()| outputs.stdout.flush()) {
                        *broken = true;
                        (outputs.on_broken_stdout)(error);
                    }
                }
                Stream::Stderr => on_stderr(outputs, bytes),
            }
        });
        if *at_line_start && !view.is_empty() {
            on_stderr(outputs, (view.join("\n") + "\n").as_bytes());
            *drawn = view.len();
        }
    }
}

/// Keeps a [`Printer`] from writing.
pub(crate) struct Held(Arc<Shared>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.state().held = false;
        self.0.work.notify_all();
        self.0.written.notify_all();
    }
}

/// Keeps a [`Printer`] from drawing its live view.
pub(crate) struct NoView(Arc<Shared>);

impl Drop for NoView {
    fn drop(&mut self) {
        self.0.state().without_view -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fabric_core::{Emitter, EventKind};
    use std::sync::mpsc;

    /// Shows messages as lines.
    struct Lines;

    impl Render for Lines {
        fn event(&mut self, event: &Event, page: &mut Page) {
            if let EventKind::Message { text, .. } = &event.kind {
                page.to(Stream::Stdout).extend_from_slice(format!("{text}\n").as_bytes());
            }
        }

        fn finish(&mut self, page: &mut Page) {
            page.to(Stream::Stdout).extend_from_slice(b"end\n");
        }
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printer(stdout: impl Write + Send + 'static, broken: mpsc::Sender<()>) -> Arc<Printer> {
        let outputs = Outputs {
            stdout: Box::new(stdout),
            stderr: Box::new(io::sink()),
            on_broken_stdout: Box::new(move |_| broken.send(()).unwrap()),
        };
        let printer = Printer::new(Box::new(Lines), outputs);
        printer.begin();
        Arc::new(printer)
    }

    #[test]
    fn lines_of_many_threads_stay_whole() {
        let kept = Kept::default();
        let printer = printer(kept.clone(), mpsc::channel().0);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let emitter = Emitter::new(printer.clone(), "run");
                scope.spawn(move || {
                    for line in 0..1000 {
                        emitter.emit(EventKind::message(format!("{thread} {line}")));
                    }
                });
            }
        });
        printer.finish();
        let text = String::from_utf8(kept.0.lock().clone()).unwrap();
        assert_eq!(text.lines().count(), 4001);
        assert!(text.ends_with("\nend\n"));
        for thread in 0..4 {
            let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(&format!("{thread} "))).collect();
            assert_eq!(lines, (0..1000).map(|line| format!("{thread} {line}")).collect::<Vec<_>>());
        }
    }

    #[test]
    fn nothing_is_written_while_held() {
        let kept = Kept::default();
        let printer = printer(kept.clone(), mpsc::channel().0);
        let emitter = Emitter::new(printer.clone(), "run");
        emitter.emit(EventKind::message("before"));
        let held = printer.hold();
        emitter.emit(EventKind::message("during"));
        assert_eq!(*kept.0.lock(), b"before\n");
        drop(held);
        printer.finish();
        assert_eq!(*kept.0.lock(), b"before\nduring\nend\n");
    }

    #[tokio::test]
    async fn a_slow_reader_slows_the_run_down() {
        let (reader, writer) = io::pipe().unwrap();
        let printer = printer(writer, mpsc::channel().0);
        let emitter = Emitter::new(printer.clone(), "run");
        let text = "x".repeat(FULL);
        emitter.emit(EventKind::message(text.clone()));
        // Once the first batch is on its way, which the pipe is too small for, the second has to wait.
        emitter.ready().await;
        emitter.emit(EventKind::message(text));
        assert!(printer.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending());
        let reading = std::thread::spawn(move || io::copy(&mut { reader }, &mut io::sink()).unwrap());
        emitter.ready().await;
        drop((printer, emitter));
        assert_eq!(reading.join().unwrap(), 2 * (FULL as u64 + 1) + 4);
    }

    #[test]
    fn a_closed_pipe_is_told_once() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let (broken, told) = mpsc::channel();
        let printer = printer(writer, broken);
        let emitter = Emitter::new(printer.clone(), "run");
        emitter.emit(EventKind::message("lost"));
        told.recv().unwrap();
        emitter.emit(EventKind::message("lost too"));
        printer.finish();
        assert!(told.try_recv().is_err());
    }
}
