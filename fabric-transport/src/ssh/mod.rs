//! The SSH transport, on russh.
//!
//! ```text
//! dial ── stream ── handshake ── auth ── session ── process / channel / listen / files
//!                   (host_keys,  (keys,
//!                    algorithms)  agent, interactive)
//! ```
//!
//! * `dial` connects a socket; a gateway's stream is handled in the same way from there on.
//! * A [`HostKeyVerifier`] checks the host's key within the key exchange. A login needs a value that only a passed check
//!   makes, so nothing can be sent to an unverified host.
//! * A login tries methods in OpenSSH's order; its error lists all that was tried.
//! * Every channel has a task that reads it, because russh passes data to channels in the task that serves the whole
//!   connection: an unread channel would block all others.
//!
//! Only this folder uses russh.

mod agent;
mod algorithms;
mod auth;
mod channel;
mod clock;
mod control;
mod dial;
mod files;
mod handler;
mod handshake;
mod host_keys;
mod link;
mod listen;
mod login_shell;
mod process;
mod registry;
mod room;
mod session;
mod sftp_slot;
mod silence;
mod state;
mod stop;
mod store;
pub(crate) mod stream;
mod transport;
mod updates;

pub use host_keys::{HostKeyVerifier, KeyUpdate, KnownHostsVerifier, Trust};
pub use transport::SshTransport;

/// Whether this build can log in by GSSAPI (Kerberos), with the feature `gssapi`. There is no GSSAPI key exchange.
pub const GSSAPI: bool = cfg!(feature = "gssapi");

/// The phase and kind of a failure; [`SshTransport::open`] adds the host.
type Failure = (fabric_core::Phase, fabric_core::ConnectErrorKind);
