//! Fabfiles: where tasks come from.
//!
//! Each source is a folder: it yields a [`Collection`](crate::Collection) of tasks with bodies of its own, and neither plans nor
//! runs know which one a task came from. Here are declared ones; functions of Rust are
//! [`Task::from_fn`](crate::Task::from_fn) and `#[task]`. [`find`] walks up to the fabfile.

pub mod declared;
mod find;

pub use declared::{Fabfile, Format, HostSection, Included, keys, load, parse, roles_of};
pub use find::{Found, find};
