//! Dropped futures, dropped clients, and servers that disconnect.

use std::sync::Arc;
use std::task::Poll;

use tempfile::tempdir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::{Attributes, Client, CloseReason, OpenFlags, SftpError, Write};
use super::hostile::Fake;
use super::{client, client_and_server, content, quiet, server};

/// Polls a future this many times and then drops it.
async fn poll_times<F: Future>(times: usize, future: F) {
    let mut future = std::pin::pin!(future);
    for _ in 0..times {
        if std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn dropped_requests_leave_the_conversation_in_step() {
    let dir = tempdir().unwrap();
    let data = content(3_000_000);
    std::fs::write(dir.path().join("f"), &data).unwrap();
    let sftp = client(dir.path()).await;
    for times in 1..60 {
        poll_times(times, sftp.stat(b"f")).await;
        let mut sink = Vec::new();
        poll_times(times, sftp.read_file(b"f", 0, &mut sink, &quiet)).await;
        poll_times(times, sftp.write_file(b"g", &Write::default(), &mut &data[..], &quiet)).await;
        poll_times(times, async { sftp.read_dir(b".").await?.collect(9).await }).await;
    }
    let mut back = Vec::new();
    sftp.read_file(b"f", 0, &mut back, &quiet).await.unwrap();
    assert!(back == data);
}

#[tokio::test]
async fn a_dropped_open_closes_its_handle_on_the_server() {
    let dir = tempdir().unwrap();
    std::fs::write(dir.path().join("f"), b"x").unwrap();
    let (sftp, server) = client_and_server(dir.path(), &[]).await;
    let none = Attributes::default();
    let open = || sftp.open(b"f", OpenFlags::READ, &none);
    for times in [1, 2, 3, 5, 8] {
        for _ in 0..50 {
            poll_times(times, open()).await;
            poll_times(times, sftp.read_dir(b".")).await;
        }
    }
    drop(open().await.unwrap());
    // All requests for the handles above are answered before this one.
    sftp.stat(b"f").await.unwrap();
    sftp.stat(b"f").await.unwrap();
    let open: Vec<_> = std::fs::read_dir(format!("/proc/{}/fd", server.id().unwrap()))
        .unwrap()
        .filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
        .filter(|target| target.starts_with(dir.path()))
        .collect();
    assert_eq!(open, Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn the_stream_ends_with_the_last_that_uses_it() {
    let dir = tempdir().unwrap();
    std::fs::write(dir.path().join("f"), b"x").unwrap();
    let (sftp, mut server) = client_and_server(dir.path(), &[]).await;
    let second = sftp.clone();
    drop(sftp);
    let file = second.open(b"f", OpenFlags::READ, &Attributes::default()).await.unwrap();
    drop(second);
    assert_eq!(file.read_at(0, 10).await.unwrap(), "x");
    drop(file);
    assert!(server.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_client_of_a_server_that_says_nothing_can_be_dropped() {
    let (mut fake, sftp) = Fake::start().await;
    let sftp = Arc::new(sftp);
    let waiting = tokio::spawn({
        let sftp = sftp.clone();
        async move { sftp.stat(b"f").await }
    });
    fake.request().await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    drop(sftp);
    assert_eq!(fake.stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait_and_no_one_else_lose() {
    // The stream holds 64 bytes and nobody reads it: all further writes must wait.
    let (near, mut far) = tokio::io::duplex(64);
    let greeted = tokio::spawn(async move {
        far.read_exact(&mut [0; 9]).await.unwrap();
        far.write_all(&[0, 0, 0, 5, 2, 0, 0, 0, 3]).await.unwrap();
        far
    });
    let sftp = Client::start(near).await.unwrap();
    let far = greeted.await.unwrap();
    let path = vec![b'a'; 60_000];
    let mut stats = Vec::new();
    for _ in 0..30 {
        let mut stat = Box::pin(sftp.stat(&path));
        std::future::poll_fn(|cx| Poll::Ready(stat.as_mut().poll(cx).is_pending())).await;
        stats.push(stat);
    }
    tokio::task::yield_now().await;
    drop(far);
    for stat in stats {
        assert!(matches!(stat.await.unwrap_err(), SftpError::Closed(_)));
    }
    sftp.closed().await;
}

#[tokio::test]
async fn a_killed_server_fails_all_that_wait() {
    let dir = tempdir().unwrap();
    std::fs::write(dir.path().join("f"), content(50_000_000)).unwrap();
    let (sftp, mut server) = client_and_server(dir.path(), &[]).await;
    let mut sink = Vec::new();
    let killed = parking_lot::Mutex::new(Some(&mut server));
    let kill = |_| {
        if let Some(server) = killed.lock().take() {
            server.start_kill().unwrap();
        }
    };
    let error = sftp.read_file(b"f", 0, &mut sink, &kill).await.unwrap_err();
    assert!(matches!(error, SftpError::Closed(_)), "{error}");
    assert!(matches!(sftp.closed().await, CloseReason::Eof | CloseReason::Cut | CloseReason::Io(_)));
    assert!(sftp.is_closed());
    assert!(matches!(sftp.stat(b"f").await.unwrap_err(), SftpError::Closed(_)));
}

#[tokio::test]
async fn a_conversation_cut_anywhere_is_an_error_and_never_a_short_file() {
    let dir = tempdir().unwrap();
    let data = content(700);
    std::fs::write(dir.path().join("f"), &data).unwrap();
    let mut whole = false;
    for cut in 0.. {
        let mut server = server(dir.path(), &[]);
        let (stdout, stdin) = (server.stdout.take().unwrap(), server.stdin.take().unwrap());
        let done = async {
            let sftp = Client::start_on(stdout.take(cut * 7), stdin).await?;
            let mut sink = Vec::new();
            sftp.read_file(b"f", 0, &mut sink, &quiet).await?;
            Ok::<_, SftpError>(sink)
        };
        match done.await {
            Ok(sink) => {
                assert!(sink == data);
                whole = true;
                break;
            }
            Err(SftpError::Closed(CloseReason::Eof | CloseReason::Cut | CloseReason::Io(_))) => {}
            Err(other) => panic!("cut after {}: {other}", cut * 7),
        }
    }
    assert!(whole);
}
