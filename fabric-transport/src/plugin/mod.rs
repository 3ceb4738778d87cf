//! Gateways and transports that are loaded at run time (feature `plugins`).
//!
//! [`Plugin::load`] takes a shared library that speaks the ABI of `fabric-plugin-sdk`; [`find`] looks for
//! them where the user keeps them. A loaded plugin joins a run as a gateway or as a transport:
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
//! A panic, an error, nonsense in an answer, a bad descriptor: an error of the host that was being
//! reached. A call that hangs: the same, once its time is up; the thread it hangs on is left behind, and the
//! end of the program does not wait for it. A library is never unloaded, as its threads may still be in it.
//! A segmentation fault ends the program, unless the plugin was loaded by [`Plugin::load_isolated`]: then it
//! ends a child process, and is an error of the hosts that the child was serving.

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
