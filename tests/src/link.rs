//! A slow link to a server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A port in front of a server that delays what goes through, each way. Any amount may be in flight.
///
/// It counts the round trips that connections need: a message that a client sends after one of the server's has reached it is one
/// deeper than that.
pub struct Link {
    address: SocketAddr,
    depth: Arc<AtomicUsize>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Link {
    /// A link to `server` with this delay each way: half the round-trip time.
    pub async fn to(server: SocketAddr, delay: Duration) -> Self {
        assert!(server.ip().is_loopback(), "{server} is not on loopback");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its number");
        let depth = Arc::new(AtomicUsize::new(0));
        let deepest = Arc::clone(&depth);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let deepest = Arc::clone(&deepest);
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(server).await else { return };
                    let _ = (client.set_nodelay(true), server.set_nodelay(true));
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    // The depth of what has reached each side.
                    let (near, far) = (AtomicUsize::new(0), AtomicUsize::new(0));
                    let there = carry(from_client, to_server, delay, 1, &near, |depth| {
                        far.fetch_max(depth, Ordering::Relaxed);
                    });
                    let back = carry(from_server, to_client, delay, 0, &far, |depth| {
                        near.fetch_max(depth, Ordering::Relaxed);
                        deepest.fetch_max(depth, Ordering::Relaxed);
                    });
                    tokio::join!(there, back);
                });
            }
        });
        Self { address, depth, accepting }
    }

    /// The address for clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many round trips a connection has needed so far, without that of the TCP handshake; the maximum of several
    /// connections.
    pub fn round_trips(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }

    /// Resets the count.
    pub fn forget(&self) {
        self.depth.store(0, Ordering::Relaxed);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Carries bytes one way. What is sent is `more` deeper than what has arrived `here`; `arrives` gets the depth on arrival.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    delay: Duration,
    more: usize,
    here: &AtomicUsize,
    arrives: impl Fn(usize),
) {
    let (sender, mut under_way) = mpsc::unbounded_channel::<(Instant, usize, Vec<u8>)>();
    let send = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let depth = here.load(Ordering::Relaxed) + more;
            let _ = sender.send((Instant::now() + delay, depth, buffer[..count].to_vec()));
        }
    };
    let deliver = async {
        while let Some((at, depth, data)) = under_way.recv().await {
            tokio::time::sleep_until(at).await;
            arrives(depth);
            if to.write_all(&data).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(send, deliver);
}
