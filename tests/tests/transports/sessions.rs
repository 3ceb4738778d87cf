//! Sessions: their beginning and their end.

use fabric_core::SessionError;
use fabric_core::transport::{ProcessEvent, Program, SpawnRequest};
use tests::{World, transports};

transports! {
    a_closed_session_stays_closed: memory local embedded sshd;
    closing_ends_what_runs: memory local embedded sshd;
    sessions_are_independent: memory local embedded sshd;
}

fn command(text: &str) -> SpawnRequest {
    SpawnRequest::new(Program::Command(text.as_bytes().to_vec()))
}

async fn a_closed_session_stays_closed(world: &World) {
    let session = world.session().await;
    assert!(session.is_open());
    session.close().await;
    session.close().await;
    assert!(!session.is_open());
    assert_eq!(session.closed().await, SessionError::Closed);
    assert!(session.spawn(&command("true")).await.is_err());
}

async fn closing_ends_what_runs(world: &World) {
    let session = world.session().await;
    let mut process = session.spawn(&command("echo ready; exec sleep 1000")).await.unwrap();
    assert_eq!(process.next().await, Some(ProcessEvent::Stdout("ready\n".into())));
    session.close().await;
    while process.next().await.is_some() {}
}

async fn sessions_are_independent(world: &World) {
    let (one, other) = (world.session().await, world.session().await);
    one.close().await;
    assert!(other.is_open());
    let mut process = other.spawn(&command("echo here; read line")).await.unwrap();
    assert_eq!(process.next().await, Some(ProcessEvent::Stdout("here\n".into())));
}
