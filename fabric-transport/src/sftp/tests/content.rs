//! Contents of files: long, short, many, parts.

use std::io::{Seek, SeekFrom, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt, TryStreamExt, stream};
use tempfile::tempdir;

use super::super::{Attributes, OpenFlags, SftpError, StatusCode, Write};
use super::{client, client_and_server, content, quiet};

#[tokio::test]
async fn files_of_all_lengths_go_there_and_come_back() {
    for denied in [&[][..], &["-P", "limits"]] {
        let dir = tempdir().unwrap();
        let (sftp, _server) = client_and_server(dir.path(), denied).await;
        let chunk = sftp.limits().await.read as usize;
        for length in [0, 1, 4095, 16 * 1024 + 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 40 * chunk + 17] {
            let sent = content(length);
            let confirmed = AtomicU64::new(0);
            let count = |more| _ = confirmed.fetch_add(more, Ordering::Relaxed);
            let written = sftp.write_file(b"f", &Write::default(), &mut &sent[..], &count).await.unwrap();
            assert_eq!((written, confirmed.into_inner()), (length as u64, length as u64));
            assert!(std::fs::read(dir.path().join("f")).unwrap() == sent, "{length}");
            let mut back = Vec::new();
            let told = AtomicU64::new(0);
            let count = |more| _ = told.fetch_add(more, Ordering::Relaxed);
            assert_eq!(sftp.read_file(b"f", 0, &mut back, &count).await.unwrap(), length as u64);
            assert!(back == sent, "{length}");
            assert_eq!(told.into_inner(), length as u64);
        }
    }
}

#[tokio::test]
async fn a_long_file_with_holes_comes_whole() {
    const LENGTH: u64 = 64 * 1024 * 1024;
    let dir = tempdir().unwrap();
    let path = dir.path().join("long");
    let mut file = std::fs::File::create(&path).unwrap();
    for at in [0, 1_000_003, 33_333_333, LENGTH - 50_000] {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&content(50_000)).unwrap();
    }
    let sftp = client(dir.path()).await;
    let mut there = Vec::new();
    assert_eq!(sftp.read_file(b"long", 0, &mut there, &quiet).await.unwrap(), LENGTH);
    let is = std::fs::read(&path).unwrap();
    assert!(there == is);
    assert_eq!(sftp.write_file(b"copy", &Write::default(), &mut &there[..], &quiet).await.unwrap(), LENGTH);
    assert!(std::fs::read(dir.path().join("copy")).unwrap() == is);
}

#[tokio::test]
async fn many_small_files_share_a_client() {
    const FILES: usize = 2_000;
    let dir = tempdir().unwrap();
    let sftp = &client(dir.path()).await;
    let name = |i: usize| format!("file-{i}").into_bytes();
    let text = |i: usize| format!("content of {i}").repeat(i % 7);
    let write = |i| async move { sftp.write_file(&name(i), &Write::default(), &mut text(i).as_bytes(), &quiet).await };
    let written: u64 =
        stream::iter(0..FILES).map(write).buffer_unordered(64).try_fold(0, async |a, b| Ok(a + b)).await.unwrap();
    assert_eq!(written, (0..FILES).map(|i| text(i).len() as u64).sum::<u64>());
    let read = |i| async move {
        let mut back = Vec::new();
        sftp.read_file(&name(i), 0, &mut back, &quiet).await.map(|_| (i, back))
    };
    let back: Vec<_> = stream::iter(0..FILES).map(read).buffer_unordered(64).try_collect().await.unwrap();
    assert_eq!(back.len(), FILES);
    assert!(back.iter().all(|(i, back)| back == text(*i).as_bytes()));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), FILES);
}

#[tokio::test]
async fn a_partial_transfer_is_resumed_and_a_longer_file_is_cut() {
    let dir = tempdir().unwrap();
    let sftp = client(dir.path()).await;
    let whole = content(1_000_000);
    std::fs::write(dir.path().join("f"), &whole[..400_001]).unwrap();
    let how = Write { flags: OpenFlags::WRITE | OpenFlags::CREATE, offset: 400_001, ..Write::default() };
    assert_eq!(sftp.write_file(b"f", &how, &mut &whole[400_001..], &quiet).await.unwrap(), 599_999);
    assert!(std::fs::read(dir.path().join("f")).unwrap() == whole);

    for offset in [0, 1, 261_120, 999_999, 1_000_000, 2_000_000] {
        let mut rest = Vec::new();
        sftp.read_file(b"f", offset as u64, &mut rest, &quiet).await.unwrap();
        assert!(rest == whole[offset.min(whole.len())..], "{offset}");
    }
    sftp.write_file(b"f", &Write::default(), &mut &b"short"[..], &quiet).await.unwrap();
    assert_eq!(std::fs::read(dir.path().join("f")).unwrap(), b"short");
}

#[tokio::test]
async fn a_file_of_untold_length_is_read_to_its_end() {
    let dir = tempdir().unwrap();
    let sftp = client(dir.path()).await;
    let mut status = Vec::new();
    sftp.read_file(b"/proc/self/status", 0, &mut status, &quiet).await.unwrap();
    assert!(status.starts_with(b"Name:\tsftp-server"), "{}", String::from_utf8_lossy(&status));
    assert_eq!(sftp.read_file(b"/dev/null", 0, &mut status, &quiet).await.unwrap(), 0);
}

#[tokio::test]
async fn a_file_that_grows_or_shrinks_meanwhile_is_read_without_gaps() {
    for (now, length) in [(3_000_000, 9_000_000), (9_000_000, 3_000_000)] {
        let dir = tempdir().unwrap();
        let whole = content(9_000_000);
        std::fs::write(dir.path().join("f"), &whole[..now]).unwrap();
        let sftp = client(dir.path()).await;
        // Triggered by the sink's first byte: the length is known by then.
        let path = dir.path().join("f");
        let changed = std::sync::Once::new();
        let change = |_| {
            changed.call_once(|| {
                // It is never shorter than its final length.
                let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
                if length < now {
                    file.set_len(length as u64).unwrap();
                } else {
                    std::io::Write::write_all(&mut file, &whole[now..]).unwrap();
                }
            });
        };
        let mut back = Vec::new();
        sftp.read_file(b"f", 0, &mut back, &change).await.unwrap();
        if length > now {
            assert!(back == whole);
        } else {
            assert!(back.len() >= length && back == whole[..back.len()]);
        }
    }
}

#[tokio::test]
async fn hundreds_of_handles_are_open_at_once() {
    let dir = tempdir().unwrap();
    let sftp = client(dir.path()).await;
    let mut files = Vec::new();
    // OpenSSH's handles are 4-byte counters: not UTF-8 from the 128th on.
    for i in 0..300_u32 {
        let flags = OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE;
        files.push(sftp.open(format!("{i}").as_bytes(), flags, &Attributes::default()).await.unwrap());
    }
    for (i, file) in files.iter().enumerate() {
        file.write_at(0, format!("this is {i}").as_bytes()).await.unwrap();
    }
    for (i, file) in files.into_iter().enumerate().rev() {
        assert_eq!(file.read_at(0, 100).await.unwrap(), format!("this is {i}"));
        assert_eq!(file.read_at(100, 100).await.unwrap(), "");
        file.close().await.unwrap();
    }
}

#[tokio::test]
async fn long_writes_are_split_and_append_appends() {
    let dir = tempdir().unwrap();
    let sftp = client(dir.path()).await;
    let data = content(1_500_000);
    let flags = OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let file = sftp.open(b"f", flags, &Attributes::default()).await.unwrap();
    file.write_at(11, &data).await.unwrap();
    assert!(file.read_at(11, u32::MAX).await.unwrap() == data[..sftp.limits().await.read as usize]);
    assert_eq!(sftp.open(b"f", flags, &Attributes::default()).await.unwrap_err().status(), Some(StatusCode::Failure));
    let end = sftp.open(b"f", OpenFlags::WRITE | OpenFlags::APPEND, &Attributes::default()).await.unwrap();
    end.write_at(0, b"the end").await.unwrap();
    let is = std::fs::read(dir.path().join("f")).unwrap();
    assert!(is[..11] == [0; 11] && is[11..1_500_011] == data && is[1_500_011..] == *b"the end");
}

#[tokio::test]
async fn a_failing_source_or_sink_is_told_apart_from_the_server() {
    struct Broken;
    impl tokio::io::AsyncRead for Broken {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Err(std::io::ErrorKind::StorageFull.into()))
        }
    }
    let dir = tempdir().unwrap();
    let sftp = client(dir.path()).await;
    let error = sftp.write_file(b"f", &Write::default(), &mut Broken, &quiet).await.unwrap_err();
    assert!(matches!(error, SftpError::Local { during: "reading the source", .. }), "{error}");
    std::fs::write(dir.path().join("f"), content(1_000_000)).unwrap();
    let (mut sink, reader) = tokio::io::duplex(1000);
    drop(reader);
    let error = sftp.read_file(b"f", 0, &mut sink, &quiet).await.unwrap_err();
    assert!(matches!(error, SftpError::Local { during: "writing the sink", .. }), "{error}");
    sftp.stat(b"f").await.unwrap();
}
