//! This machine's own socket to a host: every address is tried, each within its limit.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fabric_core::target::AddressFamily;
use fabric_core::transport::BoxStream;
use fabric_core::{ConnectErrorKind, Phase, Target};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;

use super::Failure;
use super::stream::QuickAck;

/// How many names are looked up at once. Each lookup takes a thread for as long as the resolver takes.
pub(super) const LOOKUPS: usize = 32;

/// Connects to the target's address; a place of `lookups` is taken while its name is looked up.
pub(super) async fn dial(target: &Target, lookups: &Semaphore) -> Result<BoxStream, Failure> {
    let (host, port) = target.address();
    let addresses = {
        // An error would mean that the semaphore was closed, which nobody does.
        let _place = if host.parse::<IpAddr>().is_ok() { None } else { lookups.acquire().await.ok() };
        lookup(host, port, target.address_family).await?
    };
    let mut last = None;
    for address in addresses {
        let source = match &target.bind_address {
            Some(name) => Some(source(name, address).await?),
            None => None,
        };
        match connect(address, source, target.timeouts.connect).await {
            Ok(socket) => return Ok(Box::new(QuickAck::new(socket))),
            Err(kind) => last = Some(kind),
        }
    }
    let kind = last.unwrap_or_else(|| ConnectErrorKind::NameNotFound {
        name: host.to_owned(),
        reason: "it has no address of the wanted family".to_owned(),
    });
    Err((Phase::Connect, kind))
}

async fn lookup(host: &str, port: u16, family: AddressFamily) -> Result<Vec<SocketAddr>, Failure> {
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| {
        (Phase::Lookup, ConnectErrorKind::NameNotFound { name: host.to_owned(), reason: lookup_reason(&error) })
    })?;
    let fits = |address: &SocketAddr| match family {
        AddressFamily::Any => true,
        AddressFamily::Inet => address.is_ipv4(),
        AddressFamily::Inet6 => address.is_ipv6(),
    };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found.filter(fits) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// The resolver's own words, without the frame that std puts around them.
fn lookup_reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").map(str::to_owned).unwrap_or(text)
}

/// The address of `BindAddress` that is of the same family as `to`.
async fn source(name: &str, to: SocketAddr) -> Result<SocketAddr, Failure> {
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let wrong = |reason: String| (Phase::Connect, ConnectErrorKind::Setting { reason });
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, 0));
    }
    let found = lookup(name, 0, family).await.map_err(|_| wrong(format!("bind address `{name}` has no address")))?;
    found.first().copied().ok_or_else(|| wrong(format!("bind address `{name}` is of another family than {to}")))
}

async fn connect(
    to: SocketAddr,
    from: Option<SocketAddr>,
    limit: Option<Duration>,
) -> Result<TcpStream, ConnectErrorKind> {
    let connecting = async {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        // Nagle's algorithm against delayed acknowledgements costs 40 ms a command.
        socket.set_tcp_nodelay(true)?;
        // As OpenSSH's TCPKeepAlive: a vanished peer is noticed in the end, without traffic of ours.
        socket.set_keepalive(true)?;
        if let Some(from) = from {
            socket.bind(&from.into())?;
        }
        TcpSocket::from_std_stream(socket.into()).connect(to).await
    };
    let connected = match limit {
        Some(limit) => tokio::time::timeout(limit, connecting).await.map_err(|_| ConnectErrorKind::TimedOut {
            phase: Phase::Connect,
            after: limit,
            setting: "timeout",
        })?,
        None => connecting.await,
    };
    connected.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectErrorKind::Refused { address: to.to_string() },
        _ => ConnectErrorKind::Unreachable { address: to.to_string(), reason: error.to_string() },
    })
}
