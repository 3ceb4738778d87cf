//! Whether a host's key is to be trusted.

use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use base64::Engine as _;
use fabric_core::target::HostKeyCheck;
use fabric_core::transport::OpenContext;
use fabric_core::{ConnectErrorKind, EventKind, PromptKind, PromptRequest, Target};
use hmac::{KeyInit as _, Mac as _};
use ssh_key::{Algorithm, Certificate, HashAlg, PublicKey};

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
/// names.
#[derive(Debug, Default)]
pub struct KnownHosts {
    /// One at a time: of two connections to a new host, the second must see what the first recorded.
    recording: Mutex<()>,
}

impl KnownHosts {
    fn lookup(target: &Target) -> Result<Vec<Entry>, ConnectErrorKind> {
        let name = lookup_name(target);
        let policy = &target.host_keys;
        let user_files: &[_] = if policy.check == HostKeyCheck::Off { &[] } else { &policy.user_files };
        let mut entries = Vec::new();
        for file in user_files.iter().chain(&policy.system_files) {
            read(file, &name, &mut entries)?;
        }
        Ok(entries)
    }

    fn record(&self, target: &Target, key: &PublicKey) -> Result<Option<String>, ConnectErrorKind> {
        let Some(file) = target.host_keys.user_files.first() else { return Ok(None) };
        let _one_at_a_time = self.recording.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if Self::lookup(target)?.iter().any(|entry| entry.key.key_data() == key.key_data()) {
            return Ok(None);
        }
        append(file, &lookup_name(target), key).map_err(|error| known_hosts_error(file, &error))?;
        Ok(Some(file.display().to_string()))
    }
}

#[async_trait]
impl HostKeyVerifier for KnownHosts {
    async fn known(&self, target: &Target) -> Result<KnownKeys, ConnectErrorKind> {
        let algorithms = Self::lookup(target)?.iter().map(|entry| entry.key.algorithm()).collect();
        Ok(KnownKeys { algorithms, certificates: false })
    }

    async fn verify(&self, target: &Target, key: &HostKey, context: &OpenContext) -> Result<(), ConnectErrorKind> {
        let key = key.public_key();
        let entries = Self::lookup(target)?;
        if entries.iter().any(|entry| entry.revoked && entry.key.key_data() == key.key_data()) {
            return Err(ConnectErrorKind::HostKeyRefused { reason: "it is marked as @revoked".to_owned() });
        }
        let mut known = entries.iter().filter(|entry| !entry.revoked);
        if known.clone().any(|entry| entry.key.key_data() == key.key_data()) {
            return Ok(());
        }
        let host = lookup_name(target);
        let key_type = key.algorithm().to_string();
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let policy = target.host_keys.check;
        if policy == HostKeyCheck::Off {
            return Ok(());
        }
        if let Some(other) = known.next() {
            let (file, line) = (other.file.clone(), other.line);
            return Err(ConnectErrorKind::HostKeyChanged { host, key_type, fingerprint, file, line });
        }
        if policy == HostKeyCheck::Strict || (policy == HostKeyCheck::Ask && !ask(target, &key, context).await?) {
            return Err(ConnectErrorKind::HostKeyUnknown { host, key_type, fingerprint });
        }
        if let Some(file) = self.record(target, &key)? {
            context.events.emit(EventKind::HostKeyRecorded { fingerprint, file });
        }
        Ok(())
    }
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

struct Entry {
    key: PublicKey,
    revoked: bool,
    file: String,
    line: usize,
}

fn known_hosts_error(file: &Path, error: &std::io::Error) -> ConnectErrorKind {
    ConnectErrorKind::KnownHosts { file: file.display().to_string(), reason: error.to_string() }
}

fn read(file: &Path, name: &str, entries: &mut Vec<Entry>) -> Result<(), ConnectErrorKind> {
    let text = match std::fs::read(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(known_hosts_error(file, &error)),
    };
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split_ascii_whitespace().peekable();
        let revoked = words.next_if_eq(&"@revoked").is_some();
        let (Some(names), Some(kind), Some(blob)) = (words.next(), words.next(), words.next()) else { continue };
        if names.starts_with(['#', '@']) || !names.split(',').any(|pattern| matches(pattern, name)) {
            continue;
        }
        let Ok(key) = PublicKey::from_openssh(&format!("{kind} {blob}")) else { continue };
        entries.push(Entry { key, revoked, file: file.display().to_string(), line: index + 1 });
    }
    Ok(())
}

fn matches(pattern: &str, name: &str) -> bool {
    let Some((salt, hash)) = pattern.strip_prefix("|1|").and_then(|rest| rest.split_once('|')) else {
        return pattern.eq_ignore_ascii_case(name);
    };
    let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text);
    let (Ok(salt), Ok(hash)) = (decode(salt), decode(hash)) else { return false };
    hmac::Hmac::<sha1::Sha1>::new_from_slice(&salt)
        .is_ok_and(|mac| mac.chain_update(name.as_bytes()).verify_slice(&hash).is_ok())
}

fn append(file: &Path, name: &str, key: &PublicKey) -> std::io::Result<()> {
    use std::io::Write as _;
    if let Some(dir) = file.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let text = key.to_openssh().map_err(std::io::Error::other)?;
    let text = text.split_ascii_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(format!("{name} {text}\n").as_bytes())
}
