//! Streams and listeners of this machine.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use async_trait::async_trait;
use fabric_core::error::SessionError;
use fabric_core::transport::{BoxStream, ListenAddress, Listener};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::system;

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

/// Binds before it returns. `""` is all interfaces, IPv4 and IPv6.
pub(crate) async fn listen(at: &ListenAddress) -> Result<Box<dyn Listener>, SessionError> {
    match at {
        ListenAddress::Tcp { host, port } => {
            let host = if host.is_empty() { "::" } else { host };
            let bound = match TcpListener::bind((host, *port)).await {
                // A machine without IPv6.
                Err(_) if host == "::" => TcpListener::bind(("0.0.0.0", *port)).await,
                other => other,
            };
            let listener = bound.map_err(|error| system(format!("listen on {host} port {port}"), error))?;
            let port = listener.local_addr().map_err(|error| system("listen", error))?.port();
            Ok(Box::new(Tcp { listener: Some(listener), port }))
        }
        ListenAddress::Unix { path } => {
            let path = PathBuf::from(OsStr::from_bytes(path));
            let listener =
                UnixListener::bind(&path).map_err(|error| system(format!("listen on {}", path.display()), error))?;
            Ok(Box::new(Unix { listener: Some(listener), path }))
        }
    }
}

struct Tcp {
    listener: Option<TcpListener>,
    port: u16,
}

#[async_trait]
impl Listener for Tcp {
    fn port(&self) -> u16 {
        self.port
    }

    async fn accept(&mut self) -> Option<BoxStream> {
        let (stream, _) = until_accepted(|| self.listener.as_ref().map(TcpListener::accept)).await?;
        // Refused only on a socket that has ended, which its reader finds out by itself.
        let _ = stream.set_nodelay(true);
        Some(Box::new(stream))
    }

    async fn close(&mut self) {
        self.listener = None;
    }
}

struct Unix {
    listener: Option<UnixListener>,
    path: PathBuf,
}

#[async_trait]
impl Listener for Unix {
    fn port(&self) -> u16 {
        0
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

/// Accepts; a connection that broke before it was accepted, or a lack of descriptors, ends no listener.
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
