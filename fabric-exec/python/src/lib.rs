//! Fabfiles in Python: their tasks become those of a [`Collection`](fabric_exec::Collection), and what they ask for is done by
//! the engine in Rust.
//!
//! ```text
//! fab ── socket pair ── python3: the user's functions, and the package `fabric`
//!  load ──────────────►           what is in the fabfile
//!  task.call ─────────►           runs a task
//!       ◄────────────── run, sudo, put, get, ..: done by the task's Context
//! ```
//!
//! The interpreter is the user's own (see [`interpreter`]); it is given one end of a socket pair, on which both sides send
//! [frames](frame) (`docs/protocol.md`). The other way round, a program in Python starts `fab --engine`, which is
//! [`serve`]: one task without a host that does what it is asked for.
//!
//! Nothing below this crate knows of Python.

mod body;
mod channel;
mod convert;
mod files;
pub mod frame;
pub mod interpreter;
mod library;
mod listing;
mod load;
pub mod package;
mod program;
mod verbs;

pub use convert::convert;
pub use library::{Told, serve};
pub use listing::Listing;
pub use load::load;
pub use program::{LoadError, Loading, Program};
