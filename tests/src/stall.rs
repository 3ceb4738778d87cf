//! A network that stops carrying data.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// The side whose bytes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// A port in front of a server. Once a number of bytes has come from one side of a connection, nothing goes through any more in
/// either direction. Both connections stay open: no side gets an end or a reset.
pub struct Stall {
    address: SocketAddr,
}

impl Stall {
    /// A port in front of `server`, which stalls once `bytes` of a connection have come from that side.
    pub fn after(server: SocketAddr, bytes: usize, from: From) -> Self {
        assert!(server.ip().is_loopback(), "{server} is not on loopback");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its number");
        // The threads end with the test.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(server) else { continue };
                let gone = Arc::new(AtomicBool::new(false));
                let limit = |side| if side == from { bytes } else { usize::MAX };
                let clone = |stream: &TcpStream| stream.try_clone().expect("a second handle");
                carry(clone(&client), clone(&server), limit(From::Client), gone.clone());
                carry(server, client, limit(From::Server), gone);
            }
        });
        Self { address }
    }

    /// The host string for clients.
    pub fn host_string(&self) -> String {
        self.address.to_string()
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, mut left: usize, gone: Arc<AtomicBool>) {
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        loop {
            let count = from.read(&mut buffer).unwrap_or(0);
            if gone.load(Ordering::SeqCst) || count >= left {
                gone.store(true, Ordering::SeqCst);
                loop {
                    // Keeps both sockets open.
                    thread::park();
                }
            }
            left -= count;
            if count == 0 || to.write_all(&buffer[..count]).is_err() {
                let _ = to.shutdown(std::net::Shutdown::Write);
                return;
            }
        }
    });
}
