//! An open SSH session.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fabric_core::command::LoginShell;
use fabric_core::transport::{BoxStream, Files, ListenAddress, Listener, Process, SpawnRequest};
use fabric_core::{Emitter, Session, SessionError, Target};
use russh::client::{Handle, Msg};
use russh::{Channel, ChannelOpenFailure, Disconnect};

use super::auth::Login;
use super::channel::ChannelIo;
use super::files::{self, SshFiles};
use super::handler::{Handler, Shared};
use super::login_shell::for_login_shell;
use super::room::{Permit, Room, Wanted};
use super::{listen, process};
use crate::connector::{RETRIES, wait_after};

/// How long closing may take before the connection is cut.
const GOODBYE: Duration = Duration::from_secs(1);

/// What to do about a session channel that the server has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// Do without.
    DoWithout,
    /// Wait until there is some.
    Wait,
}

/// A session over SSH.
pub(super) struct SshSession {
    link: Arc<Link>,
}

/// What a session and everything that was started on it share.
pub(super) struct Link {
    pub(super) handle: Handle<Handler>,
    pub(super) shared: Arc<Shared>,
    /// How long opening a channel may take.
    pub(super) limit: Option<Duration>,
    /// Variables for every process (`SendEnv`, `SetEnv`).
    pub(super) env: Vec<(String, String)>,
    /// The processes in the order in which they were started.
    pub(super) processes: process::Registry,
    /// Which shell reads the commands, once that mattered.
    pub(super) login_shell: tokio::sync::OnceCell<LoginShell>,
    /// Held while the host is asked to listen.
    pub(super) listening: tokio::sync::Mutex<()>,
    /// The room for session channels.
    pub(super) room: Arc<Room>,
    /// The SFTP client, once there was a use for one.
    pub(super) sftp: files::Sftp,
    pub(super) events: Emitter,
}

/// A channel, or why there is none and what the server said.
type Opened = Result<Channel<Msg>, (russh::Error, String)>;

impl SshSession {
    /// The session of a link that there is.
    pub(super) fn of(link: Arc<Link>) -> Self {
        Self { link }
    }

    pub(super) fn new(login: Login, target: &Target, events: &Emitter) -> Self {
        let Login { handle, shared } = login;
        let link = Link {
            handle,
            shared,
            limit: target.timeouts.channel,
            env: target.send_env.clone(),
            processes: process::Registry::default(),
            login_shell: tokio::sync::OnceCell::new(),
            listening: tokio::sync::Mutex::default(),
            room: Arc::new(Room::new(events.clone())),
            sftp: files::Sftp::default(),
            events: events.clone(),
        };
        let link = Arc::new(link);
        link.shared.updates.begin(&link);
        Self { link }
    }
}

impl Link {
    /// Opens a channel for a stream; asks again where the server says that it is short of something.
    async fn open_stream<F>(
        self: &Arc<Self>,
        what: &str,
        request: impl Fn(Arc<Self>) -> F,
    ) -> Result<BoxStream, SessionError>
    where
        F: Future<Output = Result<Channel<Msg>, russh::Error>> + Send + 'static,
    {
        for retries in 0.. {
            match self.open_once(what, request(self.clone())).await? {
                Ok(channel) => return Ok(Box::new(ChannelIo::new(channel, self.shared.clone()))),
                Err((russh::Error::ChannelOpenFailure(ChannelOpenFailure::ResourceShortage), _))
                    if retries < RETRIES =>
                {
                    let wait = wait_after(retries);
                    tracing::debug!(?wait, "no room for {what}, trying again");
                    tokio::time::sleep(wait).await;
                }
                Err((error, said)) => return Err(self.refused(what, &error, &said)),
            }
        }
        unreachable!("retries are bounded")
    }

    /// Opens a session channel; where the server has no room for it, an unused SFTP channel is closed.
    pub(super) async fn open_session(
        self: &Arc<Self>,
        no_room: NoRoom,
    ) -> Result<(Channel<Msg>, Permit), SessionError> {
        const WHAT: &str = "a session channel";
        let refused = |how_many: &str| SessionError::ChannelRefused {
            reason: format!(
                "{WHAT}: it takes no more sessions on one connection (`MaxSessions` in its sshd_config){how_many}"
            ),
        };
        let mut wanted = Wanted::new(&self.room, self.limit);
        loop {
            if no_room == NoRoom::Wait {
                wanted.in_turn().await;
            }
            wanted.watch();
            let link = self.clone();
            let request = async move { link.handle.channel_open_session().await };
            let asking = self.room.ask();
            let error = match self.open_once(WHAT, request).await? {
                Ok(channel) => return Ok((channel, self.room.take())),
                Err((error, _)) => error,
            };
            let lacks_room = self.lacks_room(&error);
            drop(asking);
            if !lacks_room {
                return Err(match error {
                    russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed) => refused(", or none at all"),
                    error => self.error(WHAT, &error),
                });
            }
            let ending = self.sftp.make_way();
            tracing::debug!(ending, "no room for {WHAT}");
            let again = async {
                match no_room {
                    NoRoom::Wait => {
                        wanted.again(ending).await.map_err(|why| refused(&format!(" than it has now: {why}")))
                    }
                    NoRoom::DoWithout if ending => {
                        wanted.soon().await;
                        Ok(())
                    }
                    NoRoom::DoWithout => Err(refused(" than it has now")),
                }
            };
            tokio::select! {
                again = again => again?,
                () = self.over() => return Err(self.shared.reason()),
            }
        }
    }

    /// Whether a session was refused because there are too many. OpenSSH says only that it failed, others that it is
    /// prohibited; where the server has taken one before, it can be meant so only.
    fn lacks_room(&self, error: &russh::Error) -> bool {
        match error {
            russh::Error::ChannelOpenFailure(ChannelOpenFailure::ResourceShortage) => true,
            russh::Error::ChannelOpenFailure(
                ChannelOpenFailure::ConnectFailed | ChannelOpenFailure::AdministrativelyProhibited,
            ) => self.room.may_be_full(),
            _ => false,
        }
    }

    /// Asks the server for a channel.
    ///
    /// The request is finished even if the caller goes away meanwhile: a channel that the server has
    /// opened must be closed again, or it would count against its limit (`MaxSessions`) for good.
    async fn open_once(
        self: &Arc<Self>,
        what: &str,
        request: impl Future<Output = Result<Channel<Msg>, russh::Error>> + Send + 'static,
    ) -> Result<Opened, SessionError> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let opened = match request.await {
                Err(error @ russh::Error::ChannelOpenFailure(_)) => Err((error, shared.refusal().await)),
                opened => opened.map_err(|error| (error, String::new())),
            };
            if let Err(Ok(unwanted)) = answer.send(opened) {
                // The connection may be gone, and the channel with it.
                let _ = unwanted.close().await;
            }
        });
        let opened = self.within(what, answered).await?;
        opened.map_err(|_| self.shared.reason())
    }

    /// Waits for the server's answer to `what`.
    pub(super) async fn within<T>(&self, what: &str, answer: impl Future<Output = T>) -> Result<T, SessionError> {
        let timed = async {
            match self.limit {
                Some(after) => tokio::time::timeout(after, answer)
                    .await
                    .map_err(|_| SessionError::TimedOut { what: what.to_owned(), after }),
                None => Ok(answer.await),
            }
        };
        tokio::select! {
            biased;
            answer = timed => answer,
            () = self.over() => Err(self.shared.reason()),
        }
    }

    /// Waits until the session has ended.
    async fn over(&self) {
        let mut ended = self.shared.ended.subscribe();
        // What `wait_for` yields locks the value: held while the value is read again, with a writer in between,
        // it would never be let go.
        drop(ended.wait_for(Option::is_some).await);
    }

    /// What it means that a channel wasn't opened, with what the server said.
    fn refused(&self, what: &str, error: &russh::Error, said: &str) -> SessionError {
        match self.error(what, error) {
            SessionError::ChannelRefused { reason } if !said.is_empty() => {
                SessionError::ChannelRefused { reason: format!("{reason}: {said}") }
            }
            error => error,
        }
    }

    /// What russh's error means for the caller.
    pub(super) fn error(&self, what: &str, error: &russh::Error) -> SessionError {
        match error {
            russh::Error::ChannelOpenFailure(reason) => SessionError::ChannelRefused {
                reason: match reason {
                    ChannelOpenFailure::ConnectFailed => format!("{what}: connect failed"),
                    ChannelOpenFailure::AdministrativelyProhibited => {
                        format!("{what}: administratively prohibited")
                    }
                    ChannelOpenFailure::ResourceShortage => format!("{what}: resource shortage"),
                    other => format!("{what}: {other:?}"),
                },
            },
            russh::Error::RequestDenied => SessionError::RequestRefused { what: what.to_owned() },
            _ => self.shared.reason(),
        }
    }

    async fn close(&self) {
        // Rarely is there one, and it began with the session.
        self.shared.updates.end(GOODBYE).await;
        self.shared.end(SessionError::Closed);
        let politely = async {
            // There is no connection left to say it on.
            let _ = self.handle.disconnect(Disconnect::ByApplication, "", "").await;
            self.shared.over.cancelled().await;
        };
        // A connection that waits for its peer hears nothing else.
        let _ = tokio::time::timeout(GOODBYE, politely).await;
        self.shared.cut.cancel();
    }
}

#[async_trait]
impl Session for SshSession {
    async fn spawn(&self, request: &SpawnRequest) -> Result<Process, SessionError> {
        let request = for_login_shell(&self.link, request).await?;
        process::spawn(&self.link, &request).await
    }

    async fn open_stream(&self, host: &str, port: u16) -> Result<BoxStream, SessionError> {
        let host = host.to_owned();
        let what = format!("a stream to {host}:{port}");
        let open = |link: Arc<Link>| {
            let host = host.clone();
            // Where the stream comes from is for the server's log only.
            async move { link.handle.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0).await }
        };
        self.link.open_stream(&what, open).await
    }

    async fn open_unix_stream(&self, path: &[u8]) -> Result<BoxStream, SessionError> {
        let path = utf8(path)?;
        let what = format!("a stream to {path}");
        let open = |link: Arc<Link>| {
            let path = path.clone();
            async move { link.handle.channel_open_direct_streamlocal(path).await }
        };
        self.link.open_stream(&what, open).await
    }

    async fn listen(&self, at: &ListenAddress) -> Result<Box<dyn Listener>, SessionError> {
        listen::listen(&self.link, at).await
    }

    async fn files(&self) -> Result<Arc<dyn Files>, SessionError> {
        SshFiles::open(&self.link).await
    }

    fn is_open(&self) -> bool {
        self.link.shared.ended.borrow().is_none() && !self.link.handle.is_closed()
    }

    async fn closed(&self) -> SessionError {
        let mut ended = self.link.shared.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(SessionError::Closed),
            Err(_) => SessionError::Closed,
        }
    }

    async fn close(&self) {
        self.link.close().await;
    }
}

/// russh takes paths as text only.
pub(super) fn utf8(path: &[u8]) -> Result<String, SessionError> {
    String::from_utf8(path.to_vec()).map_err(|_| SessionError::Unsupported { what: "socket paths that are not UTF-8" })
}
