//! fabric-transport

pub mod sftp;
