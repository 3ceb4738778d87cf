//! Streams from a host and to it.

use fabric_core::transport::ListenAddress;
use tests::{World, transports};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

transports! {
    a_port_is_reached_from_the_host: local embedded sshd dropbear;
    a_refused_port_is_an_error: local embedded sshd dropbear;
    a_socket_is_reached_from_the_host: local embedded sshd;
    much_goes_both_ways_at_once: local embedded sshd dropbear;
    a_port_of_the_host_is_listened_on: local embedded sshd;
    a_socket_of_the_host_is_listened_on: local embedded sshd;
}

async fn a_port_is_reached_from_the_host(world: &World) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let session = world.session().await;
    let mut stream = session.open_stream("127.0.0.1", port).await.unwrap();
    let (mut accepted, _) = listener.accept().await.unwrap();
    stream.write_all(b"question").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    accepted.read_to_string(&mut text).await.unwrap();
    accepted.write_all(b"answer").await.unwrap();
    drop(accepted);
    text.push(' ');
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "question answer");
}

async fn a_refused_port_is_an_error(world: &World) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let session = world.session().await;
    assert!(session.open_stream("127.0.0.1", port).await.is_err());
    assert!(session.is_open());
}

async fn a_socket_is_reached_from_the_host(world: &World) {
    let path = world.far().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let session = world.session().await;
    let mut stream = session.open_unix_stream(path.to_str().unwrap().as_bytes()).await.unwrap();
    let (mut accepted, _) = listener.accept().await.unwrap();
    accepted.write_all(b"hello").await.unwrap();
    drop(accepted);
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");
}

const SIZE: usize = 8 << 20;

/// Sends and receives the same amount concurrently; returns whether what it received is right.
async fn exchange(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite) -> bool {
    let (mut read, mut write) = tokio::io::split(stream);
    let send = async {
        let data: Vec<u8> = (0..SIZE).map(|n| (n % 239) as u8).collect();
        write.write_all(&data).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let take = async {
        let mut data = Vec::new();
        read.read_to_end(&mut data).await.unwrap();
        data.len() == SIZE && data.iter().enumerate().all(|(n, byte)| *byte == (n % 239) as u8)
    };
    tokio::join!(send, take).1
}

async fn much_goes_both_ways_at_once(world: &World) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let session = world.session().await;
    let stream = session.open_stream("127.0.0.1", port).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    assert_eq!(tokio::join!(exchange(stream), exchange(accepted)), (true, true));
}

async fn a_port_of_the_host_is_listened_on(world: &World) {
    let session = world.session().await;
    let mut listener = session.listen(&ListenAddress::tcp("localhost", None)).await.unwrap();
    let port = listener.port().expect("a port").get();
    for text in ["one", "two"] {
        let mut near = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut stream = listener.accept().await.unwrap();
        near.write_all(text.as_bytes()).await.unwrap();
        near.shutdown().await.unwrap();
        let mut seen = String::new();
        stream.read_to_string(&mut seen).await.unwrap();
        assert_eq!(seen, text);
        stream.write_all(b"back").await.unwrap();
        stream.shutdown().await.unwrap();
        drop(stream);
        let mut back = String::new();
        near.read_to_string(&mut back).await.unwrap();
        assert_eq!(back, "back");
    }
    listener.close().await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

async fn a_socket_of_the_host_is_listened_on(world: &World) {
    let session = world.session().await;
    let path = world.far().join("socket");
    let mut listener = session.listen(&ListenAddress::unix(path.to_str().unwrap())).await.unwrap();
    let mut near = UnixStream::connect(&path).await.unwrap();
    let mut stream = listener.accept().await.unwrap();
    near.write_all(b"in").await.unwrap();
    near.shutdown().await.unwrap();
    let mut seen = String::new();
    stream.read_to_string(&mut seen).await.unwrap();
    assert_eq!(seen, "in");
}
