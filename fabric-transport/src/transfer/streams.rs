//! Local devices and pipes as destinations of a get.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::Duration;

use fabric_core::error::FileError;
use tokio::fs::{File, OpenOptions};
use tokio::net::unix::pipe;
use tokio_util::either::Either;

use super::local;

/// The pause between attempts to open a named pipe without a reader. There is no event to wait for.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether there is a pipe or a character device at `path`.
pub(super) async fn is_stream(path: &[u8]) -> bool {
    let about = tokio::fs::metadata(local::path(path)).await.map(|meta| meta.file_type());
    about.is_ok_and(|kind| kind.is_fifo() || kind.is_char_device())
}

/// Whether a path names an open file of this process.
pub(super) fn is_name_of_stream(path: &[u8]) -> bool {
    is_open_here(path).is_some()
}

/// The last part of such a path: a number, or the name of a standard stream.
fn is_open_here(path: &[u8]) -> Option<&str> {
    let path = std::str::from_utf8(path).ok()?;
    let number = path.strip_prefix("/dev/fd/").or_else(|| path.strip_prefix("/proc/self/fd/"));
    number.or_else(|| path.strip_prefix("/dev/").filter(|name| matches!(*name, "stdout" | "stderr" | "stdin")))
}

pub(super) type Stream = Either<File, pipe::Sender>;

pub(super) async fn open(at: &[u8]) -> Result<Stream, FileError> {
    let path = local::path(at);
    let opened = match is_open_here(at) {
        // Opening it again would start at the beginning of the file.
        Some("stdout" | "1") => io::stdout().as_fd().try_clone_to_owned().map(file),
        Some("stderr" | "2") => io::stderr().as_fd().try_clone_to_owned().map(file),
        _ => open_path(&path).await,
    };
    opened.map_err(|error| local::failed("write", at, &error))
}

fn file(fd: std::os::fd::OwnedFd) -> Stream {
    Either::Left(File::from_std(fd.into()))
}

async fn open_path(path: &Path) -> io::Result<Stream> {
    if !tokio::fs::metadata(path).await?.file_type().is_fifo() {
        return OpenOptions::new().append(true).open(path).await.map(Either::Left);
    }
    loop {
        match pipe::OpenOptions::new().open_sender(path) {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
                tokio::time::sleep(PAUSE).await;
            }
            opened => return opened.map(Either::Right),
        }
    }
}
