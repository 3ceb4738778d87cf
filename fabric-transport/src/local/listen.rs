//! Local streams and listeners.

use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::task::Poll;

use async_trait::async_trait;
use fabric_core::error::SessionError;
use fabric_core::transport::{BoxStream, ListenAddress, Listener};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::error::system;

pub(crate) async fn connect(host: &str, port: u16) -> Result<BoxStream, SessionError> {
    let failed = |error| system(format!("connect to {host} port {port}"), error);
    let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    Ok(Box::new(stream))
}

pub(crate) async fn connect_unix(path: &[u8]) -> Result<BoxStream, SessionError> {
    let path = PathBuf::from(OsStr::from_bytes(path));
    let stream = UnixStream::connect(&path).await;
    Ok(Box::new(stream.map_err(|error| system(format!("connect to {}", path.display()), error))?))
}

/// The addresses are bound before this returns. `""` is all interfaces, IPv4 and IPv6; a name is all its addresses, as
/// in ssh.
pub(crate) async fn listen(at: &ListenAddress) -> Result<Box<dyn Listener>, SessionError> {
    match at {
        ListenAddress::Tcp { host, port } => {
            let port = port.map_or(0, NonZeroU16::get);
            let sockets = if host.is_empty() {
                match TcpSockets::bind("::", port).await {
                    // A machine without IPv6.
                    Err(_) => TcpSockets::bind("0.0.0.0", port).await,
                    bound => bound,
                }
            } else {
                TcpSockets::bind(host, port).await
            };
            let sockets = sockets?;
            Ok(Box::new(Tcp { port: sockets.port, sockets: Some(sockets) }))
        }
        ListenAddress::Unix { path } => {
            let path = PathBuf::from(OsStr::from_bytes(path));
            let listener =
                UnixListener::bind(&path).map_err(|error| system(format!("listen on {}", path.display()), error))?;
            Ok(Box::new(Unix { listener: Some(listener), path }))
        }
    }
}

/// How many free ports are tried until one is free on every address.
const PORTS: usize = 20;

/// Listeners on one port of several addresses.
pub(crate) struct TcpSockets {
    listeners: Vec<TcpListener>,
    pub(crate) port: u16,
}

impl TcpSockets {
    /// Listens on every address of `host`; with 0, on a port that is free on all of them. `localhost` is both loopback
    /// addresses, whatever the hosts file contains. As in ssh, an address that this machine doesn't have is left out if
    /// there is another one.
    ///
    /// # Errors
    ///
    /// The address and port that can't be bound, and why.
    pub(crate) async fn bind(host: &str, port: u16) -> Result<Self, SessionError> {
        let addresses = if host.eq_ignore_ascii_case("localhost") {
            vec![IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)]
        } else {
            let found = tokio::net::lookup_host((host, port)).await;
            let found = found.map_err(|error| system(format!("listen on {host} port {port}"), error))?;
            let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            addresses.dedup();
            addresses
        };
        for _ in 1..PORTS {
            match Self::bind_all(&addresses, port).await {
                Err((_, error)) if port == 0 && error.kind() == io::ErrorKind::AddrInUse => {}
                bound => return bound.map_err(|(at, error)| system(format!("listen on {at}"), error)),
            }
        }
        Self::bind_all(&addresses, port).await.map_err(|(at, error)| system(format!("listen on {at}"), error))
    }

    async fn bind_all(addresses: &[IpAddr], mut port: u16) -> Result<Self, (SocketAddr, io::Error)> {
        let (mut listeners, mut missing) = (Vec::new(), None);
        for address in addresses {
            let at = SocketAddr::new(*address, port);
            match TcpListener::bind(at).await.and_then(|listener| Ok((listener.local_addr()?.port(), listener))) {
                Ok((bound, listener)) => {
                    port = bound;
                    listeners.push(listener);
                }
                Err(error) if is_no_address(&error) => missing = Some((at, error)),
                Err(error) => return Err((at, error)),
            }
        }
        match missing {
            Some(missing) if listeners.is_empty() => Err(missing),
            _ => Ok(Self { listeners, port }),
        }
    }

    /// The next connection to any of them.
    pub(crate) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        std::future::poll_fn(|cx| {
            let mut asked = self.listeners.iter().map(|listener| listener.poll_accept(cx));
            asked.find(Poll::is_ready).unwrap_or(Poll::Pending)
        })
        .await
    }
}

/// Whether this machine doesn't have the address, or its family.
fn is_no_address(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT))
}

struct Tcp {
    sockets: Option<TcpSockets>,
    port: u16,
}

#[async_trait]
impl Listener for Tcp {
    fn port(&self) -> Option<NonZeroU16> {
        NonZeroU16::new(self.port)
    }

    async fn accept(&mut self) -> Option<BoxStream> {
        let (stream, _) = until_accepted(|| self.sockets.as_ref().map(TcpSockets::accept)).await?;
        // Fails only on a socket that has ended, which its reader finds out by itself.
        let _ = stream.set_nodelay(true);
        Some(Box::new(stream))
    }

    async fn close(&mut self) {
        self.sockets = None;
    }
}

struct Unix {
    listener: Option<UnixListener>,
    path: PathBuf,
}

#[async_trait]
impl Listener for Unix {
    fn port(&self) -> Option<NonZeroU16> {
        None
    }

    async fn accept(&mut self) -> Option<BoxStream> {
        let (stream, _) = until_accepted(|| self.listener.as_ref().map(UnixListener::accept)).await?;
        Some(Box::new(stream))
    }

    async fn close(&mut self) {
        if self.listener.take().is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Drop for Unix {
    fn drop(&mut self) {
        if self.listener.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Accepts; the listener survives a connection that broke before it was accepted, and a lack of descriptors.
async fn until_accepted<T, F: Future<Output = std::io::Result<T>>>(mut accept: impl FnMut() -> Option<F>) -> Option<T> {
    loop {
        match accept()?.await {
            Ok(accepted) => return Some(accepted),
            Err(error) => {
                tracing::debug!(%error, "accept");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}
