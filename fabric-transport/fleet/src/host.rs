//! One host of the fleet.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use russh::keys::{PrivateKey, PublicKey};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::faults::Faults;

/// One host of a [`Fleet`](super::Fleet).
#[derive(Clone)]
pub struct FleetHost(pub(super) Arc<HostState>);

impl FleetHost {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Its directory: `$HOME`, and the start of commands and relative SFTP paths.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Sets its faults: for new connections, and for commands and files of existing ones.
    pub fn set_faults(&self, faults: Faults) {
        *self.0.faults.lock() = Arc::new(faults);
    }

    /// Cuts all current connections, without a message.
    pub fn cut(&self) {
        let mut connections = self.0.connections.lock();
        std::mem::replace(&mut *connections, self.0.access.ended.child_token()).cancel();
    }

    /// How many TCP connections were accepted.
    pub fn accepted(&self) -> usize {
        self.0.accepted.load(Ordering::Relaxed)
    }

    /// How many logins succeeded.
    pub fn logins(&self) -> usize {
        self.0.logins.load(Ordering::Relaxed)
    }

    /// How many clients have sent anything for authentication.
    pub fn attempts(&self) -> usize {
        self.0.attempts.load(Ordering::Relaxed)
    }
}

/// The state that the connections of a host share.
pub(super) struct HostState {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) dir: PathBuf,
    pub(super) config: Arc<russh::server::Config>,
    pub(super) access: Arc<Access>,
    pub(super) accepted: AtomicUsize,
    pub(super) logins: AtomicUsize,
    pub(super) attempts: AtomicUsize,
    /// The number of connections that aren't logged in yet, for `MaxStartups`.
    pub(super) starting: AtomicUsize,
    /// Until when clients' addresses are penalised.
    penalties: Mutex<HashMap<IpAddr, Instant>>,
    pub(super) public_key: PublicKey,
    faults: Mutex<Arc<Faults>>,
    connections: Mutex<CancellationToken>,
}

impl HostState {
    pub(super) fn new(
        name: String,
        listener: &TcpListener,
        dir: PathBuf,
        key: PrivateKey,
        access: Arc<Access>,
        faults: Faults,
    ) -> io::Result<Self> {
        let mut preferred = russh::Preferred::DEFAULT;
        let mut ciphers = preferred.cipher.to_vec();
        // russh supports it but doesn't offer it; sshd does.
        ciphers.push(russh::cipher::AES_128_GCM);
        preferred.cipher = Cow::Owned(ciphers);
        Ok(Self {
            name,
            address: listener.local_addr()?,
            dir,
            public_key: key.public_key().clone(),
            config: Arc::new(russh::server::Config {
                methods: access.methods(),
                auth_rejection_time: Duration::ZERO,
                keys: vec![key],
                preferred,
                maximum_packet_size: 32768,
                event_buffer_size: 64,
                inactivity_timeout: None,
                ..russh::server::Config::default()
            }),
            connections: Mutex::new(access.ended.child_token()),
            access,
            accepted: AtomicUsize::new(0),
            logins: AtomicUsize::new(0),
            attempts: AtomicUsize::new(0),
            starting: AtomicUsize::new(0),
            penalties: Mutex::default(),
            faults: Mutex::new(Arc::new(faults)),
        })
    }

    /// Its current faults.
    pub(super) fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.faults.lock())
    }

    /// Whether connections from this address are refused now.
    pub(super) fn penalised(&self, address: IpAddr) -> bool {
        let Some(rule) = self.faults().penalties else { return false };
        let penalties = self.penalties.lock();
        penalties.get(&address).is_some_and(|until| rule.refuses(*until, Instant::now()))
    }

    /// Records a failed connection from this address, with or without an attempt to log in.
    pub(super) fn penalise(&self, address: IpAddr, attempted: bool) {
        let Some(rule) = self.faults().penalties else { return };
        let mut penalties = self.penalties.lock();
        let more = if attempted { rule.failed } else { rule.unused };
        let until = rule.add(penalties.get(&address).copied(), Instant::now(), more);
        penalties.insert(address, until);
    }

    /// A token that ends a new connection together with all others of this host.
    pub(super) fn connection_token(&self) -> CancellationToken {
        self.connections.lock().child_token()
    }
}
