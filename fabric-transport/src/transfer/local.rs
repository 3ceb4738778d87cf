//! This machine's side of a transfer.

use std::ffi::OsStr;
use std::io::{Cursor, Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::transport::{Files, WriteOptions};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt as _};
use tokio_util::either::Either;

use crate::local::LocalFiles;

/// How much of a local file is read or written at once.
const CHUNK: usize = 1024 * 1024;

/// What is less than this is read at once.
const SMALL: usize = 64 * 1024;

/// All files of this machine, by absolute paths.
pub(super) fn files() -> LocalFiles {
    LocalFiles::in_dir("/")
}

pub(super) fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

pub(super) fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

/// Opens a file to be read from `offset` on. A small one is read at once: a thread for what blocks is asked once for each,
/// and not for every step.
pub(super) async fn open_to_read(at: &[u8], offset: u64) -> Result<impl AsyncRead + Send + Unpin, FileError> {
    let path = path(at);
    let open = move || {
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut head = Vec::with_capacity(SMALL);
        (&file).take(SMALL as u64).read_to_end(&mut head)?;
        let rest = (head.len() == SMALL).then_some(file);
        Ok((head, rest))
    };
    let opened = tokio::task::spawn_blocking(open).await.map_err(std::io::Error::other).flatten();
    let (head, rest) = opened.map_err(|error| failed("read", at, &error))?;
    let rest = match rest {
        Some(file) => {
            let mut file = File::from_std(file);
            file.set_max_buf_size(CHUNK);
            Either::Left(file)
        }
        None => Either::Right(tokio::io::empty()),
    };
    Ok(AsyncReadExt::chain(Cursor::new(head), rest))
}

/// Opens a file to be written as `options` say.
pub(super) async fn open_to_write(at: &[u8], options: &WriteOptions) -> Result<File, FileError> {
    let open = async {
        let mut open = OpenOptions::new();
        open.write(true).truncate(options.truncate).mode(options.mode.unwrap_or(0o666));
        if options.exclusive {
            open.create_new(true)
        } else {
            open.create(true)
        };
        let mut file = open.open(path(at)).await?;
        file.set_max_buf_size(CHUNK);
        file.seek(SeekFrom::Start(options.offset)).await?;
        Ok(file)
    };
    open.await.map_err(|error| failed("write", at, &error))
}

pub(super) fn failed(what: &'static str, at: &[u8], error: &std::io::Error) -> FileError {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => FileErrorKind::NotFound,
        std::io::ErrorKind::PermissionDenied => FileErrorKind::PermissionDenied,
        std::io::ErrorKind::AlreadyExists => FileErrorKind::Exists,
        _ => FileErrorKind::Local(error.to_string()),
    };
    FileError::new(what, at, kind)
}

/// Directories that were made for a transfer; those still empty are taken back unless it is kept.
#[derive(Default)]
pub(super) struct MadeDirs {
    made: Vec<Vec<u8>>,
}

impl MadeDirs {
    /// Makes a directory and those above it, as far as they are missing.
    pub(super) async fn make(&mut self, files: &dyn Files, dir: &[u8]) -> Result<(), FileError> {
        let mut missing = Vec::new();
        let mut at = dir;
        while let Err(FileError { kind: FileErrorKind::NotFound, .. }) = files.stat(at).await {
            missing.push(at);
            let above = super::names::parent(at);
            if above == at || above == b"." {
                break;
            }
            at = above;
        }
        for dir in missing.into_iter().rev() {
            match files.create_dir(dir, None).await {
                Ok(()) => self.made.push(dir.to_vec()),
                // Somebody else was faster.
                Err(_) if files.stat(dir).await.is_ok() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes back what is empty.
    pub(super) async fn undo(self, files: &dyn Files) {
        for dir in self.made.iter().rev() {
            if files.remove_dir(dir).await.is_err() {
                break;
            }
        }
    }
}
