//! An SFTP version 3 client for automation, over any byte stream.
//!
//! [`Client::start`] takes whatever reads and writes bytes: a channel of an SSH session, the pipes of a
//! local `sftp-server`, an in-memory stream in a test. What it promises:
//!
//! * **Bytes are bytes.** Paths, names and handles are never taken for text: a Latin-1 file name and the
//!   binary handles of OpenSSH (from the 128th open file on) survive.
//! * **Pipelined.** One file is read and written with up to hundreds of requests under way, each as large
//!   as the server takes (`limits@openssh.com`, else 32 KiB), and data is not copied between the stream's
//!   buffer and the caller's. Any number of operations share a client by reference; a small file costs two
//!   round trips ([`Client::read_file`], [`Client::write_file`]), and those of many files overlap.
//! * **Fast on long links.** As much is asked for ahead as the link turns out to take, and a long write that
//!   the window of its channel holds up goes over several ([`Client::further_channels`]).
//! * **Cancel safe.** A future may be dropped at any point: the conversation stays in step, and a handle
//!   that the server opened meanwhile is closed. Dropping the client and everything made by it ends its
//!   task and drops the stream.
//! * **A hostile server** can end the conversation with an error, not more: frames are bounded, lengths
//!   are checked before anything is allocated, answers must fit their requests. Names in directories are
//!   handed on as they are: check them before they become local paths.
//! * **No timers.** Whether a server that says nothing is waited for is the caller's business:
//!   [`tokio::time::timeout`] round any future here is safe. [`Client::closed`] tells when all is over.
//!
//! ```no_run
//! # async fn example(stream: tokio::io::DuplexStream) -> Result<(), Box<dyn std::error::Error>> {
//! use fabric_transport::sftp::{Client, Write};
//!
//! let client = Client::start(stream).await?;
//! client.write_file(b"motd.new", &Write::default(), &mut &b"Welcome\n"[..], &|_| {}).await?;
//! client.replace(b"motd.new", b"motd").await?;
//!
//! let mut log = Vec::new();
//! let bytes = client.read_file(b"/var/log/syslog", 0, &mut log, &|more| println!("{more} bytes more")).await?;
//! assert_eq!(bytes, log.len() as u64);
//! # Ok(())
//! # }
//! ```

mod attributes;
mod client;
mod directory;
mod driver;
mod error;
mod extensions;
mod fields;
mod file;
mod files;
mod lanes;
mod open_flags;
mod operations;
mod reading;
#[doc(hidden)] // for the benchmark
pub mod wire;
mod writing;

#[cfg(test)]
mod tests;

pub use attributes::{Attributes, FileType};
pub use client::Client;
pub use directory::ReadDir;
pub(crate) use error::printable;
pub use error::{CloseReason, ProtocolError, SftpError, StatusCode, StatusError};
pub use extensions::{Extensions, FileSystem, Limits};
pub use file::RemoteFile;
pub use open_flags::OpenFlags;
pub use wire::Name;
pub use writing::Write;

/// How many bytes of one file are asked for or sent ahead at most: 128 requests of the largest size, 1,024
/// of the default one. On a link with a round trip of 50 ms that is 640 MB/s.
const MAX_AHEAD: usize = 32 * 1024 * 1024;

/// How many requests of this size may be under way for one file.
fn max_window(chunk: u32) -> usize {
    (MAX_AHEAD / chunk as usize).clamp(64, 1024)
}
