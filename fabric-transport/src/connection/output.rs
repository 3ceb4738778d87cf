//! The output of a command: the dialogue with `sudo`, capturing, watching, writing and showing.

use std::io;
use std::time::Instant;

use bytes::Bytes;
use fabric_core::error::SessionError;
use fabric_core::event::{EventKind, Output};
use fabric_core::outcome::Stream;
use fabric_core::transport::{ProcessEvent, ProcessOutput};
use fabric_core::{CommandOutcome, Emitter, Error, ExitStatus};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use super::capture::Capture;
use super::lines::Lines;
use super::options::Sink;
use super::stdin::Feed;
use super::sudo::{Dialogue, Scanned, Scanner};
use super::watch::{Silence, Watching};

/// Handles the output of a command.
pub(super) struct OutputSide {
    pub(super) host: String,
    pub(super) emitter: Emitter,
    pub(super) feed: mpsc::UnboundedSender<Feed>,
    pub(super) combine_stderr: bool,
    /// For the warning about a silent command; `None` once there was one, or for a command without watchers.
    pub(super) silence: Option<Silence>,
    pub(super) stdout: OneStream,
    pub(super) stderr: OneStream,
    pub(super) sudo: Option<Dialogue>,
    /// Whether `sudo` has started the command; true without `sudo`.
    pub(super) announced: bool,
    /// How the process ended, and when its status came.
    pub(super) exit: Option<(ExitStatus, Instant)>,
    /// Why output from before the exit status is missing.
    pub(super) cut_off: Option<SessionError>,
    /// Whether this waits for more output.
    pub(super) waiting: bool,
}

pub(super) struct OneStream {
    pub(super) shown: bool,
    pub(super) sink: Option<Sink>,
    pub(super) watching: Vec<Box<dyn Watching>>,
    pub(super) scanner: Option<Scanner>,
    pub(super) capture: Capture,
    pub(super) lines: Lines,
}

impl OutputSide {
    /// Reads to the end of the output.
    pub(super) async fn read(&mut self, mut output: Box<dyn ProcessOutput>) -> Result<(), Error> {
        while let Some(event) = self.next(&mut output).await {
            self.waiting = false;
            match event {
                ProcessEvent::Stdout(bytes) => self.take(Stream::Stdout, bytes).await?,
                ProcessEvent::Stderr(bytes) => self.take(Stream::Stderr, bytes).await?,
                ProcessEvent::Exit(status) => self.exit = Some((status, Instant::now())),
                ProcessEvent::Lost(source) if self.exit.is_some() => {
                    self.cut_off = Some(source);
                    break;
                }
                ProcessEvent::Lost(source) => return Err(self.session_error(source)),
            }
            // Timeouts must be polled, even if the host never pauses.
            tokio::task::consume_budget().await;
        }
        self.waiting = false;
        Ok(())
    }

    fn stream(&mut self, stream: Stream) -> &mut OneStream {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// Handles bytes as they arrived: the dialogue with `sudo` is taken out first.
    async fn take(&mut self, stream: Stream, bytes: Bytes) -> Result<(), Error> {
        if self.announced {
            return self.show(stream, bytes).await;
        }
        let Some(scanner) = &mut self.stream(stream).scanner else {
            // The input must not be held back forever if a `sudo_prefix` removes the announcement.
            let _ = self.feed.send(Feed::Open);
            return self.show(stream, bytes).await;
        };
        let found = scanner.push(&bytes);
        for found in found {
            match found {
                Scanned::Bytes(bytes) => self.show(stream, bytes).await?,
                Scanned::Prompt => {
                    if let Some(dialogue) = &mut self.sudo {
                        let password = dialogue.answer().await?;
                        let _ = self.feed.send(Feed::Password(password));
                    }
                }
                Scanned::Announcement => {
                    self.announced = true;
                    let _ = self.feed.send(Feed::Open);
                    self.let_go().await?;
                }
            }
        }
        Ok(())
    }

    /// Shows what the scanners have held back.
    async fn let_go(&mut self) -> Result<(), Error> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let held = self.stream(stream).scanner.as_mut().map_or_else(Bytes::new, Scanner::finish);
            if !held.is_empty() {
                self.show(stream, held).await?;
            }
        }
        Ok(())
    }

    /// Handles bytes of the command: captures, watches, writes and shows them.
    async fn show(&mut self, stream: Stream, bytes: Bytes) -> Result<(), Error> {
        let stream = if self.combine_stderr { Stream::Stdout } else { stream };
        self.stream(stream).capture.push(&bytes).await;
        self.watch(stream, &bytes)?;
        let emitter = self.emitter.clone();
        let one = self.stream(stream);
        if let Some(sink) = &mut one.sink {
            let written = async { sink.write_all(&bytes).await.and(sink.flush().await) };
            if let Err(error) = written.await {
                let what = format!("write to the stream given for {stream}");
                return Err(self.session_error(SessionError::System { what, reason: error.to_string() }));
            }
        }
        if one.shown {
            // Before, so that waiting bytes count among those that are held.
            emitter.ready().await;
            if let Some((data, partial)) = one.lines.push(&bytes) {
                emitter.emit(EventKind::Output(Output::new(stream, data).partial(partial)));
            }
        }
        Ok(())
    }

    fn watch(&mut self, stream: Stream, bytes: &Bytes) -> Result<(), Error> {
        let one = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        for watching in &mut one.watching {
            let answers = watching
                .see(bytes)
                .map_err(|refused| Error::AnswerRefused { host: self.host.clone(), pattern: refused.pattern })?;
            for answer in answers {
                let _ = self.feed.send(Feed::Answer(answer));
            }
        }
        if let Some(silence) = self.silence.as_mut().filter(|_| one.shown) {
            silence.see(bytes);
        }
        Ok(())
    }

    pub(super) fn is_watched(&self) -> bool {
        !self.stdout.watching.is_empty()
    }

    /// The next event; warns if there is none for long.
    async fn next(&mut self, output: &mut Box<dyn ProcessOutput>) -> Option<ProcessEvent> {
        self.waiting = true;
        let mut next = std::future::poll_fn(|cx| output.poll_next(cx));
        if let Some(silence) = &self.silence {
            tokio::select! {
                biased;
                event = &mut next => return event,
                () = tokio::time::sleep(silence.after) => {
                    self.emitter.warn(silence.warning());
                    self.silence = None;
                }
            }
        }
        next.await
    }

    /// Shows an unfinished last line.
    pub(super) async fn finish(&mut self) {
        if let Err(error) = self.let_go().await {
            tracing::debug!(%error, "the last output");
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            if !self.stream(stream).lines.is_empty() {
                self.emitter.ready().await;
            }
            if let Some((data, partial)) = self.stream(stream).lines.finish() {
                self.emitter.emit(EventKind::Output(Output::new(stream, data).partial(partial)));
            }
            self.stream(stream).capture.settle().await;
        }
    }

    /// Adds the status and the output to the outcome; an error if the output could not be kept.
    pub(super) fn fill(self, outcome: &mut CommandOutcome) -> io::Result<()> {
        outcome.exit = self.exit.map_or(ExitStatus::Unknown, |(status, _)| status);
        let stdout = self.stdout.capture.finish();
        let stderr = self.stderr.capture.finish();
        outcome.truncated = true;
        let ((stdout, cut_out), (stderr, cut_err)) = (stdout?, stderr?);
        outcome.truncated = cut_out || cut_err;
        (outcome.stdout, outcome.stderr) = (stdout, stderr);
        Ok(())
    }

    fn session_error(&self, error: SessionError) -> Error {
        Error::Session { host: self.host.clone(), error }
    }
}
