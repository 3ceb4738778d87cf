//! fabric-transport

pub mod connector;
pub mod gateway;
pub mod local;
pub mod memory;
pub mod sftp;
#[cfg(feature = "ssh")]
pub mod ssh;
