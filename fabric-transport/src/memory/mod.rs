//! The `memory` transport: hosts in memory, for tests of code that runs commands on hosts.
//!
//! A host's answers come from the test: fixed replies, patterns, closures, or a real `sh`. It keeps its files in memory
//! and records its commands. Other hosts exist too and answer as [`MemoryTransport::every_host`] does, so that ten
//! thousand hosts cost one map entry each; an idle host has no task.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use fabric_transport::{Connection, connector::Connector, memory::{MemoryTransport, Reply}};
//!
//! let fleet = MemoryTransport::named("ssh");
//! fleet.host("web1").on("uname", Reply::stdout("Linux\n"));
//! fleet.host("web2").on_match("^systemctl restart ", |asked| {
//!     Reply::stderr(format!("{}: not found\n", asked.text().rsplit(' ').next().unwrap())).exit(5)
//! });
//! let connector = Connector::new().transport(fleet.clone());
//!
//! let web1 = Connection::builder("deploy@web1").connector(connector.clone()).build()?;
//! assert_eq!(web1.run("uname").await?.stdout(), "Linux\n");
//!
//! let web2 = Connection::builder("web2").connector(connector).build()?;
//! let error = web2.run("systemctl restart app").await.unwrap_err();
//! assert_eq!(error.outcome().unwrap().exit.code(), Some(5));
//! assert_eq!(fleet.host("web2").commands(), ["systemctl restart app"]);
//! # Ok(()) }
//! ```

mod files;
mod host;
mod process;
mod reply;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::transport::{BoxStream, OpenContext};
use fabric_core::{ConnectError, Session, Target, Transport};
use parking_lot::Mutex;

pub use files::MemoryFiles;
pub use host::{Asked, MemoryHost};
pub use reply::Reply;

/// Hosts by name.
pub struct MemoryTransport {
    name: String,
    hosts: Mutex<HashMap<String, Arc<MemoryHost>>>,
    every: Arc<MemoryHost>,
}

impl MemoryTransport {
    /// A transport called `memory`: hosts are reached as `memory://web1`, or with `transport = "memory"`.
    pub fn new() -> Arc<Self> {
        Self::named("memory")
    }

    /// A transport of this name; `ssh` replaces the real one.
    pub fn named(name: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), hosts: Mutex::default(), every: Arc::new(MemoryHost::new("*", None)) })
    }

    /// The host of this name (its [`Target::host`]); created if it is new.
    pub fn host(&self, name: &str) -> Arc<MemoryHost> {
        let mut hosts = self.hosts.lock();
        if let Some(host) = hosts.get(name) {
            return host.clone();
        }
        let host = Arc::new(MemoryHost::new(name, Some(self.every.clone())));
        hosts.insert(name.to_owned(), host.clone());
        host
    }

    /// The answers of all hosts for commands that they have no own answer to. Its files belong to no host.
    pub fn every_host(&self) -> &MemoryHost {
        &self.every
    }

    /// The names of all hosts that were used or connected to.
    pub fn known(&self) -> Vec<String> {
        let mut names: Vec<_> = self.hosts.lock().keys().cloned().collect();
        names.sort_unstable();
        names
    }
}

#[async_trait]
impl Transport for MemoryTransport {
    fn name(&self) -> &str {
        &self.name
    }

    async fn open(
        &self,
        target: &Target,
        _stream: Option<BoxStream>,
        _context: &OpenContext,
    ) -> Result<Arc<dyn Session>, ConnectError> {
        self.host(&target.host).open(target).await
    }
}
