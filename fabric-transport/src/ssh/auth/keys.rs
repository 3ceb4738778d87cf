//! The keys of a login: where they come from, the order in which they are offered, and signing.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fabric_core::target::Identity;
use fabric_core::transport::OpenContext;
use fabric_core::{ConnectErrorKind, PromptError, PromptKind, PromptRequest, Secret, Target};
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_encoding::Encode as _;
use sha2::Digest as _;
use ssh_key::{Algorithm, Certificate, HashAlg, PrivateKey, PublicKey};
use thiserror::Error;
use tokio::sync::OnceCell;

use super::agent::Agent;
use super::signing::SigningKey;
use crate::ssh::clock::Clock;
use crate::ssh::handler::Handler;

/// How often a passphrase is asked for.
const PASSPHRASE_TRIES: usize = 3;

/// The keys that were read, opened once for all hosts.
#[derive(Debug, Default)]
pub(in crate::ssh) struct KeyStore {
    /// Each is read by the first host that wants it; the others wait for it. That there is none is kept, too:
    /// most of the default identities of most users don't exist.
    files: Mutex<HashMap<Source, Arc<OnceCell<Read>>>>,
    /// Whether the last host that was offered a key or certificate took it.
    taken: Mutex<HashMap<Vec<u8>, bool>>,
}

/// A key that was read, or why there is none.
type Read = Result<Arc<KeyFile>, String>;

/// Where a key's text is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Source {
    File(PathBuf),
    /// A text, by its digest.
    Text([u8; 32]),
}

/// One key as far as it was read.
#[derive(Debug)]
pub(super) struct KeyFile {
    name: String,
    /// The public half, where it can be told without a passphrase.
    public: Option<PublicKey>,
    /// The certificate beside it (`KEY-cert.pub`).
    certificate: Option<Certificate>,
    private: tokio::sync::Mutex<Private>,
}

#[derive(Debug, Clone)]
enum Private {
    Open(Arc<SigningKey>),
    Locked(Secret),
    /// Somebody was asked and did not know.
    GivenUp,
    /// Only the public half is here; an agent may have the private one.
    Absent,
}

/// Why there is no signature.
#[derive(Debug, Error)]
pub(super) enum SignError {
    #[error("the connection ended")]
    Gone(russh::SendError),
    #[error("{0}")]
    Agent(String),
    #[error("{0}")]
    Key(String),
    #[error(transparent)]
    Prompt(PromptError),
}

impl From<russh::SendError> for SignError {
    fn from(error: russh::SendError) -> Self {
        Self::Gone(error)
    }
}

impl KeyStore {
    async fn file(&self, path: &Path) -> Read {
        // Once a run, and less work than a thread for it would be.
        let read = || async { KeyFile::read(path).map(Arc::new) };
        self.cell(Source::File(path.to_owned())).get_or_init(read).await.clone()
    }

    /// Reads the first target's key files before they are wanted. What is wrong with them is told when they are.
    pub(in crate::ssh) async fn read_ahead(&self, target: &Target) {
        if self.files.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            for Identity { path, .. } in &target.auth.identities {
                let _ = self.file(path).await;
            }
        }
    }

    async fn text(&self, text: &Secret) -> Read {
        let parse = || async { KeyFile::parse("key text".to_owned(), text.clone()).map(Arc::new) };
        self.cell(Source::Text(sha2::Sha256::digest(text.expose()).into())).get_or_init(parse).await.clone()
    }

    /// Notes whether a host took what was offered.
    pub(super) fn note(&self, offer: &Offer, taken: bool) {
        let mut noted = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match noted.get_mut(&offer.id) {
            Some(last) => *last = taken,
            None => drop(noted.insert(offer.id.clone(), taken)),
        }
    }

    /// Whether to ask a host about a candidate before signing. It costs a round trip, and OpenSSH's server answers after
    /// 5 ms at the earliest; it saves a signature that nobody takes, and the touch or the confirmation for it. So a key
    /// that is open signs at once, and an agent's where the last host took it.
    pub(super) fn asks_first(&self, candidate: &Candidate, offer: &Offer) -> bool {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).get(&offer.id).copied();
        is_security_key(&offer.side.algorithm()) || !taken.unwrap_or_else(|| candidate.is_open())
    }

    fn cell(&self, source: Source) -> Arc<OnceCell<Read>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).entry(source).or_default().clone()
    }
}

impl KeyFile {
    /// Reads a private key, or where there is none, its public half.
    fn read(path: &Path) -> Result<Self, String> {
        let name = path.display().to_string();
        let beside = |ending: &str| {
            let mut beside = path.as_os_str().to_owned();
            beside.push(ending);
            PathBuf::from(beside)
        };
        let read_public = |path: &Path| PublicKey::from_openssh(&std::fs::read_to_string(path).ok()?).ok();
        let mut file = match std::fs::read_to_string(path) {
            Ok(text) => match PublicKey::from_openssh(&text) {
                Ok(public) => Self::public_only(name, public),
                Err(_) => Self::parse(name, Secret::new(text))?,
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => match read_public(&beside(".pub")) {
                Some(public) => Self::public_only(name, public),
                None => return Err("no such file".to_owned()),
            },
            Err(error) => return Err(error.to_string()),
        };
        if file.public.is_none() {
            file.public = read_public(&beside(".pub"));
        }
        let certificate = std::fs::read_to_string(beside("-cert.pub")).ok();
        file.certificate = certificate.and_then(|text| Certificate::from_openssh(&text).ok());
        Ok(file)
    }

    fn public_only(name: String, public: PublicKey) -> Self {
        let private = tokio::sync::Mutex::new(Private::Absent);
        Self { name, public: Some(public), certificate: None, private }
    }

    /// A private key in any format: OpenSSH, PKCS #1, PKCS #8, SEC 1, PuTTY.
    fn parse(name: String, text: Secret) -> Result<Self, String> {
        let (public, private) = match russh::keys::decode_secret_key(text.expose(), None) {
            Ok(key) => (Some(key.public_key().clone()), Private::Open(Arc::new(SigningKey::new(key)))),
            // The OpenSSH format shows the public half of an encrypted key, others don't.
            Err(error) => match PrivateKey::from_openssh(text.expose()) {
                Ok(key) if key.is_encrypted() => (Some(key.public_key().clone()), Private::Locked(text)),
                _ if is_encrypted(text.expose()) => (None, Private::Locked(text)),
                _ => return Err(format!("not a private key that can be used here: {error}")),
            },
        };
        Ok(Self { name, public, certificate: None, private: tokio::sync::Mutex::new(private) })
    }

    /// The private key; its passphrase is taken from the target or asked for, once for all hosts.
    async fn open(&self, target: &Target, context: &OpenContext) -> Result<Arc<SigningKey>, SignError> {
        let mut private = self.private.lock().await;
        let text = match &*private {
            Private::Open(key) => return Ok(key.clone()),
            Private::Absent => return Err(SignError::Key("only its public half is here".to_owned())),
            Private::GivenUp => return Err(SignError::Key("no passphrase opened it".to_owned())),
            Private::Locked(text) => text.clone(),
        };
        if let Some(passphrase) = &target.auth.passphrase
            && let Some(key) = decrypt(&text, passphrase).await
        {
            *private = Private::Open(key.clone());
            return Ok(key);
        }
        for _ in 0..PASSPHRASE_TRIES {
            let request = PromptRequest {
                kind: PromptKind::Passphrase { key: self.name.clone() },
                host: None,
                message: format!("Passphrase for key {}", self.name),
            };
            let passphrase = context.prompter.ask(request).await.map_err(SignError::Prompt)?;
            // As with ssh: an empty line passes the key over.
            if passphrase.is_empty() {
                break;
            }
            if let Some(key) = decrypt(&text, &passphrase).await {
                *private = Private::Open(key.clone());
                return Ok(key);
            }
        }
        *private = Private::GivenUp;
        Err(SignError::Key("no passphrase opened it".to_owned()))
    }
}

fn is_encrypted(text: &str) -> bool {
    text.contains("BEGIN ENCRYPTED PRIVATE KEY")
        || text.contains("Proc-Type: 4,ENCRYPTED")
        || text.lines().any(|line| line.starts_with("Encryption: aes"))
}

/// On a thread of its own: passphrases are made to be slow to try.
async fn decrypt(text: &Secret, passphrase: &Secret) -> Option<Arc<SigningKey>> {
    let (text, passphrase) = (text.clone(), passphrase.clone());
    let decode = move || russh::keys::decode_secret_key(text.expose(), Some(passphrase.expose())).ok();
    let work = move || decode().map(SigningKey::new).map(Arc::new);
    tokio::task::spawn_blocking(work).await.ok().flatten()
}

/// A key that may be offered.
#[derive(Debug, Clone)]
pub(super) enum Candidate {
    /// One that the agent has.
    Agent { agent: Arc<Agent>, identity: Box<AgentIdentity> },
    /// One in a file or text, with a certificate or without.
    File { file: Arc<KeyFile>, certificate: Option<Box<Certificate>> },
    /// A certificate file whose key the agent has.
    AgentCertificate { agent: Arc<Agent>, certificate: Box<Certificate>, file: PathBuf },
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent { identity, .. } => {
                let key = identity.public_key();
                let certified =
                    if matches!(**identity, AgentIdentity::Certificate { .. }) { "certificate " } else { "" };
                let comment =
                    if identity.comment().is_empty() { String::new() } else { format!(" {}", identity.comment()) };
                write!(f, "agent key {certified}{} {}{comment}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
            }
            Self::File { file, certificate: None } => write!(f, "key {}", file.name),
            Self::File { file, certificate: Some(_) } => write!(f, "certificate of key {}", file.name),
            Self::AgentCertificate { file, .. } => write!(f, "certificate {} with an agent key", file.display()),
        }
    }
}

/// The public side of a candidate: what the server is asked about.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    side: PublicSide,
    /// Its bytes in the protocol, which make two offers the same.
    id: Vec<u8>,
}

#[derive(Debug, Clone)]
enum PublicSide {
    Key(PublicKey),
    Certificate(Box<Certificate>),
}

impl From<PublicSide> for Offer {
    fn from(side: PublicSide) -> Self {
        let bytes = match &side {
            PublicSide::Key(key) => key.to_bytes(),
            PublicSide::Certificate(certificate) => certificate.to_bytes(),
        };
        Self { side, id: bytes.unwrap_or_default() }
    }
}

impl PublicSide {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Key(key) => key.algorithm(),
            Self::Certificate(certificate) => certificate.algorithm(),
        }
    }
}

impl Offer {
    pub(super) fn is_rsa(&self) -> bool {
        self.side.algorithm().is_rsa()
    }

    pub(super) async fn authenticate(
        &self,
        handle: &mut Handle<Handler>,
        user: String,
        hash: Option<HashAlg>,
        signer: &mut Signer<'_>,
    ) -> Result<AuthResult, SignError> {
        match &self.side {
            PublicSide::Key(key) => handle.authenticate_publickey_with(user, key.clone(), hash, signer).await,
            PublicSide::Certificate(certificate) => {
                handle.authenticate_certificate_with(user, (**certificate).clone(), hash, signer).await
            }
        }
    }
}

impl Candidate {
    /// Whether a signature costs nothing but the time to make it: no touch, confirmation or passphrase.
    fn is_open(&self) -> bool {
        // Who holds the lock may be asking for the passphrase.
        matches!(self, Self::File { file, .. } if file.private.try_lock().is_ok_and(|it| matches!(*it, Private::Open(_))))
    }

    /// What to offer; `None` for a key whose public half nobody can tell without its passphrase.
    pub(super) async fn public(
        &self,
        target: &Target,
        context: &OpenContext,
        clock: &Clock,
    ) -> Result<Offer, SignError> {
        let side = match self {
            Self::Agent { identity, .. } => match &**identity {
                AgentIdentity::PublicKey { key, .. } => PublicSide::Key(key.clone()),
                AgentIdentity::Certificate { certificate, .. } => {
                    PublicSide::Certificate(Box::new(certificate.clone()))
                }
            },
            Self::AgentCertificate { certificate, .. } | Self::File { certificate: Some(certificate), .. } => {
                PublicSide::Certificate(certificate.clone())
            }
            Self::File { file, certificate: None } => PublicSide::Key(match &file.public {
                Some(key) => key.clone(),
                None => clock.while_asking(file.open(target, context)).await?.key().public_key().clone(),
            }),
        };
        Ok(side.into())
    }
}

/// Signs with a candidate.
pub(super) struct Signer<'a> {
    pub(super) asks_first: bool,
    pub(super) candidate: &'a Candidate,
    pub(super) target: &'a Target,
    pub(super) context: &'a OpenContext,
    pub(super) clock: &'a Clock,
}

impl russh::Signer for Signer<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        // An agent may ask for a touch or a confirmation, a file for its passphrase.
        self.clock.while_asking(self.sign(identity, hash, to_sign)).await
    }

    fn asks_first(&self) -> bool {
        self.asks_first
    }
}

impl Signer<'_> {
    async fn sign(
        &self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        match self.candidate {
            Candidate::Agent { agent, .. } => agent.sign(identity, hash, to_sign).await.map_err(SignError::Agent),
            Candidate::AgentCertificate { agent, certificate, .. } => {
                // The agent knows the key, not the certificate in a file of ours.
                let key = AgentIdentity::from(PublicKey::new(certificate.public_key().clone(), ""));
                agent.sign(&key, hash, to_sign).await.map_err(SignError::Agent)
            }
            Candidate::File { file, .. } => {
                let key = file.open(self.target, self.context).await?;
                if is_security_key(&key.key().algorithm()) {
                    let reason = "a security key signs through the agent only: add it with ssh-add";
                    return Err(SignError::Key(reason.to_owned()));
                }
                sign(&key, hash, to_sign).map_err(|error| SignError::Key(error.to_string()))
            }
        }
    }
}

/// Whether signing takes a touch.
fn is_security_key(algorithm: &Algorithm) -> bool {
    matches!(algorithm, Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256)
}

/// Appends the signature of `data` to it.
fn sign(key: &SigningKey, hash: Option<HashAlg>, mut data: Vec<u8>) -> Result<Vec<u8>, russh::keys::signature::Error> {
    let signature = key.sign(hash, &data)?;
    signature.encode_prefixed(&mut data).map_err(russh::keys::signature::Error::from_source)?;
    Ok(data)
}

/// The hash for an RSA key: SHA-2 by what the server announced, SHA-1 (`Some(None)`) only where
/// `PubkeyAcceptedAlgorithms` asks for it, `None` where there is no way.
#[expect(clippy::option_option, reason = "russh's own way to say it, in and out")]
pub(super) fn rsa_hash(announced: Option<Option<HashAlg>>, wanted: &[String]) -> Option<Option<HashAlg>> {
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w.trim_start_matches(['+', '^']) == name);
    let sha1 = wanted.iter().any(|w| w.trim_start_matches(['+', '^']) == "ssh-rsa");
    let best = match announced {
        Some(Some(hash)) => Some(hash),
        Some(None) => return sha1.then_some(None),
        // A server that announces nothing may be an old one or a modest one.
        None => Some(HashAlg::Sha512),
    };
    match best {
        Some(HashAlg::Sha512) if !wants("rsa-sha2-512") && wants("rsa-sha2-256") => Some(Some(HashAlg::Sha256)),
        Some(_) if sha1 && !wants("rsa-sha2-512") && !wants("rsa-sha2-256") => Some(None),
        best => Some(best),
    }
}

/// The keys of a login in the order of being offered.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    queue: VecDeque<Candidate>,
    offered: HashSet<Vec<u8>>,
    /// Keys that cannot be offered, each with the reason.
    pub(super) passed_over: Vec<String>,
}

impl Candidates {
    /// Collects what the target and the agent have: agent keys that match identities, the other given
    /// identities and the key text, the other agent keys, the default identities; each certificate before
    /// its key.
    pub(super) async fn collect(
        target: &Target,
        store: &KeyStore,
        agent: Option<(Arc<Agent>, Vec<AgentIdentity>)>,
    ) -> Result<Self, ConnectErrorKind> {
        let mut this = Self::default();
        let auth = &target.auth;
        let mut given = Vec::new();
        let mut default = Vec::new();
        for Identity { path, explicit } in &auth.identities {
            match store.file(path).await {
                Ok(file) if *explicit => given.push(file),
                Ok(file) => default.push(file),
                Err(reason) if *explicit => {
                    return Err(ConnectErrorKind::Key { file: path.display().to_string(), reason });
                }
                Err(reason) if reason == "no such file" => {}
                Err(reason) => this.passed_over.push(format!("key {} ({reason})", path.display())),
            }
        }
        if let Some(text) = &auth.key {
            let wrong = |reason| ConnectErrorKind::Key { file: "key text".to_owned(), reason };
            given.push(store.text(text).await.map_err(wrong)?);
        }
        let certificates = certificate_files(&auth.certificates)?;
        let (agent, held) = match agent {
            Some((agent, held)) => (Some(agent), held),
            None => (None, Vec::new()),
        };
        let holds = |key: &PublicKey| held.iter().any(|identity| identity.public_key().key_data() == key.key_data());

        if let Some(agent) = &agent {
            for (path, certificate) in &certificates {
                if holds(&PublicKey::new(certificate.public_key().clone(), "")) {
                    let (agent, certificate) = (agent.clone(), Box::new(certificate.clone()));
                    this.queue.push_back(Candidate::AgentCertificate { agent, certificate, file: path.clone() });
                }
            }
            for file in given.iter().chain(&default) {
                for identity in &held {
                    if file.public.as_ref().is_some_and(|key| key.key_data() == identity.public_key().key_data()) {
                        let (agent, identity) = (agent.clone(), Box::new(identity.clone()));
                        this.queue.push_back(Candidate::Agent { agent, identity });
                    }
                }
            }
        }
        this.files(&given, &certificates).await;
        if let Some(agent) = agent
            && !auth.identities_only
        {
            let others = held
                .into_iter()
                .map(|identity| Candidate::Agent { agent: agent.clone(), identity: Box::new(identity) });
            this.queue.extend(others);
        }
        this.files(&default, &certificates).await;
        Ok(this)
    }

    async fn files(&mut self, files: &[Arc<KeyFile>], certificates: &[(PathBuf, Certificate)]) {
        for file in files {
            if matches!(*file.private.lock().await, Private::Absent) {
                continue;
            }
            let fits = |c: &&Certificate| file.public.as_ref().is_some_and(|key| key.key_data() == c.public_key());
            let certificates = certificates.iter().map(|(_, c)| c).chain(&file.certificate).filter(fits);
            for certificate in certificates {
                let certificate = Some(Box::new(certificate.clone()));
                self.queue.push_back(Candidate::File { file: file.clone(), certificate });
            }
            self.queue.push_back(Candidate::File { file: file.clone(), certificate: None });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn next(&mut self) -> Option<Candidate> {
        self.queue.pop_front()
    }

    /// Whether this was not offered before; from now on it was.
    pub(super) fn first_offer(&mut self, offer: &Offer) -> bool {
        self.offered.insert(offer.id.clone())
    }
}

fn certificate_files(paths: &[PathBuf]) -> Result<Vec<(PathBuf, Certificate)>, ConnectErrorKind> {
    let read = |path: &PathBuf| {
        let wrong = |reason: String| ConnectErrorKind::Key { file: path.display().to_string(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let certificate = Certificate::from_openssh(&text).map_err(|error| wrong(error.to_string()))?;
        Ok((path.clone(), certificate))
    };
    paths.iter().map(read).collect()
}
