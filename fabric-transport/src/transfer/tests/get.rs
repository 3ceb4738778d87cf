//! Files from the host.

use std::os::unix::fs::PermissionsExt as _;

use fabric_core::Error;
use fabric_core::transport::{FileChanges, Files as _};
use tokio::io::AsyncReadExt as _;

use super::{host, listed};
use crate::transfer::{Destination, destination};

#[tokio::test]
async fn local_paths_come_from_templates() {
    let (connection, files) = host();
    files.insert("/var/log/app.log", "log");
    for (template, expected) in [
        ("", "web1/app.log"),
        ("{host}-{user}-{port}/{basename}", "web1-ann-2200/app.log"),
        ("x/{dirname}/{basename}", "x/var/log/app.log"),
        ("%(host)s/%(path)s", "ann@web1-2200/app.log"),
        ("y/", "y/app.log"),
        ("z%20", "z%20"),
        ("{{z}}", "{z}"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let connection = connection.with(|s| s.lcwd = dir.path().display().to_string());
        let outcome = connection.get("/var/log/app.log", template).await.unwrap();
        assert_eq!(outcome.local, [dir.path().join(expected).display().to_string()]);
        assert_eq!(outcome.remote, ["/var/log/app.log"]);
        assert_eq!(std::fs::read(dir.path().join(expected)).unwrap(), b"log", "{template}");
    }
    assert!(matches!(connection.get("/var/log/app.log", "{hots}").await, Err(Error::Usage(_))));
}

#[tokio::test]
async fn a_missing_file_leaves_nothing_behind() {
    let (connection, files) = host();
    let dir = tempfile::tempdir().unwrap();
    let error = connection.get("nothing", dir.path().join("a/b")).await.unwrap_err();
    assert_eq!(error.to_string(), "ann@web1:2200: stat /home/user/nothing: no such file or directory");
    assert!(connection.get("*.log", dir.path().join("a/b")).await.is_err());
    // It exists, but can't be read as a file.
    files.insert("/d/x", "");
    files.symlink(b"/nowhere", b"/d/link").await.unwrap();
    assert!(connection.get("/d/link", dir.path().join("a/b")).await.is_err());
    assert!(listed(dir.path()).is_empty());
}

#[tokio::test]
async fn directories_follow_the_same_rules_as_put() {
    let (connection, files) = host();
    files.insert("/srv/app/a", "1");
    files.insert("/srv/app/sub/.b", "2");
    files.create_dir(b"/srv/app/empty", None).await.unwrap();
    files.insert("/etc/secret", "3");
    files.symlink(b"/etc", b"/srv/app/etc").await.unwrap();
    files.symlink(b"a", b"/srv/app/c").await.unwrap();
    let all = ["a", "c", "empty/", "etc/", "etc/secret", "sub/", "sub/.b"];
    let dir = tempfile::tempdir().unwrap();
    connection.get("/srv/app", dir.path().join("new")).await.unwrap();
    assert_eq!(listed(&dir.path().join("new")), all);
    connection.get("/srv/app/", dir.path().join("new")).await.unwrap();
    assert_eq!(listed(&dir.path().join("new/app")), all);
    let outcome = connection.get("/srv/app", dir.path().join("{host}/{path}")).await.unwrap();
    assert_eq!(
        listed(&dir.path().join("web1")),
        all.map(|name| format!("app/{name}"))
            .into_iter()
            .chain(["app/".into()])
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    assert_eq!((outcome.remote.len(), outcome.bytes), (4, 4));
    let outcome = connection.get("/srv/app", dir.path().join("flat/{basename}")).await.unwrap();
    assert_eq!(outcome.local.len(), 4);
    assert_eq!(listed(&dir.path().join("flat")), [".b", "a", "c", "secret"]);
}

#[tokio::test]
async fn patterns_match_on_the_host() {
    let (connection, files) = host();
    for name in ["a.log", "b.log", ".c.log", "d.txt"] {
        files.insert(format!("/var/log/{name}"), name);
    }
    let dir = tempfile::tempdir().unwrap();
    let outcome = connection.get("/var/log/*.log", dir.path().join("g/")).await.unwrap();
    assert_eq!(outcome.remote, ["/var/log/a.log", "/var/log/b.log"]);
    connection.get("/v*/l*/[ab].log", dir.path().join("h")).await.unwrap();
    assert_eq!(listed(dir.path()), ["g/", "g/a.log", "g/b.log", "h/", "h/a.log", "h/b.log"]);
}

#[tokio::test]
async fn a_stream_gets_one_file() {
    let (connection, files) = host();
    files.insert("/tmp/x", "content");
    let (ours, mut theirs) = tokio::io::duplex(64);
    let outcome = connection.get("/tmp/x", Destination::writer(ours)).await.unwrap();
    let mut got = String::new();
    theirs.read_to_string(&mut got).await.unwrap();
    assert_eq!((got.as_str(), outcome.bytes, outcome.local.len()), ("content", 7, 0));
    let (ours, _theirs) = tokio::io::duplex(64);
    assert!(matches!(connection.get("/tmp", Destination::writer(ours)).await, Err(Error::Usage(_))));
}

#[tokio::test]
async fn a_replaced_file_keeps_its_mode_and_a_setuid_bit_does_not_travel() {
    let (connection, files) = host();
    files.insert("/tmp/x", "new");
    let changes = FileChanges::default().mode(0o4755);
    files.set_stat(b"/tmp/x", &changes).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let local = dir.path().join("x");
    std::fs::write(&local, "old").unwrap();
    std::fs::set_permissions(&local, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mode = || std::fs::metadata(&local).unwrap().permissions().mode() & 0o7777;
    connection.get("/tmp/x", &local).await.unwrap();
    assert_eq!((std::fs::read_to_string(&local).unwrap().as_str(), mode()), ("new", 0o600));
    connection.get("/tmp/x", &local).mirror_mode(true).await.unwrap();
    assert_eq!(mode(), 0o755);
}

#[test]
fn a_destination_is_told_without_asking_the_host() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("there")).unwrap();
    let lcwd = dir.path().display().to_string();
    let of = |host: &str, from: &str, to: &str| {
        let target = fabric_core::Target::new(host.parse().unwrap());
        destination(&target, &lcwd, from, std::path::Path::new(to)).unwrap()
    };
    for (from, to, equal) in [
        ("/srv/x", "", true),
        ("/srv/x", "{host}-{port}", false),
        ("/srv/x", "%(host)s", false),
        ("/srv/x", "y", true),
        ("/srv/*", "there", true),
        ("/srv/x", "{port}/{path}", false),
    ] {
        assert_eq!(of("h:22", from, to) == of("h:2222", from, to), equal, "{from} {to}");
    }
    for to in ["there", "there/", "new/"] {
        assert_ne!(of("a", "/srv/a.log", to), of("b", "/srv/b.log", to), "{to}");
        assert_eq!(of("a", "/srv/a.log", to), of("b", "/other/a.log", to), "{to}");
        // It is unknown which names match.
        assert_ne!(of("a", "/srv/a/*", to), of("b", "/srv/b/*", to), "{to}");
    }
    for stream in ["/dev/null", "/dev/stdout", "/dev/fd/1"] {
        assert_eq!(of("a", "/srv/x", stream), None, "{stream}");
    }
}
