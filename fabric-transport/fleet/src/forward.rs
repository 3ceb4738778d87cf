//! Streams through a host: to and from its ports and sockets, and to the client's agent. Loopback only.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use russh::server::{ChannelOpenHandle, Handle, Msg};
use russh::{Channel, ChannelOpenFailure};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::access::Access;
use super::input::{Input, Life, Output, drain};

/// The destination of a client's stream.
pub(super) enum Destination {
    /// Host and port (RFC 4254, section 7.2).
    Tcp(String, u32),
    /// A unix socket on the host.
    Unix(PathBuf),
}

/// Connects, answers the client's request, and copies bytes until both sides have ended.
pub(super) async fn direct(
    access: Arc<Access>,
    destination: Destination,
    reply: ChannelOpenHandle,
    input: Input,
    output: Output,
    life: Life,
) {
    let closed = life.closed;
    let work = async {
        match destination {
            Destination::Tcp(host, port) => match connect(&access, &host, port).await {
                Ok(stream) => {
                    reply.accept().await;
                    carry(stream, input, output, &closed).await;
                }
                Err(reason) => reply.reject(reason).await,
            },
            Destination::Unix(path) => match UnixStream::connect(path).await {
                Ok(stream) => {
                    reply.accept().await;
                    carry(stream, input, output, &closed).await;
                }
                Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
            },
        }
    };
    life.ended.run_until_cancelled(work).await;
}

async fn connect(access: &Access, host: &str, port: u32) -> Result<TcpStream, ChannelOpenFailure> {
    let port = u16::try_from(port).map_err(|_| ChannelOpenFailure::ConnectFailed)?;
    let addresses: Vec<SocketAddr> = if let Some(ip) = access.names.get(host) {
        vec![SocketAddr::new(*ip, port)]
    } else if let Ok(ip) = host.parse::<IpAddr>() {
        vec![SocketAddr::new(ip, port)]
    } else if host.eq_ignore_ascii_case("localhost") {
        let both = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        both.map(|ip| SocketAddr::new(ip, port)).to_vec()
    } else {
        // No name is looked up: a query to a name server would be a packet that leaves this machine.
        return Err(ChannelOpenFailure::ConnectFailed);
    };
    if addresses.iter().any(|address| !address.ip().is_loopback()) {
        return Err(ChannelOpenFailure::AdministrativelyProhibited);
    }
    let stream = TcpStream::connect(addresses.as_slice()).await.map_err(|_| ChannelOpenFailure::ConnectFailed)?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Copies bytes in both directions; each ends by itself. Data that the client sent before it closed the channel is
/// still delivered.
async fn carry(stream: impl AsyncRead + AsyncWrite, mut input: Input, output: Output, closed: &CancellationToken) {
    let (mut read, mut write) = tokio::io::split(stream);
    let inward = async {
        while let Some(data) = input.next().await {
            if write.write_all(&data).await.is_err() {
                return;
            }
        }
        let _ = write.shutdown().await;
    };
    let outward = async {
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(count) = read.read(&mut buffer).await {
            if count == 0 || output.data_bytes(Bytes::copy_from_slice(&buffer[..count])).await.is_err() {
                break;
            }
        }
        let _ = output.eof().await;
    };
    tokio::join!(inward, closed.run_until_cancelled(outward));
    let _ = output.close().await;
}

/// Copies a listener's connection to a channel that the client has opened for it.
async fn carry_back(stream: impl AsyncRead + AsyncWrite, channel: Channel<Msg>) {
    let (read, write) = channel.split();
    let (input, closed) = drain(read);
    carry(stream, input, write, &closed).await;
}

/// A port or socket on which a host listens for a client, until dropped.
/// Accepted connections go on, as in sshd, until the client's connection ends.
pub(super) struct Remote {
    socket: Option<PathBuf>,
    accepting: JoinHandle<()>,
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.accepting.abort();
        if let Some(socket) = &self.socket {
            let _ = std::fs::remove_file(socket);
        }
    }
}

/// How many free ports are tried until one is free on both addresses.
const PORTS: usize = 20;

/// Listens on one port of both loopback addresses; 0 is a free one.
async fn loopback(port: u16) -> io::Result<(TcpListener, TcpListener)> {
    let mut tries = 0;
    loop {
        tries += 1;
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        match TcpListener::bind((Ipv6Addr::LOCALHOST, v4.local_addr()?.port())).await {
            Err(error) if port == 0 && tries < PORTS && error.kind() == io::ErrorKind::AddrInUse => {}
            v6 => return Ok((v4, v6?)),
        }
    }
}

impl Remote {
    /// Stops listening; nothing is accepted after this returns.
    pub(super) async fn close(mut self) {
        self.accepting.abort();
        // Cancelled, as requested.
        let _ = (&mut self.accepting).await;
    }

    /// Listens on a port of both loopback addresses, whatever interface the client asked for: `GatewayPorts no`, sshd's
    /// default.
    pub(super) async fn listen(
        address: &str,
        port: u32,
        handle: Handle,
        connection: CancellationToken,
    ) -> io::Result<(Self, u16)> {
        let port = u16::try_from(port).map_err(|_| io::ErrorKind::InvalidInput)?;
        let (v4, v6) = loopback(port).await?;
        let bound = v4.local_addr()?.port();
        let address = address.to_owned();
        let accepting = tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = connection.cancelled() => return,
                    accepted = v4.accept() => accepted,
                    accepted = v6.accept() => accepted,
                };
                let Ok((stream, peer)) = accepted else { return };
                let _ = stream.set_nodelay(true);
                let (handle, address, connection) = (handle.clone(), address.clone(), connection.clone());
                tokio::spawn(connection.run_until_cancelled_owned(async move {
                    let from = (peer.ip().to_string(), u32::from(peer.port()));
                    let opened = handle.channel_open_forwarded_tcpip(address, u32::from(bound), from.0, from.1).await;
                    if let Ok(channel) = opened {
                        carry_back(stream, channel).await;
                    }
                }));
            }
        });
        Ok((Self { socket: None, accepting }, bound))
    }

    /// Listens on a unix socket; `name` is the client's name for it.
    pub(super) fn listen_unix(
        name: &str,
        path: &Path,
        handle: Handle,
        connection: CancellationToken,
    ) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        let name = name.to_owned();
        let accepting = tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = connection.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let Ok((stream, _)) = accepted else { return };
                let (handle, name, connection) = (handle.clone(), name.clone(), connection.clone());
                tokio::spawn(connection.run_until_cancelled_owned(async move {
                    if let Ok(channel) = handle.channel_open_forwarded_streamlocal(name).await {
                        carry_back(stream, channel).await;
                    }
                }));
            }
        });
        Ok(Self { socket: Some(path.to_owned()), accepting })
    }
}

/// The socket for processes to reach the client's agent, until dropped.
pub(super) struct Agent {
    dir: TempDir,
    _end: DropGuard,
}

impl Agent {
    pub(super) fn listen(handle: Handle, connection: &CancellationToken) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("fabric-agent-").tempdir()?;
        let listener = UnixListener::bind(dir.path().join("agent"))?;
        let ended = connection.child_token();
        let agent = Self { dir, _end: ended.clone().drop_guard() };
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = ended.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let Ok((stream, _)) = accepted else { return };
                let handle = handle.clone();
                tokio::spawn(async move {
                    if let Ok(channel) = handle.channel_open_agent().await {
                        carry_back(stream, channel).await;
                    }
                });
            }
        });
        Ok(agent)
    }

    /// For `$SSH_AUTH_SOCK`.
    pub(super) fn socket(&self) -> PathBuf {
        self.dir.path().join("agent")
    }
}
