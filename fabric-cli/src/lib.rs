//! The `fab` command line: arguments, fabfiles, rendering. Thin: what it asks for is done by the crates
//! below it.

pub mod args;
pub mod exit;
pub mod prompter;
pub mod render;
