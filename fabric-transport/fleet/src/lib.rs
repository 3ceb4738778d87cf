//! The embedded fleet: N SSH hosts on loopback in one process, for the demo, for tests and for benchmarks.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use fabric_transport_fleet::Fleet;
//!
//! let fleet = Fleet::builder().names(["web1", "web2", "db1"]).start().await?;
//! // ssh -F <dir>/ssh_config web1 uname
//! println!("ssh -F {} web1 uname", fleet.ssh_config().display());
//! for host in fleet.hosts() {
//!     println!("{} is {}, its files are in {}", host.name(), host.address(), host.dir().display());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Each host has an address and a key of its own, and a directory that is `$HOME` and the working directory of
//! everything that runs there. Commands run in the real `/bin/sh`, terminals are real, files are served over SFTP, and
//! ports are forwarded. A host behaves like OpenSSH's sshd; a difference is a bug.
//!
//! # Guarantees and limits
//!
//! * Listeners and connections use only loopback addresses; others are refused.
//! * Only the temporary key [`Fleet::client_key`] can log in, unless the builder adds others. A client runs commands as
//!   the user of this program: a host's directory is where commands start, not a sandbox.
//! * Dropping the [`Fleet`] ends every connection and kills every process of its hosts. A directory that the fleet
//!   created is removed.
//! * [`Faults`] make a host misbehave at any point of a connection.

mod access;
mod answers;
mod builder;
mod client;
mod error;
mod faults;
mod fleet;
mod forward;
mod groups;
mod host;
mod input;
mod method;
mod paths;
mod process;
mod sftp;
mod stream;
mod terminal;

pub use answers::{Answer, Answers, cheap};
pub use builder::FleetBuilder;
pub use error::{FleetError, KeyError};
pub use faults::{ExitFault, Faults, Greeting, MaxStartups, Penalties};
pub use fleet::Fleet;
pub use host::FleetHost;
pub use method::Method;
