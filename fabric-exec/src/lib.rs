//! fabric-exec
