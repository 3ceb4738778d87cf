//! The same work on several connections at once: [`Group`].

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use fabric_core::Error;
use fabric_transport::Connection;
use fabric_transport::connection::CommandRequest;
use fabric_transport::transfer::{Get, Put, Source};
use futures_util::StreamExt as _;
use futures_util::stream;
use indexmap::IndexMap;

/// Several connections that do the same, one after another or at the same time.
///
/// Every member is tried, whatever becomes of the others; the result has one entry a member, in the order
/// of the members, and [`GroupOutcome::into_result`] makes an error of it that has every failure.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use fabric_exec::Group;
/// use fabric_transport::{Connection, connector::Connector, memory::{MemoryTransport, Reply}};
///
/// let fleet = MemoryTransport::named("ssh");
/// fleet.every_host().on("uname", Reply::stdout("Linux\n"));
/// let connector = Connector::new().transport(fleet);
/// let connect = |host: &str| Connection::builder(host).connector(connector.clone()).build();
///
/// let group = Group::parallel([connect("web1")?, connect("web2")?]);
/// let outcomes = group.run("uname").await.into_result()?;
/// assert_eq!(outcomes["web2"].stdout(), "Linux\n");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Group {
    members: Vec<Connection>,
    at_once: usize,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("members", &self.members).field("at_once", &self.at_once).finish()
    }
}

impl Group {
    /// One member after another (`SerialGroup` of Fabric 3).
    pub fn serial(members: impl IntoIterator<Item = Connection>) -> Self {
        Self { members: members.into_iter().collect(), at_once: 1 }
    }

    /// All members at the same time (`ThreadingGroup` of Fabric 3, without the threads).
    pub fn parallel(members: impl IntoIterator<Item = Connection>) -> Self {
        Self { members: members.into_iter().collect(), at_once: usize::MAX }
    }

    /// At most so many members at the same time, at least one. Default: one for [`serial`](Self::serial), all for
    /// [`parallel`](Self::parallel).
    #[must_use]
    pub fn pool_size(mut self, members: usize) -> Self {
        self.at_once = members.max(1);
        self
    }

    /// The members, in order.
    pub fn members(&self) -> &[Connection] {
        &self.members
    }

    /// Does something with each member, by whatever `work` makes of it: the place for differences
    /// between members.
    ///
    /// Work is started in the order of the members.
    pub async fn each<T, E, F, Fut>(&self, work: F) -> GroupOutcome<T, E>
    where
        F: Fn(Connection) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        all(self.members.iter().map(|member| (member.host_string().into(), work(member.clone()))), self.at_once).await
    }

    /// Runs a command on each.
    pub fn run(&self, command: impl Into<Vec<u8>>) -> GroupRequest<CommandRequest> {
        let command = command.into();
        self.request(|member| member.run(command.clone()))
    }

    /// Runs a command on each by `sudo`.
    pub fn sudo(&self, command: impl Into<Vec<u8>>) -> GroupRequest<CommandRequest> {
        let command = command.into();
        self.request(|member| member.sudo(command.clone()))
    }

    /// Runs a command on this machine, once for each member.
    pub fn local(&self, command: impl Into<Vec<u8>>) -> GroupRequest<CommandRequest> {
        let command = command.into();
        self.request(|member| member.local(command.clone()))
    }

    /// Puts a file or directory, or bytes, on each.
    pub fn put(&self, local: impl Into<Source> + Clone, remote: impl Into<Vec<u8>>) -> GroupRequest<Put> {
        let remote = remote.into();
        self.request(move |member| member.put(local.clone(), remote.clone()))
    }

    /// Gets a file or directory from each; give `local` placeholders (`logs/{host}.log`), or leave it
    /// empty for `{host}/{path}`, so that hosts don't write over each other.
    pub fn get(&self, remote: impl Into<Vec<u8>>, local: impl Into<PathBuf>) -> GroupRequest<Get> {
        let (remote, local) = (remote.into(), local.into());
        self.request(|member| member.get(remote.clone(), local.clone()))
    }

    fn request<R>(&self, of: impl Fn(&Connection) -> R) -> GroupRequest<R> {
        let requests = self.members.iter().map(|member| (member.host_string().into(), of(member))).collect();
        GroupRequest { requests, at_once: self.at_once }
    }

    /// Ends all sessions.
    pub async fn close(&self) {
        futures_util::future::join_all(self.members.iter().map(Connection::close)).await;
    }
}

/// Does the work of all, so many at once; it is started in the order of the members.
async fn all<T, E>(
    work: impl ExactSizeIterator<Item = (Arc<str>, impl Future<Output = Result<T, E>>)>,
    at_once: usize,
) -> GroupOutcome<T, E> {
    let at_once = at_once.min(work.len()).max(1);
    let work = stream::iter(work).map(|(host, work)| async move { (host, work.await) });
    GroupOutcome { results: work.buffered(at_once).collect().await }
}

/// The same request of each member of a [`Group`], to be awaited.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let group = fabric_exec::Group::serial([fabric_transport::Connection::builder("local://here").build()?]);
/// let outcomes = group.run("echo $GREETING").with(|request| request.env("GREETING", "hi").hide(true)).await;
/// assert_eq!(outcomes.into_result()?["local://here"].stdout(), "hi\n");
/// # Ok(()) }
/// ```
#[must_use = "a request does nothing until it is awaited"]
pub struct GroupRequest<R> {
    requests: Vec<(Arc<str>, R)>,
    at_once: usize,
}

impl<R> GroupRequest<R> {
    /// Gives each member's request options, by the methods that it has where it is one of a [`Connection`].
    pub fn with(mut self, options: impl Fn(R) -> R) -> Self {
        self.requests = self.requests.into_iter().map(|(host, request)| (host, options(request))).collect();
        self
    }
}

impl<R, T, E> IntoFuture for GroupRequest<R>
where
    R: IntoFuture<Output = Result<T, E>, IntoFuture: Send + 'static>,
    T: Send + 'static,
    E: Send + 'static,
{
    type Output = GroupOutcome<T, E>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        // Futures can go to another thread, which is not said of requests.
        let work: Vec<_> = self.requests.into_iter().map(|(host, request)| (host, request.into_future())).collect();
        Box::pin(all(work.into_iter(), self.at_once))
    }
}

/// What came of the same work on several connections, in the order of the members.
#[derive(Debug)]
#[non_exhaustive]
pub struct GroupOutcome<T, E = Error> {
    results: Vec<(Arc<str>, Result<T, E>)>,
}

impl<T, E> GroupOutcome<T, E> {
    /// Each member's host string and result.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Result<T, E>)> {
        self.results.iter().map(|(host, result)| (&**host, result))
    }

    /// The result of one host; of several members with the same host string, the first.
    pub fn get(&self, host: &str) -> Option<&Result<T, E>> {
        self.iter().find(|(name, _)| *name == host).map(|(_, result)| result)
    }

    /// The members on which it succeeded.
    pub fn succeeded(&self) -> impl Iterator<Item = (&str, &T)> {
        self.iter().filter_map(|(host, result)| Some((host, result.as_ref().ok()?)))
    }

    /// The members on which it failed.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &E)> {
        self.iter().filter_map(|(host, result)| Some((host, result.as_ref().err()?)))
    }

    /// All values by host string, or an error that has every failure.
    pub fn into_result(self) -> Result<IndexMap<String, T>, GroupError<E>> {
        let members = self.results.len();
        let (mut values, mut failures) = (IndexMap::new(), Vec::new());
        for (host, result) in self.results {
            match result {
                Ok(value) => drop(values.insert(host.to_string(), value)),
                Err(error) => failures.push((host.to_string(), error)),
            }
        }
        if failures.is_empty() { Ok(values) } else { Err(GroupError { members, failures }) }
    }
}

/// Some members of a group failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct GroupError<E = Error> {
    /// How many members there are.
    pub members: usize,
    /// The host string and the error of each that failed, in the order of the members.
    pub failures: Vec<(String, E)>,
}

impl<E: fmt::Display> fmt::Display for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} hosts failed:", self.failures.len(), self.members)?;
        for (host, error) in &self.failures {
            let error = error.to_string().replace('\n', "\n  ");
            // Errors of connections name their host.
            let named = error.starts_with(&format!("{host}: "));
            write!(f, "\n  {}{error}", if named { String::new() } else { format!("{host}: ") })?;
        }
        Ok(())
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for GroupError<E> {}
