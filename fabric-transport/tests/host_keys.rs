//! Host keys of a real sshd, with every policy.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use async_trait::async_trait;
use common::{Events, Sshd, SshdExt, debug_sshd, keygen};
use fabric_core::target::HostKeyCheck;
use fabric_core::{ConnectErrorKind, EventKind, PromptError, PromptKind, PromptRequest, Prompter, Secret, Target};
use fabric_transport::connector::Connector;
use tempfile::TempDir;

/// Connects, and returns the error or whether a key was recorded.
async fn connect(target: &Target) -> Result<bool, ConnectErrorKind> {
    connect_with(Connector::new(), target).await
}

async fn connect_with(connector: Connector, target: &Target) -> Result<bool, ConnectErrorKind> {
    let (emitter, events) = Events::new();
    connector.open(target, &emitter).await.map_err(|error| error.kind)?;
    Ok(events.take().iter().any(|event| matches!(event, EventKind::HostKeyRecorded { .. })))
}

fn with_check(sshd: &Sshd, check: HostKeyCheck) -> Target {
    let mut target = sshd.target();
    target.host_keys.check = check;
    target
}

fn public(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// Whether sshd got no login request in its first `connections`, all of which have ended.
async fn no_login_was_tried(sshd: &Sshd, connections: usize) -> bool {
    sshd.logged(|log| log.matches("Connection closed by 127.0.0.1").count() >= connections).await;
    !sshd.log().contains("userauth-request")
}

#[tokio::test]
async fn an_unknown_key_is_refused_asked_about_recorded_or_taken() {
    struct Answer(&'static str);
    #[async_trait]
    impl Prompter for Answer {
        async fn ask(&self, request: PromptRequest) -> Result<Secret, PromptError> {
            assert!(matches!(request.kind, PromptKind::HostKey { .. }), "{request:?}");
            assert!(request.message.contains("SHA256:"), "{request:?}");
            Ok(Secret::from(self.0.to_owned()))
        }
    }
    let sshd = debug_sshd().start();
    let strict = with_check(&sshd, HostKeyCheck::Strict);
    let error = connect(&strict).await.unwrap_err();
    assert!(matches!(&error, ConnectErrorKind::HostKeyUnknown { .. }), "{error}");

    let ask = with_check(&sshd, HostKeyCheck::Ask);
    let error = connect_with(Connector::new().prompter(Answer("no")), &ask).await.unwrap_err();
    assert!(matches!(&error, ConnectErrorKind::HostKeyUnknown { .. }), "{error}");
    connect(&ask).await.unwrap_err();
    assert!(no_login_was_tried(&sshd, 3).await && !sshd.recorded().exists());

    assert!(!connect(&with_check(&sshd, HostKeyCheck::Off)).await.unwrap());
    assert!(!sshd.recorded().exists(), "a key that is merely taken is not recorded");

    assert!(connect_with(Connector::new().prompter(Answer("yes")), &ask).await.unwrap());
    let expected = format!("[127.0.0.1]:{} {}\n", sshd.port(), public(&sshd.path("host_key.pub")));
    assert_eq!(fs::read_to_string(sshd.recorded()).unwrap(), expected);
    assert!(!connect(&strict).await.unwrap());
    assert!(!connect(&with_check(&sshd, HostKeyCheck::AcceptNew)).await.unwrap());
}

#[tokio::test]
async fn without_a_file_to_record_in_new_keys_are_accepted_only_where_that_is_said() {
    let sshd = debug_sshd().start();
    let mut target = with_check(&sshd, HostKeyCheck::default());
    target.host_keys.user_files.clear();
    let error = connect(&target).await.unwrap_err();
    assert!(matches!(&error, ConnectErrorKind::HostKeyUnknown { no_file: true, .. }), "{error}");
    assert!(error.to_string().contains("HostKeyPolicy::user_files"), "{error}");
    assert!(no_login_was_tried(&sshd, 1).await);

    // A known key needs no user file.
    let system = sshd.path("system_known_hosts");
    let line = format!("[127.0.0.1]:{} {}\n", sshd.port(), public(&sshd.path("host_key.pub")));
    fs::write(&system, line).unwrap();
    target.host_keys.system_files = vec![system];
    assert!(!connect(&target).await.unwrap());

    target.host_keys.system_files.clear();
    target.host_keys.check = HostKeyCheck::AcceptNew;
    assert!(!connect(&target).await.unwrap());

    target.host_keys.check = HostKeyCheck::default();
    target.host_keys.user_files = vec![sshd.path("new/directory/known_hosts")];
    assert!(connect(&target).await.unwrap(), "the file is made");
    assert!(sshd.path("new/directory/known_hosts").exists());
}

#[tokio::test]
async fn names_are_recorded_hashed_or_under_an_alias() {
    let sshd = debug_sshd().start();
    let mut target = with_check(&sshd, HostKeyCheck::AcceptNew);
    target.host_keys.hash_names = true;
    assert!(connect(&target).await.unwrap());
    let written = fs::read_to_string(sshd.recorded()).unwrap();
    assert!(written.starts_with("|1|") && written.lines().count() == 1, "{written}");
    assert!(!connect(&with_check(&sshd, HostKeyCheck::Strict)).await.unwrap());

    target.host_keys.alias = Some("Fleet".into());
    target.host_keys.hash_names = false;
    assert!(connect(&target).await.unwrap());
    assert!(fs::read_to_string(sshd.recorded()).unwrap().lines().nth(1).unwrap().starts_with("fleet ssh-ed25519 "));
}

#[tokio::test]
async fn a_revoked_key_is_refused_even_where_none_is_checked() {
    let sshd = debug_sshd().start();
    let key = public(&sshd.path("host_key.pub"));
    let system = sshd.path("system_known_hosts");
    fs::write(&system, format!("# burnt\n@revoked * {key}\n")).unwrap();
    fs::write(sshd.recorded(), format!("127.0.0.1 {key}\n")).unwrap();
    for check in [HostKeyCheck::AcceptNew, HostKeyCheck::Strict, HostKeyCheck::Off] {
        let mut target = with_check(&sshd, check);
        target.host_keys.system_files = vec![system.clone()];
        let error = connect(&target).await.unwrap_err();
        let ConnectErrorKind::HostKeyRefused { reason } = &error else { panic!("{check:?}: {error}") };
        assert_eq!(*reason, format!("it is revoked by {}:2", system.display()));
    }
    assert!(no_login_was_tried(&sshd, 3).await);
}

#[tokio::test]
async fn a_changed_key_is_let_by_only_where_none_is_checked() {
    let sshd = debug_sshd().start();
    keygen(&sshd.path("other"), &["-t", "ecdsa"]);
    let line = format!("[127.0.0.1]:{} {}\n", sshd.port(), public(&sshd.path("other.pub")));
    fs::write(sshd.recorded(), &line).unwrap();
    for check in [HostKeyCheck::AcceptNew, HostKeyCheck::Strict, HostKeyCheck::Ask] {
        let error = connect(&with_check(&sshd, check)).await.unwrap_err();
        assert!(matches!(error, ConnectErrorKind::HostKeyChanged { line: 1, .. }), "{error}");
    }
    assert!(no_login_was_tried(&sshd, 3).await);
    for check in [HostKeyCheck::Off, HostKeyCheck::Lax] {
        connect(&with_check(&sshd, check)).await.unwrap();
    }
    assert_eq!(fs::read_to_string(sshd.recorded()).unwrap(), line);

    fs::remove_file(sshd.recorded()).unwrap();
    assert!(connect(&with_check(&sshd, HostKeyCheck::Lax)).await.unwrap(), "an unknown key is recorded");
}

#[tokio::test]
async fn an_unreadable_file_fails_closed() {
    let sshd = debug_sshd().start();
    fs::create_dir(sshd.recorded()).unwrap();
    let error = connect(&with_check(&sshd, HostKeyCheck::AcceptNew)).await.unwrap_err();
    assert!(matches!(&error, ConnectErrorKind::KnownHosts { .. }), "{error}");
    assert!(no_login_was_tried(&sshd, 1).await);
    connect(&with_check(&sshd, HostKeyCheck::Off)).await.unwrap();
}

#[tokio::test]
async fn a_host_with_several_keys_shows_the_one_that_is_known() {
    let dir = tempfile::tempdir().unwrap();
    for key_type in ["ecdsa", "rsa"] {
        keygen(&dir.path().join(key_type), &["-t", key_type]);
    }
    let host_key = |name: &str| format!("HostKey {}", dir.path().join(name).display());
    let sshd = debug_sshd().config(host_key("ecdsa")).config(host_key("rsa")).start();
    for key_type in ["rsa", "ecdsa"] {
        let key = public(&dir.path().join(key_type).with_extension("pub"));
        fs::write(sshd.recorded(), format!("[127.0.0.1]:{} {key}\n", sshd.port())).unwrap();
        assert!(!connect(&with_check(&sshd, HostKeyCheck::Strict)).await.unwrap(), "{key_type}");
    }
}

/// An sshd with a certificate of an authority.
fn certified(arguments: &[&str]) -> (TempDir, Sshd) {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    keygen(&at("ca"), &["-t", "ed25519"]);
    keygen(&at("host"), &["-t", "ed25519"]);
    let mut sign = Command::new("ssh-keygen");
    sign.args(["-q", "-I", "id", "-h", "-s"]).arg(at("ca")).args(arguments).arg(at("host.pub"));
    assert!(sign.status().unwrap().success());
    let sshd = debug_sshd()
        .config(format!("HostKey {}", at("host").display()))
        .config(format!("HostCertificate {}", at("host-cert.pub").display()))
        .start();
    let line = format!("@cert-authority [127.0.0.*]:* {}\n", public(&at("ca.pub")));
    fs::write(sshd.recorded(), line).unwrap();
    (dir, sshd)
}

#[tokio::test]
async fn an_authority_vouches_for_a_host() {
    let (dir, sshd) = certified(&["-n", "127.0.0.1"]);
    assert!(!connect(&with_check(&sshd, HostKeyCheck::Strict)).await.unwrap());
    let revoked = format!("@revoked * {}\n", public(&dir.path().join("ca.pub")));
    fs::write(sshd.recorded(), fs::read_to_string(sshd.recorded()).unwrap() + &revoked).unwrap();
    let error = connect(&with_check(&sshd, HostKeyCheck::AcceptNew)).await.unwrap_err();
    assert!(matches!(&error, ConnectErrorKind::HostKeyRefused { .. }), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused_with_the_reason() {
    let (_dir, sshd) = certified(&["-n", "web1.example.com"]);
    let error = connect(&with_check(&sshd, HostKeyCheck::AcceptNew)).await.unwrap_err();
    let ConnectErrorKind::HostKeyRefused { reason } = &error else { panic!("{error}") };
    assert!(reason.ends_with("it is for web1.example.com, not for this host"), "{reason}");
    assert!(no_login_was_tried(&sshd, 1).await);
}
