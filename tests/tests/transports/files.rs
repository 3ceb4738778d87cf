//! Files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use fabric_core::transport::{FileChanges, FileKind, WriteOptions};
use fabric_core::{FileErrorKind, Files};
use tests::{World, transports};

transports! {
    what_is_written_is_read: memory local embedded sshd sshd_without_sftp dropbear_without_sftp;
    a_large_file_goes_both_ways: memory local embedded sshd sshd_without_sftp dropbear_without_sftp;
    reading_and_writing_start_anywhere: memory local embedded sshd sshd_without_sftp dropbear_without_sftp;
    an_existing_file_can_be_left_alone: memory local embedded sshd sshd_without_sftp dropbear_without_sftp;
    directories_are_listed: memory local embedded sshd sshd_without_sftp dropbear_without_sftp;
    renaming_replaces: memory local embedded sshd sshd_without_sftp dropbear_without_sftp;
    links_point: memory local embedded sshd sshd_without_sftp dropbear_without_sftp;
    modes_and_times_are_set: memory local embedded sshd sshd_without_sftp dropbear_without_sftp;
    what_is_missing_is_not_found: memory local embedded sshd sshd_without_sftp dropbear_without_sftp;
    names_are_bytes: memory local embedded sshd sshd_without_sftp dropbear_without_sftp;
    paths_are_made_absolute: memory local embedded sshd sshd_without_sftp dropbear_without_sftp;
}

/// The host's files, and a directory of this test's own in them.
async fn files(world: &World) -> (Arc<dyn Files>, String) {
    let files = world.session().await.files().await.unwrap();
    let dir = world.far().to_str().unwrap().to_owned();
    // In memory there is no directory yet, and none above it.
    for (at, _) in dir.match_indices('/').skip(1).chain([(dir.len(), "")]) {
        let _ = files.create_dir(&dir.as_bytes()[..at], None).await;
    }
    (files, dir)
}

async fn write(files: &dyn Files, path: &str, content: &[u8]) {
    let written = files.write_file(path.as_bytes(), &WriteOptions::default(), &mut &*content, &|_| ()).await.unwrap();
    assert_eq!(written, content.len() as u64);
}

async fn read(files: &dyn Files, path: &str) -> Vec<u8> {
    let mut content = Vec::new();
    let read = files.read_file(path.as_bytes(), 0, &mut content, &|_| ()).await.unwrap();
    assert_eq!(read, content.len() as u64);
    content
}

async fn what_is_written_is_read(world: &World) {
    let (files, dir) = files(world).await;
    let path = format!("{dir}/a file");
    for content in [&b"first content"[..], b"second", b""] {
        write(&*files, &path, content).await;
        assert_eq!(read(&*files, &path).await, content);
        let stat = files.stat(path.as_bytes()).await.unwrap();
        assert_eq!((stat.kind, stat.size), (FileKind::File, Some(content.len() as u64)));
    }
    files.remove_file(path.as_bytes()).await.unwrap();
    assert_eq!(files.stat(path.as_bytes()).await.unwrap_err().kind, FileErrorKind::NotFound);
}

async fn a_large_file_goes_both_ways(world: &World) {
    let (files, dir) = files(world).await;
    let content: Vec<u8> = (0..5_000_011_u32).map(|n| (n / 7 % 256) as u8).collect();
    let path = format!("{dir}/large");
    let moved = AtomicU64::new(0);
    let count = |bytes| {
        moved.fetch_add(bytes, Ordering::Relaxed);
    };
    files.write_file(path.as_bytes(), &WriteOptions::default(), &mut content.as_slice(), &count).await.unwrap();
    assert_eq!(moved.swap(0, Ordering::Relaxed), content.len() as u64);
    let mut back = Vec::new();
    files.read_file(path.as_bytes(), 0, &mut back, &count).await.unwrap();
    assert_eq!(moved.load(Ordering::Relaxed), content.len() as u64);
    assert!(back == content, "what came back is not what was sent");
}

async fn reading_and_writing_start_anywhere(world: &World) {
    let (files, dir) = files(world).await;
    let path = format!("{dir}/file");
    write(&*files, &path, b"0123456789").await;
    let mut tail = Vec::new();
    assert_eq!(files.read_file(path.as_bytes(), 7, &mut tail, &|_| ()).await.unwrap(), 3);
    assert_eq!(tail, b"789");
    let options = WriteOptions::default().offset(8).truncate(false);
    files.write_file(path.as_bytes(), &options, &mut &b"xyz"[..], &|_| ()).await.unwrap();
    assert_eq!(read(&*files, &path).await, b"01234567xyz");
    files.set_stat(path.as_bytes(), &FileChanges::default().size(4)).await.unwrap();
    assert_eq!(read(&*files, &path).await, b"0123");
}

async fn an_existing_file_can_be_left_alone(world: &World) {
    let (files, dir) = files(world).await;
    let path = format!("{dir}/file");
    write(&*files, &path, b"mine").await;
    let options = WriteOptions::default().exclusive(true);
    files.write_file(path.as_bytes(), &options, &mut &b"yours"[..], &|_| ()).await.unwrap_err();
    assert_eq!(read(&*files, &path).await, b"mine");
}

async fn directories_are_listed(world: &World) {
    let (files, dir) = files(world).await;
    let tree = format!("{dir}/tree");
    files.create_dir(tree.as_bytes(), Some(0o755)).await.unwrap();
    assert!(files.read_dir(tree.as_bytes()).await.unwrap().is_empty());
    // More than one answer's worth.
    for number in 0..230 {
        write(&*files, &format!("{tree}/{number}"), b"x").await;
    }
    files.create_dir(format!("{tree}/sub").as_bytes(), None).await.unwrap();
    let entries = files.read_dir(tree.as_bytes()).await.unwrap();
    assert_eq!(entries.len(), 231);
    let sub = entries.iter().find(|entry| entry.name == b"sub").unwrap();
    assert_eq!(sub.stat.kind, FileKind::Directory);
    let file = entries.iter().find(|entry| entry.name == b"229").unwrap();
    assert_eq!((file.stat.kind, file.stat.size), (FileKind::File, Some(1)));
    files.remove_dir(tree.as_bytes()).await.unwrap_err();
    files.remove_dir(format!("{tree}/sub").as_bytes()).await.unwrap();
    assert_eq!(files.read_dir(tree.as_bytes()).await.unwrap().len(), 230);
}

async fn renaming_replaces(world: &World) {
    let (files, dir) = files(world).await;
    let (new, old) = (format!("{dir}/new"), format!("{dir}/old"));
    write(&*files, &old, b"old").await;
    write(&*files, &new, b"new").await;
    files.rename(new.as_bytes(), old.as_bytes()).await.unwrap();
    assert_eq!(read(&*files, &old).await, b"new");
    assert_eq!(files.stat(new.as_bytes()).await.unwrap_err().kind, FileErrorKind::NotFound);
}

async fn links_point(world: &World) {
    let (files, dir) = files(world).await;
    write(&*files, &format!("{dir}/file"), b"content").await;
    let link = format!("{dir}/link");
    files.symlink(b"file", link.as_bytes()).await.unwrap();
    assert_eq!(files.read_link(link.as_bytes()).await.unwrap(), b"file");
    assert_eq!(files.lstat(link.as_bytes()).await.unwrap().kind, FileKind::Symlink);
    assert_eq!(files.stat(link.as_bytes()).await.unwrap().kind, FileKind::File);
    assert_eq!(read(&*files, &link).await, b"content");
    files.remove_file(link.as_bytes()).await.unwrap();
    assert_eq!(read(&*files, &format!("{dir}/file")).await, b"content");
}

async fn modes_and_times_are_set(world: &World) {
    let (files, dir) = files(world).await;
    let path = format!("{dir}/file");
    write(&*files, &path, b"content").await;
    let when = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let changes = FileChanges::default().mode(0o640).times((when, when));
    files.set_stat(path.as_bytes(), &changes).await.unwrap();
    let stat = files.stat(path.as_bytes()).await.unwrap();
    assert_eq!((stat.mode, stat.modified), (Some(0o640), Some(when)));
    let options = WriteOptions::default().changes(changes.mode(0o755));
    files.write_file(path.as_bytes(), &options, &mut &b"other"[..], &|_| ()).await.unwrap();
    let stat = files.stat(path.as_bytes()).await.unwrap();
    assert_eq!((stat.mode, stat.modified, stat.size), (Some(0o755), Some(when), Some(5)));
}

async fn what_is_missing_is_not_found(world: &World) {
    let (files, dir) = files(world).await;
    let path = format!("{dir}/nothing");
    let path = path.as_bytes();
    let mut sink = Vec::new();
    let errors = [
        files.stat(path).await.unwrap_err(),
        files.lstat(path).await.unwrap_err(),
        files.read_dir(path).await.unwrap_err(),
        files.remove_file(path).await.unwrap_err(),
        files.remove_dir(path).await.unwrap_err(),
        files.read_link(path).await.unwrap_err(),
        files.rename(path, format!("{dir}/else").as_bytes()).await.unwrap_err(),
        files.read_file(path, 0, &mut sink, &|_| ()).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind, FileErrorKind::NotFound, "{error}");
        assert!(error.to_string().contains("/nothing"), "{error}");
    }
}

async fn names_are_bytes(world: &World) {
    let (files, dir) = files(world).await;
    // Latin-1, which is not UTF-8.
    let name = b"caf\xe9 \xff".to_vec();
    let path = [dir.as_bytes(), b"/", &name].concat();
    files.write_file(&path, &WriteOptions::default(), &mut &b"bytes"[..], &|_| ()).await.unwrap();
    let entries = files.read_dir(dir.as_bytes()).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>(), [name]);
    assert_eq!(files.stat(&path).await.unwrap().size, Some(5));
    files.remove_file(&path).await.unwrap();
}

async fn paths_are_made_absolute(world: &World) {
    let (files, dir) = files(world).await;
    files.create_dir(format!("{dir}/sub").as_bytes(), None).await.unwrap();
    let found = files.canonicalize(format!("{dir}/sub/../sub/.").as_bytes()).await.unwrap();
    assert!(found.ends_with(b"/far/sub"), "{}", String::from_utf8_lossy(&found));
    assert!(files.canonicalize(b".").await.unwrap().starts_with(b"/"));
}
