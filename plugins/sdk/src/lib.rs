//! Write Fabric gateways and transports as plugins.
//!
//! A **gateway** opens a byte stream for Fabric's SSH: a SOCKS proxy, a bastion with a protocol of its own. A
//! **transport** starts processes by itself: a container runtime, a serial console. Both are shared libraries
//! (`crate-type = ["cdylib"]`) that implement one trait and export it:
//!
//! ```
//! use std::os::fd::OwnedFd;
//! use fabric_plugin_sdk::{Cancel, Description, DialRequest, GatewayPlugin, PluginError};
//!
//! /// Dials the target directly, by way of nothing.
//! #[derive(Default)]
//! struct Direct;
//!
//! impl GatewayPlugin for Direct {
//!     const NAME: &'static str = "direct";
//!     const VERSION: &'static str = "1.0.0";
//!
//!     fn describe(&self) -> Description {
//!         Description::gateway("dials the target directly")
//!     }
//!
//!     fn dial(&self, request: &DialRequest, cancel: &Cancel) -> Result<OwnedFd, PluginError> {
//!         Ok(cancel.connect(&request.host, request.port, request.timeout())?.into())
//!     }
//! }
//!
//! fabric_plugin_sdk::export_plugin!(gateway Direct);
//! # fn main() {}
//! ```
//!
//! It is then used by `gateway = "direct://"` in the settings.
//!
//! # What crosses the ABI
//!
//! Plain data, JSON and file descriptors cross a small C table ([`abi`], `include/fabric_plugin.h`) whose fields are
//! only ever appended. No Rust type, allocator, unwinding or async runtime crosses it, so a plugin that was built by
//! another compiler, or in C, works as well. A panic in a plugin becomes an error of the host in question. Functions
//! are called on threads of their own and may block, but must return soon after their [`Cancel`] becomes readable.
//!
//! # Testing a plugin
//!
//! `fabric_transport_conformance::run_plugin("target/debug/libmine.so", &target, &[]).await` runs the suite that
//! Fabric's own transports pass.

pub mod abi;
mod cancel;
mod error;
pub mod export;
mod message;
mod plugin;
mod process;

pub use cancel::{Cancel, Handshake};
pub use error::PluginError;
pub use message::{
    Control, Description, DialRequest, Ended, OpenRequest, OptionKind, OptionSpec, Options, PluginKind, Proxy, Pty,
    SpawnRequest,
};
pub use plugin::{GatewayPlugin, TransportPlugin, TransportSession};
pub use process::ProcessFds;
