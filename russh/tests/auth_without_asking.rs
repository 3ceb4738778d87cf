//! A [`Signer`] that says so signs without asking the server first.
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::client::AuthResult;
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::{Certificate, HashAlg, PrivateKey, PublicKey, PublicKeyOrCertificate, ssh_key};
use russh::server::Auth;
use russh::{SendError, Signer, client, server};

struct AcceptServerKey;

impl client::Handler for AcceptServerKey {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        _server_public_key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// Takes one key, its certificates and one password, and keeps what it was asked.
#[derive(Clone)]
struct Server {
    takes: PublicKey,
    seen: Arc<Mutex<Vec<&'static str>>>,
}

impl Server {
    fn answer(&self, what: &'static str, takes: bool) -> Auth {
        self.seen.lock().unwrap().push(what);
        if takes { Auth::Accept } else { Auth::reject() }
    }
}

impl server::Handler for Server {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        offer: server::PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        let takes = offer.public_key.key_data() == self.takes.key_data();
        Ok(self.answer("key", takes))
    }

    async fn auth_publickey(
        &mut self,
        _user: &str,
        _key: server::VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn auth_openssh_certificate(
        &mut self,
        _user: &str,
        certificate: &Certificate,
    ) -> Result<Auth, Self::Error> {
        let takes = certificate.public_key() == self.takes.key_data();
        Ok(self.answer("certificate", takes))
    }

    async fn auth_password(&mut self, _user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(self.answer("password", password == "right"))
    }
}

#[derive(Debug)]
struct NoSignature;

impl From<SendError> for NoSignature {
    fn from(_: SendError) -> Self {
        Self
    }
}

/// Signs with a key, or not at all, and counts.
struct Counting {
    key: Option<PrivateKey>,
    asks_first: bool,
    asked: usize,
}

impl Counting {
    fn at_once(key: Option<&PrivateKey>) -> Self {
        Self {
            key: key.cloned(),
            asks_first: false,
            asked: 0,
        }
    }
}

impl Signer for Counting {
    type Error = NoSignature;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        _hash_alg: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        self.asked += 1;
        let key = self.key.as_ref().ok_or(NoSignature)?;
        let signature = signature::Signer::try_sign(key, &to_sign).unwrap();
        signature.encode_prefixed(&mut to_sign).unwrap();
        Ok(to_sign)
    }

    fn asks_first(&self) -> bool {
        self.asks_first
    }
}

fn random_key() -> PrivateKey {
    PrivateKey::random(&mut rand::rng(), ssh_key::Algorithm::Ed25519).unwrap()
}

fn certificate(key: &PrivateKey) -> Certificate {
    let public = key.public_key().clone();
    let mut builder =
        Builder::new_with_random_nonce(&mut rand::rng(), public, 0, u64::MAX).unwrap();
    builder.cert_type(CertType::User).unwrap();
    builder.valid_principal("alice").unwrap();
    builder.sign(&random_key()).unwrap()
}

async fn connect(server: Server) -> client::Handle<AcceptServerKey> {
    let config = server::Config {
        auth_rejection_time: Duration::from_millis(1),
        auth_rejection_time_initial: Some(Duration::from_millis(1)),
        keys: vec![random_key()],
        ..server::Config::default()
    };

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        server::run_stream(Arc::new(config), socket, server)
            .await
            .unwrap()
            .await
    });

    client::connect(Arc::new(client::Config::default()), addr, AcceptServerKey)
        .await
        .unwrap()
}

fn server_for(key: &PrivateKey) -> Server {
    Server {
        takes: key.public_key().clone(),
        seen: Arc::default(),
    }
}

async fn with_key(
    session: &mut client::Handle<AcceptServerKey>,
    key: &PrivateKey,
    signs: bool,
) -> Result<AuthResult, NoSignature> {
    let mut signer = Counting::at_once(signs.then_some(key));
    let public = key.public_key().clone();
    let result = session
        .authenticate_publickey_with("alice", public, None, &mut signer)
        .await;
    // Also where the server would have said that it doesn't take the key.
    assert_eq!(signer.asked, 1);
    result
}

#[tokio::test]
async fn a_key_and_a_certificate_are_sent_signed() {
    let key = random_key();
    let server = server_for(&key);

    let mut session = connect(server.clone()).await;
    assert!(with_key(&mut session, &key, true).await.unwrap().success());

    let mut session = connect(server.clone()).await;
    for (with, takes) in [(&random_key(), false), (&key, true)] {
        let mut signer = Counting::at_once(Some(with));
        let result = session
            .authenticate_certificate_with("alice", certificate(with), None, &mut signer)
            .await
            .unwrap();
        assert_eq!((result.success(), signer.asked), (takes, 1));
    }

    let seen = ["key", "key", "key", "certificate"];
    assert_eq!(*server.seen.lock().unwrap(), seen);
}

#[tokio::test]
async fn who_asks_first_signs_what_the_server_takes() {
    let key = random_key();
    let mut session = connect(server_for(&key)).await;
    for (with, signatures) in [(&random_key(), 0), (&key, 1)] {
        let mut signer = Counting::at_once(Some(with));
        signer.asks_first = true;
        let public = with.public_key().clone();
        let result = session
            .authenticate_publickey_with("alice", public, None, &mut signer)
            .await
            .unwrap();
        assert_eq!(
            (result.success(), signer.asked),
            (signatures == 1, signatures)
        );
    }
}

#[tokio::test]
async fn what_comes_after_a_refusal_or_no_signature_goes_through() {
    let key = random_key();
    let server = server_for(&key);
    let mut session = connect(server.clone()).await;

    // Nothing has been sent yet, not even the request for the service.
    with_key(&mut session, &key, false).await.unwrap_err();

    let refused = with_key(&mut session, &random_key(), true).await.unwrap();
    assert!(matches!(refused, AuthResult::Failure { .. }));

    with_key(&mut session, &key, false).await.unwrap_err();

    let refused = session.authenticate_password("alice", "wrong").await;
    assert!(matches!(refused, Ok(AuthResult::Failure { .. })));

    assert!(with_key(&mut session, &key, true).await.unwrap().success());
    assert_eq!(*server.seen.lock().unwrap(), ["key", "password", "key"]);
}
