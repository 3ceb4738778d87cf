//! The embedded fleet: one process that is N SSH hosts on loopback, for the demo, for tests and for benchmarks.
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
//! everything that runs there. Commands run in the real `/bin/sh`, terminals are real, files are served over
//! SFTP, ports are forwarded. What OpenSSH's sshd does is what a host does: where they differ, it is a mistake.
//!
//! # What is promised, and what is not
//!
//! * Nothing listens on, or connects to, anything but loopback addresses; other ones are refused.
//! * Only the throw-away key that [`Fleet::client_key`] names logs in, unless the builder says otherwise. Whoever
//!   logs in runs commands as the user this program runs as: a host's directory is where commands start, not a wall
//!   around them.
//! * Dropping the [`Fleet`] ends every connection and kills every process that its hosts have started. A fleet that
//!   made its own directory removes it.
//! * [`Faults`] make a host misbehave, from the first byte to the last.

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
