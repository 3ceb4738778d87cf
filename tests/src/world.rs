//! One host, reached by any transport.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fabric_core::target::{HostKeyCheck, Identity};
use fabric_core::{Emitter, Session, Target};
use fabric_transport::local::LocalTransport;
use fabric_transport::memory::MemoryTransport;
use fabric_transport::server::Fleet;
use fabric_transport::{Connection, Connector};
use tempfile::TempDir;

use crate::sshd::Sshd;

/// A host and what it takes to reach it. Whatever a test does through it must come out the same over every transport;
/// [`transports!`](crate::transports) runs one test over several.
pub struct World {
    target: Target,
    connector: Arc<Connector>,
    dir: TempDir,
    _server: Box<dyn Any + Send + Sync>,
}

#[allow(clippy::unused_async, reason = "all are made alike, so that `transports!` can make any")]
impl World {
    /// A host in memory, whose commands a real `sh` runs.
    pub async fn memory() -> Self {
        let dir = directory();
        let transport = MemoryTransport::new();
        transport.host("host1").run_by_sh(dir.path());
        let connector = Connector::new().with_transport(transport.clone());
        let target = Target::new("memory://host1".parse().expect("a host string"));
        Self { target, connector: Arc::new(connector), dir, _server: Box::new(transport) }
    }

    /// This machine.
    pub async fn local() -> Self {
        let dir = directory();
        let connector =
            Connector::new().with_transport(Arc::new(LocalTransport::in_dir(dir.path()).login_shell("/bin/sh")));
        let target = Target::new("local://localhost".parse().expect("a host string"));
        Self { target, connector: Arc::new(connector), dir, _server: Box::new(()) }
    }

    /// A host of the embedded fleet.
    pub async fn embedded() -> Self {
        let fleet = Fleet::builder().start().await.expect("the fleet starts");
        let dir = directory();
        let target = ssh_target(&fleet.host_strings()[0], fleet.client_key(), fleet.known_hosts());
        Self { target, connector: Arc::new(Connector::new()), dir, _server: Box::new(fleet) }
    }

    /// A real sshd.
    pub async fn sshd() -> Self {
        let dir = directory();
        let sshd = tokio::task::spawn_blocking(Sshd::shared).await.expect("sshd starts");
        let known_hosts = dir.path().join("known_hosts");
        std::fs::write(&known_hosts, sshd.known_hosts()).expect("known_hosts");
        let target = ssh_target(&sshd.hosts()[0].host_string(), &sshd.key(), &known_hosts);
        Self { target, connector: Arc::new(Connector::new()), dir, _server: Box::new(()) }
    }

    /// A new session with the host.
    pub async fn session(&self) -> Arc<dyn Session> {
        self.connector.open(&self.target, &Emitter::none()).await.expect("a session")
    }

    /// A connection to the host.
    pub fn connection(&self) -> Connection {
        let builder = Connection::builder(self.target.host_string.as_str()).target(self.target.clone());
        builder.connector(self.connector.clone()).build().expect("a connection")
    }

    /// A directory of this machine, empty at first, where commands of the host find their files.
    pub fn far(&self) -> PathBuf {
        self.dir.path().join("far")
    }
}

fn directory() -> TempDir {
    let dir = tempfile::Builder::new().prefix("fabric-world-").tempdir().expect("a temporary directory");
    std::fs::create_dir(dir.path().join("far")).expect("a directory in it");
    dir
}

fn ssh_target(host: &str, key: &Path, known_hosts: &Path) -> Target {
    let mut target = Target::new(host.parse().expect("a host string"));
    target.auth.identities = vec![Identity { path: key.to_owned(), explicit: true }];
    target.auth.identities_only = true;
    target.host_keys.check = HostKeyCheck::Strict;
    target.host_keys.user_files = vec![known_hosts.to_owned()];
    target
}

/// Makes one test of each function over each transport: `a_case: memory local embedded sshd;`.
#[macro_export]
macro_rules! transports {
    ($($case:ident: $($transport:ident)+;)+) => {$(
        mod $case {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $transport() {
                    super::$case(&$crate::World::$transport().await).await;
                }
            )+
        }
    )+};
}
