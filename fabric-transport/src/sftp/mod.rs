//! An SFTP version 3 client for automation, over any byte stream.
//!
//! [`Client::start`] takes any byte stream: a channel of an SSH session, the pipes of a local `sftp-server`, an
//! in-memory stream in a test. Its guarantees:
//!
//! * **Bytes.** Paths, names and handles are bytes, not text: a Latin-1 file name and the binary handles of OpenSSH
//!   (from the 128th open file on) work.
//! * **Pipelined.** A file is read and written with up to hundreds of requests sent ahead, each as large as the server
//!   allows (`limits@openssh.com`, else 32 KiB), and data isn't copied between the stream's buffer and the caller's. Any
//!   number of operations share a client by reference; a small file takes two round trips ([`Client::read_file`],
//!   [`Client::write_file`]), and those of many files overlap.
//! * **Fast on long links.** Reads are sent ahead as far as the link needs, and a long write that is limited by the
//!   channel's window uses several channels ([`Client::further_channels`]).
//! * **Cancel safe.** A future may be dropped at any point: the conversation stays in step, and a handle that the
//!   server opened meanwhile is closed. Dropping the client and everything made by it ends its task and drops the stream.
//! * **Hostile servers.** They can end the conversation with an error, nothing more: frames are bounded, lengths are
//!   checked before anything is allocated, and replies must fit their requests. Names in directories are returned
//!   unchanged: check them before you use them as local paths.
//! * **No timers.** The caller decides how long to wait for a silent server: [`tokio::time::timeout`] around any future
//!   here is safe. [`Client::closed`] reports the end of the conversation.
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

/// The most bytes of one file that are sent or requested ahead: 128 requests of the largest size, 1,024 of the default
/// one. On a link with a round trip of 50 ms that is 640 MB/s.
const MAX_AHEAD: usize = 32 * 1024 * 1024;

/// How many requests of this size may be sent ahead for one file.
fn max_window(chunk: u32) -> usize {
    (MAX_AHEAD / chunk as usize).clamp(64, 1024)
}
