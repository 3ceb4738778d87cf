//! Modes, times, lengths.

use std::os::unix::fs::MetadataExt;

use tempfile::tempdir;

use super::super::{Attributes, OpenFlags, Write};
use super::{client, quiet};

#[tokio::test]
async fn modes_times_and_lengths_are_set_by_path_and_by_handle() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, b"0123456789").unwrap();
    let sftp = client(dir.path()).await;
    let times = Some((1_111_111_111, 1_222_222_222));
    let wanted = Attributes { size: Some(4), permissions: Some(0o6640), times, owner: None };

    sftp.set_stat(b"f", &wanted).await.unwrap();
    let told = sftp.stat(b"f").await.unwrap();
    assert_eq!((told.size, told.times), (Some(4), times));
    let is = std::fs::metadata(&path).unwrap();
    assert_eq!((is.len(), is.mode() & 0o7777, is.atime(), is.mtime()), (4, 0o6640, 1_111_111_111, 1_222_222_222));
    assert_eq!(told.owner, Some((is.uid(), is.gid())));
    assert_eq!(told.permissions, Some(is.mode()));

    let file = sftp.open(b"f", OpenFlags::READ | OpenFlags::WRITE, &Attributes::default()).await.unwrap();
    file.set_stat(&Attributes { size: Some(2_000), permissions: Some(0o600), ..Attributes::default() }).await.unwrap();
    assert_eq!(file.stat().await.unwrap().size, Some(2_000));
    file.set_stat(&Attributes { owner: told.owner, ..Attributes::default() }).await.unwrap();
    file.close().await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
}

#[tokio::test]
async fn a_written_file_gets_its_attributes_last() {
    let dir = tempdir().unwrap();
    let sftp = client(dir.path()).await;
    let how = Write {
        created_with: Attributes::permissions(0o600),
        finish_with: Attributes { permissions: Some(0o466), times: Some((5, 6)), ..Attributes::default() },
        sync: true,
        ..Write::default()
    };
    sftp.write_file(b"f", &how, &mut &b"content"[..], &quiet).await.unwrap();
    let is = std::fs::metadata(dir.path().join("f")).unwrap();
    assert_eq!((is.len(), is.mode() & 0o7777, is.atime(), is.mtime()), (7, 0o466, 5, 6));
}
