//! Sessions with a real sshd: logins, host keys, processes.

mod common;

use common::{Done, Events, Sshd, run};
use fabric_core::{ConnectErrorKind, EventKind, ExitStatus};
use fabric_transport::connector::Connector;

#[tokio::test]
async fn a_command_runs_over_a_key_and_a_new_host_is_recorded() {
    let sshd = Sshd::start();
    let (emitter, events) = Events::new();
    let connector = Connector::new();
    let session = connector.open(&sshd.target(), &emitter).await.unwrap();
    let done = run(&*session, "echo out; echo err >&2; exit 3").await;
    let expected =
        Done { stdout: b"out\n".to_vec(), stderr: b"err\n".to_vec(), exit: Some(ExitStatus::Code(3)), lost: None };
    assert_eq!(done, expected);
    session.close().await;
    assert!(!session.is_open());

    let events = events.take();
    assert!(events.iter().any(|e| matches!(e, EventKind::HostKeyRecorded { .. })), "{events:?}");
    assert!(events.iter().any(|e| matches!(e, EventKind::Connected { .. })), "{events:?}");
    // Known now, so it is not recorded again.
    let (emitter, events) = Events::new();
    connector.open(&sshd.target(), &emitter).await.unwrap();
    assert!(!events.take().iter().any(|e| matches!(e, EventKind::HostKeyRecorded { .. })));
}

#[tokio::test]
async fn a_changed_key_is_refused_before_anything_is_sent() {
    let sshd = Sshd::start();
    common::keygen(&sshd.path("other"), &["-t", "ed25519"]);
    let other = std::fs::read_to_string(sshd.path("other.pub")).unwrap();
    std::fs::write(sshd.known_hosts(), format!("# one line before\n[127.0.0.1]:{} {other}", sshd.port)).unwrap();
    let (emitter, _events) = Events::new();
    let error = Connector::new().open(&sshd.target(), &emitter).await.err().unwrap();
    let ConnectErrorKind::HostKeyChanged { line, .. } = &error.kind else { panic!("{error}") };
    assert_eq!(*line, 2);
    assert!(!sshd.log().contains("userauth-request"), "{}", sshd.log());
}
