//! fabric-transport
