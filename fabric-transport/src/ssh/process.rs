//! Processes on the host.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use fabric_core::transport::{
    Process, ProcessControl, ProcessEvent, ProcessOutput, Program, PtyRequest, SpawnRequest, StopOutcome, WindowSize,
};
use fabric_core::{ExitStatus, SessionError, Signal};
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::channel::{ChannelIo, ChannelWriter, Life, MESSAGE, Unwanted, drain};
use super::control::Control;
use super::link::{Link, NoRoom};
use super::registry::{Listing, ProcessEntry};
use super::room::ChannelPermit;
use super::stop;
use super::store::{OUTPUT_STORE, Store};

/// Starts a process on a channel of its own.
pub(super) async fn spawn(link: &Arc<Link>, request: &SpawnRequest) -> Result<Process, SessionError> {
    spawn_as(link, request, Listing::Listed).await
}

async fn spawn_as(link: &Arc<Link>, request: &SpawnRequest, listing: Listing) -> Result<Process, SessionError> {
    // A helper that stops another process has an alternative.
    let no_room = if listing == Listing::Listed { NoRoom::Wait } else { NoRoom::DoWithout };
    let Started { channel, permit, entry, first } = start(link, request, listing, no_room).await?;
    let (reader, writer) = channel.split();
    let writer = Arc::new(writer);
    let life = Life::new();
    let store = Store::new(OUTPUT_STORE, link.shared.pool.clone());
    let (ended, whole) = (CancellationToken::new(), CancellationToken::new());
    let heard = Arc::new(AtomicUsize::new(0));
    let stdin = ChannelWriter::new(&writer, &life);
    let close = Arc::new(life.unused.clone().drop_guard());
    let output = SshOutput { store: store.clone(), _close: close.clone() };
    let control = Control {
        link: link.clone(),
        writer: writer.clone(),
        store: store.clone(),
        ended: ended.clone(),
        whole: whole.clone(),
        heard: heard.clone(),
        life: life.clone(),
        order: entry.order,
        _close: close,
    };
    let reading = Reading { link: link.clone(), store, ended, whole, heard, permit, entry, first };
    tokio::spawn(read(reader, writer, life, reading));
    Ok(Process::new(stdin, output, Arc::new(control)))
}

/// Starts a subsystem whose input and output are one stream.
pub(super) async fn subsystem(link: &Arc<Link>, name: &str, no_room: NoRoom) -> Result<ChannelIo, SessionError> {
    let request = SpawnRequest::new(Program::Subsystem(name.to_owned()));
    // A subsystem writes only in answer to requests, so nothing came before the server's answer.
    let Started { channel, permit, entry, .. } = start(link, &request, Listing::Listed, no_room).await?;
    Ok(ChannelIo::of_subsystem(channel, link.shared.clone(), (permit, entry)))
}

/// The state of the task that reads a process's channel.
struct Reading {
    link: Arc<Link>,
    store: Arc<Store<ProcessEvent>>,
    ended: CancellationToken,
    whole: CancellationToken,
    heard: Arc<AtomicUsize>,
    permit: ChannelPermit,
    entry: ProcessEntry,
    first: Option<ChannelMsg>,
}

/// Reads a process's channel to its end. Output may follow the exit status: some servers send that first.
async fn read(reader: ChannelReadHalf, writer: Arc<ChannelWriteHalf<Msg>>, life: Life, reading: Reading) {
    let Reading { link, store, ended, whole, heard, permit, entry, first } = reading;
    let held = AtomicBool::new(false);
    let all_came = || {
        whole.cancel();
        if held.swap(false, Ordering::SeqCst) {
            link.processes.held.fetch_sub(1, Ordering::SeqCst);
        }
    };
    let take = |message| {
        heard.fetch_add(1, Ordering::Relaxed);
        if matches!(message, ChannelMsg::Eof) {
            all_came();
        }
        // Only the first exit status counts.
        let event =
            event(&message).filter(|(event, _)| !(matches!(event, ProcessEvent::Exit(_)) && ended.is_cancelled()));
        if matches!(event, Some((ProcessEvent::Exit(_), _))) {
            entry.remove();
            if !whole.is_cancelled() && !held.swap(true, Ordering::SeqCst) {
                link.processes.held.fetch_add(1, Ordering::SeqCst);
            }
            ended.cancel();
        }
        let store = store.clone();
        async move {
            if let Some((event, size)) = event {
                store.push(event, size).await;
            }
        }
    };
    if let Some(message) = first {
        take(message).await;
    }
    let closed = drain(reader, writer, life, &link.shared.cut, Unwanted::Close, take).await;
    drop(permit);
    if closed {
        all_came();
        if !ended.is_cancelled() {
            store.push(ProcessEvent::Exit(ExitStatus::Unknown), 0).await;
        }
    } else if !(ended.is_cancelled() && whole.is_cancelled()) {
        store.push(ProcessEvent::Lost(link.shared.reason()), 0).await;
    }
    ended.cancel();
    all_came();
    store.finish();
}

/// A channel that is closed when this is dropped.
struct Unused(Option<(Channel<Msg>, ChannelPermit)>);

impl Unused {
    fn get(&mut self) -> &mut Channel<Msg> {
        &mut self.0.as_mut().expect("taken only by `take`, which consumes this").0
    }

    fn take(mut self) -> (Channel<Msg>, ChannelPermit) {
        self.0.take().expect("taken only here")
    }
}

impl Drop for Unused {
    fn drop(&mut self) {
        if let Some((channel, permit)) = self.0.take() {
            tokio::spawn(async move {
                // Without a connection the channel is closed.
                let _ = channel.close().await;
                drop(permit);
            });
        }
    }
}

/// A channel with a running process.
struct Started {
    channel: Channel<Msg>,
    permit: ChannelPermit,
    entry: ProcessEntry,
    /// A message from before the server's answer.
    first: Option<ChannelMsg>,
}

/// Opens a channel and starts the program on it.
async fn start(
    link: &Arc<Link>,
    request: &SpawnRequest,
    listing: Listing,
    no_room: NoRoom,
) -> Result<Started, SessionError> {
    let mut refusals = 0;
    loop {
        let mut channel = Unused(Some(link.open_session(no_room).await?));
        match ask(link, channel.get(), request, listing).await {
            // A refused command has not run: servers answer before they start it (RFC 4254, section 6.5). dropbear closes some
            // channels instead if others have just ended.
            Err(NotStarted::CommandRefused) if refusals < REFUSALS => {
                tracing::debug!(refusals, "the server refused the command, trying again");
                drop(channel);
                tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(refusals)).await;
                refusals += 1;
            }
            asked => {
                let (entry, first) = asked?;
                let (channel, permit) = channel.take();
                return Ok(Started { channel, permit, entry, first });
            }
        }
    }
}

/// A request on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Request {
    Terminal,
    Shell,
    Command,
    Subsystem(String),
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Terminal => f.write_str("a terminal"),
            Self::Shell => f.write_str("a shell"),
            Self::Command => f.write_str("the command"),
            Self::Subsystem(name) => write!(f, "the subsystem {name}"),
        }
    }
}

/// Why nothing was started on a channel.
enum NotStarted {
    /// The server refused the command.
    CommandRefused,
    Error(SessionError),
}

impl From<SessionError> for NotStarted {
    fn from(error: SessionError) -> Self {
        Self::Error(error)
    }
}

impl From<NotStarted> for SessionError {
    fn from(reason: NotStarted) -> Self {
        match reason {
            NotStarted::CommandRefused => Self::RequestRefused { what: Request::Command.to_string() },
            NotStarted::Error(error) => error,
        }
    }
}

/// How often a refused command is requested again, and the first pause before that.
const REFUSALS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// Sends all requests and then waits for the answers: one round trip instead of one for each.
async fn ask(
    link: &Arc<Link>,
    channel: &mut Channel<Msg>,
    request: &SpawnRequest,
    listing: Listing,
) -> Result<(ProcessEntry, Option<ChannelMsg>), NotStarted> {
    let lost = |error: russh::Error| link.error("a session channel", &error);
    let mut awaited = Vec::new();
    if request.forward_agent && link.shared.agent.get().is_some() {
        channel.agent_forward(false).await.map_err(lost)?;
    }
    if let Some(PtyRequest { term, size, .. }) = &request.pty {
        let (columns, rows) = (u32::from(size.columns), u32::from(size.rows));
        channel.request_pty(true, term, columns, rows, 0, 0, &[]).await.map_err(lost)?;
        awaited.push(Request::Terminal);
    }
    for (name, value) in &link.env {
        channel.set_env(false, name, value).await.map_err(lost)?;
    }
    for (name, value) in &request.env {
        // russh sends text only. Hosts may drop variables anyway; required ones are in the command.
        if let Ok(value) = str::from_utf8(value) {
            channel.set_env(false, name, value).await.map_err(lost)?;
        }
    }
    let entry = {
        let mut order = link.processes.order.lock().await;
        match &request.program {
            Program::Shell => channel.request_shell(true).await,
            Program::Command(command) => channel.exec(true, command.as_slice()).await,
            Program::Subsystem(name) => channel.request_subsystem(true, name.as_str()).await,
        }
        .map_err(lost)?;
        *order += 1;
        link.processes.add(*order, listing)
    };
    awaited.push(match &request.program {
        Program::Shell => Request::Shell,
        Program::Command(_) => Request::Command,
        Program::Subsystem(name) => Request::Subsystem(name.clone()),
    });
    for what in awaited {
        let answer = async {
            loop {
                match channel.wait().await {
                    Some(ChannelMsg::Success) => return Some(Answer::Yes),
                    Some(ChannelMsg::Failure | ChannelMsg::Close) => return Some(Answer::No),
                    // Some servers start the program before they answer: it runs in any case.
                    Some(message) if event(&message).is_some() => return Some(Answer::Output(message)),
                    Some(_) => {}
                    None => return None,
                }
            }
        };
        match link.within(&what.to_string(), answer).await? {
            Some(Answer::Yes) => {}
            Some(Answer::No) if what == Request::Command => return Err(NotStarted::CommandRefused),
            Some(Answer::No) => return Err(SessionError::RequestRefused { what: what.to_string() }.into()),
            Some(Answer::Output(message)) => return Ok((entry, Some(message))),
            None => return Err(link.shared.reason().into()),
        }
    }
    Ok((entry, None))
}

/// A server's answer to a request.
enum Answer {
    Yes,
    No,
    /// None yet, but the program has written something.
    Output(ChannelMsg),
}

/// The process event of a channel's message, and the memory for it.
fn event(message: &ChannelMsg) -> Option<(ProcessEvent, usize)> {
    match message {
        ChannelMsg::Data { data } => {
            let size = data.len() + MESSAGE;
            Some((ProcessEvent::Stdout(data.clone()), size))
        }
        ChannelMsg::ExtendedData { data, ext: 1 } => {
            let size = data.len() + MESSAGE;
            Some((ProcessEvent::Stderr(data.clone()), size))
        }
        ChannelMsg::ExitStatus { exit_status } => Some((ProcessEvent::Exit(ExitStatus::Code(*exit_status)), 0)),
        ChannelMsg::ExitSignal { signal_name, core_dumped, error_message, .. } => {
            let signal = signal(signal_name);
            let (core_dumped, message) = (*core_dumped, error_message.clone());
            Some((ProcessEvent::Exit(ExitStatus::Signal { signal, core_dumped, message }), 0))
        }
        _ => None,
    }
}

/// Converts the protocol's signal.
fn signal(signal: &Sig) -> Signal {
    match signal {
        Sig::ABRT => Signal::Abrt,
        Sig::ALRM => Signal::Alrm,
        Sig::FPE => Signal::Fpe,
        Sig::HUP => Signal::Hup,
        Sig::ILL => Signal::Ill,
        Sig::INT => Signal::Int,
        Sig::KILL => Signal::Kill,
        Sig::PIPE => Signal::Pipe,
        Sig::QUIT => Signal::Quit,
        Sig::SEGV => Signal::Segv,
        Sig::TERM => Signal::Term,
        Sig::USR1 => Signal::Usr1,
        Sig::Custom(name) => Signal::from_name(name),
    }
}

struct SshOutput {
    store: Arc<Store<ProcessEvent>>,
    _close: Arc<DropGuard>,
}

impl ProcessOutput for SshOutput {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<ProcessEvent>> {
        self.store.poll_next(cx)
    }
}

impl Drop for SshOutput {
    fn drop(&mut self) {
        self.store.discard();
    }
}

#[async_trait]
impl ProcessControl for Control {
    async fn signal(&self, signal: Signal) -> Result<(), SessionError> {
        self.send_signal(&signal).await
    }

    async fn resize(&self, size: WindowSize) -> Result<(), SessionError> {
        if self.life.closed.is_cancelled() {
            return Ok(());
        }
        let (columns, rows) = (u32::from(size.columns), u32::from(size.rows));
        let sent = self.writer.window_change(columns, rows, 0, 0).await;
        sent.map_err(|error| self.link.error("a window change", &error))
    }

    async fn stop(&self, grace: Duration) -> StopOutcome {
        let run = |request: SpawnRequest| {
            let link = self.link.clone();
            async move { spawn_as(&link, &request, Listing::Unlisted).await }
        };
        stop::stop(self, run, grace).await
    }
}
