//! An open SSH session.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fabric_core::command::LoginShell;
use fabric_core::transport::{BoxStream, Files, ListenAddress, Listener, Process, SpawnRequest};
use fabric_core::{Session, SessionError, Target};
use russh::client::{Handle, Msg};
use russh::{Channel, Disconnect};

use super::auth::Login;
use super::channel::ChannelIo;
use super::handler::{Handler, Shared};
use super::login_shell::for_login_shell;
use super::{listen, process};
use crate::connector::{RETRIES, wait_after};
use crate::sftp;

/// How long closing may take before the connection is cut.
const GOODBYE: Duration = Duration::from_secs(1);

/// What to do about a channel that the server has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// Do without.
    DoWithout,
    /// Ask again where the server says that it is short of something.
    AskAgain,
    /// Ask again also where it only says that it failed, unless there is no other process: OpenSSH's words where there
    /// are more than `MaxSessions`, and where a stream's target can't be reached.
    AskAgainAmongOthers,
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
    /// The SFTP client, once somebody wanted one.
    files: tokio::sync::Mutex<Option<Arc<sftp::Client>>>,
}

impl SshSession {
    pub(super) fn new(login: Login, target: &Target) -> Self {
        let Login { handle, shared } = login;
        let link = Link {
            handle,
            shared,
            limit: target.timeouts.channel,
            env: target.send_env.clone(),
            processes: process::Registry::default(),
            login_shell: tokio::sync::OnceCell::new(),
            listening: tokio::sync::Mutex::default(),
            files: tokio::sync::Mutex::default(),
        };
        Self { link: Arc::new(link) }
    }
}

impl Link {
    /// Opens a channel within its time limit.
    ///
    /// The request is finished even if the caller goes away meanwhile: a channel that the server has
    /// opened must be closed again, or it would count against its limit (`MaxSessions`) for good.
    pub(super) async fn open<F>(
        self: &Arc<Self>,
        what: &str,
        no_room: NoRoom,
        request: impl Fn(Arc<Self>) -> F,
    ) -> Result<Channel<Msg>, SessionError>
    where
        F: Future<Output = Result<Channel<Msg>, russh::Error>> + Send + 'static,
    {
        let mut retries = 0;
        loop {
            match self.open_once(what, request(self.clone())).await? {
                Err(russh::Error::ChannelOpenFailure(refusal))
                    if retries < RETRIES && self.asks_again(no_room, &refusal) =>
                {
                    let wait = wait_after(retries);
                    tracing::debug!(?wait, "no room for {what}, trying again");
                    tokio::time::sleep(wait).await;
                    retries += 1;
                }
                opened => return opened.map_err(|error| self.error(what, &error)),
            }
        }
    }

    fn asks_again(&self, no_room: NoRoom, refusal: &russh::ChannelOpenFailure) -> bool {
        match refusal {
            russh::ChannelOpenFailure::ResourceShortage => no_room != NoRoom::DoWithout,
            russh::ChannelOpenFailure::ConnectFailed => {
                no_room == NoRoom::AskAgainAmongOthers && !self.processes.is_alone()
            }
            _ => false,
        }
    }

    async fn open_once(
        self: &Arc<Self>,
        what: &str,
        request: impl Future<Output = Result<Channel<Msg>, russh::Error>> + Send + 'static,
    ) -> Result<Result<Channel<Msg>, russh::Error>, SessionError> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            if let Err(Ok(unwanted)) = answer.send(request.await) {
                // The connection may be gone, and the channel with it.
                let _ = unwanted.close().await;
            }
        });
        let opened = self.within(what, answered).await?;
        opened.map_err(|_| self.shared.reason())
    }

    /// Waits for the server's answer to `what`.
    pub(super) async fn within<T>(&self, what: &str, answer: impl Future<Output = T>) -> Result<T, SessionError> {
        let mut ended = self.shared.ended.subscribe();
        let timed = async {
            match self.limit {
                Some(after) => tokio::time::timeout(after, answer)
                    .await
                    .map_err(|_| SessionError::TimedOut { what: what.to_owned(), after }),
                None => Ok(answer.await),
            }
        };
        // What `wait_for` yields locks the value: held while the value is read again, with a writer in between,
        // it would never be let go.
        let over = async { drop(ended.wait_for(Option::is_some).await) };
        tokio::select! {
            biased;
            answer = timed => answer,
            () = over => Err(self.shared.reason()),
        }
    }

    /// What russh's error means for the caller.
    pub(super) fn error(&self, what: &str, error: &russh::Error) -> SessionError {
        match error {
            russh::Error::ChannelOpenFailure(reason) => SessionError::ChannelRefused {
                reason: match reason {
                    russh::ChannelOpenFailure::ConnectFailed => format!("{what}: connect failed"),
                    russh::ChannelOpenFailure::AdministrativelyProhibited => {
                        format!("{what}: administratively prohibited")
                    }
                    russh::ChannelOpenFailure::ResourceShortage => format!("{what}: resource shortage"),
                    other => format!("{what}: {other:?}"),
                },
            },
            russh::Error::RequestDenied => SessionError::RequestRefused { what: what.to_owned() },
            _ => self.shared.reason(),
        }
    }

    async fn close(&self) {
        self.shared.end(SessionError::Closed);
        let politely = async {
            // A connection that is gone cannot be told.
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
        let channel = self.link.open(&what, NoRoom::AskAgain, open).await?;
        Ok(Box::new(ChannelIo::new(channel, self.link.shared.clone())))
    }

    async fn open_unix_stream(&self, path: &[u8]) -> Result<BoxStream, SessionError> {
        let path = utf8(path)?;
        let what = format!("a stream to {path}");
        let open = |link: Arc<Link>| {
            let path = path.clone();
            async move { link.handle.channel_open_direct_streamlocal(path).await }
        };
        let channel = self.link.open(&what, NoRoom::AskAgain, open).await?;
        Ok(Box::new(ChannelIo::new(channel, self.link.shared.clone())))
    }

    async fn listen(&self, at: &ListenAddress) -> Result<Box<dyn Listener>, SessionError> {
        listen::listen(&self.link, at).await
    }

    async fn files(&self) -> Result<Arc<dyn Files>, SessionError> {
        let mut files = self.link.files.lock().await;
        if let Some(client) = files.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let client = sftp_client(&self.link, NoRoom::AskAgainAmongOthers).await?;
        // The client is the link's, which must not be kept by it.
        let link = Arc::downgrade(&self.link);
        let client = Arc::new(client.with_further_channels(move || {
            let link = link.clone();
            async move { sftp_client(&link.upgrade()?, NoRoom::DoWithout).await.ok() }
        }));
        *files = Some(client.clone());
        Ok(client)
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

/// Starts an SFTP client on a channel of its own.
async fn sftp_client(link: &Arc<Link>, no_room: NoRoom) -> Result<sftp::Client, SessionError> {
    let stream = process::subsystem(link, "sftp", no_room).await?;
    let started = link.within("the SFTP server", sftp::Client::start(stream)).await?;
    started.map_err(|error| SessionError::System { what: "starting SFTP".to_owned(), reason: error.to_string() })
}

/// russh takes paths as text only.
pub(super) fn utf8(path: &[u8]) -> Result<String, SessionError> {
    String::from_utf8(path.to_vec()).map_err(|_| SessionError::Unsupported { what: "socket paths that are not UTF-8" })
}
