//! Groups: the same work on several connections.

mod common;

use std::sync::Arc;

use fabric_exec::Group;
use fabric_transport::Connection;
use fabric_transport::connector::Connector;
use fabric_transport::memory::{MemoryTransport, Reply};

fn members(fleet: &Arc<MemoryTransport>, hosts: &[&str]) -> Vec<Connection> {
    let connector = Connector::new().transport(fleet.clone());
    hosts.iter().map(|host| Connection::builder(*host).connector(connector.clone()).build().unwrap()).collect()
}

fn fleet() -> Arc<MemoryTransport> {
    let fleet = MemoryTransport::named("ssh");
    fleet.every_host().on_match("^who$", |_| Reply::stdout("me\n"));
    fleet.host("h2").on("who", Reply::stderr("nobody\n").exit(7));
    fleet
}

#[tokio::test]
async fn every_member_is_tried_and_every_failure_told() {
    for parallel in [false, true] {
        let fleet = fleet();
        let members = members(&fleet, &["h1", "h2", "h3"]);
        let group = if parallel { Group::parallel(members) } else { Group::serial(members) };
        let outcome = group.run("who").await;
        assert_eq!(outcome.succeeded().map(|(host, _)| host).collect::<Vec<_>>(), ["h1", "h3"]);
        assert_eq!(outcome.failed().map(|(host, _)| host).collect::<Vec<_>>(), ["h2"]);
        let error = outcome.into_result().unwrap_err();
        assert!(error.to_string().starts_with("1 of 3 hosts failed:\n  h2: `who` ended with exit status 7"), "{error}");
        group.close().await;
        assert_eq!(fleet.host("h1").open_sessions(), 0);
    }
}

#[tokio::test]
async fn options_and_differences_between_members() {
    let fleet = fleet();
    let group = Group::parallel(members(&fleet, &["h1", "h2"])).pool_size(1);
    let calm = group.run("who").with(|request| request.warn(true)).await.into_result().unwrap();
    assert_eq!(calm["h2"].exit.code(), Some(7));
    let each = group.each(|member| async move {
        let word = if member.host_string() == "h2" { "true" } else { "who" };
        member.run(word).warn(true).await
    });
    assert_eq!(each.await.get("h1").unwrap().as_ref().unwrap().stdout(), "me\n");
}

#[tokio::test]
async fn errors_of_any_type_are_collected_and_name_their_hosts() {
    #[derive(Debug, PartialEq)]
    struct TooOld(u32);
    impl std::fmt::Display for TooOld {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "version {} is too old", self.0)
        }
    }
    let fleet = fleet();
    let group = Group::parallel(members(&fleet, &["h1", "h2"])).pool_size(0);
    let outcome =
        group.each(|member| async move { if member.host_string() == "h2" { Err(TooOld(7)) } else { Ok(()) } });
    let error = outcome.await.into_result().unwrap_err();
    assert_eq!(error.failures, [("h2".to_owned(), TooOld(7))]);
    let error: Box<dyn std::error::Error> = error.into();
    assert_eq!(error.to_string(), "1 of 2 hosts failed:\n  h2: version 7 is too old");
}

#[tokio::test]
async fn files_go_to_all_and_come_from_all() {
    let fleet = MemoryTransport::named("ssh");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, "x").unwrap();
    let group = Group::parallel(members(&fleet, &["h1", "h2"]));
    group.put(file.to_str().unwrap(), "/f").await.into_result().unwrap();
    let back = format!("{}/{{host}}/{{basename}}", dir.path().display());
    group.get("/f", back).await.into_result().unwrap();
    assert_eq!(std::fs::read(dir.path().join("h2/f")).unwrap(), b"x");
    group.put(b"bytes", "/b").with(|put| put.mode(0o600)).await.into_result().unwrap();
    assert_eq!(fleet.host("h1").files().content("/b").unwrap(), b"bytes");
}
