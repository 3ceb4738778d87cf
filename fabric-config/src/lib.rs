//! fabric-config
