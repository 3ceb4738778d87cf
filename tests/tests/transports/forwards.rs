//! Forwards and shells of a connection.

use fabric_core::ExitStatus;
use fabric_transport::connection::{Endpoint, Forward, Stdin};
use tests::{World, transports};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

transports! {
    connections_are_carried_to_the_host: local embedded sshd dropbear;
    connections_are_carried_from_the_host: local embedded sshd dropbear;
    a_closed_forward_listens_no_more: local embedded sshd;
    localhost_is_both_loopback_addresses: local embedded sshd;
    sockets_are_carried: local embedded sshd;
    a_taken_port_is_an_error: local embedded sshd;
    a_refused_connection_harms_no_other: local embedded sshd dropbear;
    a_shell_gives_its_status: memory local embedded sshd;
}

/// Answers, once a caller has ended, with its input in capital letters.
async fn shouter() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut said = Vec::new();
                stream.read_to_end(&mut said).await.unwrap();
                stream.write_all(&said.to_ascii_uppercase()).await.unwrap();
            });
        }
    });
    port
}

/// Half-closes after speaking, and still hears the answer.
async fn speak(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, text: &[u8]) -> Vec<u8> {
    stream.write_all(text).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

async fn many_speak(forward: &Forward) {
    let speakers = (0..30).map(|n| {
        let port = forward.port().unwrap();
        async move {
            let text = format!("speaker {n} ").repeat(2000);
            let answer = speak(TcpStream::connect(("127.0.0.1", port)).await.unwrap(), text.as_bytes()).await;
            assert!(answer == text.to_uppercase().as_bytes(), "{n}");
        }
    });
    futures_util::future::join_all(speakers).await;
}

async fn connections_are_carried_to_the_host(world: &World) {
    let service = shouter().await;
    let forward = world.connection().forward_local(0).to(("127.0.0.1", service)).await.unwrap();
    many_speak(&forward).await;
    let port = forward.port().unwrap();
    forward.close().await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

async fn connections_are_carried_from_the_host(world: &World) {
    let service = shouter().await;
    let forward = world.connection().forward_remote(("127.0.0.1", 0)).to(("127.0.0.1", service)).await.unwrap();
    assert!(forward.port().is_some_and(|port| port > 0));
    many_speak(&forward).await;
    forward.close().await;
}

/// Not so with dropbear 2022.83, which forgets the port that it has chosen itself.
async fn a_closed_forward_listens_no_more(world: &World) {
    let forward = world.connection().forward_remote(("127.0.0.1", 0)).to(9).await.unwrap();
    let port = forward.port().unwrap();
    forward.close().await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

/// Listened on here and there; connected to there and here, where one of its addresses answers.
async fn localhost_is_both_loopback_addresses(world: &World) {
    let service = shouter().await;
    let connection = world.connection();
    for remote in [false, true] {
        let request = if remote { connection.forward_remote(0) } else { connection.forward_local(0) };
        let forward = request.to(service).await.unwrap();
        for address in ["127.0.0.1", "::1"] {
            // A machine without IPv6.
            if TcpListener::bind((address, 0)).await.is_ok() {
                let stream = TcpStream::connect((address, forward.port().unwrap())).await.unwrap();
                assert_eq!(speak(stream, b"hello").await, b"HELLO", "{address}");
            }
        }
    }
}

async fn sockets_are_carried(world: &World) {
    let service = shouter().await;
    let connection = world.connection();
    let (near, far) = (world.far().join("near"), world.far().join("far"));
    let from_host = connection.forward_remote(far.clone()).to(("127.0.0.1", service)).await.unwrap();
    let to_host = connection.forward_local(near.clone()).to(Endpoint::Unix(far)).await.unwrap();
    assert_eq!(speak(UnixStream::connect(&near).await.unwrap(), b"hello").await, b"HELLO");
    to_host.close().await;
    from_host.close().await;
    assert!(!near.exists());
}

async fn a_taken_port_is_an_error(world: &World) {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let connection = world.connection();
    assert!(connection.forward_local(("127.0.0.1", port)).to(9).await.is_err());
    assert!(connection.forward_remote(("127.0.0.1", port)).to(9).await.is_err());
    // The session still works.
    assert_eq!(connection.run("echo fine").await.unwrap().stdout(), "fine\n");
}

async fn a_refused_connection_harms_no_other(world: &World) {
    let service = shouter().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let connection = world.connection();
    let good = connection.forward_local(0).to(("127.0.0.1", service)).await.unwrap();
    for remote in [false, true] {
        let request = if remote { connection.forward_remote(("127.0.0.1", 0)) } else { connection.forward_local(0) };
        let bad = request.to(("127.0.0.1", closed)).await.unwrap();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(("127.0.0.1", bad.port().unwrap())).await.unwrap();
            // Closed, politely or not.
            assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
        }
        assert!(bad.is_listening());
        let stream = TcpStream::connect(("127.0.0.1", good.port().unwrap())).await.unwrap();
        assert_eq!(speak(stream, b"still here").await, b"STILL HERE");
    }
}

async fn a_shell_gives_its_status(world: &World) {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    let shell = world.connection().shell().pty(false).stdin(Stdin::from("echo from the shell\nexit 7\n"));
    assert_eq!(shell.out_stream(ours).await.unwrap(), ExitStatus::Code(7));
    let mut seen = String::new();
    theirs.read_to_string(&mut seen).await.unwrap();
    assert!(seen.contains("from the shell\n"), "{seen}");
}
