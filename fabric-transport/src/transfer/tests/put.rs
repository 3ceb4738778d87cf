//! Files to the host.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fabric_core::event::{Event, EventKind, EventSink};
use fabric_core::transport::Files as _;
use fabric_core::{Emitter, Error};
use parking_lot::Mutex;
use tokio::io::AsyncReadExt as _;

use super::{below, here, host, listed, tree};
use crate::transfer::{Links, Source, local};

#[tokio::test]
async fn a_file_goes_into_a_directory_or_becomes_the_path() {
    let (connection, files) = host();
    let dir = tree(&["app.tgz"]);
    let local = dir.path().join("app.tgz");
    for (remote, ends_at) in [
        ("", "/home/user/app.tgz"),
        ("~", "/home/user/app.tgz"),
        ("/tmp", "/tmp/app.tgz"),
        ("/tmp/", "/tmp/app.tgz"),
        ("/tmp/x.tgz", "/tmp/x.tgz"),
        ("y.tgz", "/home/user/y.tgz"),
        ("~/z.tgz", "/home/user/z.tgz"),
    ] {
        let outcome = connection.put(&local, remote).await.unwrap();
        assert_eq!(outcome.remote, [ends_at], "{remote}");
        assert_eq!(outcome.local, [local.display().to_string()]);
        assert_eq!((outcome.orig_remote.as_deref(), outcome.bytes), (Some(remote), 7));
        assert_eq!(files.content(ends_at).unwrap(), b"app.tgz");
    }
    let below_cwd = connection.with(|s| s.cwd = "/tmp".into());
    assert_eq!(below_cwd.put(&local, "w").await.unwrap().remote, ["/tmp/w"]);
    let in_lcwd = connection.with(|s| s.lcwd = dir.path().display().to_string());
    assert_eq!(in_lcwd.put("app.tgz", "/tmp/v").await.unwrap().local, [local.display().to_string()]);
}

#[tokio::test]
async fn what_is_missing_is_an_error_and_leaves_nothing() {
    let (connection, files) = host();
    let dir = tree(&["a"]);
    let error = connection.put(dir.path().join("b"), "/tmp").await.unwrap_err();
    assert!(matches!(&error, Error::File { .. }) && error.to_string().contains("no such file"), "{error}");
    assert!(!connection.is_connected());
    let error = connection.put(dir.path().join("a"), "/tmp/no/where").await.unwrap_err();
    assert_eq!(error.to_string(), "ann@web1:2200: write /tmp/no/where: no such file or directory");
    assert!(connection.put(dir.path().join("no*"), "/tmp").await.is_err());
    let error = connection.put("", "/tmp/x").await.unwrap_err();
    assert!(error.to_string().contains("put needs the path"), "{error}");
    assert_eq!(below(&files, "/tmp"), [""; 0]);
    connection.put(dir.path().join("a"), "/tmp/no/where").parents(true).await.unwrap();
    assert_eq!(below(&files, "/tmp"), ["no", "no/where"]);
}

#[tokio::test]
async fn a_directory_becomes_the_path_or_goes_into_it() {
    let (connection, files) = host();
    let dir = tree(&["app/a", "app/.b", "app/sub/deep/c", "app/empty/"]);
    let local = dir.path().join("app");
    let all = [".b", "a", "empty", "sub", "sub/deep", "sub/deep/c"];
    connection.put(&local, "/tmp/new").await.unwrap();
    assert_eq!(below(&files, "/tmp/new"), all);
    let outcome = connection.put(format!("{}/", local.display()), "/tmp/new/").await.unwrap();
    assert_eq!(below(&files, "/tmp/new/app"), all);
    assert_eq!(outcome.remote, ["/tmp/new/app/.b", "/tmp/new/app/a", "/tmp/new/app/sub/deep/c"]);
    assert_eq!(files.content("/tmp/new/app/sub/deep/c").unwrap(), b"app/sub/deep/c");
    // Again, over the existing file.
    std::fs::write(local.join("a"), "changed").unwrap();
    connection.put(&local, "/tmp/new").await.unwrap();
    assert_eq!(files.content("/tmp/new/app/a").unwrap(), b"changed");
    assert_eq!(below(&files, "/tmp/new/app"), all);
}

#[tokio::test]
async fn patterns_match_as_in_a_shell() {
    let (connection, files) = host();
    let dir = tree(&["a.log", "b.log", ".c.log", "d.txt", "x/e.log", "y/f.log", "[z]"]);
    let at = |pattern: &str| dir.path().join(pattern);
    connection.put(at("*.log"), "/tmp").await.unwrap();
    connection.put(at("*/?.log"), "/tmp").await.unwrap();
    connection.put(at("[z]"), "/tmp").await.unwrap();
    assert_eq!(below(&files, "/tmp"), ["[z]", "a.log", "b.log", "e.log", "f.log"]);
    assert!(connection.put(at("*.log"), "/tmp/none").glob(false).await.is_err());
    // Several files need a directory, and never overwrite each other.
    connection.put(at("*.log"), "/tmp/logs").await.unwrap();
    assert_eq!(below(&files, "/tmp/logs"), ["a.log", "b.log"]);
    assert!(matches!(connection.put(at("*.log"), "/tmp/a.log").await, Err(Error::Usage(_))));
}

#[tokio::test]
async fn streams_become_files() {
    let (connection, files) = host();
    let outcome = connection.put(Source::bytes("text"), "/tmp/x").mode(0o640).await.unwrap();
    assert_eq!((outcome.local.len(), outcome.remote), (0, vec!["/tmp/x".to_owned()]));
    assert_eq!(files.content("/tmp/x").unwrap(), b"text");
    assert_eq!(files.stat(b"/tmp/x").await.unwrap().mode, Some(0o640));
    assert!(connection.put(Source::bytes("text"), "/tmp").await.is_err());
    let short_lived = "slice".to_owned();
    for (source, content) in [
        (Source::from(b"array"), "array"),
        (short_lived.as_bytes().into(), "slice"),
        (vec![b'v'].into(), "v"),
        (bytes::Bytes::from_static(b"bytes").into(), "bytes"),
        (Source::reader(&b"sized"[..]).size(5), "sized"),
    ] {
        let outcome = connection.put(source, "/tmp/x").await.unwrap();
        assert_eq!(outcome.bytes, content.len() as u64);
        assert_eq!(files.content("/tmp/x").unwrap(), content.as_bytes());
    }
}

#[tokio::test]
async fn modes_and_times_come_along_when_asked_for() {
    let (connection, there) = here();
    let dir = tree(&["app/run", "app/data"]);
    let local = dir.path().join("app");
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    std::fs::set_permissions(local.join("run"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::File::open(local.join("data")).unwrap().set_modified(long_ago).unwrap();
    std::fs::set_permissions(&local, std::fs::Permissions::from_mode(0o711)).unwrap();
    let to = |name: &str| there.path().join(name).display().to_string();
    let meta = |name: &str| std::fs::metadata(there.path().join(name)).unwrap();
    let mode = |name: &str| meta(name).permissions().mode() & 0o7777;

    connection.put(&local, to("mirrored")).mirror_mode(true).preserve_times(true).await.unwrap();
    assert_eq!((mode("mirrored/run"), mode("mirrored")), (0o755, 0o711));
    assert_eq!(meta("mirrored/data").modified().unwrap(), long_ago);
    connection.put(&local, to("plain")).mirror_mode(false).await.unwrap();
    assert_eq!(mode("plain/run") & 0o111, 0);
    connection.put(local.join("data"), to("set")).mode(0o600).await.unwrap();
    assert_eq!(mode("set"), 0o600);
    connection.put(local.join("run"), to("set")).await.unwrap();
    assert_eq!(mode("set"), 0o600);
}

#[tokio::test]
async fn a_link_is_written_through_and_links_below_are_followed() {
    let (connection, there) = here();
    let dir = tree(&["app/real/file", "app/x"]);
    std::os::unix::fs::symlink("real", dir.path().join("app/current")).unwrap();
    std::os::unix::fs::symlink("x", dir.path().join("app/y")).unwrap();
    let to = there.path().join("new");
    connection.put(dir.path().join("app"), to.display().to_string()).await.unwrap();
    assert_eq!(listed(&to), ["current/", "current/file", "real/", "real/file", "x", "y"]);
    std::os::unix::fs::symlink("x", to.join("link")).unwrap();
    connection.put(Source::bytes("through"), to.join("link").display().to_string()).await.unwrap();
    assert!(to.join("link").is_symlink());
    assert_eq!(std::fs::read_to_string(to.join("x")).unwrap(), "through");
}

#[tokio::test]
async fn links_in_a_circle_are_followed_once() {
    let (connection, there) = here();
    let dir = tree(&["app/a/x", "app/b/y"]);
    for (to, link) in [("../b", "app/a/to_b"), ("../a", "app/b/to_a"), (".", "app/here"), ("..", "app/a/up")] {
        std::os::unix::fs::symlink(to, dir.path().join(link)).unwrap();
    }
    let to = there.path().join("new");
    let outcome = connection.put(dir.path().join("app"), to.display().to_string()).warn(true).await.unwrap();
    assert!(outcome.failed.iter().all(|(_, why)| why.contains("leads back")), "{outcome:?}");
    let all = ["a/", "a/to_b/", "a/to_b/y", "a/x", "b/", "b/to_a/", "b/to_a/x", "b/y"];
    assert_eq!((listed(&to), outcome.failed.len()), (all.map(str::to_owned).to_vec(), 5));
}

#[tokio::test]
async fn names_are_bytes() {
    use std::os::unix::ffi::OsStrExt as _;
    let (connection, there) = here();
    let dir = tree(&["app/"]);
    let latin1 = std::ffi::OsStr::from_bytes(b"caf\xe9 'x'\n");
    std::fs::write(dir.path().join("app").join(latin1), "bytes").unwrap();
    let to = there.path().join("new");
    connection.put(dir.path().join("app"), to.as_os_str().as_bytes()).await.unwrap();
    assert_eq!(std::fs::read(to.join(latin1)).unwrap(), b"bytes");
    connection.get(to.join(latin1).as_os_str().as_bytes(), there.path().join("back")).await.unwrap();
    assert_eq!(std::fs::read(there.path().join("back")).unwrap(), b"bytes");
}

#[tokio::test]
async fn what_is_the_same_is_left_alone() {
    let (connection, there) = here();
    let dir = tree(&["a"]);
    let to = there.path().join("a");
    let put = || connection.put(dir.path().join("a"), to.display().to_string()).skip_same(true);
    assert_eq!(put().await.unwrap().bytes, 1);
    // The time differs, but the checksum doesn't.
    assert_eq!(put().await.unwrap().bytes, 0);
    std::fs::write(&to, "b").unwrap();
    std::fs::File::open(&to).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(put().preserve_times(true).await.unwrap().bytes, 1);
    assert_eq!(put().await.unwrap().bytes, 0);
}

#[tokio::test]
async fn a_dry_run_only_tells() {
    let (connection, files) = host();
    let dir = tree(&["a"]);
    assert!(connection.put(dir.path().join("a"), "/tmp").dry(true).await.unwrap().ok());
    assert!(!connection.is_connected());
    assert!(below(&files, "/tmp").is_empty());
}

#[derive(Default)]
struct Recorder(Mutex<Vec<EventKind>>);

impl EventSink for Recorder {
    fn emit(&self, event: Event) {
        self.0.lock().push(event.kind);
    }
}

#[tokio::test]
async fn events_tell_the_beginning_the_bytes_and_the_end() {
    let (connection, _) = host();
    let recorder = Arc::new(Recorder::default());
    let connection = connection.with_emitter(&Emitter::new(recorder.clone(), "run"));
    connection.put(vec![0; 100_000], "/tmp/x").await.unwrap();
    connection.put(Source::reader(&b"unknown"[..]), "/tmp/y").await.unwrap();
    let dir = tree(&["d/a", "d/b"]);
    connection.put(dir.path().join("d"), "/tmp/d").await.unwrap();
    connection.put(dir.path().join("d"), "/tmp/x").await.unwrap_err();
    let kinds = recorder.0.lock();
    let started: Vec<_> = kinds
        .iter()
        .filter_map(|kind| match kind {
            EventKind::TransferStarted { size, .. } => Some(*size),
            _ => None,
        })
        .collect();
    assert_eq!(started, [Some(100_000), None, Some(6), Some(6)]);
    let finished: Vec<_> = kinds
        .iter()
        .filter_map(|kind| match kind {
            EventKind::TransferFinished { bytes, error, .. } => Some((*bytes, error.is_some())),
            _ => None,
        })
        .collect();
    assert_eq!(finished, [(100_000, false), (7, false), (6, false), (0, true)]);
    assert!(kinds.iter().any(|kind| matches!(kind, EventKind::TransferProgress { bytes: 6, size: Some(6), .. })));
}

#[tokio::test]
async fn many_files_arrive_whole() {
    let (connection, there) = here();
    let names: Vec<String> = (0..500).map(|n| format!("app/{}/{n}", n % 7)).collect();
    let dir = tree(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let outcome = connection.put(dir.path().join("app"), there.path().join("app").display().to_string()).await.unwrap();
    assert_eq!(outcome.remote.len(), 500);
    for name in names {
        assert_eq!(std::fs::read_to_string(there.path().join(&name)).unwrap(), name);
    }
}

#[tokio::test]
async fn sudo_writes_as_its_user_through_the_same_steps() {
    let (connection, there) = here();
    // The tests may run as any user: this tests only the requests.
    let connection = connection.with(|s| s.sudo_prefix = "env BY_SUDO=1".into());
    let dir = tree(&["app/a b", "app/sub/c"]);
    let to = there.path().join("new");
    let remote = to.display().to_string();
    let outcome = connection.put(dir.path().join("app"), remote.clone()).use_sudo(true).mode(0o640).await.unwrap();
    assert_eq!(outcome.remote.len(), 2);
    assert_eq!(listed(&to), ["a b", "sub/", "sub/c"]);
    assert_eq!(std::fs::metadata(to.join("a b")).unwrap().permissions().mode() & 0o7777, 0o640);
    let back = there.path().join("back");
    let outcome = connection.get(remote.clone(), &back).use_sudo(true).await.unwrap();
    assert_eq!((listed(&back), outcome.bytes), (vec!["a b".into(), "sub/".into(), "sub/c".into()], 16));
    let error = connection.put(dir.path().join("app/a b"), format!("{remote}/no/x")).use_sudo(true).await.unwrap_err();
    assert!(error.to_string().contains("no such file"), "{error}");
    let error = connection.get(format!("{remote}/none"), &back).use_sudo(true).await.unwrap_err();
    assert!(error.to_string().contains("no such file"), "{error}");
}

#[tokio::test]
async fn small_files_that_are_read_together_are_each_their_own() {
    let dir = tree(&["a", "b", "c/"]);
    let at = |name: &str| local::bytes(&dir.path().join(name));
    let (a, missing, b) = (at("a"), at("missing"), at("b"));
    let mut opened = local::open_all_to_read(&[&a, &missing, &b]).await.into_iter();
    let mut read = async || {
        let mut text = String::new();
        opened.next().unwrap().map_err(|error| error.to_string())?.read_to_string(&mut text).await.unwrap();
        Ok::<_, String>(text)
    };
    assert_eq!(read().await.unwrap(), "a");
    assert!(read().await.unwrap_err().contains("missing"));
    assert_eq!(read().await.unwrap(), "b");
}

#[tokio::test]
async fn a_tree_of_files_of_all_sizes_arrives_as_it_is() {
    let (connection, files) = host();
    let dir = tempfile::tempdir().unwrap();
    // Empty, just below, at and above the limit for small files, and more of them than are read ahead.
    let sizes = [0, 1, local::SMALL - 1, local::SMALL, local::SMALL + 1, 300_000];
    let all: Vec<(String, Vec<u8>)> =
        (0..60_u8).map(|n| (format!("f{n}"), vec![n; sizes[usize::from(n) % sizes.len()]])).collect();
    for (name, content) in &all {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    connection.put(dir.path(), "/tmp/all").await.unwrap();
    for (name, content) in &all {
        assert!(files.content(format!("/tmp/all/{name}")).unwrap() == *content, "{name}");
    }
}

#[tokio::test]
async fn modes_and_links_are_the_same_by_sudo() {
    let (connection, there) = here();
    let connection = connection.with(|s| s.sudo_prefix = "umask 027; env BY_SUDO=1".into());
    let dir = tree(&["app/run", "app/secret", "app/sub/x"]);
    let local = dir.path().join("app");
    let set =
        |path: &std::path::Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    set(&local.join("run"), 0o755);
    set(&local.join("secret"), 0o600);
    set(&local.join("sub"), 0o575);
    std::os::unix::fs::symlink("sub", local.join("link")).unwrap();
    let to = there.path().join("new");
    let put = || connection.put(&local, to.display().to_string()).use_sudo(true);
    let kept = put().links(Links::Keep).await.unwrap();
    let mode = |name: &str| std::fs::metadata(to.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("run"), mode("secret"), mode("sub")), (0o750, 0o600, 0o550));
    assert_eq!(kept.links, [to.join("link").display().to_string()]);
    assert_eq!(std::fs::read_link(to.join("link")).unwrap(), std::path::Path::new("sub"));
    // Again, with the exact target path.
    let again = there.path().join("new/app");
    put().mirror_mode(true).await.unwrap();
    let mode = |name: &str| std::fs::metadata(again.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("run"), mode("secret"), mode("sub")), (0o755, 0o600, 0o575));
    assert!(again.join("link/x").exists());
}

#[tokio::test]
async fn a_part_is_gone_on_with_by_sudo_and_no_link_is_followed() {
    let (connection, there) = here();
    let connection = connection.with(|s| s.sudo_prefix = "env BY_SUDO=1".into());
    let dir = tree(&["x"]);
    let (local, to) = (dir.path().join("x"), there.path().join("x"));
    std::fs::write(&local, "0123456789").unwrap();
    let stat = local::files().stat(&local::bytes(&local)).await.unwrap();
    let (from, target) = (local::bytes(&local), local::bytes(&to));
    let whole = crate::part_names::Whole {
        host: connection.host_string(),
        direction: fabric_core::outcome::Direction::Put,
        from: &from,
        to: &target,
        stat: &stat,
    };
    let part = local::path(&connection.parts().lasting(&target, &whole).unwrap());
    let put = || connection.put(&local, to.display().to_string()).use_sudo(true).resume(true).verify(true);
    std::fs::write(&part, "0123").unwrap();
    assert_eq!(put().await.unwrap().bytes, 6);
    let victim = there.path().join("victim");
    for planted in [true, false] {
        std::fs::write(&victim, "0123").unwrap();
        if planted {
            std::os::unix::fs::symlink(&victim, &part).unwrap();
        } else {
            std::fs::write(&part, "01234567890123456789").unwrap();
        }
        assert_eq!(put().await.unwrap().bytes, 10);
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "0123");
    }
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "0123456789");
    assert_eq!(listed(there.path()), ["victim", "x"]);
}
