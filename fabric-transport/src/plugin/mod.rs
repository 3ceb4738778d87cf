//! Gateways and transports that are loaded at run time (feature `plugins`).
//!
//! [`Plugin::load`] loads a shared library with the ABI of `fabric-plugin-sdk`; [`find`] searches the user's plugin
//! directories. A loaded plugin is used as a gateway or as a transport:
//!
//! ```no_run
//! use fabric_transport::connector::Connector;
//! use fabric_transport::plugin::Plugin;
//!
//! let socks5 = Plugin::load("/usr/lib/fabric/plugins/libsocks5.so".as_ref())?;
//! println!("{} {}: {}", socks5.name(), socks5.version(), socks5.description().summary);
//! let connector = socks5.register(Connector::new());
//! # Ok::<(), fabric_transport::plugin::PluginLoadError>(())
//! ```
//!
//! # What a broken plugin can do
//!
//! A panic, an error, an invalid answer or a bad descriptor is an error of the host in question. So is a call that
//! hangs, after its time limit; its thread is abandoned, and the program's exit doesn't wait for it. A library is never
//! unloaded, as its threads may still use it. A segmentation fault ends the program, unless the plugin was loaded by
//! [`Plugin::load_isolated`]: then it ends a child process, and is an error of the hosts that used it.

mod call;
mod child;
#[cfg(not(target_vendor = "apple"))]
mod elf;
mod gateway;
mod handle;
mod introduction;
mod library;
mod perform;
mod search;
mod session;
mod stream;
mod wire;

pub use child::host;
pub use handle::Plugin;
pub use introduction::PluginLoadError;
pub use search::{FoundPlugin, OnDemand, find, find_by};
