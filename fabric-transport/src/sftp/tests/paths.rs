//! Operations on paths.

use std::ffi::OsStr;
use std::num::NonZeroU64;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use tempfile::tempdir;

use super::super::{Attributes, FileType, OpenFlags, SftpError, StatusCode, Write};
use super::{client, client_and_server, quiet};

/// "é" in Latin-1: not UTF-8.
const LATIN_1: &[u8] = b"caf\xe9";

#[tokio::test]
async fn names_are_bytes_throughout() {
    let dir = tempdir().unwrap();
    let sftp = client(dir.path()).await;
    let local = dir.path().join(OsStr::from_bytes(LATIN_1));

    sftp.write_file(LATIN_1, &Write::default(), &mut &b"au lait"[..], &quiet).await.unwrap();
    assert_eq!(std::fs::read(&local).unwrap(), b"au lait");
    assert_eq!(sftp.stat(LATIN_1).await.unwrap().size, Some(7));
    assert!(sftp.real_path(LATIN_1).await.unwrap().ends_with(LATIN_1));

    sftp.symlink(LATIN_1, b"l\xefnk").await.unwrap();
    assert_eq!(sftp.read_link(b"l\xefnk").await.unwrap(), LATIN_1);
    assert_eq!(
        std::fs::read_link(dir.path().join(OsStr::from_bytes(b"l\xefnk"))).unwrap().as_os_str().as_bytes(),
        LATIN_1
    );
    assert_eq!(sftp.lstat(b"l\xefnk").await.unwrap().file_type(), FileType::Symlink);
    assert_eq!(sftp.stat(b"l\xefnk").await.unwrap().file_type(), FileType::File);

    let mut names: Vec<_> =
        sftp.read_dir(b".").await.unwrap().collect(100).await.unwrap().into_iter().map(|entry| entry.name).collect();
    names.sort();
    assert_eq!(names, [LATIN_1, b"l\xefnk"]);

    let mut read = Vec::new();
    sftp.read_file(LATIN_1, 0, &mut read, &quiet).await.unwrap();
    assert_eq!(read, b"au lait");
    sftp.rename(LATIN_1, b"\xff").await.unwrap();
    sftp.remove_file(b"\xff").await.unwrap();
    assert!(!local.exists());
}

#[tokio::test]
async fn directories_are_made_listed_and_removed() {
    let dir = tempdir().unwrap();
    let sftp = client(dir.path()).await;
    sftp.make_dir(b"d", &Attributes::permissions(0o750)).await.unwrap();
    assert_eq!(sftp.stat(b"d").await.unwrap().file_type(), FileType::Directory);
    assert_eq!(std::fs::metadata(dir.path().join("d")).unwrap().mode() & 0o777, 0o750);
    assert_eq!(sftp.make_dir(b"d", &Attributes::default()).await.unwrap_err().status(), Some(StatusCode::Failure));
    for i in 0..3_000 {
        std::fs::write(dir.path().join(format!("d/{i}")), b"x").unwrap();
    }
    assert_eq!(sftp.remove_dir(b"d").await.unwrap_err().status(), Some(StatusCode::Failure));
    let entries = sftp.read_dir(b"d").await.unwrap().collect(3_000).await.unwrap();
    let mut numbers: Vec<u32> =
        entries.iter().map(|entry| str::from_utf8(&entry.name).unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..3_000));
    assert!(entries.iter().all(|entry| entry.attributes.size == Some(1)));
    assert!(matches!(
        sftp.read_dir(b"d").await.unwrap().collect(2_999).await.unwrap_err(),
        SftpError::Closed(super::super::CloseReason::Protocol(super::super::ProtocolError::EndlessDirectory(2_999)))
    ));
    std::fs::remove_dir_all(dir.path().join("d")).unwrap();
    sftp.make_dir(b"empty", &Attributes::default()).await.unwrap();
    assert_eq!(sftp.read_dir(b"empty").await.unwrap().collect(9).await.unwrap(), []);
    sftp.remove_dir(b"empty").await.unwrap();
    assert_eq!(sftp.read_dir(b"empty").await.unwrap_err().status(), Some(StatusCode::NoSuchFile));
}

#[tokio::test]
async fn rename_keeps_what_is_there_and_replace_does_not() {
    for denied in [&[][..], &["-P", "posix-rename"]] {
        let dir = tempdir().unwrap();
        let (sftp, _server) = client_and_server(dir.path(), denied).await;
        assert_eq!(sftp.extensions().has("posix-rename@openssh.com"), denied.is_empty());
        let write = |name: &str| std::fs::write(dir.path().join(name), name).unwrap();
        write("a");
        write("b");
        assert_eq!(sftp.rename(b"a", b"b").await.unwrap_err().status(), Some(StatusCode::Failure));
        assert_eq!(std::fs::read(dir.path().join("b")).unwrap(), b"b");
        sftp.replace(b"a", b"b").await.unwrap();
        assert_eq!(std::fs::read(dir.path().join("b")).unwrap(), b"a");
        assert!(!dir.path().join("a").exists());
        sftp.replace(b"b", b"c").await.unwrap();
        assert_eq!(sftp.replace(b"b", b"c").await.unwrap_err().status(), Some(StatusCode::NoSuchFile), "{denied:?}");
        assert_eq!(std::fs::read(dir.path().join("c")).unwrap(), b"a", "a failed rename removes nothing");
    }
}

#[tokio::test]
async fn openssh_extensions_work() {
    let dir = tempdir().unwrap();
    let sftp = client(dir.path()).await;
    std::fs::write(dir.path().join("file"), b"0123456789").unwrap();

    sftp.hard_link(b"file", b"second").await.unwrap();
    assert_eq!(std::fs::metadata(dir.path().join("second")).unwrap().nlink(), 2);

    let limits = sftp.limits().await;
    assert!((255 * 1024 - 1024..=255 * 1024).contains(&limits.read), "{limits:?}");
    assert_eq!(limits.read, limits.write);
    assert!(limits.open_handles.is_some());

    let disk = sftp.file_system(b".").await.unwrap();
    assert!(disk.block_size >= 512 && disk.blocks > disk.available_blocks && disk.max_name >= 255, "{disk:?}");

    std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
    let stamp = Attributes { times: Some((1_000_000_000, 1_000_000_001)), ..Attributes::default() };
    sftp.lset_stat(b"link", &stamp).await.unwrap();
    assert_eq!(std::fs::symlink_metadata(dir.path().join("link")).unwrap().mtime(), 1_000_000_001);
    assert!(std::fs::metadata(dir.path().join("file")).unwrap().mtime() > 1_000_000_001);

    let home = sftp.expand_path(b"~").await.unwrap();
    assert!(home.starts_with(b"/") && !home.contains(&b'~'));
    let here = dir.path().canonicalize().unwrap();
    assert_eq!(sftp.expand_path(b"file").await.unwrap(), here.join("file").as_os_str().as_bytes());

    let from = sftp.open(b"file", OpenFlags::READ, &Attributes::default()).await.unwrap();
    let to = sftp.open(b"copy", OpenFlags::WRITE | OpenFlags::CREATE, &Attributes::default()).await.unwrap();
    from.copy_to(2, NonZeroU64::new(5), &to, 1).await.unwrap();
    to.sync().await.unwrap();
    to.close().await.unwrap();
    assert_eq!(std::fs::read(dir.path().join("copy")).unwrap(), b"\x0023456");
}

#[tokio::test]
async fn what_the_server_does_not_offer_is_not_sent() {
    let dir = tempdir().unwrap();
    let (sftp, _server) = client_and_server(dir.path(), &["-P", "limits,hardlink,lsetstat,fsync"]).await;
    assert_eq!(sftp.limits().await, super::super::Limits::default());
    std::fs::write(dir.path().join("file"), b"").unwrap();
    for error in [
        sftp.hard_link(b"file", b"b").await.unwrap_err(),
        sftp.lset_stat(b"file", &Attributes::permissions(0o600)).await.unwrap_err(),
        sftp.open(b"file", OpenFlags::READ, &Attributes::default()).await.unwrap().sync().await.unwrap_err(),
    ] {
        assert!(matches!(error, SftpError::Unsupported { .. }), "{error}");
    }
    for bad in [&b"a\0b"[..], &vec![b'a'; 70_000]] {
        assert!(matches!(sftp.stat(bad).await.unwrap_err(), SftpError::BadPath { operation: "stat" }));
        assert!(matches!(sftp.rename(b"file", bad).await.unwrap_err(), SftpError::BadPath { .. }));
        assert!(matches!(sftp.symlink(bad, b"x").await.unwrap_err(), SftpError::BadPath { .. }));
    }
    sftp.stat(b"file").await.unwrap();
}

#[tokio::test]
async fn errors_say_what_and_where() {
    let dir = tempdir().unwrap();
    let sftp = client(dir.path()).await;
    let error = sftp.stat(b"no\tsuch").await.unwrap_err();
    assert_eq!(error.to_string(), r"stat no\tsuch: no such file or directory");
    std::fs::create_dir(dir.path().join("d")).unwrap();
    std::fs::set_permissions(dir.path().join("d"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = sftp.remove_file(b"d").await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::Failure), "{error}");
}
