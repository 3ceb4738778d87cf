//! Files to and from a host, over any transport's [`Files`](fabric_core::Files).
//!
//! [`Connection::put`](crate::Connection::put) and [`Connection::get`](crate::Connection::get) take a file, a
//! directory, a glob or a stream. What is promised for each file:
//!
//! * **Whole or not at all.** It is written under a temporary name beside its target and renamed; what fails
//!   leaves neither a half-written file nor the temporary one. A target that is a link is written where the
//!   link points; a replaced file keeps its mode. Only one that can't be replaced by a rename is written in place, with a
//!   warning, or is an error ([`Put::atomic`]).
//! * **Inside the target.** Names that a host lists are used only if they are one plain name: nothing can be
//!   written outside the directory that was asked for. Links are followed on both sides, or copied as links
//!   after everything else ([`Links`]).
//! * **One source for one target.** Two files that would become one are an error before anything is moved.
//! * **All of them.** One file that fails doesn't keep the others; the outcome lists it with its reason.
//!
//! Many files are under way at once. Byte names survive; text is made of them only to be shown.
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
