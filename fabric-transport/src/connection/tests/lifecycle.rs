//! Opening, sharing, losing and closing sessions.

use std::sync::Arc;
use std::time::Duration;

use fabric_core::error::{ConnectErrorKind, Phase};
use fabric_core::{Error, Settings};

use super::{fleet, settings};
use crate::memory::Reply;

#[tokio::test]
async fn nothing_is_opened_before_it_is_needed_and_then_once() {
    let (fleet, connect) = fleet();
    let host = fleet.host("web1");
    host.on("true", Reply::ok()).connect_delay(Duration::from_millis(5));
    let connection = connect("web1").build().unwrap();
    assert_eq!((host.connects(), connection.is_connected()), (0, false));
    let all = futures_util::future::join_all((0..20).map(|_| connection.clone().run("true").into_future()));
    assert!(all.await.iter().all(Result::is_ok));
    connection.open().await.unwrap();
    assert_eq!((host.connects(), connection.is_connected()), (1, true));
    connection.close().await;
    connection.close().await;
    assert_eq!((host.open_sessions(), connection.is_connected()), (0, false));
    connection.run("true").await.unwrap();
    assert_eq!(host.connects(), 2);
}

#[tokio::test]
async fn those_who_wait_for_a_failing_open_share_its_error() {
    let (fleet, connect) = fleet();
    let host = fleet.host("web1");
    let refused = ConnectErrorKind::Refused { address: "web1:22".into() };
    host.connect_delay(Duration::from_millis(5)).refuse(1, Phase::Connect, refused).on("true", Reply::ok());
    let connection = connect("web1").build().unwrap();
    let all = futures_util::future::join_all((0..20).map(|_| connection.run("true").into_future())).await;
    assert!(all.iter().all(|outcome| matches!(outcome, Err(Error::Connect(_)))));
    assert_eq!(host.connects(), 1);
    connection.run("true").await.unwrap();
}

#[tokio::test]
async fn two_names_of_a_host_share_its_session_and_nothing_else() {
    let (fleet, connect) = fleet();
    let host = fleet.host("web1");
    let refused = ConnectErrorKind::Refused { address: "web1:22".into() };
    host.connect_delay(Duration::from_millis(5)).refuse(1, Phase::Connect, refused).on("true", Reply::ok());
    host.files().insert("/srv/file", "text");
    let one = connect("web1").build().unwrap();
    let mut target = one.target().clone();
    target.host_string = "web1:22".parse().unwrap();
    let two = one.with_target(Arc::new(target.clone())).unwrap();
    // The error of the single attempt belongs to each caller too.
    let (first, second) = tokio::join!(one.open(), two.open());
    let named = |result: Result<(), Error>| result.unwrap_err().to_string().split(": ").next().unwrap().to_owned();
    assert_eq!([named(first), named(second)], ["web1", "web1:22"]);
    assert_eq!(host.connects(), 1);
    let (first, second) = (one.run("true").await.unwrap(), two.run("true").await.unwrap());
    assert_eq!([&*first.host, &*second.host], ["web1", "web1:22"]);
    assert_eq!(host.connects(), 2);
    one.sftp().await.unwrap().chdir("/srv").await.unwrap();
    assert_eq!(one.sftp().await.unwrap().cwd().await.unwrap(), b"/srv");
    assert_ne!(two.sftp().await.unwrap().cwd().await.unwrap(), b"/srv");
    target.user = Some("another".to_owned());
    assert!(one.with_target(Arc::new(target)).is_none());
}

#[tokio::test]
async fn dropping_the_last_clone_closes() {
    let (fleet, connect) = fleet();
    let host = fleet.host("web1");
    let connection = connect("web1").build().unwrap();
    connection.open().await.unwrap();
    let scoped = connection.with(|s| s.warn_only = true);
    drop(connection);
    assert_eq!(host.open_sessions(), 1);
    drop(scoped);
    while host.open_sessions() > 0 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn user_and_port_are_given_once() {
    let (_, connect) = fleet();
    for builder in [connect("u@web1").user("u"), connect("web1:22").port(22)] {
        assert!(matches!(builder.build(), Err(Error::Usage(_))));
    }
    let connection = connect("web1").user("ann").port(2200).build().unwrap();
    assert_eq!((connection.user(), connection.port(), connection.host()), (Some("ann"), 2200, "web1"));
    let from_settings = |s: &mut Settings| (s.user, s.port) = (Some("bob".into()), Some(99));
    let connection = connect("carl@web1").settings(settings(from_settings)).build().unwrap();
    assert_eq!((connection.user(), connection.port()), (Some("carl"), 99));
    assert!(connect("a b").build().is_err());
}

#[tokio::test]
async fn scoped_settings_share_the_session_and_leave_the_rest_alone() {
    let (fleet, connect) = fleet();
    fleet.every_host().answer(|_| Some(Reply::ok()));
    let outer = connect("web1").build().unwrap();
    let inner = outer.with(|s| s.cwd = "/srv".into());
    let innermost = inner.with(|s| s.command_prefixes.push("true".into()));
    for connection in [&innermost, &inner, &outer] {
        connection.run("ls").await.unwrap();
    }
    assert_eq!(fleet.host("web1").commands(), ["cd /srv && true && ls", "cd /srv && ls", "ls"]);
    assert_eq!(fleet.host("web1").connects(), 1);
}

#[tokio::test]
async fn ten_thousand_hosts_are_cheap() {
    let (fleet, connect) = fleet();
    fleet.every_host().on("uname", Reply::stdout("Linux\n"));
    let mut connections = Vec::new();
    for n in 0..10_000 {
        let connection = connect(&format!("web{n}")).build().unwrap();
        assert_eq!(connection.run("uname").await.unwrap().stdout(), "Linux\n");
        connections.push(connection);
    }
    assert_eq!(fleet.known().len(), 10_000);
}
