//! fabric-transport

pub mod connection;
pub mod connector;
pub mod gateway;
#[cfg(feature = "ssh")]
pub mod known_hosts;
pub mod local;
pub mod memory;
#[cfg(feature = "plugins")]
pub mod plugin;
#[cfg(feature = "server")]
pub mod server;
pub mod sftp;
#[cfg(feature = "ssh")]
pub mod ssh;
pub mod transfer;

pub use connection::Connection;
pub use connector::Connector;
