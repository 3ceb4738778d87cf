//! A host's files with a working directory (`sftp()` of Fabric 3).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use fabric_core::command::join_dir;
use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::transport::{DirEntry, FileChanges, FileKind, FileStat, Files, Progress, WriteOptions};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};

/// A host's files, with relative paths from a working directory.
///
/// It has the methods of [`Files`], and short ones for whole files. See [`Connection::sftp`](super::Connection::sftp).
pub struct WorkingFiles {
    files: Arc<dyn Files>,
    /// Empty for the login directory.
    dir: Mutex<Vec<u8>>,
}

impl WorkingFiles {
    pub(super) fn new(files: Arc<dyn Files>) -> Self {
        Self { files, dir: Mutex::default() }
    }

    /// Changes the working directory. An error if it is no directory.
    pub async fn chdir(&self, path: impl AsRef<[u8]>) -> Result<(), FileError> {
        let full = self.files.canonicalize(&self.at(path.as_ref())).await?;
        if self.files.stat(&full).await?.kind != FileKind::Directory {
            return Err(FileError::new("change to", full, FileErrorKind::WrongKind("it is not a directory")));
        }
        *self.dir.lock() = full;
        Ok(())
    }

    /// The absolute path of the working directory.
    pub async fn cwd(&self) -> Result<Vec<u8>, FileError> {
        self.files.canonicalize(&self.at(b".")).await
    }

    /// The content of a file; an error if it has more than 256 MiB. [`Connection::get`](super::Connection::get) and
    /// [`read_file`](Files::read_file) have no limit.
    pub async fn read(&self, path: impl AsRef<[u8]>) -> Result<Bytes, FileError> {
        let mut content = Small(Vec::new());
        self.read_file(path.as_ref(), 0, &mut content, &|_| ()).await?;
        Ok(content.0.into())
    }

    /// Creates or overwrites a file, in place; [`Connection::put`](super::Connection::put) does it atomically.
    pub async fn write(&self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Result<(), FileError> {
        let mut content = content.as_ref();
        self.write_file(path.as_ref(), &WriteOptions::default(), &mut content, &|_| ()).await?;
        Ok(())
    }

    fn at(&self, path: &[u8]) -> Vec<u8> {
        let mut full = self.dir.lock().clone();
        if path.starts_with(b"~") {
            // There is no shell to expand it: it is a name.
            join_dir(&mut full, &[b"./", path].concat());
        } else {
            join_dir(&mut full, path);
        }
        full
    }
}

/// The most bytes of a file that is read as a whole.
const MOST: usize = 256 << 20;

/// Bounded content.
struct Small(Vec<u8>);

impl AsyncWrite for Small {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.0.len() + data.len() > MOST {
            let text = format!("it has more than {} MiB, the most that is read at once", MOST >> 20);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::FileTooLarge, text)));
        }
        self.0.extend_from_slice(data);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[async_trait]
impl Files for WorkingFiles {
    async fn stat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        self.files.stat(&self.at(path)).await
    }

    async fn lstat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        self.files.lstat(&self.at(path)).await
    }

    async fn set_stat(&self, path: &[u8], changes: &FileChanges) -> Result<(), FileError> {
        self.files.set_stat(&self.at(path), changes).await
    }

    async fn read_dir(&self, path: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        self.files.read_dir(&self.at(path)).await
    }

    async fn read_dir_matching(&self, path: &[u8], prefix: &[u8], suffix: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        self.files.read_dir_matching(&self.at(path), prefix, suffix).await
    }

    async fn create_dir(&self, path: &[u8], mode: Option<u32>) -> Result<(), FileError> {
        self.files.create_dir(&self.at(path), mode).await
    }

    async fn remove_file(&self, path: &[u8]) -> Result<(), FileError> {
        self.files.remove_file(&self.at(path)).await
    }

    async fn remove_dir(&self, path: &[u8]) -> Result<(), FileError> {
        self.files.remove_dir(&self.at(path)).await
    }

    async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), FileError> {
        self.files.rename(&self.at(from), &self.at(to)).await
    }

    async fn symlink(&self, to: &[u8], path: &[u8]) -> Result<(), FileError> {
        self.files.symlink(to, &self.at(path)).await
    }

    async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        self.files.read_link(&self.at(path)).await
    }

    async fn canonicalize(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        self.files.canonicalize(&self.at(path)).await
    }

    async fn read_file(
        &self,
        path: &[u8],
        offset: u64,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        self.files.read_file(&self.at(path), offset, sink, progress).await
    }

    async fn write_file(
        &self,
        path: &[u8],
        options: &WriteOptions,
        source: &mut (dyn AsyncRead + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        self.files.write_file(&self.at(path), options, source, progress).await
    }
}
