//! Connections for automation: commands, files and forwards on hosts that are reached by SSH, by a plugin, on
//! this machine, or in a test.
//!
//! The way in is [`Connection`]: a handle on one host that opens nothing until it is needed and is shared by
//! all that clone it.
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
//! | [`connection`] | [`Connection`] and what it is asked for: `run`, `sudo`, `local`, `shell`, forwards |
//! | [`transfer`] | `put` and `get` |
//! | [`connector`] | [`Connector`], which opens sessions and shares gateways among connections |
//! | [`gateway`] | jump hosts, proxy commands, and what a plugin's gateway is to this crate |
#![cfg_attr(feature = "ssh", doc = "| [`ssh`], [`known_hosts`] | the SSH transport, and which host keys it trusts |")]
//! | [`sftp`] | files over SSH |
//! | [`local`] | the transport of this machine |
//! | [`memory`] | the transport for tests: hosts that are data |
#![cfg_attr(feature = "plugins", doc = "| [`plugin`] | transports and gateways that are loaded at run time |")]
//!
//! What a transport is, is said by traits of [`fabric_core::transport`]; everything above a
//! [`Session`](fabric_core::Session) works over any of them.
//!
//! # What is promised
//!
//! **About commands.** The outcome holds exactly the bytes that were printed; text is made of them only to be
//! shown, and no character is ever cut in two. Work is linear in the size of the output, and what is kept of
//! it can be bounded. Output is taken from the host no faster than the receiver of the events is ready for
//! it. A command that runs out of time, is interrupted, or whose future is dropped is *stopped*: its process
//! group gets TERM, then KILL, with and without a terminal; what it had printed is kept, and where it could not be ended,
//! the error says so. Output that stops before its end, because the connection was lost, is never taken for all of it.
//! Nothing of a command runs unless its directory, prefixes and environment were had. Values of variables reach the host as they are, whatever characters they hold, and
//! what can't be sent is an error before anything is opened.
//!
//! **About `sudo`.** The password goes to `sudo` and to nothing else: it asks with a text that no
//! output can imitate, and the command's own input waits until `sudo` has let the command start. Neither
//! text shows in the outcome. Directory, prefixes and environment are inside: the whole line is privileged.
//!
//! **About files.** A file appears under its name when it is whole, on either side, and not before. No name
//! that a host lists can make anything be written outside the directory that was asked for. See
//! [`transfer`].
//!
//! **About connections.** One session for each connection, opened once however many ask at once, and opened
//! anew when it has died; commands that ran on a session that died are errors, and are not run again. A host
//! whose key is not what is known is refused before anything is sent to it. [`Connection::close`] ends
//! what runs, and waits for that. Dropping the last clone ends the session.
//!
//! **About secrets.** Passwords are [`fabric_core::Secret`]s: they show in no event, error, argument or log.
//!
//! # What is not
//!
//! * The host's login shell reads the command line, as with `ssh`; it is rendered for shells of the Bourne
//!   family. For others give [`CommandRequest::shell`](connection::CommandRequest::shell).
//! * Output is taken for UTF-8. Other encodings arrive unharmed in the outcome's bytes; only what is shown
//!   of them suffers.
//! * The order of standard output and standard error among each other is that of their arrival. A terminal,
//!   or `2>&1` in the command, keeps the order in which they were written.
//! * A command that leaves processes behind which hold its output open (`server &`) lasts as long as they
//!   do, as with `ssh`. Redirect their output, or see [`disown`](connection::CommandRequest::disown). When it is stopped
//!   they are ended with it where it is certain that they are its own: on Linux with OpenSSH's server, without `setsid`, and
//!   where no other command of the connection has left something behind.
//! * A program whose `main` returns right after a future was dropped can't wait: a command of this machine is killed by
//!   the drop, but one on a host may run on. Close its connection first.
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
//! Connections that are given clones of one [`Connector`] share one login at each jump host.
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
//! ## Host keys by a policy of your own
//!
//! Which files are read, and what happens to an unknown key, is set by
//! [`HostKeyPolicy`](fabric_core::HostKeyPolicy), a part of the target:
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
#![cfg_attr(feature = "ssh", doc = "A check that is no matter of files is an [`ssh::HostKeyVerifier`].")]
//!
//! ## A double, for tests of what runs commands
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use fabric_core::Error;
//! use fabric_transport::{Connection, Connector, memory::{MemoryTransport, Reply}};
//!
//! /// What is to be tested.
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
