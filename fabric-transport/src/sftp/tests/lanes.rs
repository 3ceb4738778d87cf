//! Long writes over links on which one channel's window is the limit.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::tempdir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::super::{Client, Write};
use super::{SFTP_SERVER, client, content, quiet};

/// Half a round trip.
const DELAY: Duration = Duration::from_millis(10);
/// How much unread data a channel accepts, as in sshd.
const WINDOW: usize = 2 * 1024 * 1024;

/// A link to a server: its delay, and how much it carries before it is cut.
#[derive(Clone, Copy)]
struct Link {
    delay: Duration,
    cut_after: usize,
    arguments: &'static [&'static str],
}

const SLOW: Link = Link { delay: DELAY, cut_after: usize::MAX, arguments: &[] };

/// Carries bytes in one direction, each for `delay` and no more than a window of them at once.
async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, link: Link) {
    let (sender, mut under_way) = tokio::sync::mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let window = Arc::new(Semaphore::new(WINDOW));
    let send = async {
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(room) = window.acquire_many(buffer.len() as u32).await {
            let Ok(count @ 1..) = from.read(&mut buffer).await else { break };
            room.forget();
            window.add_permits(buffer.len() - count);
            let _ = sender.send((Instant::now() + link.delay, buffer[..count].to_vec()));
        }
        drop(sender);
        std::future::pending::<()>().await;
    };
    let deliver = async {
        let mut left = link.cut_after;
        while let Some((at, data)) = under_way.recv().await {
            tokio::time::sleep_until(at).await;
            left = left.saturating_sub(data.len());
            if left == 0 || to.write_all(&data).await.is_err() {
                break;
            }
            // The window's update takes as long.
            let window = window.clone();
            tokio::spawn(async move {
                tokio::time::sleep(link.delay).await;
                window.add_permits(data.len());
            });
        }
    };
    tokio::select! {
        () = send => {}
        () = deliver => {}
    }
}

/// The stream of a channel to a real server over such a link.
fn channel(directory: &Path, link: Link) -> DuplexStream {
    let server = Command::new(SFTP_SERVER)
        .arg("-d")
        .arg(directory)
        .args(link.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("these tests need OpenSSH's sftp-server");
    let (near, far) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let (reader, writer) = tokio::io::split(far);
        let mut server = server;
        let (stdin, stdout) = (server.stdin.take().unwrap(), server.stdout.take().unwrap());
        let back = Link { cut_after: usize::MAX, ..link };
        tokio::select! {
            () = carry(reader, stdin, link) => {}
            () = carry(stdout, writer, back) => {}
        }
        drop(server);
    });
    near
}

/// Writes 24 MiB over a channel and any further ones; returns how many further channels were opened.
async fn put(how: Write, first: Link, further: Option<Link>) -> usize {
    let dir = tempdir().unwrap();
    let (asked, place) = (Arc::new(AtomicUsize::new(0)), dir.path().to_owned());
    let count = asked.clone();
    let sftp = Client::start(channel(dir.path(), first)).await.unwrap().further_channels(move || {
        count.fetch_add(1, Ordering::Relaxed);
        let stream = further.map(|link| channel(&place, link));
        async move { Client::start(stream?).await.ok() }
    });
    let (sent, confirmed) = (content(24 << 20), AtomicU64::new(0));
    let told = |more| _ = confirmed.fetch_add(more, Ordering::Relaxed);
    let written = sftp.write_file(b"f", &how, &mut &sent[..], &told).await.unwrap();
    assert_eq!((written, confirmed.into_inner()), (sent.len() as u64, sent.len() as u64));
    assert!(std::fs::read(dir.path().join("f")).unwrap() == sent);
    // All further channels are closed, so the next write may open as many.
    let before = asked.load(Ordering::Relaxed);
    sftp.write_file(b"g", &Write::default(), &mut &sent[..], &quiet).await.unwrap();
    let after = asked.load(Ordering::Relaxed);
    assert!(std::fs::read(dir.path().join("g")).unwrap() == sent);
    assert!(further.is_none() || how.in_order || after >= 2 * before.min(5), "{before} and then {after}");
    before
}

#[tokio::test]
async fn a_long_write_goes_over_several_channels_where_the_window_is_the_limit() {
    assert_eq!(put(Write::default(), SLOW, Some(SLOW)).await, 5);
}

#[tokio::test]
async fn a_short_link_needs_one_channel() {
    let dir = tempdir().unwrap();
    let sftp = client(dir.path()).await.further_channels(|| async { panic!("a further channel") });
    sftp.write_file(b"f", &Write::default(), &mut &content(24 << 20)[..], &quiet).await.unwrap();
}

#[tokio::test]
async fn a_write_in_order_keeps_to_its_channel() {
    let how = Write { in_order: true, ..Write::default() };
    assert_eq!(put(how, SLOW, Some(SLOW)).await, 0);
}

#[tokio::test]
async fn channels_that_are_refused_are_done_without() {
    assert!(put(Write::default(), SLOW, None).await >= 5);
}

#[tokio::test]
async fn channels_that_fail_leave_nothing_out() {
    // During the version exchange, before the file is open there, during a write, between writes.
    for cut_after in [5, 60, 200_000, 1_000_000, 1_500_000] {
        put(Write::default(), SLOW, Some(Link { cut_after, ..SLOW })).await;
    }
    // A server that opens no file for writing.
    put(Write::default(), SLOW, Some(Link { arguments: &["-R"], ..SLOW })).await;
}

#[tokio::test]
async fn an_error_on_the_first_channel_is_an_error_of_the_write() {
    let dir = tempdir().unwrap();
    let place = dir.path().to_owned();
    let first = Link { cut_after: 9 << 20, ..SLOW };
    let sftp = Client::start(channel(dir.path(), first)).await.unwrap().further_channels(move || {
        let stream = channel(&place, SLOW);
        async move { Client::start(stream).await.ok() }
    });
    sftp.write_file(b"f", &Write::default(), &mut &content(64 << 20)[..], &quiet).await.unwrap_err();
}
