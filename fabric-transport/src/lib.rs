//! fabric-transport

pub mod connector;
pub mod local;
pub mod memory;
pub mod sftp;
