//! The same work on several connections at once: [`Group`].

use std::fmt;
use std::sync::Arc;

use fabric_core::{CommandOutcome, Error, TransferOutcome};
use fabric_transport::Connection;
use fabric_transport::connection::CommandRequest;
use futures_util::StreamExt as _;
use futures_util::stream;
use indexmap::IndexMap;
use thiserror::Error;

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
/// let connector = std::sync::Arc::new(Connector::new().with_transport(fleet));
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

    /// At most so many members at the same time; 0 is all.
    #[must_use]
    pub fn pool_size(mut self, members: usize) -> Self {
        self.at_once = if members == 0 { usize::MAX } else { members };
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
    pub async fn each<T, F, Fut>(&self, work: F) -> GroupOutcome<T>
    where
        F: Fn(Connection) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let at_once = self.at_once.min(self.members.len()).max(1);
        let work = &work;
        let results = stream::iter(self.members.iter().cloned())
            .map(|member| async move {
                let host: Arc<str> = member.host_string().into();
                (host, work(member).await)
            })
            .buffered(at_once)
            .collect::<Vec<_>>()
            .await;
        GroupOutcome { results }
    }

    /// Runs a command on each.
    pub async fn run(&self, command: &str) -> GroupOutcome<CommandOutcome> {
        self.run_with(command, |request| request).await
    }

    /// Runs a command on each, with options.
    pub async fn run_with(
        &self,
        command: &str,
        options: impl Fn(CommandRequest) -> CommandRequest,
    ) -> GroupOutcome<CommandOutcome> {
        self.each(|member| options(member.run(command)).into_future()).await
    }

    /// Runs a command on each by `sudo`.
    pub async fn sudo(&self, command: &str) -> GroupOutcome<CommandOutcome> {
        self.each(|member| member.sudo(command).into_future()).await
    }

    /// Runs a command on this machine, once for each member.
    pub async fn local(&self, command: &str) -> GroupOutcome<CommandOutcome> {
        self.each(|member| member.local(command).into_future()).await
    }

    /// Puts a file or directory on each.
    pub async fn put(&self, local: &str, remote: &str) -> GroupOutcome<TransferOutcome> {
        self.each(|member| member.put(local, remote).into_future()).await
    }

    /// Gets a file or directory from each; give `local` placeholders (`logs/{host}.log`), or leave it
    /// empty for `{host}/{path}`, so that hosts don't write over each other.
    pub async fn get(&self, remote: &str, local: &str) -> GroupOutcome<TransferOutcome> {
        self.each(|member| member.get(remote, local).into_future()).await
    }

    /// Ends all sessions.
    pub async fn close(&self) {
        futures_util::future::join_all(self.members.iter().map(Connection::close)).await;
    }
}

/// What came of the same work on several connections, in the order of the members.
#[derive(Debug)]
pub struct GroupOutcome<T> {
    results: Vec<(Arc<str>, Result<T, Error>)>,
}

impl<T> GroupOutcome<T> {
    /// Each member's host string and result.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Result<T, Error>)> {
        self.results.iter().map(|(host, result)| (&**host, result))
    }

    /// The result of one host; of several members with the same host string, the first.
    pub fn get(&self, host: &str) -> Option<&Result<T, Error>> {
        self.iter().find(|(name, _)| *name == host).map(|(_, result)| result)
    }

    /// The members on which it went well.
    pub fn succeeded(&self) -> impl Iterator<Item = (&str, &T)> {
        self.iter().filter_map(|(host, result)| Some((host, result.as_ref().ok()?)))
    }

    /// The members on which it failed.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &Error)> {
        self.iter().filter_map(|(host, result)| Some((host, result.as_ref().err()?)))
    }

    /// All values by host string, or an error that has every failure.
    pub fn into_result(self) -> Result<IndexMap<String, T>, GroupError> {
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
#[derive(Debug, Error)]
#[error("{} of {members} hosts failed:{}", .failures.len(), lines(.failures))]
pub struct GroupError {
    /// How many members there are.
    pub members: usize,
    /// The host string and the error of each that failed, in the order of the members.
    pub failures: Vec<(String, Error)>,
}

fn lines(failures: &[(String, Error)]) -> String {
    failures.iter().flat_map(|(_, error)| ["\n  ".to_owned(), error.to_string().replace('\n', "\n  ")]).collect()
}
