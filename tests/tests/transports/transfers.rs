//! `put` and `get` of a connection.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use fabric_core::Error;
use fabric_transport::transfer::{Destination, Source};
use tests::{World, transports};
use tokio::io::AsyncReadExt as _;

transports! {
    a_tree_goes_there_and_back: local embedded sshd sshd_without_sftp dropbear_without_sftp;
    modes_times_and_checksums_hold: local embedded sshd sshd_without_sftp dropbear_without_sftp;
    a_large_file_is_the_same_afterwards: local embedded sshd sshd_without_sftp dropbear_without_sftp;
    patterns_match_on_both_sides: local embedded sshd sshd_without_sftp dropbear_without_sftp;
    a_missing_file_leaves_nothing_anywhere: local embedded sshd sshd_without_sftp dropbear_without_sftp;
    streams_are_files: local embedded sshd sshd_without_sftp dropbear_without_sftp;
    what_is_cut_short_goes_on: local embedded sshd sshd_without_sftp dropbear_without_sftp;
    two_transfers_share_a_connection: local embedded sshd sshd_without_sftp dropbear_without_sftp;
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A directory of this machine with some hundred files in it.
fn tree() -> (tempfile::TempDir, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<_> = (0..300).map(|n| format!("d{}/s{}/{n}", n % 7, n % 3)).collect();
    for name in &names {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name.repeat(n_of(name))).unwrap();
    }
    fs::create_dir(dir.path().join("empty")).unwrap();
    (dir, names)
}

/// Sizes from nothing to beyond one packet.
fn n_of(name: &str) -> usize {
    name.len() * name.bytes().map(usize::from).sum::<usize>() % 7000
}

async fn a_tree_goes_there_and_back(world: &World) {
    let connection = world.connection();
    let (here, names) = tree();
    let (there, back) = (world.far().join("new"), tempfile::tempdir().unwrap());
    let put = connection.put(here.path(), text(&there)).verify(true).await.unwrap();
    assert_eq!((put.remote.len(), put.failed.len()), (names.len(), 0));
    let get = connection.get(text(&there), back.path().join("copy")).await.unwrap();
    assert_eq!((get.local.len(), get.bytes), (names.len(), put.bytes));
    for name in &names {
        let content = fs::read(here.path().join(name)).unwrap();
        assert!(
            fs::read(there.join(name)).unwrap() == content
                && fs::read(back.path().join("copy").join(name)).unwrap() == content
        );
    }
    assert!(there.join("empty").is_dir() && back.path().join("copy/empty").is_dir());
    // Nothing of the transfer is left.
    let hidden = connection.run(format!("find '{}' -name '.*.part' | wc -l", there.display())).await.unwrap();
    assert_eq!(hidden.stdout().trim(), "0");
}

async fn modes_times_and_checksums_hold(world: &World) {
    let connection = world.connection();
    let here = tempfile::tempdir().unwrap();
    let (file, there) = (here.path().join("run"), world.far().join("run"));
    fs::write(&file, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o750)).unwrap();
    let when = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::open(&file).unwrap().set_modified(when).unwrap();
    connection.put(&file, text(&there)).mirror_mode(true).preserve_times(true).verify(true).sync(true).await.unwrap();
    let meta = fs::metadata(&there).unwrap();
    assert_eq!((meta.permissions().mode() & 0o7777, meta.modified().unwrap()), (0o750, when));
    let again = connection.put(&file, text(&there)).skip_same(true).await.unwrap();
    assert_eq!((again.bytes, again.remote), (0, vec![text(&there)]));
    let back = here.path().join("back");
    connection.get(text(&there), &back).mirror_mode(true).preserve_times(true).verify(true).await.unwrap();
    let meta = fs::metadata(&back).unwrap();
    assert_eq!((meta.permissions().mode() & 0o7777, meta.modified().unwrap()), (0o750, when));
}

async fn a_large_file_is_the_same_afterwards(world: &World) {
    let connection = world.connection();
    let here = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..20_000_003_u32).map(|n| (n / 5 % 251) as u8).collect();
    fs::write(here.path().join("large"), &content).unwrap();
    let there = world.far().join("large");
    connection.put(here.path().join("large"), text(&there)).await.unwrap();
    assert!(fs::read(&there).unwrap() == content);
    connection.get(text(&there), here.path().join("back")).await.unwrap();
    assert!(fs::read(here.path().join("back")).unwrap() == content);
}

async fn patterns_match_on_both_sides(world: &World) {
    let connection = world.connection();
    let here = tempfile::tempdir().unwrap();
    for name in ["a.log", "b.log", ".c.log", "d.txt"] {
        fs::write(here.path().join(name), name).unwrap();
    }
    connection.put(here.path().join("*.log"), text(&world.far())).await.unwrap();
    let got = connection.get(format!("{}/[a-z].l*", text(&world.far())), here.path().join("got/")).await.unwrap();
    let names = ["a.log", "b.log"].map(|name| text(&here.path().join("got").join(name)));
    assert_eq!(got.local, names);
}

async fn a_missing_file_leaves_nothing_anywhere(world: &World) {
    let connection = world.connection();
    let here = tempfile::tempdir().unwrap();
    let missing = text(&world.far().join("missing"));
    let error = connection.get(missing.clone(), here.path().join("deep/er/file")).await.unwrap_err();
    assert!(matches!(error, Error::File { .. }) && error.to_string().contains("no such file"), "{error}");
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0);
    fs::write(here.path().join("file"), "x").unwrap();
    let error = connection.put(here.path().join("file"), format!("{missing}/file")).await.unwrap_err();
    assert!(error.to_string().contains(&format!("{missing}/file: no such file")), "{error}");
    assert_eq!(fs::read_dir(world.far()).unwrap().count(), 0);
}

async fn streams_are_files(world: &World) {
    let connection = world.connection();
    let there = text(&world.far().join("stream"));
    connection.put(Source::bytes("from memory"), there.clone()).mode(0o600).await.unwrap();
    assert_eq!(fs::metadata(&there).unwrap().permissions().mode() & 0o7777, 0o600);
    let (ours, mut theirs) = tokio::io::duplex(64);
    connection.get(there, Destination::writer(ours)).await.unwrap();
    let mut got = String::new();
    theirs.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "from memory");
}

/// The one part in a directory.
fn part(dir: &Path) -> Option<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "part")).max()
}

async fn what_is_cut_short_goes_on(world: &World) {
    // Dropped as soon as a part of it is there.
    async fn cut(dir: &Path, transfer: impl Future<Output = Result<fabric_core::TransferOutcome, Error>>) {
        let begun = async {
            while part(dir).is_none_or(|part| fs::metadata(part).is_ok_and(|meta| meta.len() == 0)) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            biased;
            () = begun => {}
            ended = transfer => panic!("it was too fast: {ended:?}"),
        }
    }
    let connection = world.connection();
    let here = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..40_000_003_u32).map(|n| (n / 5 % 251) as u8).collect();
    fs::write(here.path().join("file"), &content).unwrap();
    let put = || connection.put(here.path().join("file"), text(&world.far().join("file"))).resume(true).verify(true);
    cut(&world.far(), put().into_future()).await;
    let sent = put().await.unwrap().bytes;
    assert!(sent < content.len() as u64, "{sent}");
    let get = || connection.get(text(&world.far().join("file")), here.path().join("back")).resume(true).verify(true);
    cut(here.path(), get().into_future()).await;
    let sent = get().await.unwrap().bytes;
    assert!(sent < content.len() as u64, "{sent}");
    assert!(fs::read(here.path().join("back")).unwrap() == content);
    assert_eq!((part(&world.far()), part(here.path())), (None, None));
}

async fn two_transfers_share_a_connection(world: &World) {
    let connection = world.connection();
    let (here, names) = tree();
    let (one, two) = (text(&world.far().join("one")), text(&world.far().join("two")));
    let run = connection.run("seq 100000 | wc -l");
    let (first, second, run) = tokio::join!(
        connection.put(here.path(), one).into_future(),
        connection.put(here.path(), two).into_future(),
        run.into_future(),
    );
    assert_eq!((first.unwrap().remote.len(), second.unwrap().remote.len()), (names.len(), names.len()));
    assert_eq!(run.unwrap().stdout().trim(), "100000");
}
