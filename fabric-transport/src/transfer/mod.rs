//! Files to and from a host, over any transport's [`Files`](fabric_core::Files).
//!
//! [`Connection::put`](crate::Connection::put) and [`Connection::get`](crate::Connection::get) take a file, a
//! directory, a pattern or a stream. Guarantees:
//!
//! * **Atomic.** A file is written under a temporary name beside its target and renamed; after a failure there is neither an
//!   incomplete nor a temporary file. If the target is a link, the file that it leads to is replaced. A replaced file keeps
//!   its mode. A file that can't be replaced by a rename is written in place, with a warning, or is an error
//!   ([`Put::atomic`]).
//! * **Inside the target.** Names that a host lists are used only if they are a single path component, so nothing can be
//!   written outside of the given directory. Links are followed on both sides, or copied as links after all files
//!   ([`Links`]).
//! * **One source for each target.** Two files with the same target are an error before anything is transferred.
//! * **Independent files.** A failed file doesn't stop the others; the outcome lists it with its error.
//!
//! Many files are transferred at once. Names are bytes, and converted to text only to be shown.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let connection = fabric_transport::Connection::builder("local://localhost").build()?;
//! # let temp = tempfile::tempdir()?;
//! # let dir = temp.path().display();
//! use fabric_transport::transfer::Source;
//!
//! connection.put(Source::bytes("hello\n"), format!("{dir}/greeting")).mode(0o600).await?;
//! let outcome = connection.get(format!("{dir}/greeting"), format!("{dir}/copies/{{host}}/{{path}}")).await?;
//! assert_eq!(outcome.local, [format!("{dir}/copies/localhost/greeting")]);
//! # Ok(()) }
//! ```

mod course;
mod deliver;
mod destinations;
mod engine;
mod get;
mod glob;
mod in_place;
mod job;
mod leftovers;
mod local;
mod modes;
mod options;
mod plan;
mod progress;
mod put;
mod resolved;
mod roots;
mod scripts;
mod streams;
mod template;
#[cfg(test)]
mod tests;
mod tree;
mod unfinished;
mod verify;
mod walk;

pub use destinations::{APART, destination};
pub use get::{Destination, Get};
pub use options::Links;
pub use put::{Put, Source};

pub use crate::connection::destinations::Destinations;
pub use crate::paths::local as local_path;
