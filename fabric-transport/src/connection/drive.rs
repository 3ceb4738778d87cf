//! Drives a running command to its end: its output, its input, timeouts and interrupts.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fabric_core::error::SessionError;
use fabric_core::event::{EventKind, Verb};
use fabric_core::outcome::Stream;
use fabric_core::transport::StopOutcome;
use fabric_core::{CommandOutcome, Emitter, Error, Process, ProcessControl};
use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::capture::Capture;
use super::handle::Connection;
use super::lines::Lines;
use super::output::{OneStream, OutputSide};
use super::prepare::Prepared;
use super::request::CommandRequest;
use super::stdin::{Feed, PumpOptions, Stdin, pump};
use super::sudo::{Dialogue, Scanner};
use super::terminal::Terminal;
use super::watch::Silence;
use crate::commands::{HELD, Started};

/// How long a command has to end after Ctrl-C (`remote_interrupt`) before it is stopped.
const CTRL_C: Duration = Duration::from_secs(3);

/// How long a watched command may print nothing before there is a warning.
const SILENCE: Duration = Duration::from_secs(15);

/// How long the rest of the output of a stopped command may take to arrive.
const REST: Duration = Duration::from_secs(1);

/// A started process, and what is needed until its end.
pub(super) struct Drive {
    /// Keeps the session open.
    connection: Connection,
    verb: Verb,
    silent: bool,
    began: Instant,
    timeout: Option<Duration>,
    /// `None` if there is nothing to stop: in a dry run, and once it is disowned.
    started: Option<Started>,
    warn: bool,
    stop: CancellationToken,
    interrupt: CancellationToken,
    /// Where Ctrl-C is sent before the command is stopped.
    ctrl_c: Option<mpsc::UnboundedSender<Feed>>,
    stdin: Stdin,
    echo_stdin: bool,
    terminal: Option<Terminal>,
    outcome: CommandOutcome,
    output: OutputSide,
    orders: mpsc::UnboundedReceiver<Feed>,
}

/// Why a command was cut short.
enum Cut {
    TimedOut(Duration),
    Interrupted,
    Failed(Error),
}

impl Drive {
    pub(super) fn new(
        request: CommandRequest,
        prepared: Prepared,
        started: Option<Started>,
        emitter: Emitter,
        stop: CancellationToken,
        began: Instant,
    ) -> Self {
        let CommandRequest { connection, verb, options, .. } = request;
        let Prepared { outcome, sudo, .. } = prepared;
        let (feed, orders) = mpsc::unbounded_channel();
        let linewise = connection.settings.linewise;
        // Only a terminal turns it into a signal.
        let ctrl_c = (outcome.pty && connection.settings.remote_interrupt == Some(true)).then(|| feed.clone());
        let stream = |which, sink| OneStream {
            shown: !outcome.hidden.contains(&which),
            sink,
            watching: options.watchers.iter().map(|watcher| watcher.start()).collect(),
            // The stream that `sudo` writes to. The command's output on the other one may come before it.
            scanner: sudo
                .clone()
                .filter(|_| outcome.pty == (which == Stream::Stdout))
                .map(|t| Scanner::new(t, outcome.pty)),
            capture: Capture::new(prepared.capture_limit),
            lines: Lines::new(linewise, connection.shared.connector.held().clone()),
        };
        let output = OutputSide {
            host: outcome.host.clone(),
            emitter,
            feed,
            combine_stderr: prepared.combine_stderr,
            silence: options
                .watchers
                .first()
                .map(|_| Silence::new(&outcome.command, options.silence.unwrap_or(SILENCE))),
            stdout: stream(Stream::Stdout, options.out_stream),
            stderr: stream(Stream::Stderr, options.err_stream),
            sudo: sudo.is_some().then(|| Dialogue::new(connection.clone(), options.sudo_password)),
            announced: sudo.is_none(),
            exit: None,
            cut_off: None,
            waiting: false,
        };
        Self {
            verb,
            silent: options.silent,
            began,
            timeout: prepared.timeout,
            started,
            warn: prepared.warn,
            stop,
            interrupt: connection.interrupt.clone(),
            ctrl_c,
            stdin: options.stdin,
            echo_stdin: options.echo_stdin,
            terminal: connection.terminal.clone().filter(|_| outcome.pty),
            outcome,
            output,
            orders,
            connection,
        }
    }

    /// Nothing stops the command any more.
    pub(super) fn disown(mut self) -> Self {
        self.interrupt = CancellationToken::new();
        if let Some(started) = self.started.take() {
            started.disown();
        }
        self
    }

    pub(super) fn host(&self) -> &str {
        &self.outcome.host
    }

    pub(super) async fn run(mut self, process: Process) -> Result<CommandOutcome, Error> {
        let Process { stdin, output, control, .. } = process;
        let options = PumpOptions {
            gated: !self.output.announced,
            keep_open: self.output.is_watched(),
            pty: self.outcome.pty,
            echo: self.echo_stdin.then(|| self.output.emitter.clone()),
        };
        let mut cut = None;
        let mut cut_at = self.began;
        let mut still_running = None;
        {
            let mut reading = pin!(self.output.read(output));
            let host = self.outcome.host.clone();
            let mut pumping = pin!(
                async {
                    match pump(stdin, self.stdin, self.orders, options).await {
                        // The end of the input is not the end of the command.
                        Ok(()) => std::future::pending().await,
                        // The command must not take a part of it for all.
                        Err(error) => unread(host, &error),
                    }
                }
                .fuse()
            );
            let mut resizing = pin!(follow_size(self.terminal, control.clone()));
            let mut interrupted = pin!(interrupted(self.interrupt, self.ctrl_c));
            let mut deadline = pin!(deadline(self.began, self.timeout));
            let mut ended = false;
            let read = tokio::select! {
                biased;
                () = &mut interrupted => Err(Cut::Interrupted),
                () = self.stop.cancelled() => Err(Cut::Interrupted),
                () = closing(self.started.as_ref()) => Err(Cut::Interrupted),
                after = &mut deadline => Err(Cut::TimedOut(after)),
                read = &mut reading => {
                    ended = true;
                    read.map_err(Cut::Failed)
                }
                error = &mut pumping => Err(Cut::Failed(error)),
                () = &mut resizing => Ok(()),
            };
            if let Err(why) = read {
                cut_at = Instant::now();
                let mut stopping = pin!(stop(self.started.as_ref()));
                let stopped = loop {
                    tokio::select! {
                        stopped = &mut stopping => break stopped,
                        _ = &mut reading, if !ended => ended = true,
                        _ = &mut pumping => {}
                    }
                };
                if !ended {
                    let _ = tokio::time::timeout(REST, &mut reading).await;
                }
                if let StopOutcome::Unknown(reason) = stopped {
                    still_running = Some(reason);
                }
                cut = Some(why);
            }
        }
        if let Some(started) = self.started {
            started.end();
        }

        let Self { connection: _connection, verb, silent, warn, mut outcome, mut output, began, .. } = self;
        output.finish().await;
        let refused = match &output.sudo {
            Some(dialogue) if dialogue.has_answered() && !output.announced && cut.is_none() => {
                Some(dialogue.refused().await)
            }
            _ => None,
        };
        let emitter = output.emitter.clone();
        let cut_off = output.cut_off.take();
        // Transports know when a process and its group have ended, but not always about its other processes.
        if cut.is_some() && output.waiting && still_running.is_none() {
            still_running = Some(HELD.to_owned());
        }
        let left = matches!(cut, Some(Cut::TimedOut(_) | Cut::Interrupted))
            && output.exit.as_ref().is_some_and(|(_, at)| *at < cut_at);
        if left && still_running.is_none() && !silent {
            emitter.warn(format!(
                "`{}` had ended, and what it left in the background held its output open: start such a process with its \
                 output redirected: COMMAND >/dev/null 2>&1 &",
                outcome.command
            ));
        }
        let (host, kept) = (output.host.clone(), output.fill(&mut outcome));
        outcome.duration = began.elapsed();
        outcome.truncated |= cut_off.is_some();
        let ok = outcome.ok() && cut.is_none() && kept.is_ok() && cut_off.is_none();
        if !silent {
            emitter.emit(finished(verb, &outcome, ok));
        }
        let lost = kept.err().map(|error| not_kept(host, &outcome, &error));
        match cut {
            Some(Cut::Failed(error)) => Err(error),
            Some(Cut::TimedOut(after)) => Err(Error::TimedOut { after, outcome: Box::new(outcome), still_running }),
            Some(Cut::Interrupted) => Err(Error::Interrupted { outcome: Box::new(outcome), still_running }),
            None if ok => Ok(outcome),
            None => match (lost.or(refused), cut_off) {
                (Some(error), _) => Err(error),
                (None, Some(error)) => Err(Error::OutputCut { outcome: Box::new(outcome), error }),
                (None, None) if warn => {
                    if !silent {
                        emitter.warn(Error::UnexpectedExit(Box::new(outcome.clone())).to_string());
                    }
                    Ok(outcome)
                }
                (None, None) => Err(Error::UnexpectedExit(Box::new(outcome))),
            },
        }
    }
}

fn unread(host: String, error: &io::Error) -> Error {
    let error = SessionError::System { what: "read the input of the command".to_owned(), reason: error.to_string() };
    Error::Session { host, error }
}

/// An error, because a part of the output must not be taken for all of it.
fn not_kept(host: String, outcome: &CommandOutcome, error: &io::Error) -> Error {
    let dir = std::env::temp_dir();
    let what = format!("the output of `{}` can't be kept in a file in {}", outcome.command, dir.display());
    let reason = format!(
        "{error}; the command {}. Set TMPDIR to a directory with room, or capture_buffer_size to how much \
         of the end is wanted",
        outcome.exit
    );
    Error::Session { host, error: SessionError::System { what, reason } }
}

fn finished(verb: Verb, outcome: &CommandOutcome, ok: bool) -> EventKind {
    EventKind::command_finished(verb, outcome.command.clone(), &outcome.exit, ok, outcome.duration)
}

/// Waits until the run is interrupted, and sends Ctrl-C first if the command gets that.
async fn interrupted(interrupt: CancellationToken, ctrl_c: Option<mpsc::UnboundedSender<Feed>>) {
    interrupt.cancelled().await;
    if ctrl_c.is_some_and(|typed| typed.send(Feed::Answer(Bytes::from_static(b"\x03"))).is_ok()) {
        tokio::time::sleep(CTRL_C).await;
    }
}

/// Returns the command's time limit once it has passed; never returns without one.
async fn deadline(began: Instant, timeout: Option<Duration>) -> Duration {
    match timeout.and_then(|after| Some((after, began.checked_add(after)?))) {
        Some((after, at)) => {
            tokio::time::sleep_until(at.into()).await;
            after
        }
        None => std::future::pending().await,
    }
}

/// Resizes the process's terminal with the local one; never returns.
async fn follow_size(terminal: Option<Terminal>, control: Arc<dyn ProcessControl>) {
    if let Some(mut sizes) = terminal.map(|terminal| terminal.sizes()) {
        while sizes.changed().await.is_ok() {
            let size = *sizes.borrow_and_update();
            if let Err(error) = control.resize(size).await {
                tracing::debug!(%error, "resize");
            }
        }
    }
    std::future::pending::<()>().await;
}

/// Waits until the connection is closed.
async fn closing(started: Option<&Started>) {
    match started {
        Some(started) => started.command().closing().await,
        None => std::future::pending().await,
    }
}

async fn stop(started: Option<&Started>) -> StopOutcome {
    match started {
        Some(started) => started.command().stop().await,
        None => StopOutcome::Ended,
    }
}
