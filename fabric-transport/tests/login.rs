//! Logins and host keys with a real sshd.

mod common;

use std::collections::VecDeque;
use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use common::{Agent, Events, Sshd, SshdExt, debug_sshd, keygen, open, refused, run, sshd};
use fabric_core::error::TimeLimit;
use fabric_core::target::{HostKeyCheck, Identity};
use fabric_core::{
    ConnectErrorKind, Emitter, EventKind, Phase, PromptError, PromptKind, PromptRequest, Prompter, Secret, Target,
};
use fabric_transport::connector::Connector;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

/// Answers from a list, and records the questions.
#[derive(Default)]
struct Person {
    answers: Mutex<VecDeque<&'static str>>,
    questions: Mutex<Vec<PromptRequest>>,
}

impl Person {
    fn with(answers: &[&'static str]) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.iter().copied().collect()), questions: Mutex::default() })
    }

    fn asked(&self) -> Vec<String> {
        self.questions.lock().unwrap().iter().map(|question| question.message.clone()).collect()
    }

    fn kinds(&self) -> Vec<PromptKind> {
        self.questions.lock().unwrap().iter().map(|question| question.kind.clone()).collect()
    }
}

#[async_trait]
impl Prompter for Person {
    async fn ask(&self, request: PromptRequest) -> Result<Secret, PromptError> {
        let (message, host) = (request.message.clone(), request.host.clone());
        self.questions.lock().unwrap().push(request);
        // Another host's question may come in between.
        tokio::task::yield_now().await;
        let answer = self.answers.lock().unwrap().pop_front();
        answer.map(Secret::from).ok_or(PromptError::NoTerminal { message, host })
    }
}

fn explicit(path: impl Into<PathBuf>) -> Identity {
    Identity::new(path)
}

fn default(path: impl Into<PathBuf>) -> Identity {
    Identity::new(path).explicit(false)
}

fn tried(kind: &ConnectErrorKind) -> &[String] {
    match kind {
        ConnectErrorKind::AuthFailed { tried, .. } => tried,
        other => panic!("{other}"),
    }
}

/// The lines of sshd's log about offered keys and methods.
fn attempts(sshd: &Sshd) -> Vec<String> {
    let log = sshd.settled_log();
    log.lines().filter(|line| line.contains("userauth-request for user")).map(str::to_owned).collect()
}

#[tokio::test]
async fn keys_of_every_kind_and_format() {
    let dir = tempfile::tempdir().unwrap();
    let kinds: &[(&str, &[&str])] = &[
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("rsa_pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("rsa_pkcs8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
        ("ecdsa256", &["-t", "ecdsa", "-b", "256"]),
        ("ecdsa384", &["-t", "ecdsa", "-b", "384"]),
        ("ecdsa521", &["-t", "ecdsa", "-b", "521"]),
        ("ecdsa_pem", &["-t", "ecdsa", "-b", "256", "-m", "PEM"]),
        ("ecdsa_pkcs8", &["-t", "ecdsa", "-b", "256", "-m", "PKCS8"]),
        ("ed25519", &["-t", "ed25519"]),
    ];
    // Extracts the algorithm of a signature.
    let mut setup = debug_sshd().log_level("DEBUG2");
    for (name, arguments) in kinds {
        let path = dir.path().join(name);
        keygen(&path, arguments);
        setup = setup.authorize(fs::read_to_string(path.with_extension("pub")).unwrap());
    }
    let sshd = setup.start();
    for (name, _) in kinds {
        let path = dir.path().join(name);
        // The public half must be derived from the private one alone.
        fs::remove_file(path.with_extension("pub")).unwrap();
        let mut target = sshd.target_without_auth();
        target.auth.identities = vec![explicit(&path)];
        let session = open(&target).await;
        assert_eq!(run(&*session, "echo in").await.text(), "in\n", "{name}");
        // The same as a text.
        let mut target = sshd.target_without_auth();
        target.auth.key = Some(Secret::new(fs::read_to_string(path).unwrap()));
        open(&target).await;
    }
    let log = sshd.settled_log();
    assert!(!log.contains("ssh-rsa SHA1"), "{log}");
    assert_eq!(log.matches("authenticated 1 pkalg rsa-sha2-512").count(), 6, "three keys, twice each: {log}");
}

#[tokio::test]
async fn a_passphrase_is_asked_for_once_and_only_where_the_key_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let formats: &[(&str, &[&str])] = &[
        ("openssh", &["-t", "ed25519", "-N", "open sesame"]),
        ("pem", &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "open sesame"]),
        ("pkcs8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", "open sesame"]),
    ];
    for (name, arguments) in formats {
        let path = dir.path().join(name);
        keygen(&path, arguments);
        let public = fs::read_to_string(path.with_extension("pub")).unwrap();
        let sshd = sshd().authorize(public).start();
        let mut target = sshd.target_without_auth();
        target.auth.identities = vec![explicit(&path)];
        let person = Person::with(&["wrong", "open sesame"]);
        let connector = Connector::new().prompter(person.clone());
        let nobody = Emitter::none();
        let hosts = (0..5).map(|_| connector.open(&target, &nobody));
        for result in futures_util::future::join_all(hosts).await {
            result.unwrap();
        }
        let key = path.display().to_string();
        assert_eq!(person.kinds(), vec![PromptKind::Passphrase { key: key.clone() }; 2], "{name}");
        assert_eq!(
            person.asked(),
            [format!("Passphrase for key {key}"), format!("Wrong passphrase, try again for key {key}")]
        );

        // From the settings.
        target.auth.passphrase = Some(Secret::from("open sesame"));
        open(&target).await;
        // A server that doesn't accept the key: nobody is asked.
        let other = common::sshd().start();
        let mut target = other.target_without_auth();
        target.auth.identities = vec![explicit(&path)];
        let person = Person::with(&["open sesame"]);
        let error = Connector::new().prompter(person.clone()).open(&target, &Emitter::none()).await.err().unwrap();
        assert_eq!(tried(&error.kind), [format!("key {} (refused)", path.display())]);
        assert!(person.kinds().is_empty());
    }
}

#[tokio::test]
async fn a_wrong_passphrase_is_called_wrong() {
    let dir = tempfile::tempdir().unwrap();
    for (name, arguments) in [
        ("openssh", &["-t", "ed25519"][..]),
        ("pem", &["-t", "rsa", "-m", "PEM"]),
        ("pkcs8", &["-t", "ecdsa", "-m", "PKCS8"]),
    ] {
        let path = dir.path().join(name);
        keygen(&path, &[arguments, &["-N", "open sesame"]].concat());
        let sshd = sshd().authorize(fs::read_to_string(path.with_extension("pub")).unwrap()).start();
        let mut target = sshd.target_without_auth();
        target.auth.identities = vec![explicit(&path)];
        let fails = async |target: &Target, answers: &[&'static str]| {
            let person = Person::with(answers);
            let connector = Connector::new().prompter(person.clone());
            let error = connector.open(target, &Emitter::none()).await.err().unwrap();
            (tried(&error.kind)[0].clone(), person.asked().len())
        };
        let key = path.display();
        let said = fails(&target, &["one", "two", "three", "four"]).await;
        assert_eq!(said, (format!("key {key} (wrong passphrase, 3 times)"), 3));
        assert_eq!(fails(&target, &["one", ""]).await, (format!("key {key} (wrong passphrase)"), 2));
        assert_eq!(fails(&target, &[""]).await, (format!("key {key} (no passphrase was given)"), 1));
        // The error is the wrong passphrase, not a missing user.
        target.auth.passphrase = Some(Secret::from("wrong"));
        assert_eq!(fails(&target, &[]).await, (format!("key {key} (wrong passphrase)"), 1));
        target.auth.passphrase = None;
        let (said, _) = fails(&target, &[]).await;
        assert!(said.contains("no terminal"), "{said}");
    }
}

#[tokio::test]
async fn an_agent_signs_and_its_matching_keys_come_first() {
    let sshd = sshd().start();
    let dir = tempfile::tempdir().unwrap();
    let others: Vec<PathBuf> = (0..8).map(|n| dir.path().join(format!("other{n}"))).collect();
    for other in &others {
        keygen(other, &["-t", "ed25519"]);
    }
    // The right one is the last of nine, more than the server's six tries.
    let mut keys: Vec<&std::path::Path> = others.iter().map(PathBuf::as_path).collect();
    let key = sshd.key();
    keys.push(&key);
    let agent = Agent::start(dir.path(), &keys);
    let mut target = sshd.target_without_auth();
    target.auth.agent = Some(agent.socket.clone());

    let error = refused(&target).await;
    assert!(tried(&error.kind).len() >= 5, "{error}");
    assert!(tried(&error.kind)[0].starts_with("agent key ssh-ed25519 SHA256:"), "{error}");

    // Only the public half is there.
    let public = dir.path().join("id.pub");
    fs::copy(sshd.path("client_key.pub"), &public).unwrap();
    for path in [public, dir.path().join("id")] {
        target.auth.identities = vec![explicit(path)];
        open(&target).await;
    }

    // Only what is named is offered.
    target.auth.identities = vec![explicit(&others[0])];
    target.auth.identities_only = true;
    let error = refused(&target).await;
    assert_eq!(tried(&error.kind).len(), 1, "{error}");

    // An agent that is gone is reported and has no other effect.
    let mut target = sshd.target();
    target.auth.agent = Some(dir.path().join("no.sock"));
    open(&target).await;
    target.auth.identities = vec![explicit(&others[0])];
    let error = refused(&target).await;
    assert!(error.to_string().contains("no.sock"), "{error}");
}

/// Answers when the test allows it.
#[derive(Default)]
struct Slow {
    asked: Notify,
    answers: Notify,
}

#[async_trait]
impl Prompter for Slow {
    async fn ask(&self, _request: PromptRequest) -> Result<Secret, PromptError> {
        self.asked.notify_one();
        self.answers.notified().await;
        Ok(Secret::from("open sesame"))
    }
}

#[tokio::test]
async fn a_host_that_wants_another_key_does_not_wait_for_a_passphrase() {
    let dir = tempfile::tempdir().unwrap();
    let locked = dir.path().join("locked");
    keygen(&locked, &["-t", "ed25519", "-N", "open sesame"]);
    let public = fs::read_to_string(locked.with_extension("pub")).unwrap();
    let (wants_locked, wants_open) = (sshd().authorize(public).start(), sshd().start());

    let person = Arc::new(Slow::default());
    let connector = Connector::new().prompter(person.clone());
    let mut waits = wants_locked.target_without_auth();
    waits.auth.identities = vec![explicit(&locked)];
    let mut goes_on = wants_open.target();
    goes_on.auth.identities.insert(0, explicit(&locked));
    let nobody = Emitter::none();
    let other = async {
        person.asked.notified().await;
        connector.open(&goes_on, &nobody).await.unwrap();
        person.answers.notify_one();
    };
    let (opened, ()) = tokio::join!(connector.open(&waits, &nobody), other);
    opened.unwrap();
}

#[tokio::test]
async fn keys_of_algorithms_that_are_not_accepted_are_not_offered() {
    let sshd = debug_sshd().start();
    let dir = tempfile::tempdir().unwrap();
    let rsa = dir.path().join("rsa");
    keygen(&rsa, &["-t", "rsa", "-b", "2048"]);
    let mut target = sshd.target();
    target.auth.identities.insert(0, explicit(&rsa));
    target.auth.key_algorithms = vec!["ssh-ed25519".to_owned()];
    open(&target).await;
    // The key that was offered is the one that signs.
    assert_eq!(attempts(&sshd).len(), 2, "{:?}", attempts(&sshd));
    target.auth.key_algorithms = vec!["ecdsa-sha2-nistp256".to_owned()];
    let error = refused(&target).await;
    let reasons = &tried(&error.kind)[..2];
    assert!(reasons.iter().all(|it| it.ends_with("(not in PubkeyAcceptedAlgorithms)")), "{error}");
}

#[tokio::test]
async fn a_key_is_offered_once_only() {
    let sshd = debug_sshd().start();
    let dir = tempfile::tempdir().unwrap();
    let wrong = dir.path().join("wrong");
    keygen(&wrong, &["-t", "ed25519"]);
    let copy = dir.path().join("copy");
    fs::copy(&wrong, &copy).unwrap();
    let agent = Agent::start(dir.path(), &[&wrong]);
    let mut target = sshd.target_without_auth();
    target.auth.agent = Some(agent.socket.clone());
    target.auth.identities = vec![explicit(&wrong), explicit(&copy), default(dir.path().join("missing"))];
    target.auth.key = Some(Secret::new(fs::read_to_string(&wrong).unwrap()));
    let error = refused(&target).await;
    let ConnectErrorKind::AuthFailed { user, tried, offered } = &error.kind else { panic!("{error}") };
    assert_eq!(*user, common::current_user());
    assert_eq!(tried.len(), 1, "{tried:?}");
    assert_eq!(offered, &["publickey"]);
    assert_eq!((error.phase, error.host.as_str()), (Phase::Auth, target.host_string.as_str()));
    assert_eq!(attempts(&sshd).len(), 1, "no probe without a key: {:?}", attempts(&sshd));
}

#[tokio::test]
async fn certificates_are_offered_with_their_keys() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    keygen(&at("ca"), &["-t", "ed25519"]);
    keygen(&at("id"), &["-t", "ed25519"]);
    let signed = std::process::Command::new("ssh-keygen")
        .args(["-q", "-I", "test", "-n", &common::current_user(), "-s"])
        .arg(at("ca"))
        .arg(at("id.pub"))
        .status();
    assert!(signed.unwrap().success());
    let sshd = sshd().config(format!("TrustedUserCAKeys {}", at("ca.pub").display())).start();
    let mut target = sshd.target_without_auth();
    // Beside its key.
    target.auth.identities = vec![explicit(at("id"))];
    open(&target).await;
    // By the agent, which got it with the key.
    let agent = Agent::start(dir.path(), &[&at("id")]);
    target.auth.identities = Vec::new();
    target.auth.agent = Some(agent.socket.clone());
    open(&target).await;
    // Named separately, with the key elsewhere.
    fs::rename(at("id-cert.pub"), at("elsewhere")).unwrap();
    target.auth.agent = None;
    target.auth.identities = vec![explicit(at("id"))];
    refused(&target).await;
    target.auth.certificates = vec![at("elsewhere")];
    open(&target).await;
}

#[tokio::test]
async fn a_key_file_that_is_missing_or_no_key_is_named() {
    let sshd = sshd().start();
    let mut target = sshd.target();
    let junk = sshd.path("junk");
    fs::write(&junk, "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n").unwrap();
    for (path, word) in [(sshd.path("missing"), "no such file"), (junk, "private key")] {
        target.auth.identities = vec![explicit(&path)];
        let error = refused(&target).await;
        let ConnectErrorKind::Key { file, reason } = &error.kind else { panic!("{error}") };
        assert_eq!(file, &path.display().to_string());
        assert!(reason.contains(word), "{reason}");
    }
}

#[tokio::test]
async fn without_anything_to_try_the_server_is_asked_what_it_takes() {
    let sshd = sshd().start();
    let error = refused(&sshd.target_without_auth()).await;
    let ConnectErrorKind::AuthFailed { tried, offered, .. } = &error.kind else { panic!("{error}") };
    assert!(tried.is_empty(), "{tried:?}");
    assert_eq!(offered, &["publickey"]);
}

#[tokio::test]
async fn a_host_key_is_refused_accepted_or_asked_about() {
    let sshd = sshd().start();
    let with = |check| {
        let mut target = sshd.target();
        target.host_keys.check = check;
        target
    };
    let error = refused(&with(HostKeyCheck::Strict)).await;
    assert!(matches!(error.kind, ConnectErrorKind::HostKeyUnknown { .. }), "{error}");
    let open = async |check, person: Arc<Person>| {
        let (emitter, events) = Events::new();
        let result = Connector::new().prompter(person).open(&with(check), &emitter).await;
        (result, events.take())
    };
    let no = Person::with(&["no"]);
    let (result, _) = open(HostKeyCheck::Ask, no.clone()).await;
    assert!(matches!(result.err().unwrap().kind, ConnectErrorKind::HostKeyUnknown { .. }));
    assert!(matches!(no.kinds()[..], [PromptKind::HostKey { .. }]));
    let (result, _) = open(HostKeyCheck::Ask, Person::with(&[])).await;
    assert!(matches!(result.err().unwrap().kind, ConnectErrorKind::Prompt(_)));
    assert!(attempts(&sshd).is_empty(), "nothing may be sent before the key is trusted");
    assert!(!sshd.recorded().exists());

    let (result, events) = open(HostKeyCheck::Off, Person::with(&[])).await;
    result.unwrap();
    assert!(!events.iter().any(|event| matches!(event, EventKind::HostKeyRecorded { .. })));
    let (result, events) = open(HostKeyCheck::Ask, Person::with(&["yes"])).await;
    result.unwrap();
    assert!(events.iter().any(|event| matches!(event, EventKind::HostKeyRecorded { .. })));
    let (result, _) = open(HostKeyCheck::Strict, Person::with(&[])).await;
    result.unwrap();
}

#[tokio::test]
async fn the_key_that_is_known_is_the_one_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let rsa = dir.path().join("host_rsa");
    keygen(&rsa, &["-t", "rsa", "-b", "2048"]);
    let sshd = sshd().config(format!("HostKey {}", rsa.display())).start();
    let public = fs::read_to_string(dir.path().join("host_rsa.pub")).unwrap();
    fs::write(sshd.recorded(), format!("[127.0.0.1]:{} {public}", sshd.port())).unwrap();
    let mut target = sshd.target();
    target.host_keys.check = HostKeyCheck::Strict;
    open(&target).await;
}

/// A listener on loopback that passes its connections to `serve`.
async fn server<F: Future<Output = ()> + Send>(
    serve: impl Fn(tokio::net::TcpStream) -> F + Send + Sync + 'static,
) -> Target {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            serve(socket).await;
        }
    });
    Target::new(format!("u@127.0.0.1:{port}").parse().unwrap())
}

#[tokio::test]
async fn each_phase_has_its_limit_and_its_name() {
    let short = Some(Duration::from_millis(200));
    // Sends nothing.
    let mut target = server(async |_socket| std::future::pending().await).await;
    target.timeouts.banner = short;
    let error = refused(&target).await;
    assert!(
        matches!(error.kind, ConnectErrorKind::TimedOut { phase: Phase::Banner, setting: TimeLimit::Banner, .. }),
        "{error}"
    );
    // Sends its version and nothing more.
    let mut target = server(async |mut socket: tokio::net::TcpStream| {
        socket.write_all(b"SSH-2.0-silent\r\n").await.unwrap();
        let _ = socket.read_to_end(&mut Vec::new()).await;
    })
    .await;
    target.timeouts.banner = short;
    let error = refused(&target).await;
    assert!(matches!(error.kind, ConnectErrorKind::TimedOut { phase: Phase::KeyExchange, .. }), "{error}");
    // Sends something else, endlessly.
    let target = server(
        async |mut socket: tokio::net::TcpStream| {
            while socket.write_all(b"HTTP/1.1 400 Bad Request\r\n").await.is_ok() {}
        },
    )
    .await;
    let error = refused(&target).await;
    assert!(matches!(error.kind, ConnectErrorKind::Handshake { .. }), "{error}");
    assert!(error.to_string().contains("HTTP/1.1 400"), "{error}");
}

#[tokio::test]
async fn what_does_not_answer_is_told_apart() {
    // A port that was free before.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = refused(&Target::new(format!("127.0.0.1:{port}").parse().unwrap())).await;
    assert!(matches!(error.kind, ConnectErrorKind::Refused { .. }), "{error}");
    // 255.255.255.255 is unreachable and never leaves the machine.
    let error = refused(&Target::new("255.255.255.255".parse().unwrap())).await;
    assert!(matches!(error.kind, ConnectErrorKind::Unreachable { .. }), "{error}");
    let error = refused(&Target::new("no-such-host.invalid".parse().unwrap())).await;
    assert!(matches!(error.kind, ConnectErrorKind::NameNotFound { .. }), "{error}");
    assert_eq!(error.phase, Phase::Lookup);
    // Closes at once, every time.
    let target = server(async |socket| drop(socket)).await;
    let error = refused(&target).await;
    assert!(matches!(error.kind, ConnectErrorKind::Dropped { phase: Phase::Banner, .. }), "{error}");
}

#[tokio::test]
async fn the_address_family_and_the_bind_address_are_kept() {
    let sshd = sshd().start();
    let mut target = sshd.target();
    target.host = "localhost".to_owned();
    target.address_family = fabric_core::target::AddressFamily::Inet;
    target.bind_address = Some("127.0.0.77".to_owned());
    let session = open(&target).await;
    assert!(run(&*session, "echo $SSH_CONNECTION").await.text().starts_with("127.0.0.77 "));
    target.address_family = fabric_core::target::AddressFamily::Inet6;
    refused(&target).await;
    // sshd listens on one of the name's possible addresses.
    target.address_family = fabric_core::target::AddressFamily::Any;
    target.bind_address = None;
    open(&target).await;
}

#[tokio::test]
async fn a_failed_try_is_repeated_as_often_as_wanted() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut target = Target::new(format!("127.0.0.1:{port}").parse().unwrap());
    target.timeouts.attempts = NonZeroU32::new(2).unwrap();
    let (emitter, events) = Events::new();
    Connector::new().open(&target, &emitter).await.err().unwrap();
    let retries = events.take().iter().filter(|event| matches!(event, EventKind::Retrying { .. })).count();
    assert_eq!(retries, 1);
}

#[tokio::test]
async fn a_host_certificate_is_trusted_through_its_authority() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    keygen(&at("ca"), &["-t", "ed25519"]);
    keygen(&at("host"), &["-t", "ed25519"]);
    let sign = |principal: &str| {
        let mut command = std::process::Command::new("ssh-keygen");
        command.args(["-q", "-h", "-I", "host", "-n", principal, "-s"]).arg(at("ca")).arg(at("host.pub"));
        assert!(command.status().unwrap().success());
    };
    for (principal, good) in [("127.0.0.1", true), ("elsewhere", false)] {
        sign(principal);
        let sshd = sshd()
            .config(format!("HostKey {}", at("host").display()))
            .config(format!("HostCertificate {}", at("host-cert.pub").display()))
            .start();
        let ca = fs::read_to_string(at("ca.pub")).unwrap();
        fs::write(sshd.recorded(), format!("@cert-authority [127.0.0.1]:* {ca}")).unwrap();
        let mut target = sshd.target();
        target.host_keys.check = HostKeyCheck::Strict;
        if good {
            open(&target).await;
        } else {
            let error = refused(&target).await;
            assert!(matches!(error.kind, ConnectErrorKind::HostKeyRefused { .. }), "{error}");
            assert!(attempts(&sshd).is_empty());
        }
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_whatever_the_policy() {
    let sshd = sshd().start();
    let public = fs::read_to_string(sshd.path("host_key.pub")).unwrap();
    fs::write(sshd.recorded(), format!("@revoked * {public}[127.0.0.1]:{} {public}", sshd.port())).unwrap();
    for check in [HostKeyCheck::AcceptNew, HostKeyCheck::Off] {
        let mut target = sshd.target();
        target.host_keys.check = check;
        let error = refused(&target).await;
        assert!(matches!(error.kind, ConnectErrorKind::HostKeyRefused { .. }), "{error}");
    }
    assert!(attempts(&sshd).is_empty());
}

#[tokio::test]
async fn a_key_that_cannot_be_opened_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let locked = dir.path().join("locked");
    keygen(&locked, &["-t", "ed25519", "-N", "secret"]);
    let sshd = sshd().authorize(fs::read_to_string(dir.path().join("locked.pub")).unwrap()).start();
    let mut target = sshd.target_without_auth();
    target.auth.identities = vec![explicit(&locked), explicit(sshd.key())];
    open(&target).await;
    target.auth.identities.pop();
    let error = refused(&target).await;
    assert!(tried(&error.kind)[0].contains("no terminal"), "{error}");
}
