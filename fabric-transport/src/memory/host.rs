//! A host in memory: its answers, the commands it got, and its sessions.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use fabric_core::error::{ChannelRefusal, ConnectErrorKind, Phase, SessionError};
use fabric_core::transport::{BoxStream, ListenAddress, Listener, Program, PtyRequest, SpawnRequest};
use fabric_core::{ConnectError, Files, Process, Session, Target};
use parking_lot::{Mutex, MutexGuard};
use regex::bytes::Regex;
use tokio::sync::watch;

use super::files::MemoryFiles;
use super::process::{self, MemoryStdin};
use super::reply::Reply;
use crate::local::LocalSession;

/// A command that a host got.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Asked {
    /// The host's name.
    pub host: String,
    /// The login user of the session.
    pub user: Option<String>,
    /// The rendered command; empty for a login shell.
    pub command: Vec<u8>,
    /// The pseudo-terminal, if the request has one.
    pub pty: Option<PtyRequest>,
    /// Variables of the request, beside the command.
    pub env: Vec<(String, Vec<u8>)>,
}

impl Asked {
    /// The command as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.command).into_owned()
    }
}

type Answer = Arc<dyn Fn(&Asked) -> Option<Reply> + Send + Sync>;
type Dial = Arc<dyn Fn(&str, u16) -> Option<BoxStream> + Send + Sync>;

/// A host in memory.
pub struct MemoryHost {
    name: String,
    /// Where answers come from that this host doesn't have itself.
    base: Option<Arc<MemoryHost>>,
    files: Mutex<Option<Arc<MemoryFiles>>>,
    state: Mutex<HostState>,
}

#[derive(Default)]
struct HostState {
    exact: HashMap<Vec<u8>, Reply>,
    answers: Vec<Answer>,
    shell: Option<PathBuf>,
    dial: Option<Dial>,
    /// Each with the number of connections that it applies to; `None` is all.
    refusals: Vec<(Option<u32>, Phase, ConnectErrorKind)>,
    delay: Option<Duration>,
    asked: Vec<(Asked, Arc<MemoryStdin>)>,
    connects: usize,
    sessions: Vec<watch::Sender<Option<SessionError>>>,
}

impl MemoryHost {
    pub(super) fn new(name: &str, base: Option<Arc<MemoryHost>>) -> Self {
        Self { name: name.to_owned(), base, files: Mutex::default(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, HostState> {
        self.state.lock()
    }

    /// Sets the answer to exactly this rendered command.
    pub fn on(&self, command: impl Into<Vec<u8>>, reply: Reply) -> &Self {
        self.state().exact.insert(command.into(), reply);
        self
    }

    /// Sets the answer to rendered commands that contain a match of this pattern. Later patterns and closures come
    /// first.
    ///
    /// # Panics
    ///
    /// If the pattern is no valid regular expression.
    pub fn on_match(&self, pattern: &str, reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> &Self {
        let pattern = Regex::new(pattern).unwrap_or_else(|error| panic!("{error}"));
        self.answer(move |asked| pattern.is_match(&asked.command).then(|| reply(asked)))
    }

    /// Answers the commands for which `answer` returns a reply.
    pub fn answer(&self, answer: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> &Self {
        self.state().answers.push(Arc::new(answer));
        self
    }

    /// Runs all other commands with the local `sh`, in `dir`.
    pub fn run_by_sh(&self, dir: impl Into<PathBuf>) -> &Self {
        self.state().shell = Some(dir.into());
        self
    }

    /// Answers streams that are opened from here to a host and port.
    pub fn on_stream(&self, dial: impl Fn(&str, u16) -> Option<BoxStream> + Send + Sync + 'static) -> &Self {
        self.state().dial = Some(Arc::new(dial));
        self
    }

    /// Refuses the next `times` connections with this error.
    pub fn refuse(&self, times: u32, phase: Phase, kind: ConnectErrorKind) -> &Self {
        self.state().refusals.push((Some(times), phase, kind));
        self
    }

    /// Refuses every further connection with this error.
    pub fn refuse_all(&self, phase: Phase, kind: ConnectErrorKind) -> &Self {
        self.state().refusals.push((None, phase, kind));
        self
    }

    /// Delays each connection by this time.
    pub fn connect_delay(&self, time: Duration) -> &Self {
        self.state().delay = Some(time);
        self
    }

    /// Breaks all sessions with this host, as if the network were gone.
    pub fn vanish(&self) {
        for session in self.state().sessions.drain(..) {
            session.send_replace(Some(SessionError::Lost { reason: "the host vanished".to_owned() }));
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its files.
    pub fn files(&self) -> Arc<MemoryFiles> {
        self.files.lock().get_or_insert_default().clone()
    }

    /// The rendered commands that it got, as text, in order.
    pub fn commands(&self) -> Vec<String> {
        self.state().asked.iter().map(|(asked, _)| asked.text()).collect()
    }

    /// All requests that it got, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.iter().map(|(asked, _)| asked.clone()).collect()
    }

    /// The standard input of the `nth` command so far; `None` if there was no such command. The input of a real `sh`
    /// isn't recorded.
    pub fn stdin(&self, nth: usize) -> Option<Vec<u8>> {
        self.state().asked.get(nth).map(|(_, stdin)| stdin.seen())
    }

    /// How many connections were attempted, refused ones included.
    pub fn connects(&self) -> usize {
        self.state().connects
    }

    /// How many sessions are open.
    pub fn open_sessions(&self) -> usize {
        self.state().sessions.iter().filter(|session| session.borrow().is_none()).count()
    }

    pub(super) async fn open(self: &Arc<Self>, target: &Target) -> Result<Arc<dyn Session>, ConnectError> {
        let delay = {
            let mut state = self.state();
            state.connects += 1;
            state.delay.or_else(|| self.base.as_ref().and_then(|base| base.state().delay))
        };
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        if let Some((phase, kind)) = self.refusal().or_else(|| self.base.as_ref().and_then(|base| base.refusal())) {
            return Err(ConnectError::new(target.host_string.as_str(), phase, kind));
        }
        let open = watch::Sender::new(None);
        let mut state = self.state();
        state.sessions.retain(|session| session.borrow().is_none());
        state.sessions.push(open.clone());
        Ok(Arc::new(MemorySession {
            host: self.clone(),
            user: target.user.clone(),
            ended: open,
            shell: OnceLock::new(),
        }))
    }

    fn refusal(&self) -> Option<(Phase, ConnectErrorKind)> {
        let mut state = self.state();
        state.refusals.retain(|(times, ..)| *times != Some(0));
        let (times, phase, kind) = state.refusals.first_mut()?;
        *times = times.map(|times| times - 1);
        Some((*phase, kind.clone()))
    }

    fn reply(&self, asked: &Asked) -> Option<Reply> {
        let (exact, answers) = {
            let state = self.state();
            (state.exact.get(&asked.command).cloned(), state.answers.clone())
        };
        exact.or_else(|| answers.iter().rev().find_map(|answer| answer(asked)))
    }

    /// This host's own answer, that of all hosts, or none.
    fn find<T>(&self, look: impl Fn(&MemoryHost) -> Option<T>) -> Option<T> {
        look(self).or_else(|| self.base.as_ref().and_then(|base| look(base)))
    }
}

struct MemorySession {
    host: Arc<MemoryHost>,
    user: Option<String>,
    ended: watch::Sender<Option<SessionError>>,
    /// Sessions of the local `sh`, if it is used.
    shell: OnceLock<Arc<LocalSession>>,
}

impl MemorySession {
    /// The local `sh` of this session, which ends with the session, together with its processes.
    fn shell(&self, dir: PathBuf) -> &LocalSession {
        self.shell.get_or_init(|| {
            let shell = Arc::new(LocalSession::in_dir(dir).login_shell("/bin/sh"));
            let (ending, mut ended) = (Arc::clone(&shell), self.ended.subscribe());
            tokio::spawn(async move {
                // An error means that the session was dropped, and its processes with it.
                let _ = ended.wait_for(Option::is_some).await;
                ending.close().await;
            });
            shell
        })
    }

    fn check(&self) -> Result<(), SessionError> {
        self.ended.borrow().clone().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Session for MemorySession {
    async fn spawn(&self, request: &SpawnRequest) -> Result<Process, SessionError> {
        self.check()?;
        let command = match &request.program {
            Program::Command(line) => line.clone(),
            Program::Shell => Vec::new(),
            Program::Subsystem(name) => {
                return Err(SessionError::RequestRefused { what: format!("subsystem {name}") });
            }
        };
        let asked = Asked {
            host: self.host.name.clone(),
            user: self.user.clone(),
            command,
            pty: request.pty.clone(),
            env: request.env.clone(),
        };
        let stdin = Arc::new(MemoryStdin::default());
        self.host.state().asked.push((asked.clone(), stdin.clone()));
        if let Some(reply) = self.host.find(|host| host.reply(&asked)) {
            return Ok(process::start(reply, stdin, self.ended.subscribe()));
        }
        if let Some(dir) = self.host.find(|host| host.state().shell.clone()) {
            return self.shell(dir).spawn(request).await;
        }
        let text = format!("{}: this host has no answer for: {}\n", self.host.name, asked.text());
        Ok(process::start(Reply::stderr(text).exit(127), stdin, self.ended.subscribe()))
    }

    async fn open_stream(&self, host: &str, port: u16) -> Result<BoxStream, SessionError> {
        self.check()?;
        let dial = self.host.find(|host| host.state().dial.clone());
        dial.and_then(|dial| dial(host, port)).ok_or_else(|| SessionError::ChannelRefused {
            why: ChannelRefusal::ConnectFailed,
            reason: format!("nothing at {host} port {port}"),
            said: String::new(),
        })
    }

    async fn listen(&self, at: &ListenAddress) -> Result<Box<dyn Listener>, SessionError> {
        self.check()?;
        crate::local::listen(at).await
    }

    async fn files(&self) -> Result<Arc<dyn Files>, SessionError> {
        self.check()?;
        Ok(self.host.files())
    }

    fn is_open(&self) -> bool {
        self.ended.borrow().is_none()
    }

    fn needs_its_runtime(&self) -> bool {
        false
    }

    async fn closed(&self) -> SessionError {
        // The sender lives as long as this session.
        match self.ended.subscribe().wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or(SessionError::Closed),
            Err(_) => SessionError::Closed,
        }
    }

    async fn close(&self) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert(SessionError::Closed);
            first
        });
    }
}
