//! Forwards: connections made on one side, carried to the other (`ssh -L`, `ssh -R`).

use std::ffi::OsString;
use std::future::{Future, IntoFuture};
use std::num::NonZeroU16;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;

use fabric_core::Error;
use fabric_core::error::SessionError;
use fabric_core::transport::{BoxStream, ListenAddress, Listener};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::dry::DryListener;
use super::handle::Connection;
use crate::local;

/// The buffer of each direction of a forwarded connection, in bytes.
const BUFFER: usize = 64 * 1024;

/// One end of a forward: a port, or a unix socket.
///
/// A port alone is a port of `localhost`. Text is `PORT`, `HOST:PORT`, `[IPV6]:PORT`, or with a slash the path of a
/// socket.
///
/// ```
/// use fabric_transport::connection::Endpoint;
///
/// assert_eq!("db.internal:5432".parse(), Ok(Endpoint::from(("db.internal", 5432))));
/// assert_eq!("[::1]:80".parse(), Ok(Endpoint::from(("::1", 80))));
/// assert_eq!("/run/app.sock".parse(), Ok(Endpoint::Unix("/run/app.sock".into())));
/// assert!("db.internal".parse::<Endpoint>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endpoint {
    /// A host and port, resolved by the side that dials or listens.
    Tcp(String, u16),
    /// A unix socket.
    Unix(PathBuf),
}

/// A port of `localhost`: both loopback addresses to listen on, as with ssh; to connect to, whichever answers.
impl From<u16> for Endpoint {
    fn from(port: u16) -> Self {
        Self::Tcp("localhost".to_owned(), port)
    }
}

impl<H: Into<String>> From<(H, u16)> for Endpoint {
    fn from((host, port): (H, u16)) -> Self {
        Self::Tcp(host.into(), port)
    }
}

impl From<&Path> for Endpoint {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

impl From<PathBuf> for Endpoint {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

/// A text that can't be parsed as an [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not an address for a forward: expected PORT, HOST:PORT, [IPV6]:PORT or the path of a socket with a slash"
)]
pub struct EndpointError {
    text: String,
}

impl From<std::convert::Infallible> for EndpointError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl std::str::FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if text.contains('/') {
            return Ok(Self::Unix(text.into()));
        }
        let (host, port) = text.rsplit_once(':').unwrap_or(("localhost", text));
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        // The end of an IPv6 address without brackets would be taken for a port.
        let host = bare.or_else(|| Some(host).filter(|host| !host.is_empty() && !host.contains([':', '[', ']'])));
        match (host, port.parse()) {
            (Some(host), Ok(port)) => Ok(Self::Tcp(host.to_owned(), port)),
            _ => Err(EndpointError { text: text.to_owned() }),
        }
    }
}

impl TryFrom<&str> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: &str) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl TryFrom<&String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: &String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(host, port) => write!(f, "{host} port {port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Endpoint {
    fn address(&self) -> ListenAddress {
        match self {
            Self::Tcp(host, port) => ListenAddress::tcp(host, NonZeroU16::new(*port)),
            Self::Unix(path) => ListenAddress::unix(path.as_os_str().as_bytes()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Listens here, dials there.
    Local,
    /// Listens there, dials here.
    Remote,
}

/// A request for a forward, to be awaited. It listens once the [`Forward`] is returned.
#[must_use = "a forward does nothing until it is awaited"]
pub struct ForwardRequest {
    connection: Connection,
    side: Side,
    listen: Result<Endpoint, EndpointError>,
    to: Option<Result<Endpoint, EndpointError>>,
}

impl Connection {
    /// Carries connections made to `listen` on this machine to the host, and on to what [`ForwardRequest::to`]
    /// says, as the host sees it (`ssh -L`). Default: the same port of the host's `localhost`.
    ///
    /// # Errors
    ///
    /// The host can't be reached, or one of the addresses to listen on can't be bound.
    ///
    /// ```no_run
    /// # async fn example(connection: fabric_transport::Connection) -> Result<(), fabric_core::Error> {
    /// let forward = connection.forward_local(0).to("db.internal:5432").await?;
    /// println!("the database is at localhost:{}", forward.port().expect("it is no unix socket"));
    /// # Ok(()) }
    /// ```
    pub fn forward_local(&self, listen: impl TryInto<Endpoint, Error: Into<EndpointError>>) -> ForwardRequest {
        ForwardRequest::new(self, Side::Local, listen)
    }

    /// Carries connections made to `listen` on the host to this machine, and on to what
    /// [`ForwardRequest::to`] says (`ssh -R`). Default: the same port of this machine's `localhost`.
    pub fn forward_remote(&self, listen: impl TryInto<Endpoint, Error: Into<EndpointError>>) -> ForwardRequest {
        ForwardRequest::new(self, Side::Remote, listen)
    }
}

impl ForwardRequest {
    fn new(connection: &Connection, side: Side, listen: impl TryInto<Endpoint, Error: Into<EndpointError>>) -> Self {
        Self { connection: connection.clone(), side, listen: listen.try_into().map_err(Into::into), to: None }
    }

    /// Where connections are carried to.
    pub fn to(mut self, to: impl TryInto<Endpoint, Error: Into<EndpointError>>) -> Self {
        self.to = Some(to.try_into().map_err(Into::into));
        self
    }

    async fn execute(self) -> Result<Forward, Error> {
        let Self { connection, side, listen, to } = self;
        let wrong = |error| Error::Usage(format!("{}: {error}", connection.host_string()));
        let (listen, to) = (listen.map_err(wrong)?, to.transpose().map_err(wrong)?);
        let to = match (to, &listen) {
            (Some(to), _) => to,
            (None, Endpoint::Tcp(_, port)) if *port != 0 => Endpoint::from(*port),
            (None, _) => {
                let host = connection.host_string();
                return Err(Error::Usage(format!("{host}: the forward from {listen} needs a destination")));
            }
        };
        let failed = |source| connection.session_error(source);
        let listener = match side {
            _ if connection.manner().dry => {
                let verb = if side == Side::Local { "forward_local" } else { "forward_remote" };
                connection.emitter().plan(verb, format!("{listen} to {to}"));
                let port = if let Endpoint::Tcp(_, port) = listen { NonZeroU16::new(port) } else { None };
                Box::new(DryListener { port, closed: CancellationToken::new() })
            }
            Side::Local => {
                let listener = local::listen(&listen.address()).await.map_err(failed)?;
                // An unreachable host is an error now, not when something connects.
                connection.open().await?;
                listener
            }
            Side::Remote => connection.session().await?.listen(&listen.address()).await.map_err(failed)?,
        };
        let port = listener.port().map(NonZeroU16::get);
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(connection.clone(), side, listener, to, stop.clone()));
        Ok(Forward { port, stop, task })
    }
}

impl IntoFuture for ForwardRequest {
    type Output = Result<Forward, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.execute())
    }
}

/// A forward that listens until it is dropped or closed, which also ends the forwarded connections.
///
/// Connections are independent: one that can't be forwarded is closed with a warning. The end of one direction is passed
/// on and leaves the other open.
#[derive(Debug)]
pub struct Forward {
    port: Option<u16>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Forward {
    /// The port that is listened on; `None` for a unix socket.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether it still listens; false after the listening host has gone.
    pub fn is_listening(&self) -> bool {
        !self.task.is_finished()
    }

    /// Stops listening, ends the forwarded connections, and returns once that is done.
    pub async fn close(mut self) {
        self.stop.cancel();
        // A panic of the task was reported by the panic hook.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(
    connection: Connection,
    side: Side,
    mut listener: Box<dyn Listener>,
    to: Endpoint,
    stop: CancellationToken,
) {
    let mut carried = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = carried.join_next() => {}
            accepted = listener.accept() => match accepted {
                Some(stream) => {
                    carried.spawn(carry(connection.clone(), side, stream, to.clone()));
                }
                None => break,
            },
        }
    }
    if !stop.is_cancelled() {
        // Only the listener has ended; open connections continue.
        tokio::select! {
            () = stop.cancelled() => {}
            () = async { while carried.join_next().await.is_some() {} } => {}
        }
    }
    listener.close().await;
}

async fn carry(connection: Connection, side: Side, mut from: BoxStream, to: Endpoint) {
    let mut onward = match dial(&connection, side, &to).await {
        Ok(stream) => stream,
        Err(error) => {
            connection.emitter().warn(format!("a forwarded connection to {to} failed: {error}"));
            return;
        }
    };
    if let Err(error) = tokio::io::copy_bidirectional_with_sizes(&mut from, &mut onward, BUFFER, BUFFER).await {
        tracing::debug!(%error, %to, "a forwarded connection broke");
    }
}

async fn dial(connection: &Connection, side: Side, to: &Endpoint) -> Result<BoxStream, Error> {
    let failed = |source: SessionError| connection.session_error(source);
    match (side, to) {
        (Side::Local, Endpoint::Tcp(host, port)) => {
            connection.session().await?.open_stream(host, *port).await.map_err(failed)
        }
        (Side::Local, Endpoint::Unix(path)) => {
            let path = OsString::from(path).into_vec();
            connection.session().await?.open_unix_stream(&path).await.map_err(failed)
        }
        (Side::Remote, Endpoint::Tcp(host, port)) => local::connect(host, *port).await.map_err(failed),
        (Side::Remote, Endpoint::Unix(path)) => local::connect_unix(path.as_os_str().as_bytes()).await.map_err(failed),
    }
}
