//! russh's callbacks for messages that the server sends unasked.

use std::sync::Arc;

use fabric_core::target::UpdateHostKeys;
use fabric_core::transport::{BoxStream, OpenContext};
use fabric_core::{ConnectErrorKind, SessionError, Target};
use parking_lot::Mutex;
use russh::client::{ChannelOpenHandle, DisconnectReason, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelId, ChannelOpenFailure};
use tokio::sync::mpsc;

use super::agent;
use super::channel::ChannelIo;
use super::clock::Clock;
use super::host_keys::{self, HostKeyVerifier, Verified};
use super::state::{ListenKey, SessionState};
use super::updates::Update;
use crate::known_hosts::{HostKey, PublicKey};

/// How many bytes of the server's banner are kept, apart from its last message.
const BANNER: usize = 16 << 10;

/// How many characters of its reason for refusing a channel.
const REFUSAL: usize = 200;

/// The errors that can come out of the task that serves a connection.
#[derive(Debug)]
pub(super) enum HandlerError {
    /// russh's own.
    Protocol(russh::Error),
    /// The host's key was refused.
    Refused(ConnectErrorKind),
}

impl From<russh::Error> for HandlerError {
    fn from(error: russh::Error) -> Self {
        Self::Protocol(error)
    }
}

/// russh's side of a session.
pub(super) struct Handler {
    pub(super) target: Target,
    pub(super) context: OpenContext,
    pub(super) verifier: Arc<dyn HostKeyVerifier>,
    pub(super) clock: Clock,
    /// Where the proof goes that the host's key was checked.
    pub(super) verified: Arc<Mutex<Option<Verified>>>,
    /// The plain key that was trusted, until the host announces its other keys.
    pub(super) shown: Option<PublicKey>,
    pub(super) shared: Arc<SessionState>,
}

impl Handler {
    /// The listener of a key. Not all servers repeat the address of the request, so the port alone may have to match, and a
    /// port that the server has just chosen is not known yet.
    fn listener(&self, key: &ListenKey) -> Option<mpsc::UnboundedSender<BoxStream>> {
        let listeners = self.shared.listeners();
        if let Some(listener) = listeners.get(key) {
            return Some(listener.clone());
        }
        let ListenKey::Tcp(_, port) = key else { return None };
        let by_port =
            |wanted: u32| listeners.iter().find(|(key, _)| matches!(key, ListenKey::Tcp(_, port) if *port == wanted));
        by_port(*port).or_else(|| by_port(0)).map(|(_, listener)| listener.clone())
    }

    /// Hands a connection to its listener, or refuses it.
    async fn announce(&self, key: &ListenKey, channel: Channel<Msg>, reply: ChannelOpenHandle) {
        match self.listener(key) {
            Some(listener) => {
                reply.accept().await;
                // A listener that is gone drops the stream, which closes the channel.
                let _ = listener.send(Box::new(ChannelIo::new(channel, self.shared.clone())));
            }
            None => reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await,
        }
    }
}

impl Drop for Handler {
    /// However the connection's task ends, waiters are notified.
    fn drop(&mut self) {
        self.shared.end(SessionError::Lost { reason: "the connection ended".to_owned() });
        self.shared.over.cancel();
    }
}

impl russh::client::Handler for Handler {
    type Error = HandlerError;

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), HandlerError> {
        let mut kept = self.shared.banner.lock();
        // A server may never stop.
        if kept.len() < BANNER {
            kept.push_str(banner);
        }
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        _: ChannelOpenFailure,
        description: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        // sshd's text if it has no reason.
        let said = if description == "open failed" { "" } else { description };
        let said = said.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(REFUSAL).collect();
        self.shared.refusals.lock().push_back(said);
        Ok(())
    }

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, HandlerError> {
        let key = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => PublicKey(key.clone()).into(),
            PublicKeyOrCertificate::Certificate(certificate) => HostKey::of_certificate(certificate.clone()),
        };
        let check = host_keys::check(&*self.verifier, &self.target, &key, &self.context);
        // Whether a file or the user answers: the server doesn't cause the delay.
        let verified = self.clock.while_asking(check).await.map_err(HandlerError::Refused)?;
        if let Some(agent) = self.target.auth.agent.as_ref().filter(|_| self.target.forward_agent && verified.is_full())
        {
            // It is set already after another key exchange.
            let _ = self.shared.agent.set(agent.clone());
        }
        let wanted = verified.vouches() && self.target.host_keys.update != UpdateHostKeys::No;
        self.shown = (wanted && !key.is_certificate()).then(|| key.public_key());
        *self.verified.lock() = Some(verified);
        Ok(true)
    }

    async fn openssh_ext_host_keys_announced(
        &mut self,
        keys: Vec<ssh_key::PublicKey>,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        let Some(shown) = self.shown.take() else { return Ok(()) };
        if let Some(keys) =
            self.verifier.announced(&self.target, &shown, keys.into_iter().map(PublicKey).collect()).await
        {
            let (target, context) = (self.target.clone(), self.context.clone());
            self.shared.updates.announced(Update { keys, target, verifier: self.verifier.clone(), context });
        }
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        connected_address: &str,
        connected_port: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        let key = ListenKey::Tcp(connected_address.to_owned(), connected_port);
        self.announce(&key, channel, reply).await;
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        socket_path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        self.announce(&ListenKey::Unix(socket_path.to_owned()), channel, reply).await;
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        // It is requested for processes only; a server that opens one unasked gets nothing.
        let Some(agent) = self.shared.agent.get().cloned() else {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        };
        reply.accept().await;
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let mut stream = ChannelIo::new(channel, shared.clone());
            // Without an agent the channel is closed, and the program there has none.
            if let Ok(mut agent) = agent::connect_forwarded(&agent, shared.binding.get()).await {
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut agent).await;
            }
        });
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _host_to_connect: &str,
        _port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _socket_path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<HandlerError>) -> Result<(), HandlerError> {
        let text = match &reason {
            DisconnectReason::ReceivedDisconnect(info) if info.message.is_empty() => {
                format!("the server disconnected ({:?})", info.reason_code)
            }
            DisconnectReason::ReceivedDisconnect(info) => format!("the server disconnected: {}", info.message),
            DisconnectReason::Error(HandlerError::Protocol(error)) => lost_text(error),
            DisconnectReason::Error(HandlerError::Refused(kind)) => kind.to_string(),
        };
        let done = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                // This happens only once.
                let _ = self.shared.goodbye.set(info);
                Ok(())
            }
            DisconnectReason::Error(error) => Err(error),
        };
        self.shared.end(SessionError::Lost { reason: text });
        done
    }
}

/// A broken connection, as text for the user.
pub(super) fn lost_text(error: &russh::Error) -> String {
    match error {
        russh::Error::Disconnect | russh::Error::HUP => "the server closed the connection".to_owned(),
        russh::Error::IO(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the server closed the connection".to_owned()
        }
        russh::Error::IO(error) => error.to_string(),
        // russh decodes it before the callback, so it can't be skipped here.
        russh::Error::SshEncoding(russh::keys::ssh_encoding::Error::CharacterEncoding) => {
            "the server sent text that is not UTF-8, most likely its login banner (`Banner` in sshd_config), which this \
             client can't read; until that is UTF-8, use `ssh`, or the transport `openssh` (-H openssh://HOST)"
                .to_owned()
        }
        other => other.to_string(),
    }
}
