//! The keys of a login: where they come from, the order in which they are offered, and signing.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use fabric_core::target::Identity;
use fabric_core::transport::OpenContext;
use fabric_core::{ConnectErrorKind, PromptError, PromptKind, PromptRequest, Secret, Target};
use parking_lot::Mutex;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_encoding::Encode as _;
use sha2::Digest as _;
use ssh_key::{Algorithm, Certificate, HashAlg, PublicKey};
use thiserror::Error;
use tokio::sync::OnceCell;

use super::signing::SigningKey;
use super::waiting::unless_slow;
use super::written::{self, Unusable, Written};
use crate::ssh::agent::Agent;
use crate::ssh::clock::Clock;
use crate::ssh::handler::Handler;

/// How often a passphrase is asked for, as `ssh` does by default.
const PASSPHRASE_TRIES: usize = 3;

/// The keys that were read, each once for all hosts.
#[derive(Debug, Default)]
pub(in crate::ssh) struct KeyStore {
    /// Each is read by the first host that needs it; the others wait for it. Missing files are remembered too, since most
    /// default identities don't exist.
    files: Mutex<HashMap<Source, Arc<OnceCell<Read>>>>,
}

/// A key that was read, or why there is none.
type Read = Result<Arc<KeyFile>, Unread>;

/// Why a key could not be read.
#[derive(Debug, Clone, Error)]
enum Unread {
    #[error("no such file")]
    NoSuchFile,
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error(transparent)]
    Io(Arc<std::io::Error>),
}

/// Where a key's text is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Source {
    File(PathBuf),
    /// A text, by its digest.
    Text([u8; 32]),
}

/// A key, as far as it was read.
#[derive(Debug)]
pub(super) struct KeyFile {
    name: String,
    /// The public half, where it can be read without a passphrase.
    public: Option<PublicKey>,
    /// The certificate beside it (`KEY-cert.pub`).
    certificate: Option<Certificate>,
    /// `None` if only the public half is available; an agent may have the other.
    private: Option<Private>,
}

/// A private key.
#[derive(Debug)]
struct Private {
    open: OnceLock<Arc<SigningKey>>,
    /// Locked while asking for the passphrase; `None` for a key that was never encrypted.
    locked: Option<tokio::sync::Mutex<Locked>>,
}

/// A key that is encrypted.
#[derive(Debug)]
struct Locked {
    text: Secret,
    /// Why its passphrase is not asked for again, after a failed attempt.
    given_up: Option<String>,
}

impl Private {
    fn open(key: SigningKey) -> Self {
        Self { open: Arc::new(key).into(), locked: None }
    }

    fn locked(text: Secret) -> Self {
        Self { open: OnceLock::new(), locked: Some(tokio::sync::Mutex::new(Locked { text, given_up: None })) }
    }
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

    /// Reads the first target's key files ahead. Errors are reported when they are needed.
    pub(in crate::ssh) async fn read_ahead(&self, target: &Target) {
        if self.files.lock().is_empty() {
            for Identity { path, .. } in &target.auth.identities {
                let _ = self.file(path).await;
            }
        }
    }

    async fn text(&self, text: &Secret) -> Read {
        let parse = || async { Ok(Arc::new(KeyFile::parse("key text".to_owned(), text.clone())?)) };
        self.cell(Source::Text(sha2::Sha256::digest(text.expose()).into())).get_or_init(parse).await.clone()
    }

    fn cell(&self, source: Source) -> Arc<OnceCell<Read>> {
        self.files.lock().entry(source).or_default().clone()
    }
}

impl KeyFile {
    /// Reads a private key, or where there is none, its public half.
    fn read(path: &Path) -> Result<Self, Unread> {
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
                None => return Err(Unread::NoSuchFile),
            },
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Err(Unusable::Garbage("it is not text".to_owned()).into());
            }
            Err(error) => return Err(Unread::Io(Arc::new(error))),
        };
        if file.public.is_none() {
            file.public = read_public(&beside(".pub"));
        }
        let certificate = std::fs::read_to_string(beside("-cert.pub")).ok();
        file.certificate = certificate.and_then(|text| Certificate::from_openssh(&text).ok());
        Ok(file)
    }

    fn public_only(name: String, public: PublicKey) -> Self {
        Self { name, public: Some(public), certificate: None, private: None }
    }

    /// A private key in any format.
    fn parse(name: String, text: Secret) -> Result<Self, Unusable> {
        let (public, private) = match written::read(text.expose())? {
            Written::Open(key) => (Some(key.public_key().clone()), Private::open(SigningKey::new(*key))),
            Written::Locked(public) => (public, Private::locked(text)),
        };
        Ok(Self { name, public, certificate: None, private: Some(private) })
    }

    /// The private key; its passphrase is taken from the target or asked for, once for all hosts.
    async fn open(&self, target: &Target, context: &OpenContext) -> Result<Arc<SigningKey>, SignError> {
        let Some(private) = &self.private else {
            return Err(SignError::Key("only its public half is here".to_owned()));
        };
        let locked = match (private.open.get(), &private.locked) {
            (Some(key), _) => return Ok(key.clone()),
            (None, Some(locked)) => locked,
            (None, None) => return Err(SignError::Key("it is not open".to_owned())),
        };
        let mut locked = locked.lock().await;
        // It may have been opened meanwhile.
        if let Some(key) = private.open.get() {
            return Ok(key.clone());
        }
        match self.unlock(&locked, target, context).await? {
            Ok(key) => Ok(private.open.get_or_init(|| key).clone()),
            Err(why) => {
                locked.given_up = Some(why.clone());
                Err(SignError::Key(why))
            }
        }
    }

    /// Opens it; an error is why not to ask again.
    async fn unlock(
        &self,
        locked: &Locked,
        target: &Target,
        context: &OpenContext,
    ) -> Result<Result<Arc<SigningKey>, String>, SignError> {
        let wrong = Unusable::WrongPassphrase.to_string();
        let mut was_wrong = false;
        if let Some(passphrase) = &target.auth.passphrase {
            match decrypt(&locked.text, passphrase).await {
                Ok(key) => return Ok(Ok(key)),
                Err(Unusable::WrongPassphrase) => was_wrong = true,
                Err(why) => return Ok(Err(why.to_string())),
            }
        }
        if let Some(why) = &locked.given_up {
            return Ok(Err(why.clone()));
        }
        for _ in 0..PASSPHRASE_TRIES {
            let message = if was_wrong {
                format!("Wrong passphrase, try again for key {}", self.name)
            } else {
                format!("Passphrase for key {}", self.name)
            };
            let kind = PromptKind::Passphrase { key: self.name.clone() };
            let passphrase = match context.prompter.ask(PromptRequest::new(kind, message)).await {
                Ok(passphrase) => passphrase,
                Err(error @ PromptError::Cancelled { .. }) => return Err(SignError::Prompt(error)),
                // A refused prompt is not the key's problem.
                Err(_) if was_wrong => return Err(SignError::Key(wrong)),
                Err(error) => return Err(SignError::Prompt(error)),
            };
            // As with ssh: an empty line skips the key.
            if passphrase.is_empty() {
                return Ok(Err(if was_wrong { wrong } else { "no passphrase was given".to_owned() }));
            }
            match decrypt(&locked.text, &passphrase).await {
                Ok(key) => return Ok(Ok(key)),
                Err(Unusable::WrongPassphrase) => was_wrong = true,
                Err(why) => return Ok(Err(why.to_string())),
            }
        }
        Ok(Err(format!("{wrong}, {PASSPHRASE_TRIES} times")))
    }
}

/// On a blocking thread: trying a passphrase is slow by design.
async fn decrypt(text: &Secret, passphrase: &Secret) -> Result<Arc<SigningKey>, Unusable> {
    let (text, passphrase) = (text.clone(), passphrase.clone());
    let work = move || written::unlock(text.expose(), passphrase.expose()).map(SigningKey::new).map(Arc::new);
    let panicked = |_| Err(Unusable::Garbage("reading it failed".to_owned()));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(panicked)
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

/// The public side of a candidate, which is offered to the server.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    side: PublicSide,
    /// Its bytes in the protocol, to compare offers.
    id: Vec<u8>,
}

#[derive(Debug, Clone)]
enum PublicSide {
    Key(PublicKey),
    Certificate(Box<Certificate>),
}

impl TryFrom<PublicSide> for Offer {
    type Error = SignError;

    fn try_from(side: PublicSide) -> Result<Self, SignError> {
        let bytes = match &side {
            PublicSide::Key(key) => key.to_bytes(),
            PublicSide::Certificate(certificate) => certificate.to_bytes(),
        };
        let id = bytes.map_err(|error| SignError::Key(error.to_string()))?;
        Ok(Self { side, id })
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
    /// What to offer; `None` for a key whose public half is unknown without its passphrase.
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
        side.try_into()
    }
}

/// Signs with a candidate.
pub(super) struct Signer<'a> {
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
}

impl Signer<'_> {
    async fn sign(
        &self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        match self.candidate {
            Candidate::Agent { agent, .. } => {
                let slow = || {
                    format!(
                        "the agent has not signed with its {} for 2 s; does it wait for a touch or a confirmation?",
                        self.candidate
                    )
                };
                let signing = agent.sign(identity, hash, to_sign);
                unless_slow(self.context, slow, signing).await.map_err(SignError::Agent)
            }
            Candidate::AgentCertificate { agent, certificate, .. } => {
                // The agent has the key, but not our certificate file.
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

/// The best hash for signatures with RSA keys that a server has announced, or `None` for SHA-1. `None` without an
/// announcement (RFC 8308).
pub(super) type Announced = Option<Option<HashAlg>>;

impl Offer {
    /// The hash to sign with; `None` for a key without a choice. An error says why the key can't be offered. `accepted` are
    /// the algorithms of `PubkeyAcceptedAlgorithms`.
    pub(super) fn hash(&self, announced: Announced, accepted: &[String]) -> Result<Option<HashAlg>, &'static str> {
        let accepts = |algorithm: Algorithm| {
            let name = match &self.side {
                PublicSide::Key(_) => algorithm.to_string(),
                PublicSide::Certificate(_) => algorithm.to_certificate_type(),
            };
            accepts(accepted, &name)
        };
        let outside = "not in PubkeyAcceptedAlgorithms";
        if !self.is_rsa() {
            return if accepts(self.side.algorithm()) { Ok(None) } else { Err(outside) };
        }
        let rsa = |hash| accepts(Algorithm::Rsa { hash });
        // A server that announces nothing may be an old one or a modest one.
        match announced.unwrap_or(Some(HashAlg::Sha512)) {
            Some(HashAlg::Sha512) if rsa(Some(HashAlg::Sha512)) => Ok(Some(HashAlg::Sha512)),
            Some(_) if rsa(Some(HashAlg::Sha256)) => Ok(Some(HashAlg::Sha256)),
            _ if rsa(None) => Ok(None),
            None => Err("the server takes RSA keys with SHA-1 only"),
            Some(_) => Err(outside),
        }
    }
}

/// Whether a list of algorithms contains this one. Without a list, or with one that changes the default (`+`, `^`, `-`),
/// all but SHA-1 are accepted, as in ssh_config(5).
fn accepts(list: &[String], name: &str) -> bool {
    let anyway = !name.starts_with("ssh-rsa");
    let Some(first) = list.first() else { return anyway };
    let unsigned = first.trim_start_matches(['+', '^', '-']);
    let listed = unsigned == name || list[1..].iter().any(|listed| listed == name);
    match first.chars().next() {
        Some('+' | '^') => anyway || listed,
        Some('-') => anyway && !listed,
        _ => listed,
    }
}

/// The keys of a login, in the order in which they are offered.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    queue: VecDeque<Candidate>,
    /// How many of the first ones are named in the configuration.
    named: usize,
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
        for Identity { path, explicit, .. } in &auth.identities {
            match store.file(path).await {
                Ok(file) if *explicit => given.push(file),
                Ok(file) => default.push(file),
                Err(reason) if *explicit => {
                    return Err(ConnectErrorKind::Key { file: path.display().to_string(), reason: reason.to_string() });
                }
                Err(Unread::NoSuchFile) if !auth.identities_named => {}
                Err(reason) => this.passed_over.push(format!("key {} ({reason})", path.display())),
            }
        }
        if let Some(text) = &auth.key {
            let wrong = |why: Unread| ConnectErrorKind::Key { file: "key text".to_owned(), reason: why.to_string() };
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
        for file in given.iter().chain(&default) {
            if file.private.is_none() && !file.public.as_ref().is_some_and(holds) {
                let why = match &agent {
                    Some(_) => "the agent doesn't hold the other",
                    None => "there is no agent for the other",
                };
                this.passed_over.push(format!("key {} (only its public half is here, and {why})", file.name));
            }
        }
        this.files(&given, &certificates);
        this.named = this.queue.len();
        if let Some(agent) = agent
            && !auth.identities_only
        {
            let others = held
                .into_iter()
                .map(|identity| Candidate::Agent { agent: agent.clone(), identity: Box::new(identity) });
            this.queue.extend(others);
        }
        this.files(&default, &certificates);
        Ok(this)
    }

    fn files(&mut self, files: &[Arc<KeyFile>], certificates: &[(PathBuf, Certificate)]) {
        for file in files {
            if file.private.is_none() {
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

    /// The next one; includes those that are not named if `unnamed`.
    pub(super) fn next(&mut self, unnamed: bool) -> Option<Candidate> {
        if self.named == 0 && !unnamed {
            return None;
        }
        self.named = self.named.saturating_sub(1);
        self.queue.pop_front()
    }

    /// Takes back a key that the server didn't decide about, to offer it again.
    pub(super) fn give_back(&mut self, candidate: Candidate, offer: &Offer) {
        self.queue.push_front(candidate);
        self.named += 1;
        self.offered.remove(&offer.id);
    }

    /// Whether this was not offered before; remembers it.
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

#[cfg(test)]
mod tests {
    use ssh_key::PrivateKey;

    use super::*;

    #[test]
    fn algorithms_are_accepted_as_ssh_config_says() {
        let accepts = |list: &[&str], name| {
            let list: Vec<String> = list.iter().map(|&name| name.to_owned()).collect();
            super::accepts(&list, name)
        };
        assert!(accepts(&[], "ssh-ed25519") && !accepts(&[], "ssh-rsa"));
        assert!(accepts(&["ssh-rsa"], "ssh-rsa") && !accepts(&["ssh-rsa"], "ssh-ed25519"));
        for sign in ["+ssh-rsa", "^ssh-rsa"] {
            assert!(accepts(&[sign], "ssh-rsa") && accepts(&[sign], "rsa-sha2-512"));
        }
        let less: &[&str] = &["-rsa-sha2-512", "ssh-ed25519"];
        assert!(accepts(less, "rsa-sha2-256") && !accepts(less, "rsa-sha2-512") && !accepts(less, "ssh-ed25519"));
    }

    #[test]
    fn rsa_keys_sign_with_the_best_hash_of_both_sides() {
        let random = PrivateKey::from(ssh_key::private::RsaKeypair::random(&mut rand::rng(), 1024).expect("a key"));
        let offer = Offer::try_from(PublicSide::Key(random.public_key().clone())).unwrap();
        let hash = |announced, list: &[&str]| {
            let list: Vec<String> = list.iter().map(|&name| name.to_owned()).collect();
            offer.hash(announced, &list)
        };
        let (sha256, sha512) = (Some(HashAlg::Sha256), Some(HashAlg::Sha512));
        assert_eq!(hash(None, &[]), Ok(sha512));
        assert_eq!(hash(Some(sha256), &[]), Ok(sha256));
        assert_eq!(hash(Some(sha512), &["rsa-sha2-256"]), Ok(sha256));
        assert!(hash(Some(None), &[]).unwrap_err().contains("SHA-1 only"));
        assert_eq!(hash(Some(None), &["+ssh-rsa"]), Ok(None));
        assert_eq!(hash(Some(sha512), &["ssh-rsa"]), Ok(None));
        assert!(hash(Some(sha512), &["ssh-ed25519"]).is_err());
    }
}
