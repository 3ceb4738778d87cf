//! The transport: from a target to a session.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fabric_core::transport::{BoxStream, OpenContext};
use fabric_core::{ConnectError, Session, Target, Transport};

use super::auth;
use super::dial;
use super::handshake::{self, Way};
use super::host_keys::{HostKeyVerifier, KnownHostsVerifier};
use super::link::Link;
use super::session::SshSession;
use super::store::Pool;
use super::stream::NeverWaits;

/// Opens sessions over SSH.
///
/// Use one for all hosts: it keeps decrypted keys, so that a passphrase is asked for once.
///
/// ```no_run
/// use std::sync::Arc;
/// use fabric_core::transport::{OpenContext, Program, SpawnRequest};
/// use fabric_core::{Emitter, RefusePrompts, Target, Transport};
/// use fabric_transport::ssh::SshTransport;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let target = Target::new("deploy@web1.example.com".parse()?);
/// let context = OpenContext::new(Arc::new(RefusePrompts::default()), Emitter::none());
/// let session = SshTransport::new().open(&target, None, &context).await?;
/// let request = SpawnRequest::new(Program::Command(b"uname -a".to_vec()));
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
    pool: Arc<Pool>,
    lookups: Arc<dial::Lookups>,
}

impl SshTransport {
    /// Checks host keys against the known_hosts files that each target names.
    pub fn new() -> Self {
        Self {
            verifier: Arc::new(KnownHostsVerifier::default()),
            keys: Arc::default(),
            pool: Arc::default(),
            lookups: Arc::default(),
        }
    }

    /// Sets the check of host keys.
    #[must_use]
    pub fn verifier(mut self, verifier: impl HostKeyVerifier + 'static) -> Self {
        self.verifier = Arc::new(verifier);
        self
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
        // While the server takes its time to answer.
        let (verified, ()) = tokio::join!(verified, self.keys.read_ahead(target));
        let verified = verified.map_err(failed)?;
        let login = auth::login(verified, target, context, &self.keys).await.map_err(failed)?;
        login.shared.logged_in.cancel();
        Ok(Arc::new(SshSession::new(Link::new(login, target, &context.events))))
    }
}
