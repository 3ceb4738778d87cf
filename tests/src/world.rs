//! One host, reached by any transport.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fabric_core::target::{HostKeyCheck, Identity, Keepalive, Timeouts};
use fabric_core::{Emitter, Session, Target};
use fabric_transport::local::LocalTransport;
use fabric_transport::memory::MemoryTransport;
use fabric_transport::{Connection, Connector};
use fabric_transport_fleet::{Fleet, FleetBuilder, FleetHost};
use tempfile::TempDir;

use crate::dropbear::Dropbear;
use crate::link::Link;
use crate::sshd::{Sshd, make_key};
use crate::tool::needs_root;
use crate::user::TestUser;

/// A host, and what is needed to reach it. A test has the same results over every transport; [`transports!`](crate::transports)
/// runs it over several.
pub struct World {
    target: Target,
    connector: Connector,
    dir: TempDir,
    fleet: Option<Fleet>,
    _dropbear: Option<(TestUser, Dropbear)>,
}

#[allow(clippy::unused_async, reason = "all are made alike, so that `transports!` can make any")]
impl World {
    /// A host in memory, whose commands a real `sh` runs.
    pub async fn memory() -> Self {
        let dir = directory();
        let transport = MemoryTransport::new();
        transport.host("host1").run_by_sh(dir.path());
        let connector = Connector::new().transport(transport);
        let target = Target::new("memory://host1".parse().expect("a host string"));
        Self { target, connector, dir, fleet: None, _dropbear: None }
    }

    /// This machine.
    pub async fn local() -> Self {
        let dir = directory();
        let connector = Connector::new().transport(LocalTransport::in_dir(dir.path()).login_shell("/bin/sh"));
        let target = Target::new("local://localhost".parse().expect("a host string"));
        Self { target, connector, dir, fleet: None, _dropbear: None }
    }

    /// A host of the embedded fleet.
    pub async fn embedded() -> Self {
        Self::embedded_as(Fleet::builder()).await
    }

    /// The first host of this embedded fleet.
    pub async fn embedded_as(fleet: FleetBuilder) -> Self {
        let fleet = fleet.start().await.expect("the fleet starts");
        let dir = directory();
        let target = ssh_target(&fleet.host_strings()[0], fleet.client_key(), fleet.known_hosts());
        Self { target, connector: Connector::new(), dir, fleet: Some(fleet), _dropbear: None }
    }

    /// A real sshd.
    pub async fn sshd() -> Self {
        Self::shared(Sshd::shared).await
    }

    /// A real sshd without SFTP.
    pub async fn sshd_without_sftp() -> Self {
        Self::shared(Sshd::shared_without_sftp).await
    }

    async fn shared(sshd: fn() -> &'static Sshd) -> Self {
        let dir = directory();
        let sshd = tokio::task::spawn_blocking(sshd).await.expect("sshd starts");
        let known_hosts = dir.path().join("known_hosts");
        std::fs::write(&known_hosts, sshd.known_hosts()).expect("known_hosts");
        let target = ssh_target(&sshd.hosts()[0].host_string(), &sshd.key(), &known_hosts);
        Self { target, connector: Connector::new(), dir, fleet: None, _dropbear: None }
    }

    /// This sshd, over a link.
    pub async fn far_sshd(sshd: &Sshd, link: &Link) -> Self {
        let dir = directory();
        let known_hosts = dir.path().join("known_hosts");
        let address = link.address();
        let known = format!("[{}]:{} {}\n", address.ip(), address.port(), sshd.host_key());
        std::fs::write(&known_hosts, known).expect("known_hosts");
        let target = ssh_target(&address.to_string(), &sshd.key(), &known_hosts);
        Self { target, connector: Connector::new(), dir, fleet: None, _dropbear: None }
    }

    /// A real sshd that allocates terminals. It gives them to the group `tty`, for which it needs root unless `/dev/pts` is mounted
    /// with that group.
    #[track_caller]
    pub fn sshd_with_terminals() -> impl Future<Output = Self> {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        let given = |line: &str| line.contains(" devpts ") && line.contains("gid=");
        if !mounts.is_empty() && !mounts.lines().any(given) {
            needs_root();
        }
        Self::sshd()
    }

    /// A real dropbear, with a throw-away user, which needs root: dropbear looks for keys in the user's home in the password
    /// database.
    pub async fn dropbear() -> Self {
        Self::of_dropbear(Dropbear::start)
    }

    /// The same without a program for SFTP.
    pub async fn dropbear_without_sftp() -> Self {
        Self::of_dropbear(Dropbear::start_without_sftp)
    }

    fn of_dropbear(start: fn() -> Dropbear) -> Self {
        let user = TestUser::new();
        let dropbear = start();
        let dir = directory();
        let at = |name: &str| dir.path().join(name);
        make_key(&at("key"));
        let keys = user.home().join(".ssh");
        std::fs::create_dir(&keys).expect("the user's keys");
        std::fs::copy(at("key.pub"), keys.join("authorized_keys")).expect("authorized_keys");
        std::fs::write(at("known_hosts"), dropbear.known_hosts()).expect("known_hosts");
        // Must be accessible for the user's processes too.
        for (dir, mode) in [(dir.path(), 0o755), (&at("far"), 0o777)] {
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(mode)).expect("its mode");
        }
        let host = format!("{}@{}", user.name(), dropbear.host_string());
        let target = ssh_target(&host, &at("key"), &at("known_hosts"));
        let dropbear = Some((user, dropbear));
        Self { target, connector: Connector::new(), dir, fleet: None, _dropbear: dropbear }
    }

    /// The embedded host.
    #[track_caller]
    pub fn fleet_host(&self) -> &FleetHost {
        &self.fleet.as_ref().expect("a world with an embedded fleet").hosts()[0]
    }

    /// The same with these limits on every phase of connecting.
    #[must_use]
    pub fn limits(mut self, limit: Duration) -> Self {
        let some = Some(limit);
        self.target.timeouts = Timeouts::default().connect(some).banner(some).auth(some).channel(some);
        self.target.keepalive = Keepalive::default().interval(some).count(1);
        self
    }

    /// A new session with the host.
    pub async fn session(&self) -> Arc<dyn Session> {
        self.connector.open(&self.target, &Emitter::none()).await.expect("a session")
    }

    /// A connection to the host.
    pub fn connection(&self) -> Connection {
        let builder = Connection::to(self.target.clone());
        builder.connector(self.connector.clone()).build().expect("a connection")
    }

    /// The connector that opens its sessions.
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// A directory of this machine, empty at first, for files of the host's commands.
    pub fn far(&self) -> PathBuf {
        self.dir.path().join("far")
    }
}

fn directory() -> TempDir {
    let dir = tempfile::Builder::new().prefix("fabric-world-").tempdir().expect("a temporary directory");
    std::fs::create_dir(dir.path().join("far")).expect("a directory in it");
    dir
}

pub(crate) fn ssh_target(host: &str, key: &Path, known_hosts: &Path) -> Target {
    let mut target = Target::new(host.parse().expect("a host string"));
    target.auth.identities = vec![Identity::new(key.to_owned())];
    target.auth.identities_only = true;
    target.host_keys.check = HostKeyCheck::Strict;
    target.host_keys.user_files = vec![known_hosts.to_owned()];
    target
}

/// Defines a test for each function over each transport: `a_case: memory local embedded sshd;`.
#[macro_export]
macro_rules! transports {
    ($($case:ident: $($transport:ident)+;)+) => {$(
        mod $case {
            $( $crate::transports!(@test $case $transport); )+
        }
    )+};
    (@test $case:ident dropbear) => { $crate::transports!(@one $case dropbear #[ignore = "needs root"]); };
    (@test $case:ident dropbear_without_sftp) => {
        $crate::transports!(@one $case dropbear_without_sftp #[ignore = "needs root"]);
    };
    (@test $case:ident sshd_with_terminals) => {
        $crate::transports!(@one $case sshd_with_terminals #[ignore = "needs root, or a /dev/pts of the group tty"]);
    };
    (@test $case:ident $transport:ident) => { $crate::transports!(@one $case $transport); };
    (@one $case:ident $transport:ident $(#[$ignore:meta])?) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $(#[$ignore])?
        async fn $transport() {
            super::$case(&$crate::World::$transport().await).await;
        }
    };
}
