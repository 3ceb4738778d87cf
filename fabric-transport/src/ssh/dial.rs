//! This machine's own socket to a host: every address is tried, each within its limit.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fabric_core::target::AddressFamily;
use fabric_core::transport::BoxStream;
use fabric_core::{ConnectErrorKind, Phase, Target};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;

use super::Failure;
use super::stream::QuickAck;

/// How many names are looked up at once. Each lookup takes a thread for as long as the resolver takes.
pub(super) const LOOKUPS: usize = 12;

/// Connects to the target's address; a place of `lookups` is taken while its name is looked up.
pub(super) async fn dial(target: &Target, lookups: &Semaphore) -> Result<BoxStream, Failure> {
    let (host, port) = target.address();
    let addresses = {
        // An error would mean that the semaphore was closed, which nobody does.
        let _place = if host.parse::<IpAddr>().is_ok() { None } else { lookups.acquire().await.ok() };
        lookup(host, port, target.address_family).await?
    };
    Ok(Box::new(QuickAck::new(first_of(addresses, target).await?)))
}

/// Connects to the first address that answers.
async fn first_of(addresses: Vec<SocketAddr>, target: &Target) -> Result<TcpStream, Failure> {
    let mut failed = Vec::new();
    for address in addresses {
        let source = match &target.bind_address {
            Some(name) => Some(source(name, address).await?),
            None => None,
        };
        match connect(address, source, target.timeouts.connect).await {
            Ok(socket) => return Ok(socket),
            Err(kind) => failed.push((address, kind)),
        }
    }
    Err((Phase::Connect, none_of(failed, target)))
}

/// What to say where no address could be connected to: of several, what was wrong with each.
fn none_of(mut failed: Vec<(SocketAddr, ConnectErrorKind)>, target: &Target) -> ConnectErrorKind {
    let (name, port) = target.address();
    if failed.len() <= 1 {
        return failed.pop().map_or_else(
            || ConnectErrorKind::NameNotFound {
                name: name.to_owned(),
                reason: "it has no address of the wanted family".to_owned(),
            },
            |(_, kind)| kind,
        );
    }
    if failed.iter().all(|(_, kind)| matches!(kind, ConnectErrorKind::Refused { .. })) {
        let addresses: Vec<String> = failed.iter().map(|(address, _)| address.to_string()).collect();
        return ConnectErrorKind::Refused { address: addresses.join(" and ") };
    }
    let each = failed.iter().map(|(address, kind)| match kind {
        ConnectErrorKind::Refused { .. } => format!("{address} refused"),
        ConnectErrorKind::Unreachable { reason, .. } => format!("{address} {reason}"),
        other => format!("{address} {other}"),
    });
    let reason = each.collect::<Vec<_>>().join("; ");
    ConnectErrorKind::Unreachable { address: format!("{name} port {port}"), reason }
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
        let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Nagle's algorithm against delayed acknowledgements costs 40 ms a command.
        socket.set_nodelay(true)?;
        // As OpenSSH's TCPKeepAlive: a vanished peer is noticed in the end, without traffic of ours.
        socket.set_keepalive(true)?;
        if let Some(from) = from {
            socket.bind(from)?;
        }
        socket.connect(to).await
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// An address that answers nobody, because the queue of who waits there is full.
    async fn silent() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            waiting.push(stream.unwrap());
            assert!(waiting.len() < 100, "{address} takes everybody");
        }
        (address, listener, waiting)
    }

    #[tokio::test]
    async fn each_address_has_its_own_limit_and_is_named_when_none_answers() {
        let (one, _one, _first) = silent().await;
        let (two, _two, _second) = silent().await;
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut target = Target::new("web:2222".parse().unwrap());
        target.timeouts.connect = Some(Duration::from_millis(300));

        let (phase, kind) = first_of(vec![one, two, closed], &target).await.unwrap_err();
        assert_eq!(phase, Phase::Connect);
        let late = "timed out after 0.3 s while connecting (setting timeout)";
        let text = format!("cannot reach web port 2222: {one} {late}; {two} {late}; {closed} refused");
        assert_eq!(kind.to_string(), text);

        let (_, kind) = first_of(vec![closed, closed], &target).await.unwrap_err();
        let both = format!("{closed} and {closed}");
        assert!(matches!(&kind, ConnectErrorKind::Refused { address } if *address == both), "{kind}");

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answers = listener.local_addr().unwrap();
        assert_eq!(first_of(vec![one, two, answers], &target).await.unwrap().peer_addr().unwrap(), answers);
    }
}
