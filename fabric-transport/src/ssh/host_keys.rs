//! Whether a host's key is to be trusted.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use fabric_core::target::HostKeyCheck;
use fabric_core::transport::OpenContext;
use fabric_core::{ConnectErrorKind, EventKind, PromptKind, PromptRequest, Target};
use ssh_key::{Certificate, HashAlg, PublicKey};
use tokio::sync::OnceCell;

use crate::known_hosts::{Host, KnownHosts, ReadError, RecordError, Recorded, Verdict};

/// What a host shows in the key exchange. That it has the private half is proven already.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum HostKey {
    /// A plain key.
    Key(PublicKey),
    /// A key with the signature of a certificate authority; nothing of it is checked yet.
    Certificate(Box<Certificate>),
}

impl HostKey {
    /// The key itself.
    pub fn public_key(&self) -> PublicKey {
        match self {
            Self::Key(key) => key.clone(),
            Self::Certificate(certificate) => PublicKey::new(certificate.public_key().clone(), ""),
        }
    }

    fn shown(&self) -> crate::known_hosts::HostKey<'_> {
        match self {
            Self::Key(key) => key.into(),
            Self::Certificate(certificate) => (&**certificate).into(),
        }
    }
}

/// Decides whether a host's key is to be trusted.
///
/// ```
/// use async_trait::async_trait;
/// use fabric_core::transport::OpenContext;
/// use fabric_core::{ConnectErrorKind, Target};
/// use fabric_transport::ssh::{HostKey, HostKeyVerifier, SshTransport, Trust};
///
/// /// Trusts one key, whatever host it is.
/// struct Pinned(String);
///
/// #[async_trait]
/// impl HostKeyVerifier for Pinned {
///     async fn order(&self, _: &Target, offered: Vec<String>) -> Result<Vec<String>, ConnectErrorKind> {
///         Ok(offered)
///     }
///
///     async fn verify(&self, _: &Target, key: &HostKey, _: &OpenContext) -> Result<Trust, ConnectErrorKind> {
///         let shown = key.public_key().fingerprint(Default::default()).to_string();
///         if shown == self.0 {
///             return Ok(Trust::Full);
///         }
///         Err(ConnectErrorKind::HostKeyRefused { reason: format!("{shown} is not the pinned key") })
///     }
/// }
///
/// let transport = SshTransport::with_verifier(std::sync::Arc::new(Pinned("SHA256:..".to_owned())));
/// ```
#[async_trait]
pub trait HostKeyVerifier: Send + Sync {
    /// The host-key algorithms in the order in which to ask `target` for them: known ones first, or a host
    /// with several keys would show one that nobody knows. Algorithms of certificates come last in
    /// `offered`, and are asked for only if they no longer do in the answer.
    async fn order(&self, target: &Target, offered: Vec<String>) -> Result<Vec<String>, ConnectErrorKind>;

    /// Whether `target` may be spoken to, given that it shows `key`. An error refuses it, before any byte
    /// of a login is sent.
    async fn verify(&self, target: &Target, key: &HostKey, context: &OpenContext) -> Result<Trust, ConnectErrorKind>;
}

/// How far a host is trusted that may be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// As the host that it says it is.
    Full,
    /// It shows another key than the one that is known: it gets nothing that it could use elsewhere, neither passwords
    /// and answers nor an agent (OpenSSH with `StrictHostKeyChecking no`).
    Keys,
}

/// That a host's key was checked. Only [`check`] makes one, and a login cannot begin without.
#[derive(Debug)]
pub(super) struct Verified(Trust);

impl Verified {
    /// Whether the host may have what it could use elsewhere.
    pub(super) fn is_full(&self) -> bool {
        self.0 == Trust::Full
    }
}

/// Has the key checked.
pub(super) async fn check(
    verifier: &dyn HostKeyVerifier,
    target: &Target,
    key: &HostKey,
    context: &OpenContext,
) -> Result<Verified, ConnectErrorKind> {
    verifier.verify(target, key, context).await.map(Verified)
}

/// Bytes of known_hosts files that take less than a millisecond to read.
const LITTLE: u64 = 64 * 1024;

/// Checks against the known_hosts files that the target's [`HostKeyPolicy`](fabric_core::HostKeyPolicy)
/// names, as OpenSSH does ([`known_hosts`](crate::known_hosts)).
#[derive(Debug, Default)]
pub struct KnownHostsVerifier {
    /// By the user's files. Each set of files is read once for all hosts, by the first; the others wait for it.
    indexes: Mutex<HashMap<Vec<PathBuf>, OfUser>>,
}

/// By the system's files.
type OfUser = HashMap<Vec<PathBuf>, Arc<OnceCell<Arc<KnownHosts>>>>;

impl KnownHostsVerifier {
    async fn index(&self, target: &Target) -> Result<Arc<KnownHosts>, ConnectErrorKind> {
        let (user, system) = (&target.host_keys.user_files, &target.host_keys.system_files);
        let index = {
            let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
            let known = indexes.get(user).and_then(|of_user| of_user.get(system)).cloned();
            known.unwrap_or_else(|| indexes.entry(user.clone()).or_default().entry(system.clone()).or_default().clone())
        };
        let load = || async move {
            let (user, system) = (user.clone(), system.clone());
            // What is read in no time is not worth a thread.
            let size: u64 = user.iter().chain(&system).map(|file| file.metadata().map_or(0, |file| file.len())).sum();
            let load = move || KnownHosts::load(&user, &system);
            let loaded = if size < LITTLE { load() } else { blocking(load).await? };
            loaded.map(Arc::new).map_err(unreadable)
        };
        index.get_or_try_init(load).await.cloned()
    }

    async fn record(
        &self,
        index: Arc<KnownHosts>,
        target: &Target,
        key: &HostKey,
        context: &OpenContext,
    ) -> Result<(), ConnectErrorKind> {
        let (host, shown, hash) = (host(target), key.clone(), target.host_keys.hash_names);
        // It waits for other processes that record.
        let recorded = blocking(move || index.record(&host, &shown.shown(), hash)).await?;
        let name = lookup_name(target);
        match recorded {
            Ok(Recorded::Already) => {}
            Ok(Recorded::Added) => context.events.emit(EventKind::HostKeyRecorded {
                fingerprint: fingerprint(key),
                file: target.host_keys.user_files.first().map(|file| file.display().to_string()).unwrap_or_default(),
            }),
            Err(RecordError::Conflict(other)) => return Err(changed(target, key, &other.place)),
            Err(RecordError::Read(error)) => return Err(unreadable(error)),
            // As with ssh: the host is not less trusted for that.
            Err(error) => context.events.warn(format!("the new host key of {name} was accepted, but {error}")),
        }
        Ok(())
    }
}

#[async_trait]
impl HostKeyVerifier for KnownHostsVerifier {
    async fn order(&self, target: &Target, offered: Vec<String>) -> Result<Vec<String>, ConnectErrorKind> {
        if target.host_keys.check == HostKeyCheck::Off {
            return Ok(offered);
        }
        let index = self.index(target).await?;
        let names: Vec<&str> = offered.iter().map(String::as_str).collect();
        let order = index.algorithms(&host(target), &names).map_err(unreadable)?;
        Ok(order.into_iter().map(str::to_owned).collect())
    }

    async fn verify(&self, target: &Target, key: &HostKey, context: &OpenContext) -> Result<Trust, ConnectErrorKind> {
        let policy = target.host_keys.check;
        let index = match self.index(target).await {
            Err(_) if policy == HostKeyCheck::Off => return Ok(Trust::Full),
            index => index?,
        };
        tracing::debug!(host = target.host_string.as_str(), key = fingerprint(key), ?policy, "host key");
        let verdict = match index.check(&host(target), &key.shown(), SystemTime::now()) {
            Err(_) if policy == HostKeyCheck::Off => return Ok(Trust::Full),
            verdict => verdict.map_err(unreadable)?,
        };
        match verdict {
            Verdict::Revoked(place) => {
                Err(ConnectErrorKind::HostKeyRefused { reason: format!("it is revoked by {place}") })
            }
            Verdict::Known(_) => Ok(Trust::Full),
            Verdict::Changed(known) if matches!(policy, HostKeyCheck::Off | HostKeyCheck::Lax) => {
                let known = known.first().map(|known| format!(" from the one at {}", known.place)).unwrap_or_default();
                let name = lookup_name(target);
                let (trust, why) = match policy {
                    HostKeyCheck::Lax => {
                        (Trust::Keys, "`StrictHostKeyChecking no` takes it, without passwords and agents")
                    }
                    _ => (Trust::Full, "`disable_known_hosts` takes it"),
                };
                context.events.warn(format!("the host key of {name} has changed{known}: {why}"));
                Ok(trust)
            }
            _ if policy == HostKeyCheck::Off => Ok(Trust::Full),
            Verdict::BadCertificate { place, fault } => Err(ConnectErrorKind::HostKeyRefused {
                reason: format!("the authority at {place} does not vouch for its certificate: {fault}"),
            }),
            Verdict::Changed(known) => match known.first() {
                Some(other) => Err(changed(target, key, &other.place)),
                None => Err(unknown(target, key)),
            },
            Verdict::Unknown => match policy {
                HostKeyCheck::Strict => Err(unknown(target, key)),
                HostKeyCheck::Ask if !ask(target, key, context).await? => Err(unknown(target, key)),
                _ => self.record(index, target, key, context).await.map(|()| Trust::Full),
            },
        }
    }
}

async fn ask(target: &Target, key: &HostKey, context: &OpenContext) -> Result<bool, ConnectErrorKind> {
    let fingerprint = fingerprint(key);
    let request = PromptRequest {
        message: format!(
            "The host {} is not known; its {} key is {fingerprint}. Trust it (yes/no)?",
            lookup_name(target),
            key.public_key().algorithm()
        ),
        kind: PromptKind::HostKey { fingerprint },
        host: Some(target.host_string.as_str().to_owned()),
    };
    Ok(context.prompter.ask(request).await?.expose().eq_ignore_ascii_case("yes"))
}

/// What the host is looked up under.
fn host(target: &Target) -> Host {
    Host::new(target.host.clone(), target.port).alias(target.host_keys.alias.clone())
}

/// The same as text.
fn lookup_name(target: &Target) -> String {
    match &target.host_keys.alias {
        Some(alias) => alias.clone(),
        None if target.port == 22 => target.host.clone(),
        None => format!("[{}]:{}", target.host, target.port),
    }
}

fn fingerprint(key: &HostKey) -> String {
    key.public_key().fingerprint(HashAlg::Sha256).to_string()
}

fn changed(target: &Target, key: &HostKey, known: &crate::known_hosts::Place) -> ConnectErrorKind {
    ConnectErrorKind::HostKeyChanged {
        host: lookup_name(target),
        key_type: key.public_key().algorithm().to_string(),
        fingerprint: fingerprint(key),
        file: known.file.display().to_string(),
        line: known.line,
    }
}

fn unknown(target: &Target, key: &HostKey) -> ConnectErrorKind {
    ConnectErrorKind::HostKeyUnknown {
        host: lookup_name(target),
        key_type: key.public_key().algorithm().to_string(),
        fingerprint: fingerprint(key),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn unreadable(error: ReadError) -> ConnectErrorKind {
    let file = error.file.display().to_string();
    ConnectErrorKind::KnownHosts { file, reason: format!("cannot be read: {}", error.source) }
}

/// On a thread of its own, for what waits for the disk or for other processes.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ConnectErrorKind> {
    let done = tokio::task::spawn_blocking(work).await;
    // Only a panic or the end of the runtime can come between.
    done.map_err(|error| ConnectErrorKind::Setting { reason: format!("checking host keys failed: {error}") })
}
