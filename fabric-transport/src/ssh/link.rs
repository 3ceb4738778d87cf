//! The connection of a session, and opening its channels.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use fabric_core::command::LoginShell;
use fabric_core::error::ChannelRefusal;
use fabric_core::transport::BoxStream;
use fabric_core::{Emitter, SessionError, Target};
use russh::client::{Handle, Msg};
use russh::{Channel, ChannelOpenFailure};

use super::auth::Login;
use super::channel::ChannelIo;
use super::handler::Handler;
use super::registry::Registry;
use super::room::{ChannelPermit, Room, Wanted};
use super::sftp_slot::SftpSlot;
use super::state::SessionState;
use super::updates::ProveKeys;
use crate::known_hosts::PublicKey;
use crate::retry::{RETRIES, wait_after};

/// What to do if the server has no room for a session channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// Go without.
    DoWithout,
    /// Wait until it has.
    Wait,
}

/// The state that a session shares with all that was started on it.
pub(super) struct Link {
    pub(super) handle: Handle<Handler>,
    pub(super) shared: Arc<SessionState>,
    /// The time limit for opening a channel.
    pub(super) limit: Option<Duration>,
    /// Variables for every process (`SendEnv`, `SetEnv`).
    pub(super) env: Vec<(String, String)>,
    /// The processes in the order in which they were started.
    pub(super) processes: Registry,
    /// The login shell, once it was needed.
    pub(super) login_shell: tokio::sync::OnceCell<LoginShell>,
    /// Locked while the host is asked to listen.
    pub(super) listening: tokio::sync::Mutex<()>,
    /// The room for session channels.
    pub(super) room: Arc<Room>,
    /// The SFTP client, once it was needed.
    pub(super) sftp: SftpSlot,
    pub(super) events: Emitter,
}

/// A channel, or why there is none and the server's words.
type Opened = Result<Channel<Msg>, (russh::Error, String)>;

impl Link {
    pub(super) fn new(login: Login, target: &Target, events: &Emitter) -> Arc<Self> {
        let Login { handle, shared } = login;
        let link = Self {
            handle,
            shared,
            limit: target.timeouts.channel,
            env: target.send_env.clone(),
            processes: Registry::default(),
            login_shell: tokio::sync::OnceCell::new(),
            listening: tokio::sync::Mutex::default(),
            room: Arc::new(Room::new(events.clone())),
            sftp: SftpSlot::default(),
            events: events.clone(),
        };
        let link = Arc::new(link);
        let keys: Weak<dyn ProveKeys> = Arc::downgrade(&link) as _;
        link.shared.updates.begin(keys);
        link
    }

    /// Opens a channel for a stream; retries if the server is short of resources.
    pub(super) async fn open_stream<F>(
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

    /// Opens a session channel; if the server has no room for it, an unused SFTP channel is closed.
    pub(super) async fn open_session(
        self: &Arc<Self>,
        no_room: NoRoom,
    ) -> Result<(Channel<Msg>, ChannelPermit), SessionError> {
        const WHAT: &str = "a session channel";
        let refused = |how_many: &str| SessionError::ChannelRefused {
            why: ChannelRefusal::ResourceShortage,
            said: String::new(),
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

    /// Whether a session channel was refused because there are too many. OpenSSH only reports a failure, others that it is
    /// prohibited; if the server has opened one before, that is the only possible meaning.
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
    /// The request completes even if this future is dropped: an opened channel must be closed, or the server would count it
    /// (`MaxSessions`) for ever.
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
                // Without a connection the channel is closed.
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
    pub(super) async fn over(&self) {
        let mut ended = self.shared.ended.subscribe();
        // The result of `wait_for` locks the value, and would deadlock a writer and a second reader.
        drop(ended.wait_for(Option::is_some).await);
    }

    /// The error of a refused channel, with the server's words.
    fn refused(&self, what: &str, error: &russh::Error, said: &str) -> SessionError {
        let mut refused = self.error(what, error);
        if let SessionError::ChannelRefused { said: words, .. } = &mut refused {
            said.clone_into(words);
        }
        refused
    }

    /// Converts russh's error.
    pub(super) fn error(&self, what: &str, error: &russh::Error) -> SessionError {
        match error {
            russh::Error::ChannelOpenFailure(failure) => {
                let (why, meaning) = match failure {
                    ChannelOpenFailure::ConnectFailed => (ChannelRefusal::ConnectFailed, "connect failed".to_owned()),
                    ChannelOpenFailure::AdministrativelyProhibited => {
                        (ChannelRefusal::Prohibited, "administratively prohibited".to_owned())
                    }
                    ChannelOpenFailure::ResourceShortage => {
                        (ChannelRefusal::ResourceShortage, "resource shortage".to_owned())
                    }
                    other => (ChannelRefusal::Other, format!("{other:?}")),
                };
                SessionError::ChannelRefused { why, reason: format!("{what}: {meaning}"), said: String::new() }
            }
            russh::Error::RequestDenied => SessionError::RequestRefused { what: what.to_owned() },
            _ => self.shared.reason(),
        }
    }
}

#[async_trait]
impl ProveKeys for Link {
    async fn prove_keys(&self, keys: Vec<PublicKey>) -> Result<(), russh::Error> {
        self.handle.hostkeys_prove(keys.into_iter().map(|key| key.0).collect()).await
    }
}

/// russh supports paths as text only.
pub(super) fn utf8(path: &[u8]) -> Result<String, SessionError> {
    String::from_utf8(path.to_vec()).map_err(|_| SessionError::Unsupported { what: "socket paths that are not UTF-8" })
}
