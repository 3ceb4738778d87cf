//! Checking host keys.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use fabric_core::settings::Problem;
use fabric_core::target::{HostKeyCheck, UpdateHostKeys};
use fabric_core::transport::OpenContext;
use fabric_core::{ConnectErrorKind, EventKind, PromptKind, PromptRequest, Target};
use parking_lot::Mutex;
use ssh_key::public::KeyData;
use tokio::sync::OnceCell;

use crate::known_hosts::{
    FileLine, Host, HostKey, KnownHosts, PublicKey, ReadError, RecordError, Recorded, Verdict, key_type_of,
};

/// Decides whether a host's key is trusted.
///
/// ```
/// use async_trait::async_trait;
/// use fabric_core::transport::OpenContext;
/// use fabric_core::{ConnectErrorKind, Target};
/// use fabric_transport::known_hosts::HostKey;
/// use fabric_transport::ssh::{HostKeyVerifier, SshTransport, Trust};
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
///         let shown = key.fingerprint();
///         if shown == self.0 {
///             return Ok(Trust::Full);
///         }
///         Err(ConnectErrorKind::HostKeyRefused { reason: format!("{shown} is not the pinned key") })
///     }
/// }
///
/// let transport = SshTransport::new().verifier(Pinned("SHA256:..".to_owned()));
/// ```
#[async_trait]
pub trait HostKeyVerifier: Send + Sync {
    /// The host-key algorithms in order of preference for `target`: those of known keys first, since a host with several
    /// keys would otherwise show an unknown one. In `offered`, algorithms of certificates come last; they are requested only
    /// if the result has them earlier.
    async fn order(&self, target: &Target, offered: Vec<String>) -> Result<Vec<String>, ConnectErrorKind>;

    /// Whether `target` is trusted with this `key`. An error refuses it before any byte of a login is sent.
    async fn verify(&self, target: &Target, key: &HostKey, context: &OpenContext) -> Result<Trust, ConnectErrorKind>;

    /// What changes by the keys that `target` announces after it was fully trusted for the plain key `shown`
    /// (`UpdateHostKeys`). The keys are not proven yet. It must be quick, since the connection waits. Default: nothing.
    async fn announced(&self, _target: &Target, _shown: &PublicKey, _keys: Vec<PublicKey>) -> Option<KeyUpdate> {
        None
    }

    /// Records an update. `target` has proven that it holds the new keys. Default: nothing.
    async fn update(&self, _target: &Target, _update: KeyUpdate, _context: &OpenContext) {}
}

/// The changes by a host's announcement of its keys.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct KeyUpdate {
    /// Keys to record, if the host proves to hold them.
    pub new: Vec<PublicKey>,
    /// How many known keys it no longer has.
    pub old: usize,
    /// All its keys.
    pub announced: Vec<PublicKey>,
}

impl KeyUpdate {
    /// These announced keys, without a change.
    pub fn new(announced: Vec<PublicKey>) -> Self {
        Self { new: Vec::new(), old: 0, announced }
    }
}

/// How far a host is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// It is the expected host.
    Full,
    /// The same, but its key was unknown until now (`StrictHostKeyChecking accept-new`): it doesn't vouch for other keys.
    New,
    /// Its key differs from the known one: it gets no passwords, answers or agent, which it could use elsewhere (OpenSSH
    /// with `StrictHostKeyChecking no`).
    Keys,
}

/// Proof that a host's key was checked. Only [`check`] makes one, and a login needs it.
#[derive(Debug)]
pub(super) struct Verified(Trust);

impl Verified {
    /// Whether the host may get secrets that it could use elsewhere.
    pub(super) fn is_full(&self) -> bool {
        self.0 != Trust::Keys
    }

    /// Whether the key was trusted before, or by the user: then the host may announce its other keys.
    pub(super) fn vouches(&self) -> bool {
        self.0 == Trust::Full
    }
}

/// Checks the key.
pub(super) async fn check(
    verifier: &dyn HostKeyVerifier,
    target: &Target,
    key: &HostKey,
    context: &OpenContext,
) -> Result<Verified, ConnectErrorKind> {
    if let Some(file) = &target.host_keys.revoked {
        let refused = |reason: String| ConnectErrorKind::HostKeyRefused { reason };
        let why = |fault: String| format!("`RevokedHostKeys` {}: {fault}", file.display());
        let read = tokio::fs::read(file).await.map_err(|error| refused(why(error.to_string())))?;
        if is_revoked(key, &read).map_err(|fault| refused(why(fault)))? {
            return Err(refused(format!("it is revoked by {}", file.display())));
        }
    }
    verifier.verify(target, key, context).await.map(Verified)
}

/// Whether a list of keys, one a line, contains the shown key or the key of its authority.
fn is_revoked(key: &HostKey, list: &[u8]) -> Result<bool, String> {
    if list.starts_with(b"SSHKRL\n\0") {
        return Err(
            "a key revocation list (KRL) can't be read by fab: list the keys, one a line, or use the `openssh` \
                    transport"
                .to_owned(),
        );
    }
    let authority = key.certificate().map(ssh_key::Certificate::signature_key);
    let list = String::from_utf8_lossy(list);
    let lines = list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    // Lines without a key are ignored, as with ssh.
    let mut revoked = lines.filter_map(|line| line.parse::<PublicKey>().ok());
    Ok(revoked.any(|revoked| revoked.data() == key.data() || Some(revoked.data()) == authority))
}

/// A size of known_hosts files that takes less than a millisecond to read.
const LITTLE: u64 = 64 * 1024;

/// Checks against the known_hosts files that the target's [`HostKeyPolicy`](fabric_core::HostKeyPolicy)
/// names, as OpenSSH does ([`known_hosts`](crate::known_hosts)).
#[derive(Debug, Default)]
pub struct KnownHostsVerifier {
    /// By the user's files. Each set of files is read once, by the first host that needs it.
    indexes: Mutex<HashMap<Vec<PathBuf>, OfUser>>,
}

/// By the system's files.
type OfUser = HashMap<Vec<PathBuf>, Arc<OnceCell<Arc<KnownHosts>>>>;

impl KnownHostsVerifier {
    async fn index(&self, target: &Target) -> Result<Arc<KnownHosts>, ConnectErrorKind> {
        let (user, system) = (&target.host_keys.user_files, &target.host_keys.system_files);
        let index = {
            let mut indexes = self.indexes.lock();
            let known = indexes.get(user).and_then(|of_user| of_user.get(system)).cloned();
            known.unwrap_or_else(|| indexes.entry(user.clone()).or_default().entry(system.clone()).or_default().clone())
        };
        let load = || async move {
            let (user, system) = (user.clone(), system.clone());
            // Small files are not worth a thread.
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
        let recorded = blocking(move || index.record(&host, &shown, hash)).await?;
        let name = lookup_name(target);
        match recorded {
            Ok(Recorded::Already) => {}
            Ok(Recorded::Added) => context.events.emit(EventKind::host_key_recorded(
                key.fingerprint(),
                target.host_keys.user_files.first().map(|file| file.display().to_string()).unwrap_or_default(),
            )),
            Err(RecordError::Conflict(other)) => return Err(changed(target, key, &other.place)),
            Err(RecordError::Read(error)) => return Err(unreadable(error)),
            // As with ssh: the host is trusted all the same.
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
        let further = known_hosts_command(target, None).await?;
        let names: Vec<&str> = offered.iter().map(String::as_str).collect();
        let order = index.algorithms_with(&further, &host(target), &names).map_err(unreadable)?;
        Ok(order.into_iter().map(str::to_owned).collect())
    }

    async fn verify(&self, target: &Target, key: &HostKey, context: &OpenContext) -> Result<Trust, ConnectErrorKind> {
        let policy = target.host_keys.check;
        let index = match self.index(target).await {
            Err(_) if policy == HostKeyCheck::Off => return Ok(Trust::Full),
            index => index?,
        };
        tracing::debug!(host = target.host_string.as_str(), key = key.fingerprint(), ?policy, "host key");
        let further = match policy {
            HostKeyCheck::Off => Vec::new(),
            _ => known_hosts_command(target, Some(key)).await?,
        };
        let verdict = match index.check_with(&further, &host(target), key, SystemTime::now()) {
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
                        (Trust::Keys, "`StrictHostKeyChecking no` accepts it, without passwords and agents")
                    }
                    _ => (Trust::Full, "`disable_known_hosts` takes it"),
                };
                context.events.warn(format!("the host key of {name} has changed{known}: {why}"));
                Ok(trust)
            }
            _ if policy == HostKeyCheck::Off => Ok(Trust::Full),
            Verdict::BadCertificate { place, fault } => Err(ConnectErrorKind::HostKeyRefused {
                reason: format!("the authority at {place} does not confirm its certificate: {fault}"),
            }),
            Verdict::Changed(known) => match known.first() {
                Some(other) => Err(changed(target, key, &other.place)),
                None => Err(unknown(target, key)),
            },
            Verdict::Unknown => match policy {
                HostKeyCheck::Strict => Err(unknown(target, key)),
                HostKeyCheck::RecordNew if target.host_keys.user_files.is_empty() => Err(unknown(target, key)),
                HostKeyCheck::Ask if !ask(target, key, context).await? => Err(unknown(target, key)),
                HostKeyCheck::Ask => self.record(index, target, key, context).await.map(|()| Trust::Full),
                _ => self.record(index, target, key, context).await.map(|()| Trust::New),
            },
        }
    }

    async fn announced(&self, target: &Target, shown: &PublicKey, mut keys: Vec<PublicKey>) -> Option<KeyUpdate> {
        let policy = &target.host_keys;
        if policy.update == UpdateHostKeys::No || policy.check == HostKeyCheck::Off || policy.user_files.is_empty() {
            return None;
        }
        keys.retain(|key| !key.data().is_certificate());
        let announced: Vec<KeyData> = keys.iter().map(|key| key.data().clone()).collect();
        // An announcement without the shown key is not trusted.
        if !announced.contains(shown.data()) {
            return None;
        }
        let outdated = self.index(target).await.ok()?.outdated(&host(target), shown.data(), &announced).ok()??;
        let new = outdated.new.into_iter().map(|key| PublicKey(key.into())).filter(|key| is_wanted(target, key));
        let update = KeyUpdate { new: new.collect(), old: outdated.old.len(), announced: keys };
        (!update.new.is_empty() || update.old > 0).then_some(update)
    }

    async fn update(&self, target: &Target, update: KeyUpdate, context: &OpenContext) {
        if target.host_keys.update == UpdateHostKeys::Ask && !ask_about(target, &update, context).await {
            return;
        }
        let Ok(index) = self.index(target).await else { return };
        let (host, hash) = (host(target), target.host_keys.hash_names);
        let data = |keys: &[PublicKey]| keys.iter().map(|key| key.data().clone()).collect::<Vec<_>>();
        let (announced, new) = (data(&update.announced), data(&update.new));
        match blocking(move || index.update(&host, &announced, &new, hash)).await {
            Ok(Ok(())) => {
                let name = lookup_name(target);
                tracing::info!(name, new = update.new.len(), old = update.old, "host keys updated");
                let file = target.host_keys.user_files.first().map(|file| file.display().to_string());
                for key in update.new {
                    let fingerprint = key.fingerprint();
                    context.events.emit(EventKind::host_key_recorded(fingerprint, file.clone().unwrap_or_default()));
                }
            }
            // The host is trusted all the same, and nothing is lost.
            Ok(Err(error)) => tracing::warn!(%error, "host keys not updated"),
            Err(error) => tracing::warn!(%error, "host keys not updated"),
        }
    }
}

/// Whether keys of this kind would be requested (`HostKeyAlgorithms`).
fn is_wanted(target: &Target, key: &PublicKey) -> bool {
    let algorithms = &target.algorithms.host_keys;
    let changes_default = algorithms.first().is_none_or(|first| first.starts_with(['+', '-', '^']));
    changes_default || algorithms.iter().any(|name| key_type_of(name) == key.algorithm())
}

/// Asks the user whether to record the announced keys; the answer is no if prompts are refused.
async fn ask_about(target: &Target, update: &KeyUpdate, context: &OpenContext) -> bool {
    let fingerprints = update.new.iter().map(|key| format!("{} {}", key.algorithm(), key.fingerprint()));
    let fingerprint = fingerprints.collect::<Vec<_>>().join(", ");
    let new = if fingerprint.is_empty() { String::new() } else { format!(" It now has {fingerprint} as well.") };
    let old =
        if update.old == 0 { String::new() } else { format!(" It no longer has {} of its known keys.", update.old) };
    let message = format!(
        "The host {} has updated its keys, confirmed by its known one.{new}{old} Accept updated host keys (yes/no)?",
        lookup_name(target)
    );
    let request =
        PromptRequest::new(PromptKind::HostKey { fingerprint }, message).host(target.host_string.as_str().to_owned());
    context.prompter.ask(request).await.is_ok_and(|answer| answer.expose().eq_ignore_ascii_case("yes"))
}

/// The output of the target's `KnownHostsCommand`, before a key is shown or for a shown one; empty without the command.
async fn known_hosts_command(target: &Target, key: Option<&HostKey>) -> Result<Vec<u8>, ConnectErrorKind> {
    let Some(words) = &target.host_keys.command else { return Ok(Vec::new()) };
    let name = lookup_name(target);
    let failed = |what: String| ConnectErrorKind::KnownHosts { file: "KnownHostsCommand".to_owned(), reason: what };
    let public = key.map(HostKey::public_key);
    let blob = public.as_ref().and_then(|key| key.to_openssh().ok());
    let [invocation, fingerprint, kind, blob] = match &public {
        None => ["ORDER".to_owned(), "NONE".to_owned(), "NONE".to_owned(), "NONE".to_owned()],
        Some(key) => [
            "HOSTNAME".to_owned(),
            key.fingerprint(),
            key.algorithm(),
            blob.as_deref().and_then(|text| text.split(' ').nth(1)).unwrap_or_default().to_owned(),
        ],
    };
    let expand = |word: &String| {
        let mut text = String::new();
        let mut rest = word.chars();
        while let Some(c) = rest.next() {
            match if c == '%' { rest.next() } else { None } {
                Some('H') => text.push_str(&name),
                Some('I') => text.push_str(&invocation),
                Some('K') => text.push_str(&blob),
                Some('f') => text.push_str(&fingerprint),
                Some('t') => text.push_str(&kind),
                Some(other) => text.push(other),
                None => text.push(c),
            }
        }
        text
    };
    let mut words = words.iter().map(expand);
    let program = words.next().unwrap_or_default();
    let mut command = tokio::process::Command::new(&program);
    command.args(words).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| failed(format!("{program}: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failed(format!("{program} failed ({}) {said}", output.status).trim_end().to_owned()));
    }
    Ok(output.stdout)
}

async fn ask(target: &Target, key: &HostKey, context: &OpenContext) -> Result<bool, ConnectErrorKind> {
    let fingerprint = key.fingerprint();
    let message = format!(
        "The host {} is not known; its {} key is {fingerprint}. Trust it (yes/no)?",
        lookup_name(target),
        key.public_key().algorithm()
    );
    let request =
        PromptRequest::new(PromptKind::HostKey { fingerprint }, message).host(target.host_string.as_str().to_owned());
    Ok(context.prompter.ask(request).await?.expose().eq_ignore_ascii_case("yes"))
}

/// The host, as it is looked up.
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

fn changed(target: &Target, key: &HostKey, known: &FileLine) -> ConnectErrorKind {
    ConnectErrorKind::HostKeyChanged {
        host: lookup_name(target),
        key_type: key.public_key().algorithm(),
        fingerprint: key.fingerprint(),
        file: known.file.display().to_string(),
        line: known.line,
    }
}

fn unknown(target: &Target, key: &HostKey) -> ConnectErrorKind {
    ConnectErrorKind::HostKeyUnknown {
        host: lookup_name(target),
        key_type: key.public_key().algorithm(),
        fingerprint: key.fingerprint(),
        no_file: target.host_keys.check == HostKeyCheck::RecordNew && target.host_keys.user_files.is_empty(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn unreadable(error: ReadError) -> ConnectErrorKind {
    let file = error.file.display().to_string();
    ConnectErrorKind::KnownHosts { file, reason: format!("cannot be read: {}", error.error) }
}

/// On a blocking thread, for work that waits for the disk or for other processes.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ConnectErrorKind> {
    let done = tokio::task::spawn_blocking(work).await;
    // Only a panic or the end of the runtime is an error.
    done.map_err(|error| Problem::new(format!("checking host keys failed: {error}")).into())
}
