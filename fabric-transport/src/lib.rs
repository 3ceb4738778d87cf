//! Connections for automation: commands, files and forwards on hosts that are reached by SSH, by a plugin, on
//! this machine, or in a test.
//!
//! Start with [`Connection`]: a handle on one host, which opens a session when it is first used. Clones share it.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use fabric_transport::Connection;
//!
//! // `deploy@web1.example.com:2222` would be reached by SSH; `local://` is this machine.
//! let web = Connection::builder("local://localhost").build()?;
//! let outcome = web.run("uname -a").timeout(Duration::from_secs(10)).await?;
//! println!("{}: {}", outcome.host, outcome.stdout().trim());
//! # Ok(()) }
//! ```
//!
//! # Where things are
//!
//! | module | has |
//! | --- | --- |
//! | [`connection`] | [`Connection`] and its requests: `run`, `sudo`, `local`, `shell`, forwards |
//! | [`transfer`] | `put` and `get` |
//! | [`connector`] | [`Connector`], which opens sessions and shares gateways among connections |
//! | [`gateway`] | jump hosts, proxy commands, and the trait for other gateways |
#![cfg_attr(feature = "ssh", doc = "| [`ssh`], [`known_hosts`] | the SSH transport, and which host keys it trusts |")]
//! | [`sftp`] | files over SSH |
//! | [`local`] | the transport of this machine |
//! | [`memory`] | the transport for tests: hosts that are data |
#![cfg_attr(feature = "plugins", doc = "| [`plugin`] | transports and gateways that are loaded at run time |")]
//!
//! A transport implements the traits of [`fabric_core::transport`]; everything above a
//! [`Session`](fabric_core::Session) works with any transport.
//!
//! # Guarantees
//!
//! **Commands.** The outcome holds exactly the bytes that were printed. They are converted to text only to be shown,
//! and no character is cut in two. Time is linear in the size of the output, and the memory for it can be bounded.
//! Output is read no faster than the receiver of the events takes it. A command that times out, is interrupted, or
//! whose future is dropped is *stopped*: its process group gets TERM, then KILL, with and without a terminal. Its
//! output so far is kept; if it could not be stopped, the error says so. Output that is cut short by a lost connection
//! is an error. A command starts only if its directory, prefixes and environment could be set. Values of variables
//! reach the host unchanged, whatever characters they contain; what can't be sent is an error before anything is
//! opened.
//!
//! **`sudo`.** The password is sent to `sudo` only: its prompt is a text that no output can imitate, and the command's
//! input is held back until `sudo` has started the command. The prompt is not part of the outcome. Directory, prefixes
//! and environment apply inside: the whole line is privileged.
//!
//! **Files.** A file appears under its name only when it is complete, on either side. No name that a host lists can
//! cause a write outside of the given directory. See [`transfer`].
//!
//! **Connections.** Each connection has one session, opened once even if several requests need it at the same time,
//! and opened again after it broke. Commands of a session that broke are errors and are not repeated. A host whose key
//! differs from the known one is refused before anything is sent to it. [`Connection::close`] stops what runs, and
//! waits for it. Dropping the last clone ends the session.
//!
//! **Secrets.** Passwords are [`fabric_core::Secret`]s: no event, error, argument or log contains them.
//!
//! # Limits
//!
//! * The host's login shell reads the command line, as with `ssh`, and it is rendered for shells of the Bourne
//!   family. For others use [`CommandRequest::shell`](connection::CommandRequest::shell).
//! * Output is shown as UTF-8. Other encodings are unchanged in the outcome's bytes.
//! * Standard output and standard error are interleaved in the order in which they arrive. A terminal, or `2>&1` in
//!   the command, keeps the order in which they were written.
//! * A command lasts as long as background processes that hold its output open (`server &`), as with `ssh`. Redirect
//!   their output, or see [`disown`](connection::CommandRequest::disown). When the command is stopped, they are stopped
//!   too if they are certainly its own: on Linux with OpenSSH's server, without `setsid`, and if no other command of
//!   the connection has left processes behind.
//! * A program whose `main` returns right after a future was dropped doesn't wait: a local command is killed by the
//!   drop, but one on a host may keep running. Close its connection first.
//! * Nothing here reads a terminal or a configuration file. Questions go to a
//!   [`Prompter`](fabric_core::Prompter), settings come from a [`Resolve`](fabric_core::Resolve).
//!
//! # Examples
//!
//! ## Through a jump host
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use fabric_core::settings::Switch;
//! use fabric_core::Settings;
//! use fabric_transport::Connection;
//!
//! let mut settings = Settings::default();
//! settings.user = Some("deploy".into());
//! settings.gateway = Switch::To("bastion.example.com,inner.example.com:2222".into());
//! let web = Connection::builder("web1.internal").settings(settings).build()?;
//! web.run("hostname").await?;
//! # Ok(()) }
//! ```
//!
//! Connections with clones of one [`Connector`] share one login at each jump host.
//!
//! ## A transfer, with progress
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use fabric_core::event::{Event, EventKind, EventSink};
//! use fabric_core::Emitter;
//! use fabric_transport::Connection;
//!
//! struct Bar;
//!
//! impl EventSink for Bar {
//!     fn emit(&self, event: Event) {
//!         if let EventKind::TransferProgress { remote, bytes, size: Some(size), .. } = event.kind {
//!             println!("{remote}: {} %", 100 * bytes / size.max(1));
//!         }
//!     }
//! }
//!
//! # let temp = tempfile::tempdir()?;
//! # let (site, target) = (temp.path().join("site"), temp.path().join("target"));
//! # std::fs::create_dir(&site)?;
//! # std::fs::write(site.join("index.html"), "<p>")?;
//! # let target = target.display().to_string();
//! let web = Connection::builder("local://localhost").emitter(Emitter::new(Arc::new(Bar), "deploy")).build()?;
//! let outcome = web.put(site, target).mirror_mode(true).verify(true).await?;
//! println!("{} files, {} bytes in {:?}", outcome.remote.len(), outcome.bytes, outcome.duration);
//! # Ok(()) }
//! ```
//!
//! ## A forward
//!
//! ```no_run
//! # async fn example(web: fabric_transport::Connection) -> Result<(), Box<dyn std::error::Error>> {
//! let database = web.forward_local(0).to("db.internal:5432").await?;
//! let port = database.port().expect("it is no unix socket");
//! println!("postgres://localhost:{port}/");
//! // It listens until `database` is dropped.
//! # Ok(()) }
//! ```
//!
//! ## A transport of your own
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use async_trait::async_trait;
//! use fabric_core::transport::{BoxStream, OpenContext};
//! use fabric_core::{ConnectError, Session, Target, Transport};
//! use fabric_transport::{Connection, Connector, local::LocalSession};
//!
//! /// Each host is a directory of this machine.
//! struct Directories;
//!
//! #[async_trait]
//! impl Transport for Directories {
//!     fn name(&self) -> &str {
//!         "dir"
//!     }
//!
//!     async fn open(
//!         &self,
//!         target: &Target,
//!         _: Option<BoxStream>,
//!         _: &OpenContext,
//!     ) -> Result<Arc<dyn Session>, ConnectError> {
//!         Ok(Arc::new(LocalSession::in_dir(format!("/{}", target.host))))
//!     }
//! }
//!
//! let connector = Connector::new().transport(Directories);
//! let usr = Connection::builder("dir://usr").connector(connector).build()?;
//! assert_eq!(usr.run("pwd").await?.stdout(), "/usr\n");
//! # Ok(()) }
//! ```
//!
//! ## A policy for host keys
//!
//! [`HostKeyPolicy`](fabric_core::HostKeyPolicy), a part of the target, sets which files are read, and what happens to
//! an unknown key:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use fabric_core::Target;
//! use fabric_core::target::HostKeyCheck;
//! use fabric_transport::Connection;
//!
//! let mut target = Target::new("deploy@web1.example.com".parse()?);
//! target.host_keys.check = HostKeyCheck::Strict;
//! target.host_keys.user_files = vec!["deploy/known_hosts".into()];
//! let web = Connection::to(target).build()?;
//! # let _ = web;
//! # Ok(()) }
//! ```
#![cfg_attr(feature = "ssh", doc = "")]
#![cfg_attr(feature = "ssh", doc = "For other checks implement [`ssh::HostKeyVerifier`].")]
//!
//! ## A test double for code that runs commands
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use fabric_core::Error;
//! use fabric_transport::{Connection, Connector, memory::{MemoryTransport, Reply}};
//!
//! /// The code under test.
//! async fn restart(host: &Connection) -> Result<(), Error> {
//!     if host.run("systemctl is-active app").warn(true).await?.failed() {
//!         host.sudo("systemctl start app").await?;
//!     }
//!     Ok(())
//! }
//!
//! let fleet = MemoryTransport::named("ssh");
//! fleet.host("web1").on("systemctl is-active app", Reply::status(3));
//! fleet.host("web1").on_match("systemctl start app", |_| Reply::ok());
//! let connector = Connector::new().transport(fleet.clone());
//! restart(&Connection::builder("web1").connector(connector).build()?).await?;
//! assert_eq!(fleet.host("web1").commands().len(), 2);
//! # Ok(()) }
//! ```

mod commands;
pub mod connection;
pub mod connector;
pub mod gateway;
#[cfg(feature = "ssh")]
pub mod known_hosts;
pub mod local;
pub mod memory;
mod part_names;
mod paths;
#[cfg(feature = "plugins")]
pub mod plugin;
mod retry;
pub mod sftp;
mod shell_files;
#[cfg(feature = "ssh")]
pub mod ssh;
pub mod transfer;

pub use connection::Connection;
pub use connector::Connector;
