//! Forwards, with this machine as the host.

use std::sync::Arc;

use fabric_core::Error;
use fabric_core::error::{ConnectErrorKind, Phase};
use fabric_core::event::EventKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::{Recorder, fleet, here};
use crate::connection::{Connection, Endpoint, Forward};

/// A service that answers when its client has closed its side: with the input, reversed.
async fn reverser() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut got = Vec::new();
                stream.read_to_end(&mut got).await.unwrap();
                got.reverse();
                stream.write_all(&got).await.unwrap();
            });
        }
    });
    port
}

async fn ask(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, text: &[u8]) -> Vec<u8> {
    stream.write_all(text).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

async fn forward(connection: &Connection, remote: bool, listen: Endpoint, to: impl Into<Endpoint>) -> Forward {
    let request = if remote { connection.forward_remote(listen) } else { connection.forward_local(listen) };
    request.to(to).await.unwrap()
}

#[tokio::test]
async fn many_connections_are_carried_and_half_closing_is_kept() {
    let service = reverser().await;
    for remote in [false, true] {
        let forward = forward(&here(), remote, 0.into(), ("127.0.0.1", service)).await;
        assert!(forward.port().is_some_and(|port| port > 0));
        let large = vec![b'x'; 300_000];
        let asked = (0..20).map(|n| {
            let (port, large) = (forward.port().unwrap(), large.clone());
            async move {
                let text = [format!("{n} ").into_bytes(), large].concat();
                let answer = ask(TcpStream::connect(("localhost", port)).await.unwrap(), &text).await;
                assert!(answer.iter().rev().eq(text.iter()), "{n}");
            }
        });
        futures_util::future::join_all(asked).await;
        let port = forward.port().unwrap();
        forward.close().await;
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    }
}

#[tokio::test]
async fn unix_sockets_both_ways() {
    let service = reverser().await;
    let dir = tempfile::tempdir().unwrap();
    for remote in [false, true] {
        let (inner, outer) = (dir.path().join("inner"), dir.path().join("outer"));
        let first = forward(&here(), remote, inner.clone().into(), ("127.0.0.1", service)).await;
        let second = forward(&here(), remote, outer.clone().into(), inner.clone()).await;
        assert_eq!(ask(UnixStream::connect(&outer).await.unwrap(), b"abc").await, b"cba");
        first.close().await;
        second.close().await;
        assert!(!inner.exists() && !outer.exists());
    }
}

#[tokio::test]
async fn a_port_in_use_is_an_error_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    for request in [here().forward_local(("127.0.0.1", port)), here().forward_remote(("127.0.0.1", port))] {
        let error = request.to(9).await.unwrap_err();
        assert!(error.to_string().contains(&format!("listen on 127.0.0.1:{port}")), "{error}");
    }
    assert!(matches!(here().forward_local(0).await, Err(Error::Usage(_))));
}

/// Whether this machine has IPv6.
async fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").await.is_ok()
}

#[tokio::test]
async fn a_forward_without_an_address_listens_on_both_loopback_addresses() {
    let service = reverser().await;
    for remote in [false, true] {
        for name in ["localhost", "LocalHost"] {
            let forward = forward(&here(), remote, (name, 0).into(), ("127.0.0.1", service)).await;
            let addresses: &[&str] = if has_ipv6().await { &["127.0.0.1", "::1"] } else { &["127.0.0.1"] };
            for address in addresses {
                let stream = TcpStream::connect((*address, forward.port().unwrap())).await.unwrap();
                assert_eq!(ask(stream, b"abc").await, b"cba", "{address}");
            }
        }
    }
}

#[tokio::test]
async fn a_loopback_address_that_cannot_be_had_is_an_error_that_names_it() {
    for taken in ["127.0.0.1", "::1"] {
        let Ok(taken) = TcpListener::bind((taken, 0)).await else { continue };
        let taken = taken.local_addr().map(|address| (address, taken)).unwrap();
        let port = taken.0.port();
        for request in [here().forward_local(port), here().forward_remote(port)] {
            let error = request.to(9).await.unwrap_err();
            assert!(error.to_string().contains(&format!("listen on {}", taken.0)), "{error}");
        }
    }
}

#[tokio::test]
async fn one_refused_connection_harms_no_other() {
    let service = reverser().await;
    let recorder = Arc::new(Recorder::default());
    let (fleet, connect) = fleet();
    let first = std::sync::atomic::AtomicBool::new(true);
    fleet.host("web1").on_stream(move |_, _| {
        if first.swap(false, std::sync::atomic::Ordering::Relaxed) {
            return None;
        }
        let (ours, theirs) = tokio::io::duplex(64);
        tokio::spawn(async move {
            let (mut ours, mut onward) = (ours, TcpStream::connect(("127.0.0.1", service)).await.unwrap());
            tokio::io::copy_bidirectional(&mut ours, &mut onward).await.unwrap();
        });
        Some(Box::new(theirs))
    });
    let connection = connect("web1").emitter(recorder.emitter()).build().unwrap();
    let forward = connection.forward_local(0).to(("anywhere", 1)).await.unwrap();
    let mut refused = TcpStream::connect(("127.0.0.1", forward.port().unwrap())).await.unwrap();
    assert_eq!(refused.read(&mut [0]).await.unwrap(), 0);
    let stream = TcpStream::connect(("127.0.0.1", forward.port().unwrap())).await.unwrap();
    assert_eq!(ask(stream, b"abc").await, b"cba");
    assert_eq!(recorder.count(|kind| matches!(kind, EventKind::Warning { .. })), 1);
    assert!(forward.is_listening());
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_an_error_at_once() {
    let (fleet, connect) = fleet();
    fleet.host("web1").refuse(1, Phase::Connect, ConnectErrorKind::Refused { address: "web1:22".into() });
    let connection = connect("web1").build().unwrap();
    assert!(matches!(connection.forward_local(0).to(80).await, Err(Error::Connect(_))));
}

#[tokio::test]
async fn the_stream_to_a_target_is_public() {
    let service = reverser().await;
    let connection = Connection::builder(format!("127.0.0.1:{service}")).build().unwrap();
    assert_eq!(ask(connection.open_gateway().await.unwrap(), b"abc").await, b"cba");
    assert!(!connection.is_connected());
}

#[tokio::test]
async fn ends_are_given_as_text_too() {
    let service = reverser().await;
    let forward = here().forward_local("127.0.0.1:0").to(format!("127.0.0.1:{service}")).await.unwrap();
    let stream = TcpStream::connect(("127.0.0.1", forward.port().unwrap())).await.unwrap();
    assert_eq!(ask(stream, b"abc").await, b"cba");
    for wrong in ["db.internal", "db.internal:", "db.internal:70000", ":80", "::1:80", "[::1", "[::1]", ""] {
        for request in [here().forward_local(wrong).to(service), here().forward_remote(0).to(wrong)] {
            let Err(Error::Usage(text)) = request.await else { panic!("{wrong:?} is taken") };
            assert!(text.contains(&format!("{wrong:?}")) && text.starts_with("local://here: "), "{text}");
        }
    }
}
