//! Local files as [`Files`].

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::transport::{DirEntry, FileChanges, FileKind, FileStat, Files, Progress, WriteOptions};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The size of a read or write.
const CHUNK: usize = 256 * 1024;

/// Local files; relative paths start in one directory.
#[derive(Debug, Clone)]
pub(crate) struct LocalFiles {
    dir: PathBuf,
}

impl LocalFiles {
    /// Relative paths start in `dir`.
    pub(crate) fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn at(&self, path: &[u8]) -> PathBuf {
        self.dir.join(OsStr::from_bytes(path))
    }

    /// Runs blocking work on another thread, and adds the path to its error.
    async fn work<T: Send + 'static>(
        &self,
        what: &'static str,
        path: &[u8],
        job: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, FileError> {
        let at = self.at(path);
        let done = tokio::task::spawn_blocking(move || job(&at)).await.unwrap_or_else(|error| Err(error.into()));
        done.map_err(|error| FileError::new(what, path, kind_of(&error)))
    }
}

#[async_trait]
impl Files for LocalFiles {
    async fn stat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        self.work("stat", path, |at| fs::metadata(at).map(|meta| stat_of(&meta))).await
    }

    async fn lstat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        self.work("stat", path, |at| fs::symlink_metadata(at).map(|meta| stat_of(&meta))).await
    }

    async fn set_stat(&self, path: &[u8], changes: &FileChanges) -> Result<(), FileError> {
        let changes = changes.clone();
        self.work("change", path, move |at| change(at, &changes)).await
    }

    async fn read_dir(&self, path: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        self.work("list", path, |at| {
            fs::read_dir(at)?
                .map(|entry| {
                    let entry = entry?;
                    Ok(DirEntry::new(entry.file_name().into_vec(), stat_of(&entry.metadata()?)))
                })
                .collect()
        })
        .await
    }

    async fn read_dir_matching(&self, path: &[u8], prefix: &[u8], suffix: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        let (prefix, suffix) = (prefix.to_vec(), suffix.to_vec());
        self.work("list", path, move |at| {
            let mut found = Vec::new();
            for entry in fs::read_dir(at)? {
                let entry = entry?;
                let name = entry.file_name().into_vec();
                // An entry that is gone by now is skipped.
                if let (true, Ok(meta)) = (name.starts_with(&prefix) && name.ends_with(&suffix), entry.metadata()) {
                    found.push(DirEntry::new(name, stat_of(&meta)));
                }
            }
            Ok(found)
        })
        .await
    }

    async fn create_dir(&self, path: &[u8], mode: Option<u32>) -> Result<(), FileError> {
        self.work("make directory", path, move |at| {
            let mut builder = fs::DirBuilder::new();
            if let Some(mode) = mode {
                builder.mode(mode);
            }
            builder.create(at)
        })
        .await
    }

    async fn remove_file(&self, path: &[u8]) -> Result<(), FileError> {
        self.work("remove", path, |at| fs::remove_file(at)).await
    }

    async fn remove_dir(&self, path: &[u8]) -> Result<(), FileError> {
        self.work("remove directory", path, |at| fs::remove_dir(at)).await
    }

    async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), FileError> {
        let to = self.at(to);
        self.work("rename", from, move |at| fs::rename(at, to)).await
    }

    async fn symlink(&self, to: &[u8], path: &[u8]) -> Result<(), FileError> {
        let to = PathBuf::from(OsStr::from_bytes(to));
        self.work("link", path, move |at| std::os::unix::fs::symlink(to, at)).await
    }

    async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        self.work("read link", path, |at| fs::read_link(at).map(|to| to.into_os_string().into_vec())).await
    }

    async fn canonicalize(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        self.work("resolve", path, |at| fs::canonicalize(at).map(|full| full.into_os_string().into_vec())).await
    }

    async fn read_file(
        &self,
        path: &[u8],
        offset: u64,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        let mut file = self
            .work("read", path, move |at| {
                let mut file = fs::File::open(at)?;
                if file.metadata()?.is_dir() {
                    return Err(io::ErrorKind::IsADirectory.into());
                }
                file.seek(SeekFrom::Start(offset))?;
                Ok(file)
            })
            .await?;
        let mut total = 0;
        let mut buffer = vec![0; CHUNK];
        loop {
            let (back, used, read) = self
                .work("read", path, move |_| {
                    let read = file.read(&mut buffer)?;
                    Ok((file, buffer, read))
                })
                .await?;
            (file, buffer) = (back, used);
            if read == 0 {
                break;
            }
            sink.write_all(&buffer[..read]).await.map_err(|error| local("read", path, &error))?;
            total += read as u64;
            progress(read as u64);
        }
        sink.flush().await.map_err(|error| local("read", path, &error))?;
        Ok(total)
    }

    async fn write_file(
        &self,
        path: &[u8],
        options: &WriteOptions,
        source: &mut (dyn AsyncRead + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        let opened = options.clone();
        let mut file = self.work("write", path, move |at| open_to_write(at, &opened)).await?;
        let mut total = 0;
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(CHUNK);
            let read = source.read_buf(&mut buffer).await.map_err(|error| local("write", path, &error))?;
            if read == 0 {
                break;
            }
            let chunk: Bytes = buffer.split().freeze();
            file = self.work("write", path, move |_| file.write_all(&chunk).map(|()| file)).await?;
            total += read as u64;
            progress(read as u64);
        }
        let (changes, sync) = (options.changes.clone(), options.sync);
        self.work("write", path, move |at| {
            change(at, &changes)?;
            if sync { file.sync_all() } else { Ok(()) }
        })
        .await?;
        Ok(total)
    }
}

/// Opens a file for writing.
pub(crate) fn open_to_write(at: &Path, options: &WriteOptions) -> io::Result<fs::File> {
    let mut open = fs::OpenOptions::new();
    open.write(true).truncate(options.truncate).mode(options.mode.unwrap_or(0o666));
    if options.no_follow {
        open.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    if options.exclusive {
        open.create_new(true)
    } else {
        open.create(options.create)
    };
    let mut file = open.open(at)?;
    file.seek(SeekFrom::Start(options.offset))?;
    Ok(file)
}

/// Sets the final attributes of a file.
pub(crate) fn change(at: &Path, changes: &FileChanges) -> io::Result<()> {
    if let Some(size) = changes.size {
        fs::OpenOptions::new().write(true).open(at)?.set_len(size)?;
    }
    if let Some((uid, gid)) = changes.owner {
        std::os::unix::fs::chown(at, Some(uid), Some(gid))?;
    }
    if let Some(mode) = changes.mode {
        fs::set_permissions(at, fs::Permissions::from_mode(mode & 0o7777))?;
    }
    if let Some((accessed, modified)) = changes.times {
        filetime::set_file_times(at, accessed.into(), modified.into())?;
    }
    Ok(())
}

/// The attributes of a file.
pub(crate) fn stat_of(meta: &Metadata) -> FileStat {
    let kind = match meta.file_type() {
        t if t.is_file() => FileKind::File,
        t if t.is_dir() => FileKind::Directory,
        t if t.is_symlink() => FileKind::Symlink,
        _ => FileKind::Other,
    };
    FileStat::new(kind)
        .size(meta.len())
        .mode(meta.mode() & 0o7777)
        .uid(meta.uid())
        .gid(meta.gid())
        .accessed(meta.accessed().ok())
        .modified(meta.modified().ok())
}

/// An error of the remote side: here, the local machine is the host.
fn kind_of(error: &io::Error) -> FileErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => FileErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => FileErrorKind::PermissionDenied,
        io::ErrorKind::AlreadyExists => FileErrorKind::Exists,
        io::ErrorKind::IsADirectory => FileErrorKind::WrongKind("it is a directory"),
        io::ErrorKind::NotADirectory => FileErrorKind::WrongKind("a part of it is not a directory"),
        io::ErrorKind::Unsupported => FileErrorKind::Unsupported,
        _ => FileErrorKind::Failed(error.to_string()),
    }
}

/// The caller's reader or writer failed.
fn local(what: &'static str, path: &[u8], error: &io::Error) -> FileError {
    FileError::new(what, path, FileErrorKind::Local(error.to_string()))
}
