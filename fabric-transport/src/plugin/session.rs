//! A plugin as a transport: its sessions and processes.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use fabric_core::transport::{
    BoxStream, OpenContext, Process, ProcessOutput, Program, SpawnRequest, StopOutcome, WindowSize,
};
use fabric_core::{
    ConnectError, Emitter, ExitStatus, Files, Phase, ProcessControl, ProcessEvent, Session, SessionError, Signal,
    Target, Transport,
};
use fabric_plugin_sdk::{Control, Ended, OpenRequest, Pty};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, ReadBuf, WriteHalf};
use tokio::sync::{Mutex, OnceCell, watch};

use super::call::{self, LiveBackend};
use super::handle::{Plugin, limit};
use super::perform::{Call, CallError};
use super::stream::FdStream;
use crate::sftp::{CloseReason, SftpError};
use crate::shell_files::{NO_SFTP, OnSession, ScriptHost, ShellFiles};

/// The size of a read from a process.
const CHUNK: usize = 64 * 1024;

pub(super) struct PluginTransport(Plugin);

impl PluginTransport {
    pub(super) fn new(plugin: Plugin) -> Self {
        Self(plugin)
    }
}

#[async_trait]
impl Transport for PluginTransport {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn open(
        &self,
        target: &Target,
        stream: Option<BoxStream>,
        context: &OpenContext,
    ) -> Result<Arc<dyn Session>, ConnectError> {
        let error = |reason: String| self.0.error(target, Phase::Connect, reason);
        if stream.is_some() {
            return Err(error("this transport goes its own way and takes no gateway: set gateway = false".to_owned()));
        }
        let limit = limit(target);
        let mut request = OpenRequest::new(target.host_string.as_str(), target.host.as_str());
        request.port = target.asked_port();
        request.user = target.asked_user().map(str::to_owned);
        request.timeout_ms = u64::try_from(limit.as_millis()).ok();
        request.ssh_options.clone_from(&target.ssh_options);
        request.options = self.0.options(target).map_err(error)?;
        let (place, answer) = call::first(&self.0, Call::Open, &request, limit).await.map_err(|e| error(e.text()))?;
        Ok(Arc::new(PluginSession(Arc::new(OpenSession {
            plugin: self.0.clone(),
            place,
            number: answer.session,
            limit: target.timeouts.channel.unwrap_or(limit),
            open: AtomicBool::new(true),
            closed: watch::Sender::new(false),
            files: OnceCell::new(),
            events: context.events.clone(),
        }))))
    }
}

/// Closed when the last process and the session itself are dropped.
struct OpenSession {
    plugin: Plugin,
    place: LiveBackend,
    number: u64,
    limit: Duration,
    open: AtomicBool,
    closed: watch::Sender<bool>,
    files: OnceCell<Arc<dyn Files>>,
    events: Emitter,
}

impl OpenSession {
    /// Whether it was open.
    fn shut(&self) -> bool {
        self.closed.send_replace(true);
        self.open.swap(false, Ordering::SeqCst)
    }

    fn error(&self, what: &str, error: &CallError) -> SessionError {
        SessionError::System { what: format!("plugin {}: {what}", self.plugin.file().display()), reason: error.text() }
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        if self.shut() {
            call::close(&self.place, self.number);
        }
    }
}

#[derive(Clone)]
struct PluginSession(Arc<OpenSession>);

#[async_trait]
impl Session for PluginSession {
    async fn spawn(&self, request: &SpawnRequest) -> Result<Process, SessionError> {
        let inner = &self.0;
        // If the plugin's child process is gone, the call below reports it, with the reason.
        if !inner.open.load(Ordering::SeqCst) {
            return Err(SessionError::Closed);
        }
        let command = match &request.program {
            Program::Shell => None,
            Program::Command(command) => Some(command.clone()),
            Program::Subsystem(_) => return Err(SessionError::Unsupported { what: "subsystems" }),
        };
        let env: BTreeMap<String, String> = request
            .env
            .iter()
            .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
            .collect();
        let mut message = fabric_plugin_sdk::SpawnRequest::default();
        message.command = command;
        message.pty = request.pty.as_ref().map(|pty| Pty::new(pty.term.as_str(), pty.size.columns, pty.size.rows));
        message.env = env;
        let what = "starting a process";
        let message =
            serde_json::to_string(&message).map_err(|e| inner.error(what, &CallError::Failed(e.to_string())))?;
        let asked = call::call(&inner.place, Call::Spawn(inner.number, message), inner.limit).await;
        let mut answer = asked.map_err(|error| inner.error(what, &error))?;
        let stderr = answer.take_fd(2).ok();
        let mut take = |at| answer.take_fd(at).map_err(|error| inner.error(what, &error));
        let (stdin, stdout, control) = (take(0)?, take(1)?, take(3)?);
        let stream = |fd| FdStream::new(fd).map_err(|e| inner.error("a descriptor", &CallError::Failed(e.to_string())));
        let (control_read, control_write) = tokio::io::split(stream(control)?);
        let ended = watch::Sender::new(None);
        let exit = ended.subscribe();
        let session = inner.clone();
        tokio::spawn(async move {
            let status = read_end(control_read).await;
            ended.send_replace(Some(status));
            drop(session);
        });
        let output = PluginOutput {
            stdout: Some(stream(stdout)?),
            stderr: stderr.map(stream).transpose()?,
            exit: Some(Box::pin(wait_end(exit.clone()))),
            buffer: BytesMut::new(),
            session: Some(inner.clone()),
        };
        let stdin = PluginStdin(Some(stream(stdin)?));
        let control = PluginControl { writer: Mutex::new(control_write), exit };
        Ok(Process::new(stdin, output, Arc::new(control)))
    }

    async fn open_stream(&self, _host: &str, _port: u16) -> Result<BoxStream, SessionError> {
        Err(SessionError::Unsupported { what: "streams to other hosts" })
    }

    async fn files(&self) -> Result<Arc<dyn Files>, SessionError> {
        let inner = &self.0;
        let by_shell = || Arc::new(ShellFiles::new(OnSession(Arc::downgrade(inner))));
        let files = inner.files.get_or_try_init(|| async {
            match call::call(&inner.place, Call::Files(inner.number), inner.limit).await {
                Ok(mut answer) => {
                    let fd = answer.take_fd(0).map_err(|error| inner.error("opening files", &error))?;
                    let failed = |reason: String| inner.error("opening files", &CallError::Failed(reason));
                    let stream = FdStream::new(fd).map_err(|e| failed(e.to_string()))?;
                    let client = tokio::time::timeout(inner.limit, crate::sftp::Client::start(stream)).await;
                    let late = |_| inner.error("opening files", &CallError::TimedOut(inner.limit));
                    match client.map_err(late)? {
                        Ok(client) => Ok(Arc::new(client) as Arc<dyn Files>),
                        Err(SftpError::Closed(CloseReason::Eof)) => {
                            let files = by_shell();
                            let probed = files.probe().await;
                            probed.map_err(|kind| failed(format!("the host has no SFTP server; {kind}")))?;
                            inner.events.warn(NO_SFTP);
                            Ok(files as Arc<dyn Files>)
                        }
                        Err(error) => Err(failed(error.to_string())),
                    }
                }
                Err(CallError::Unsupported) => Ok(by_shell() as Arc<dyn Files>),
                Err(error) => Err(inner.error("opening files", &error)),
            }
        });
        files.await.cloned()
    }

    fn is_open(&self) -> bool {
        self.0.open.load(Ordering::SeqCst) && self.0.place.is_alive()
    }

    async fn closed(&self) -> SessionError {
        // Can't fail: the sender is in `self`.
        let _ = self.0.closed.subscribe().wait_for(|closed| *closed).await;
        SessionError::Closed
    }

    async fn close(&self) {
        if self.0.shut() {
            call::closed(&self.0.place, self.0.number).await;
        }
    }
}

#[async_trait]
impl ScriptHost for std::sync::Weak<OpenSession> {
    async fn spawn(&self, request: &SpawnRequest) -> Result<Process, SessionError> {
        let inner = self.upgrade().ok_or(SessionError::Closed)?;
        PluginSession(inner).spawn(request).await
    }
}

/// Reads the control descriptor to its end; the last message is the exit status.
async fn read_end(control: impl AsyncRead + Unpin) -> ExitStatus {
    let mut lines = BufReader::new(control).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line) {
            Ok(Ended::Exit { exit }) => return ExitStatus::Code(exit),
            Ok(Ended::Signal { signal, core_dumped }) => {
                let signal = Signal::from_name(&signal);
                return ExitStatus::Signal { signal, core_dumped, message: String::new() };
            }
            Ok(_) => tracing::debug!(line, "a plugin's control line is of a later version"),
            Err(error) => tracing::debug!(%error, "invalid control line of a plugin"),
        }
    }
    ExitStatus::Unknown
}

async fn wait_end(mut exit: watch::Receiver<Option<ExitStatus>>) -> ExitStatus {
    match exit.wait_for(Option::is_some).await {
        Ok(status) => status.clone().unwrap_or(ExitStatus::Unknown),
        Err(_) => ExitStatus::Unknown,
    }
}

/// Closes its descriptor at shutdown, as a pipe has no other way to signal end-of-file.
struct PluginStdin(Option<FdStream>);

impl AsyncWrite for PluginStdin {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Some(stream) => Pin::new(stream).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(stream) = &mut self.0 {
            ready!(Pin::new(stream).poll_shutdown(cx))?;
        }
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}

struct PluginOutput {
    stdout: Option<FdStream>,
    stderr: Option<FdStream>,
    exit: Option<Pin<Box<dyn Future<Output = ExitStatus> + Send>>>,
    buffer: BytesMut,
    /// Reads to the end.
    session: Option<Arc<OpenSession>>,
}

fn lost(error: &io::Error) -> SessionError {
    SessionError::Lost { reason: error.to_string() }
}

impl PluginOutput {
    /// Reads from one of the streams; at its end it is dropped.
    fn poll_stream(
        stream: &mut Option<FdStream>,
        buffer: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<bytes::Bytes>>> {
        let Some(open) = stream else { return Poll::Ready(None) };
        buffer.resize(CHUNK, 0);
        let mut read = ReadBuf::new(buffer);
        let result = ready!(Pin::new(open).poll_read(cx, &mut read));
        let length = read.filled().len();
        if result.is_err() || length == 0 {
            *stream = None;
            return Poll::Ready(result.err().map(Err));
        }
        Poll::Ready(Some(Ok(buffer.split_to(length).freeze())))
    }
}

impl ProcessOutput for PluginOutput {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<ProcessEvent>> {
        for (stream, event) in [
            (&mut self.stdout, ProcessEvent::Stdout as fn(bytes::Bytes) -> ProcessEvent),
            (&mut self.stderr, ProcessEvent::Stderr),
        ] {
            match Self::poll_stream(stream, &mut self.buffer, cx) {
                Poll::Ready(Some(Ok(bytes))) => return Poll::Ready(Some(event(bytes))),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(ProcessEvent::Lost(lost(&error)))),
                Poll::Ready(None) | Poll::Pending => {}
            }
        }
        if let Some(exit) = &mut self.exit
            && let Poll::Ready(status) = exit.as_mut().poll(cx)
        {
            self.exit = None;
            return Poll::Ready(Some(ProcessEvent::Exit(status)));
        }
        if self.stdout.is_some() || self.stderr.is_some() || self.exit.is_some() {
            return Poll::Pending;
        }
        // If the plugin's own process is gone, the ends of the streams may be a consequence.
        match self.session.take().filter(|session| !session.place.is_alive()) {
            Some(_) => {
                let gone = io::Error::other("the plugin's process ended before it could say that this was all");
                Poll::Ready(Some(ProcessEvent::Lost(lost(&gone))))
            }
            None => Poll::Ready(None),
        }
    }
}

struct PluginControl {
    writer: Mutex<WriteHalf<FdStream>>,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl PluginControl {
    async fn tell(&self, control: &Control) -> Result<(), SessionError> {
        let lost = |reason: String| SessionError::Lost { reason };
        let mut line = serde_json::to_vec(control).map_err(|e| lost(e.to_string()))?;
        line.push(b'\n');
        self.writer.lock().await.write_all(&line).await.map_err(|e| lost(e.to_string()))
    }

    async fn ended_within(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, wait_end(self.exit.clone())).await.is_ok()
    }
}

#[async_trait]
impl ProcessControl for PluginControl {
    async fn signal(&self, signal: Signal) -> Result<(), SessionError> {
        self.tell(&Control::Signal(signal.name().to_owned())).await
    }

    async fn resize(&self, size: WindowSize) -> Result<(), SessionError> {
        self.tell(&Control::Resize { columns: size.columns, rows: size.rows }).await
    }

    async fn stop(&self, grace: Duration) -> StopOutcome {
        for (signal, limit) in [(Signal::Term, grace), (Signal::Kill, Duration::from_secs(2))] {
            if let Some(outcome) = self.outcome() {
                return outcome;
            }
            if let Err(error) = self.signal(signal).await {
                // The control descriptor is closed when the process has ended.
                return self.outcome().unwrap_or_else(|| StopOutcome::Unknown(error.to_string()));
            }
            if self.ended_within(limit).await
                && let Some(outcome) = self.outcome()
            {
                return outcome;
            }
        }
        StopOutcome::Unknown("the plugin did not say that the process has ended".to_owned())
    }
}

impl PluginControl {
    /// The known exit status; `None` if there is none yet.
    fn outcome(&self) -> Option<StopOutcome> {
        self.exit.borrow().as_ref().map(|status| match status {
            ExitStatus::Unknown => StopOutcome::Unknown("the plugin cannot tell whether it has ended".to_owned()),
            _ => StopOutcome::Ended,
        })
    }
}
