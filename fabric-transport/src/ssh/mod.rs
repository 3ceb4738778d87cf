//! The SSH transport, on russh.
//!
//! ```text
//! dial ── stream ── handshake ── auth ── session ── process / channel / listen / files
//!                   (host_keys,  (keys,
//!                    algorithms)  agent, interactive)
//! ```
//!
//! * [`dial`](self) makes this machine's socket; a gateway's stream takes the same path from there on.
//! * The host's key is checked by a [`HostKeyVerifier`] inside the key exchange; what a login needs is a
//!   value that only a passed check can make, so nothing can be sent to an unverified host.
//! * A login goes through the methods in OpenSSH's order, and a failed one says all that was tried.
//! * Every channel has a task that always reads it, because russh hands data to channels in the task that
//!   serves the whole connection: an unread channel would stop all others.
//!
//! russh is named in this folder only.

mod algorithms;
mod auth;
mod channel;
mod clock;
mod dial;
mod files;
mod handler;
mod handshake;
mod host_keys;
mod listen;
mod login_shell;
pub(crate) mod process;
mod room;
mod session;
mod silence;
mod stop;
pub(crate) mod stream;
mod updates;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fabric_core::transport::{BoxStream, OpenContext};
use fabric_core::{ConnectError, Session, Target, Transport};

use self::stream::NeverWaits;

pub use self::host_keys::{HostKey, HostKeyVerifier, KeyUpdate, KnownHostsVerifier, Trust};

/// Whether this build can log in by GSSAPI (Kerberos): the feature `gssapi`. Keys are exchanged by it in no build.
pub const GSSAPI: bool = cfg!(feature = "gssapi");

/// Opens sessions over SSH.
///
/// One value serves any number of hosts, and should: decrypted keys are kept for its lifetime, so that a
/// passphrase is asked for once a run.
///
/// ```no_run
/// use std::sync::Arc;
/// use fabric_core::transport::{OpenContext, Program, SpawnRequest};
/// use fabric_core::{Emitter, RefusePrompts, Target, Transport};
/// use fabric_transport::ssh::SshTransport;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let target = Target::new("deploy@web1.example.com".parse()?);
/// let context = OpenContext { prompter: Arc::new(RefusePrompts::default()), events: Emitter::none() };
/// let session = SshTransport::new().open(&target, None, &context).await?;
/// let request = SpawnRequest { program: Program::Command(b"uname -a".to_vec()), ..SpawnRequest::default() };
/// let mut process = session.spawn(&request).await?;
/// while let Some(event) = process.next().await {
///     println!("{event:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SshTransport {
    verifier: Arc<dyn HostKeyVerifier>,
    keys: Arc<auth::KeyStore>,
    pool: Arc<channel::Pool>,
    lookups: Arc<dial::Lookups>,
}

impl SshTransport {
    /// Checks host keys against the known_hosts files that each target names.
    pub fn new() -> Self {
        Self::with_verifier(Arc::new(KnownHostsVerifier::default()))
    }

    /// Checks host keys by a rule of the caller's own.
    pub fn with_verifier(verifier: Arc<dyn HostKeyVerifier>) -> Self {
        Self { verifier, keys: Arc::default(), pool: Arc::default(), lookups: Arc::default() }
    }
}

impl Default for SshTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for SshTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshTransport").finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for SshTransport {
    fn name(&self) -> &'static str {
        "ssh"
    }

    async fn open(
        &self,
        target: &Target,
        stream: Option<BoxStream>,
        context: &OpenContext,
    ) -> Result<Arc<dyn Session>, ConnectError> {
        tracing::trace!(route = "SSH: address, host key, login");
        let failed = |(phase, kind)| ConnectError::new(target.host_string.as_str(), phase, kind);
        let way = if stream.is_some() { Way::Shared } else { Way::Own };
        let (stream, spent): (BoxStream, _) = match stream {
            Some(stream) => (Box::new(NeverWaits::new(stream)), Duration::ZERO),
            None => dial::dial(target, &self.lookups).await.map_err(failed)?,
        };
        let verified = handshake::handshake(stream, spent, way, target, self.verifier.clone(), context, &self.pool);
        // In the time that the server takes to begin.
        let (verified, ()) = tokio::join!(verified, self.keys.read_ahead(target));
        let verified = verified.map_err(failed)?;
        let login = auth::login(verified, target, context, &self.keys).await.map_err(failed)?;
        login.shared.logged_in.cancel();
        Ok(Arc::new(session::SshSession::new(login, target, &context.events)))
    }
}

/// How a stream reaches its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By a socket of its own.
    Own,
    /// Through a gateway, which others may use too.
    Shared,
}

/// What failed in which phase; [`SshTransport::open`] adds the host.
type Failure = (fabric_core::Phase, fabric_core::ConnectErrorKind);
