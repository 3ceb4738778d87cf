//! fabric-cli
