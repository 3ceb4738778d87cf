//! The SSH transport, on russh.
//!
//! ```text
//! dial ── stream ── handshake ── auth ── session ── process / channel / listen / files
//!                   (host_keys,  (keys,
//!                    algorithms)  agent, interactive)
//! ```
//!
//! * `dial` makes this machine's socket; a gateway's stream takes the same path from there on.
//! * The host's key is checked by a [`HostKeyVerifier`] inside the key exchange; what a login needs is a
//!   value that only a passed check can make, so nothing can be sent to an unverified host.
//! * A login goes through the methods in OpenSSH's order, and a failed one says all that was tried.
//! * Every channel has a task that always reads it, because russh hands data to channels in the task that
//!   serves the whole connection: an unread channel would stop all others.
//!
//! russh is named in this folder only.

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

/// Whether this build can log in by GSSAPI (Kerberos): the feature `gssapi`. Keys are exchanged by it in no build.
pub const GSSAPI: bool = cfg!(feature = "gssapi");

/// What failed in which phase; [`SshTransport::open`] adds the host.
type Failure = (fabric_core::Phase, fabric_core::ConnectErrorKind);
