//! Whether a host's key is to be trusted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use fabric_core::target::HostKeyCheck;
use fabric_core::transport::OpenContext;
use fabric_core::{ConnectErrorKind, EventKind, HostKeyPolicy, PromptKind, PromptRequest, Target};
use ssh_key::{Algorithm, Certificate, HashAlg, PublicKey};

use crate::known_hosts::{self, Marker, Place, ReadError, RecordError, Recorded, Verdict};

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
}

/// What is known of a host before it is asked.
#[derive(Debug, Clone, Default)]
pub struct KnownKeys {
    /// The algorithms of its known keys: offered first, or a host with several keys would show one that
    /// nobody knows.
    pub algorithms: Vec<Algorithm>,
    /// Whether a certificate authority is known for it, so that certificates are worth asking for.
    pub certificates: bool,
}

/// Decides whether a host's key is to be trusted.
#[async_trait]
pub trait HostKeyVerifier: Send + Sync {
    /// What is known of `target`.
    async fn known(&self, target: &Target) -> Result<KnownKeys, ConnectErrorKind>;

    /// Whether `target` may be spoken to, given that it shows `key`. An error refuses it, before any byte
    /// of a login is sent.
    async fn verify(&self, target: &Target, key: &HostKey, context: &OpenContext) -> Result<(), ConnectErrorKind>;
}

/// That a host's key was checked. Only [`check`] makes one, and a login cannot begin without.
#[derive(Debug)]
pub(super) struct Verified(());

/// Has the key checked.
pub(super) async fn check(
    verifier: &dyn HostKeyVerifier,
    target: &Target,
    key: &HostKey,
    context: &OpenContext,
) -> Result<Verified, ConnectErrorKind> {
    verifier.verify(target, key, context).await.map(|()| Verified(()))
}

/// Checks against the known_hosts files that the target's [`HostKeyPolicy`](fabric_core::HostKeyPolicy)
/// names, by the rules of [`known_hosts`]. Targets with the same files share what was read of them.
#[derive(Debug, Default)]
pub struct KnownHosts {
    read: Mutex<HashMap<Vec<PathBuf>, Arc<known_hosts::KnownHosts>>>,
}

impl KnownHosts {
    /// The target's files, read when the first target with the same ones came.
    fn files(&self, target: &Target) -> Result<Arc<known_hosts::KnownHosts>, ConnectErrorKind> {
        let HostKeyPolicy { user_files, system_files, .. } = &target.host_keys;
        // The number of user files tells where the system's begin.
        let marked = user_files.iter().cloned().chain([PathBuf::new()]).chain(system_files.iter().cloned()).collect();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match read.entry(marked) {
            Entry::Occupied(there) => Ok(there.get().clone()),
            Entry::Vacant(free) => {
                let files =
                    known_hosts::KnownHosts::load(user_files, system_files).map_err(|error| unreadable(&error))?;
                for bad in files.bad_lines() {
                    tracing::warn!("{bad}");
                }
                Ok(free.insert(Arc::new(files)).clone())
            }
        }
    }
}

#[async_trait]
impl HostKeyVerifier for KnownHosts {
    async fn known(&self, target: &Target) -> Result<KnownKeys, ConnectErrorKind> {
        let keys = self.files(target).and_then(|files| files.keys(&host(target)).map_err(|error| unreadable(&error)));
        let keys = match keys {
            Err(_) if target.host_keys.check == HostKeyCheck::Off => return Ok(KnownKeys::default()),
            keys => keys?,
        };
        let (marked, plain): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.marker.is_some());
        Ok(KnownKeys {
            algorithms: plain.into_iter().map(|key| key.key.algorithm()).collect(),
            certificates: marked.iter().any(|key| key.marker == Some(Marker::CertAuthority)),
        })
    }

    async fn verify(&self, target: &Target, key: &HostKey, context: &OpenContext) -> Result<(), ConnectErrorKind> {
        let policy = target.host_keys.check;
        let shown = match key {
            HostKey::Key(key) => known_hosts::HostKey::from(key),
            HostKey::Certificate(certificate) => known_hosts::HostKey::from(&**certificate),
        };
        let verdict = self.files(target).and_then(|files| {
            let verdict = files.check(&host(target), &shown, SystemTime::now()).map_err(|error| unreadable(&error))?;
            Ok((files, verdict))
        });
        let (files, verdict) = match verdict {
            Err(_) if policy == HostKeyCheck::Off => return Ok(()),
            verdict => verdict?,
        };
        let refused = |reason| Err(ConnectErrorKind::HostKeyRefused { reason });
        match verdict {
            Verdict::Revoked(place) => return refused(format!("it is revoked by {place}")),
            Verdict::Known(_) => return Ok(()),
            _ if policy == HostKeyCheck::Off => return Ok(()),
            Verdict::BadCertificate { place, fault } => {
                return refused(format!("the authority at {place} signed its certificate, but {fault}"));
            }
            Verdict::Changed(others) => return Err(changed(target, key, others.first().map(|other| &other.place))),
            Verdict::Unknown => {}
        }
        let key = key.public_key();
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        if policy == HostKeyCheck::Strict || (policy == HostKeyCheck::Ask && !ask(target, &key, context).await?) {
            let (host, key_type) = (lookup_name(target), key.algorithm().to_string());
            return Err(ConnectErrorKind::HostKeyUnknown { host, key_type, fingerprint });
        }
        let Some(file) = target.host_keys.user_files.first() else { return Ok(()) };
        // On another thread: this waits for other processes that record.
        let (whose, hash, new) = (host(target), target.host_keys.hash_names, key.clone());
        let recording = tokio::task::spawn_blocking(move || files.record(&whose, &(&new).into(), hash));
        match recording.await {
            Ok(Ok(Recorded::Added)) => {
                let file = file.display().to_string();
                context.events.emit(EventKind::HostKeyRecorded { fingerprint, file });
                Ok(())
            }
            Ok(Ok(Recorded::Already)) => Ok(()),
            // Another process was faster, and trusts another key.
            Ok(Err(RecordError::Conflict(other))) => Err(changed(target, &HostKey::Key(key), Some(&other.place))),
            Ok(Err(error)) => Err(failure(file, &error)),
            Err(error) => Err(failure(file, &error)),
        }
    }
}

/// The host under its names in the files.
fn host(target: &Target) -> known_hosts::Host {
    known_hosts::Host::new(&target.host, target.port).alias(target.host_keys.alias.clone())
}

fn changed(target: &Target, key: &HostKey, other: Option<&Place>) -> ConnectErrorKind {
    let key = key.public_key();
    ConnectErrorKind::HostKeyChanged {
        host: lookup_name(target),
        key_type: key.algorithm().to_string(),
        fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        file: other.map(|place| place.file.display().to_string()).unwrap_or_default(),
        line: other.map_or(0, |place| place.line),
    }
}

fn unreadable(error: &ReadError) -> ConnectErrorKind {
    failure(&error.file, &error.source)
}

fn failure(file: &Path, error: &dyn std::error::Error) -> ConnectErrorKind {
    ConnectErrorKind::KnownHosts { file: file.display().to_string(), reason: error.to_string() }
}

async fn ask(target: &Target, key: &PublicKey, context: &OpenContext) -> Result<bool, ConnectErrorKind> {
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    let request = PromptRequest {
        message: format!(
            "The host {} is not known; its {} key is {fingerprint}. Trust it (yes/no)?",
            lookup_name(target),
            key.algorithm()
        ),
        kind: PromptKind::HostKey { fingerprint },
        host: Some(target.host_string.as_str().to_owned()),
    };
    Ok(context.prompter.ask(request).await?.expose() == "yes")
}

/// The name under which keys are looked up: `[host]:port` where the port isn't 22.
fn lookup_name(target: &Target) -> String {
    match &target.host_keys.alias {
        Some(alias) => alias.to_lowercase(),
        None if target.port == 22 => target.host.to_lowercase(),
        None => format!("[{}]:{}", target.host.to_lowercase(), target.port),
    }
}
