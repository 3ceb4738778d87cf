//! Connecting a socket to a host: every address is tried, each with the limit.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use fabric_core::error::TimeLimit;
use fabric_core::settings::Problem;
use fabric_core::target::AddressFamily;
use fabric_core::transport::BoxStream;
use fabric_core::{ConnectErrorKind, Phase, Target};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;

use super::Failure;
use super::stream::QuickAck;

/// How many names are looked up at once.
const LOOKUPS: usize = 12;

/// A resolver: getaddrinfo(3), or a test double.
type Resolver = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// Looks names up, a few at a time, each on its own thread. So other blocking work, and hosts given by address, don't wait
/// for a name server that doesn't answer.
#[derive(Debug)]
pub(super) struct Lookups {
    places: Semaphore,
    resolver: Resolver,
}

impl Default for Lookups {
    fn default() -> Self {
        Self::by(|host, port| Ok((host, port).to_socket_addrs()?.collect()))
    }
}

impl Lookups {
    fn by(resolver: Resolver) -> Self {
        Self { places: Semaphore::new(LOOKUPS), resolver }
    }

    /// The addresses of a name, found within `limit`. A thread that takes longer is abandoned, and another may start.
    async fn find(&self, host: &str, port: u16, limit: Option<Duration>) -> Result<Vec<SocketAddr>, ConnectErrorKind> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        // The semaphore is never closed.
        let _place = self.places.acquire().await.ok();
        let (tell, told) = tokio::sync::oneshot::channel();
        let (resolver, name) = (self.resolver, host.to_owned());
        let looking = std::thread::Builder::new().name("lookup".to_owned()).spawn(move || {
            // The caller may have gone.
            let _ = tell.send(resolver(&name, port));
        });
        let not_found = |reason| ConnectErrorKind::NameNotFound { name: host.to_owned(), reason };
        looking.map_err(|error| not_found(error.to_string()))?;
        let told = match limit {
            Some(after) => tokio::time::timeout(after, told).await.map_err(|_| ConnectErrorKind::TimedOut {
                phase: Phase::Lookup,
                after,
                setting: TimeLimit::Connect,
            })?,
            None => told.await,
        };
        let found = told.unwrap_or_else(|_| Err(io::Error::other("the resolver panicked")));
        found.map_err(|error| not_found(lookup_reason(&error)))
    }
}

/// Connects to the target's address, and returns how long that took. As with OpenSSH, the limit is for each address
/// separately; the lookup of the name has the same limit.
pub(super) async fn dial(target: &Target, lookups: &Lookups) -> Result<(BoxStream, Duration), Failure> {
    let (host, port) = target.address();
    let addresses = lookup(host, port, target, lookups).await?;
    let (socket, took) = first_of(addresses, target, lookups).await?;
    Ok((Box::new(QuickAck::new(socket)), took))
}

/// Connects to the first address that answers.
async fn first_of(
    addresses: Vec<SocketAddr>,
    target: &Target,
    lookups: &Lookups,
) -> Result<(TcpStream, Duration), Failure> {
    let mut failed = Vec::new();
    for address in addresses {
        let source = match &target.bind_address {
            Some(name) => Some(source(name, address, target, lookups).await?),
            None => None,
        };
        let begun = Instant::now();
        match connect(address, source, target.timeouts.connect).await {
            Ok(socket) => {
                tracing::debug!(host = target.host_string.as_str(), %address, "connected");
                return Ok((socket, begun.elapsed()));
            }
            Err(kind) => failed.push((address, kind)),
        }
    }
    Err((Phase::Connect, none_of(failed, target)))
}

/// The error if no address could be connected to: with several, the reason for each.
fn none_of(mut failed: Vec<(SocketAddr, ConnectErrorKind)>, target: &Target) -> ConnectErrorKind {
    let (name, port) = target.address();
    if failed.len() <= 1 {
        return failed.pop().map_or_else(
            || ConnectErrorKind::NameNotFound {
                name: name.to_owned(),
                reason: "it has no address of the requested family".to_owned(),
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

async fn lookup(host: &str, port: u16, target: &Target, lookups: &Lookups) -> Result<Vec<SocketAddr>, Failure> {
    let found = lookups.find(host, port, target.timeouts.connect).await.map_err(|kind| (Phase::Lookup, kind))?;
    let fits = |address: &SocketAddr| match target.address_family {
        AddressFamily::Any => true,
        AddressFamily::Inet => address.is_ipv4(),
        AddressFamily::Inet6 => address.is_ipv6(),
    };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found.into_iter().filter(fits) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// The resolver's message, without the prefix from std.
fn lookup_reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").map(str::to_owned).unwrap_or(text)
}

/// The address of `BindAddress` with the same family as `to`.
async fn source(name: &str, to: SocketAddr, target: &Target, lookups: &Lookups) -> Result<SocketAddr, Failure> {
    let wrong = |reason: String| (Phase::Connect, Problem::new(reason).into());
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, 0));
    }
    let found = lookups.find(name, 0, target.timeouts.connect).await;
    let found = found.map_err(|_| wrong(format!("bind address `{name}` has no address")))?;
    let fits = found.into_iter().find(|address| address.is_ipv4() == to.is_ipv4());
    fits.ok_or_else(|| wrong(format!("bind address `{name}` is of another family than {to}")))
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
        // As OpenSSH's TCPKeepAlive: a vanished peer is noticed eventually, without our own traffic.
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
            setting: TimeLimit::Connect,
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
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::net::TcpListener;

    use super::*;

    /// An address that doesn't answer, because the queue of who waits there is full.
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

        let lookups = Lookups::default();
        let (phase, kind) = first_of(vec![one, two, closed], &target, &lookups).await.unwrap_err();
        assert_eq!(phase, Phase::Connect);
        let late = "timed out after 0.3 s while connecting (setting timeout)";
        let text = format!("cannot reach web port 2222: {one} {late}; {two} {late}; {closed} refused");
        assert_eq!(kind.to_string(), text);

        let (_, kind) = first_of(vec![closed, closed], &target, &lookups).await.unwrap_err();
        let both = format!("{closed} and {closed}");
        assert!(matches!(&kind, ConnectErrorKind::Refused { address } if *address == both), "{kind}");

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answers = listener.local_addr().unwrap();
        let (connected, _) = first_of(vec![one, two, answers], &target, &lookups).await.unwrap();
        assert_eq!(connected.peer_addr().unwrap(), answers);
    }

    static LOOKING: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    /// All wait until every place is taken.
    static TOGETHER: Barrier = Barrier::new(LOOKUPS);

    #[tokio::test]
    async fn names_are_looked_up_a_few_at_a_time() {
        let lookups = Lookups::by(|_, port| {
            MOST.fetch_max(LOOKING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            TOGETHER.wait();
            LOOKING.fetch_sub(1, Ordering::SeqCst);
            Ok(vec![SocketAddr::new([127, 0, 0, 1].into(), port)])
        });
        let names: Vec<String> = (0..8 * LOOKUPS).map(|n| format!("host{n}")).collect();
        let found = futures_util::future::join_all(names.iter().map(|name| lookups.find(name, 22, None))).await;
        assert!(found.into_iter().all(|found| found.unwrap().len() == 1));
        assert_eq!(MOST.load(Ordering::SeqCst), LOOKUPS);
    }

    #[tokio::test]
    async fn a_name_server_that_does_not_answer_is_waited_for_as_long_as_a_connection() {
        let lookups = Lookups::by(|_, _| {
            loop {
                std::thread::park();
            }
        });
        let limit = Duration::from_millis(50);
        // More than there are places: lookups that timed out free theirs.
        let names: Vec<String> = (0..2 * LOOKUPS).map(|n| format!("host{n}")).collect();
        let gave_up = futures_util::future::join_all(names.iter().map(|name| lookups.find(name, 22, Some(limit))));
        for result in gave_up.await {
            let phase = |kind: &_| matches!(kind, ConnectErrorKind::TimedOut { phase: Phase::Lookup, .. });
            assert!(result.as_ref().is_err_and(phase), "{result:?}");
        }
        assert_eq!(lookups.find("127.0.0.9", 22, Some(limit)).await.unwrap().len(), 1);
    }
}
