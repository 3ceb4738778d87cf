//! The client as a session's [`Files`].

use std::time::{Duration, UNIX_EPOCH};

use fabric_core::error::FileErrorKind;
use fabric_core::transport::{FileChanges, FileKind, Files, WriteOptions};
use tempfile::tempdir;

use super::{client, quiet};

#[tokio::test]
async fn a_file_lives_its_life_through_the_trait() {
    let dir = tempdir().unwrap();
    let files: &dyn Files = &client(dir.path()).await;
    files.create_dir(b"d", Some(0o700)).await.unwrap();
    let times = (UNIX_EPOCH + Duration::from_secs(1), UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX)));
    let options =
        WriteOptions::default().mode(0o600).changes(FileChanges::default().mode(0o644).times(times)).sync(true);
    assert_eq!(files.write_file(b"d/a", &options, &mut &b"hello"[..], &quiet).await.unwrap(), 5);
    let stat = files.stat(b"d/a").await.unwrap();
    assert_eq!((stat.kind, stat.size, stat.mode), (FileKind::File, Some(5), Some(0o644)));
    assert_eq!((stat.accessed, stat.modified), (Some(times.0), Some(times.1)));
    files.set_stat(b"d/a", &FileChanges::default().size(4)).await.unwrap();
    files.symlink(b"a", b"d/l").await.unwrap();
    assert_eq!(files.read_link(b"d/l").await.unwrap(), b"a");
    assert_eq!(files.lstat(b"d/l").await.unwrap().kind, FileKind::Symlink);
    let mut back = Vec::new();
    assert_eq!(files.read_file(b"d/l", 1, &mut back, &quiet).await.unwrap(), 3);
    assert_eq!(back, b"ell");
    let mut names: Vec<_> = files.read_dir(b"d").await.unwrap().into_iter().map(|e| (e.name, e.stat.kind)).collect();
    names.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(names, [(b"a".to_vec(), FileKind::File), (b"l".to_vec(), FileKind::Symlink)]);
    files.rename(b"d/a", b"d/l").await.unwrap();
    assert_eq!(files.lstat(b"d/l").await.unwrap().kind, FileKind::File);
    assert!(files.canonicalize(b"d/../d").await.unwrap().ends_with(b"/d"));
    files.remove_file(b"d/l").await.unwrap();
    files.remove_dir(b"d").await.unwrap();
}

#[tokio::test]
async fn failures_are_given_their_names() {
    let dir = tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    std::fs::write(dir.path().join("f"), b"").unwrap();
    let files: &dyn Files = &client(dir.path()).await;
    let exclusive = WriteOptions::default().exclusive(true);
    let mut sink = Vec::new();
    let is_directory = FileErrorKind::WrongKind("it is a directory");
    let is_none = FileErrorKind::WrongKind("it is not a directory");
    for (error, kind) in [
        (files.stat(b"x").await.unwrap_err(), FileErrorKind::NotFound),
        (files.create_dir(b"d", None).await.unwrap_err(), FileErrorKind::Exists),
        (files.symlink(b"d", b"f").await.unwrap_err(), FileErrorKind::Exists),
        (files.write_file(b"f", &exclusive, &mut &b""[..], &quiet).await.unwrap_err(), FileErrorKind::Exists),
        (
            files.write_file(b"d", &WriteOptions::default(), &mut &b""[..], &quiet).await.unwrap_err(),
            is_directory.clone(),
        ),
        (files.read_file(b"d", 0, &mut sink, &quiet).await.unwrap_err(), is_directory.clone()),
        (files.remove_file(b"d").await.unwrap_err(), is_directory),
        (files.read_dir(b"f").await.unwrap_err(), is_none.clone()),
        (files.remove_dir(b"f").await.unwrap_err(), is_none),
        (files.read_dir(b"x").await.unwrap_err(), FileErrorKind::NotFound),
    ] {
        assert_eq!(error.kind, kind, "{error}");
    }
}
