//! A client's connection to a host: login, and the requests on its channels.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, MethodKind, MethodSet, Pty, Sig};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::faults::{Faults, Greeting};
use super::forward::{self, Agent, Remote};
use super::host::HostState;
use super::input::{self, Feed, Input, Life, Output};
use super::process::{self, Running, Spec, What};
use super::sftp;
use super::stream::FaultyStream;
use super::terminal::Terminal;

/// Accepts connections until the fleet ends.
pub(super) async fn accept(host: Arc<HostState>, listener: TcpListener) {
    let ended = host.access.ended.clone();
    loop {
        let accepted = tokio::select! {
            () = ended.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                host.accepted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(Arc::clone(&host), socket, peer));
            }
            // Out of descriptors: new connections wait in the queue until something is closed.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    }
}

async fn serve(host: Arc<HostState>, mut socket: TcpStream, peer: SocketAddr) {
    let faults = host.faults();
    let connection = host.connection_token();
    if host.penalised(peer.ip()) {
        // The text of sshd.
        let _ = socket.write_all(b"Not allowed at this time\r\n").await;
        return;
    }
    let starting = Starting::new(&host);
    if let Some(limit) = faults.max_startups
        && limit.refuses(starting.others, rand::random_range(0..100))
    {
        // The text of sshd.
        let _ = socket.write_all(b"Exceeded MaxStartups\r\n").await;
        return;
    }
    let proceed = tokio::select! {
        () = connection.cancelled() => false,
        proceed = greet(&mut socket, &faults.greeting) => proceed,
    };
    if !proceed {
        return;
    }
    let _ = socket.set_nodelay(true);
    let stream = FaultyStream::new(socket, connection.clone(), &faults);
    let client = Client::new(Arc::clone(&host), peer, &connection, starting);
    // A client that disconnects or breaks the protocol is expected here, and there is nobody to report it to.
    if let Ok(session) = russh::server::run_stream(Arc::clone(&host.config), stream, client).await {
        let _ = session.await;
    }
}

/// The part of a connection before SSH; returns whether SSH follows.
async fn greet(socket: &mut TcpStream, greeting: &Greeting) -> bool {
    match greeting {
        Greeting::Version => true,
        Greeting::Close => false,
        Greeting::Late(delay) => {
            tokio::time::sleep(*delay).await;
            true
        }
        Greeting::Silence => {
            wait_for_end(socket).await;
            false
        }
        Greeting::Raw(bytes) => {
            if socket.write_all(bytes).await.is_ok() {
                wait_for_end(socket).await;
            }
            false
        }
        Greeting::Endless => {
            let line = b"Welcome to a host that has a great deal to say before it says who it is\r\n";
            while socket.write_all(line).await.is_ok() {}
            false
        }
    }
}

/// Reads until the client disconnects.
async fn wait_for_end(socket: &mut TcpStream) {
    let _ = tokio::io::copy(socket, &mut tokio::io::sink()).await;
}

/// Counts a connection as not logged in, until dropped.
struct Starting {
    host: Arc<HostState>,
    others: usize,
}

impl Starting {
    fn new(host: &Arc<HostState>) -> Self {
        let others = host.starting.fetch_add(1, Ordering::Relaxed);
        Self { host: Arc::clone(host), others }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.host.starting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The server side of one connection.
struct Client {
    host: Arc<HostState>,
    peer: SocketAddr,
    user: String,
    attempted: bool,
    passed: Vec<MethodKind>,
    starting: Option<Starting>,
    channels: HashMap<ChannelId, Slot>,
    remotes: HashMap<(String, u32), Remote>,
    /// Stops the tasks of its channels when the connection has ended.
    ended: CancellationToken,
    _end: DropGuard,
}

/// One open channel.
struct Slot {
    feed: Option<Feed>,
    kind: Kind,
    /// Stops the task of the channel when it is closed.
    _end: DropGuard,
}

enum Kind {
    /// A session without a process yet.
    Idle(Box<Idle>),
    /// A session with a process.
    Process(Running),
    /// A session with SFTP, or a forward.
    Busy,
}

struct Idle {
    output: Output,
    input: Input,
    env: Vec<(String, String)>,
    terminal: Option<Terminal>,
    agent: Option<Agent>,
    life: Life,
}

impl Client {
    fn new(host: Arc<HostState>, peer: SocketAddr, connection: &CancellationToken, starting: Starting) -> Self {
        let ended = connection.child_token();
        Self {
            host,
            peer,
            user: String::new(),
            attempted: false,
            passed: Vec::new(),
            starting: Some(starting),
            channels: HashMap::new(),
            remotes: HashMap::new(),
            _end: ended.clone().drop_guard(),
            ended,
        }
    }

    /// Records the attempt; returns whether that user may log in.
    fn attempt(&mut self, user: &str) -> bool {
        if !self.attempted {
            self.attempted = true;
            self.host.attempts.fetch_add(1, Ordering::Relaxed);
        }
        user.clone_into(&mut self.user);
        let users = &self.host.access.users;
        users.is_empty() || users.iter().any(|known| known == user)
    }

    /// A refusal; as in sshd, the same method may be tried again.
    fn reject(&self) -> Auth {
        Auth::Reject { proceed_with_methods: Some(self.host.access.methods()), partial_success: false }
    }

    /// The result of a method's success or failure.
    fn judge(&mut self, method: MethodKind, right: bool) -> Auth {
        let required = &self.host.access.required;
        if required.is_empty() {
            return if right { Auth::Accept } else { self.reject() };
        }
        let right = right && required.get(self.passed.len()) == Some(&method);
        if right {
            self.passed.push(method);
        }
        match required.get(self.passed.len()) {
            None => Auth::Accept,
            Some(next) => {
                Auth::Reject { proceed_with_methods: Some(MethodSet::from(&[*next][..])), partial_success: right }
            }
        }
    }

    fn faults(&self) -> Arc<Faults> {
        self.host.faults()
    }

    fn sessions(&self) -> usize {
        let counts = |slot: &&Slot| match &slot.kind {
            Kind::Idle(_) => true,
            Kind::Process(running) => running.is_served(),
            Kind::Busy => false,
        };
        self.channels.values().filter(counts).count()
    }

    /// A new channel's slot; `kind` gets its input and how long it lasts.
    fn open(&mut self, channel: ChannelId, kind: impl FnOnce(Input, Life) -> Kind) {
        let (feed, input) = input::queue();
        let life = Life { closed: self.ended.child_token(), ended: self.ended.clone() };
        let guard = life.closed.clone().drop_guard();
        self.channels.insert(channel, Slot { feed: Some(feed), kind: kind(input, life), _end: guard });
    }

    fn idle(&mut self, channel: ChannelId) -> Option<&mut Idle> {
        match &mut self.channels.get_mut(&channel)?.kind {
            Kind::Idle(idle) => Some(idle),
            _ => None,
        }
    }

    /// Takes an idle session for a process or a subsystem.
    fn take(&mut self, channel: ChannelId, kind: Kind) -> Option<Box<Idle>> {
        let slot = self.channels.get_mut(&channel)?;
        match std::mem::replace(&mut slot.kind, kind) {
            Kind::Idle(idle) => Some(idle),
            busy => {
                slot.kind = busy;
                None
            }
        }
    }

    /// Whether there was such a listener.
    async fn stop_listening(&mut self, at: (String, u32)) -> bool {
        match self.remotes.remove(&at) {
            Some(remote) => {
                remote.close().await;
                true
            }
            None => false,
        }
    }

    fn start(&mut self, channel: ChannelId, what: What, session: &mut Session) -> Result<(), russh::Error> {
        let Some(idle) = self.take(channel, Kind::Busy) else {
            return session.channel_failure(channel);
        };
        let answer = match (&what, &self.host.access.answers) {
            (What::Command(command), Some(answers)) => answers(&self.host.name, command),
            _ => None,
        };
        session.channel_success(channel)?;
        let faults = self.faults();
        if let Some(answer) = answer {
            tokio::spawn(process::answer(answer, idle.output, faults));
            return Ok(());
        }
        let spec = Spec {
            what,
            user: self.user.clone(),
            peer: self.peer,
            env: idle.env,
            terminal: idle.terminal,
            agent: idle.agent,
        };
        let running = process::start(&self.host, spec, idle.input, idle.output, session.handle(), &idle.life, faults);
        if let (Some(running), Some(slot)) = (running, self.channels.get_mut(&channel)) {
            slot.kind = Kind::Process(running);
        }
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Still starting: no login yet.
        if self.starting.is_some() {
            self.host.penalise(self.peer.ip(), self.attempted);
        }
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, Self::Error> {
        self.attempt(user);
        Ok(self.reject())
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let may = self.attempt(user);
        let right = self.host.access.password.as_ref().is_some_and(|known| known.expose() == password);
        Ok(self.judge(MethodKind::Password, may && right))
    }

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        let may = self.attempt(user);
        let known = self.host.access.keys.iter().any(|key| key.key_data() == offer.public_key.key_data());
        Ok(if may && known { Auth::Accept } else { self.reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let may = self.attempt(user);
        let known = self.host.access.keys.iter().any(|known| known.key_data() == key.public_key.key_data());
        Ok(self.judge(MethodKind::PublicKey, may && known))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let may = self.attempt(user);
        let questions = &self.host.access.questions;
        let Some(response) = response else {
            if questions.is_empty() {
                return Ok(Auth::UnsupportedMethod);
            }
            let prompts = questions.iter().map(|(question, _)| (question.clone().into(), false)).collect::<Vec<_>>();
            return Ok(Auth::Partial { name: "".into(), instructions: "".into(), prompts: prompts.into() });
        };
        let answers: Vec<Bytes> = response.collect();
        let right = answers.len() == questions.len()
            && answers.iter().zip(questions).all(|(answer, (_, known))| answer == known.expose().as_bytes());
        Ok(self.judge(MethodKind::KeyboardInteractive, may && right))
    }

    async fn auth_succeeded(&mut self, _session: &mut Session) -> Result<(), Self::Error> {
        self.starting = None;
        self.host.logins.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.faults().refuse_channels || self.sessions() >= self.host.access.max_sessions {
            // sshd's message when MaxSessions is exceeded.
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        }
        let id = channel.id();
        let (_, output) = channel.split();
        self.open(id, |input, life| {
            Kind::Idle(Box::new(Idle { output, input, env: Vec::new(), terminal: None, agent: None, life }))
        });
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let access = Arc::clone(&self.host.access);
        let target = forward::Destination::Tcp(host.to_owned(), port);
        let id = channel.id();
        let (_, output) = channel.split();
        self.open(id, |input, life| {
            tokio::spawn(forward::direct(access, target, reply, input, output, life));
            Kind::Busy
        });
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let access = Arc::clone(&self.host.access);
        let target = forward::Destination::Unix(self.host.dir.join(path));
        let id = channel.id();
        let (_, output) = channel.split();
        self.open(id, |input, life| {
            tokio::spawn(forward::direct(access, target, reply, input, output, life));
            Kind::Busy
        });
        Ok(())
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _session: &mut Session) -> Result<(), Self::Error> {
        if let Some(feed) = self.channels.get(&channel).and_then(|slot| slot.feed.as_ref()) {
            feed.push(Bytes::copy_from_slice(data)).await;
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        if let Some(slot) = self.channels.get_mut(&channel) {
            slot.feed = None;
        }
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.channels.remove(&channel);
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.idle(channel) {
            Some(idle) => {
                idle.env.push((name.to_owned(), value.to_owned()));
                session.channel_success(channel)
            }
            None => session.channel_failure(channel),
        }
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        _pixel_width: u32,
        _pixel_height: u32,
        modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.idle(channel) {
            Some(idle) => {
                idle.terminal = Some(Terminal::new(term, columns, rows, modes));
                session.channel_success(channel)
            }
            None => session.channel_failure(channel),
        }
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        columns: u32,
        rows: u32,
        _pixel_width: u32,
        _pixel_height: u32,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(Slot { kind: Kind::Process(running), .. }) = self.channels.get(&channel) {
            running.resize(columns, rows);
        }
        Ok(())
    }

    async fn signal(&mut self, channel: ChannelId, signal: Sig, _session: &mut Session) -> Result<(), Self::Error> {
        if let Some(Slot { kind: Kind::Process(running), .. }) = self.channels.get(&channel) {
            running.signal(&process::signal(&signal));
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.start(channel, What::Command(command.to_vec()), session)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        self.start(channel, What::Shell, session)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if name != "sftp" {
            return session.channel_failure(channel);
        }
        let Some(idle) = self.take(channel, Kind::Busy) else {
            return session.channel_failure(channel);
        };
        session.channel_success(channel)?;
        tokio::spawn(sftp::serve(Arc::clone(&self.host), idle.input, idle.output, idle.life));
        Ok(())
    }

    async fn agent_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<bool, Self::Error> {
        let handle = session.handle();
        let ended = self.ended.clone();
        let Some(idle) = self.idle(channel) else { return Ok(false) };
        idle.agent = Agent::listen(handle, &ended).ok();
        Ok(idle.agent.is_some())
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        session: &mut Session,
    ) -> Result<bool, Self::Error> {
        match Remote::listen(address, *port, session.handle(), self.ended.clone()).await {
            Ok((remote, bound)) => {
                *port = u32::from(bound);
                self.remotes.insert((address.to_owned(), *port), remote);
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }

    async fn cancel_tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        _session: &mut Session,
    ) -> Result<bool, Self::Error> {
        Ok(self.stop_listening((address.to_owned(), port)).await)
    }

    async fn streamlocal_forward(&mut self, path: &str, session: &mut Session) -> Result<bool, Self::Error> {
        let absolute = self.host.dir.join(path);
        match Remote::listen_unix(path, &absolute, session.handle(), self.ended.clone()) {
            Ok(remote) => {
                self.remotes.insert((path.to_owned(), 0), remote);
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }

    async fn cancel_streamlocal_forward(&mut self, path: &str, _session: &mut Session) -> Result<bool, Self::Error> {
        Ok(self.stop_listening((path.to_owned(), 0)).await)
    }
}
