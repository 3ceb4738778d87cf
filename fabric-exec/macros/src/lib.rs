//! The `#[task]` attribute of fabric-exec; use it through that crate.
