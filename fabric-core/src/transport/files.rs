//! The files of a host.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::FileError;
use crate::setters::setters;

/// What kind of thing a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, a socket or a pipe.
    Other,
    /// The host doesn't say.
    Unknown,
}

/// What a host knows about a file; `None` is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileStat {
    /// What it is.
    pub kind: FileKind,
    /// Its length in bytes.
    pub size: Option<u64>,
    /// Its permission bits (`0o7777`).
    pub mode: Option<u32>,
    /// The owner's id.
    pub uid: Option<u32>,
    /// The group's id.
    pub gid: Option<u32>,
    /// When it was last read.
    pub accessed: Option<SystemTime>,
    /// When it was last written.
    pub modified: Option<SystemTime>,
}

impl FileStat {
    /// Something of this kind, of which nothing else is known.
    pub fn new(kind: FileKind) -> Self {
        Self { kind, size: None, mode: None, uid: None, gid: None, accessed: None, modified: None }
    }
}

setters!(FileStat {
    kind: FileKind,
    #[into] size: Option<u64>,
    #[into] mode: Option<u32>,
    #[into] uid: Option<u32>,
    #[into] gid: Option<u32>,
    #[into] accessed: Option<SystemTime>,
    #[into] modified: Option<SystemTime>,
});

/// What to change about a file; `None` leaves a thing as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileChanges {
    /// Its length: longer is filled with zeros, shorter is cut.
    pub size: Option<u64>,
    /// Its permission bits.
    pub mode: Option<u32>,
    /// Owner and group ids.
    pub owner: Option<(u32, u32)>,
    /// When it was last read and written, in whole seconds on most hosts.
    pub times: Option<(SystemTime, SystemTime)>,
}

setters!(FileChanges {
    #[into] size: Option<u64>,
    #[into] mode: Option<u32>,
    #[into] owner: Option<(u32, u32)>,
    #[into] times: Option<(SystemTime, SystemTime)>,
});

/// An entry of a directory, `.` and `..` left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirEntry {
    /// Its name: whatever bytes the host sent, not checked. Use it as a part of a local path only after
    /// checking that it is one plain name.
    pub name: Vec<u8>,
    /// What the host says about it, links not followed.
    pub stat: FileStat,
}

impl DirEntry {
    /// An entry of this name.
    pub fn new(name: impl Into<Vec<u8>>, stat: FileStat) -> Self {
        Self { name: name.into(), stat }
    }
}

/// How a file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteOptions {
    /// Where in the file to begin; what is there before stays. 0 with `truncate` replaces the file.
    pub offset: u64,
    /// Whether to empty the file first.
    pub truncate: bool,
    /// Whether to refuse a file that exists.
    pub exclusive: bool,
    /// Whether to make a file that is missing. In a sticky directory Linux may let only its owner write a file by a call
    /// that could make it (`protected_regular` of proc_sys_fs(5)). Default: yes.
    pub create: bool,
    /// Whether to refuse a symbolic link (`O_NOFOLLOW` of open(2)). SFTP has no such flag: there, what was opened is
    /// compared with what the path names before anything is written. Default: no.
    pub no_follow: bool,
    /// The permission bits of a file that is made; the host's umask applies. Default: the host's.
    pub mode: Option<u32>,
    /// What to change on the open file after its content.
    pub changes: FileChanges,
    /// Whether to wait until the host has it on its disk (`fsync@openssh.com`).
    pub sync: bool,
    /// Whether the file has no holes at any time, so that an interrupted write can be continued where the file
    /// ends. Without it, more may be in flight on a long link. Default: no.
    pub in_order: bool,
}

setters!(WriteOptions {
    offset: u64,
    truncate: bool,
    exclusive: bool,
    create: bool,
    no_follow: bool,
    #[into] mode: Option<u32>,
    changes: FileChanges,
    sync: bool,
    in_order: bool,
});

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            offset: 0,
            truncate: true,
            exclusive: false,
            create: true,
            no_follow: false,
            mode: None,
            changes: FileChanges::default(),
            sync: false,
            in_order: false,
        }
    }
}

/// Gets the number of further bytes that have moved, each time some have.
pub type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// A host's files. Paths are bytes, relative ones start in the login directory; names are whatever the
/// host has.
#[async_trait]
pub trait Files: Send + Sync {
    /// About a file, links followed.
    async fn stat(&self, path: &[u8]) -> Result<FileStat, FileError>;

    /// About a file or link itself.
    async fn lstat(&self, path: &[u8]) -> Result<FileStat, FileError>;

    /// Changes what is known about a file, links followed.
    async fn set_stat(&self, path: &[u8], changes: &FileChanges) -> Result<(), FileError>;

    /// The entries of a directory, in the host's order.
    async fn read_dir(&self, path: &[u8]) -> Result<Vec<DirEntry>, FileError>;

    /// The entries of a directory whose names begin with `prefix` and end with `suffix`. Default: those of
    /// [`read_dir`](Self::read_dir); a host for which each entry costs something can do better.
    async fn read_dir_matching(&self, path: &[u8], prefix: &[u8], suffix: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        let mut entries = self.read_dir(path).await?;
        entries.retain(|entry| entry.name.starts_with(prefix) && entry.name.ends_with(suffix));
        Ok(entries)
    }

    /// The same files over a channel of their own, to write many at once: servers serve a channel on one processor. Default:
    /// there is none.
    async fn over_further_channel(&self) -> Option<Arc<dyn Files>> {
        None
    }

    /// Makes a directory; its parent must exist. The host's umask applies to `mode`.
    async fn create_dir(&self, path: &[u8], mode: Option<u32>) -> Result<(), FileError>;

    /// Removes a file or link.
    async fn remove_file(&self, path: &[u8]) -> Result<(), FileError>;

    /// Removes an empty directory.
    async fn remove_dir(&self, path: &[u8]) -> Result<(), FileError>;

    /// Renames, replacing what is there in one step where the host can
    /// (`posix-rename@openssh.com`); else it removes and renames.
    async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), FileError>;

    /// Makes a symbolic link at `path` that points to `to`.
    async fn symlink(&self, to: &[u8], path: &[u8]) -> Result<(), FileError>;

    /// Where a link points.
    async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, FileError>;

    /// The absolute path, links resolved; `.` is the login directory.
    async fn canonicalize(&self, path: &[u8]) -> Result<Vec<u8>, FileError>;

    /// The SHA-256 checksum of a file, in hexadecimal digits, as the host computes it; `None` where files are reached in a
    /// way that has no checksums. Default: that.
    async fn sha256(&self, path: &[u8]) -> Result<Option<String>, FileError> {
        let _ = path;
        Ok(None)
    }

    /// Copies a file's content from `offset` to its end into `sink`, and says how many bytes.
    async fn read_file(
        &self,
        path: &[u8],
        offset: u64,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError>;

    /// Writes all of `source` into a file, and says how many bytes.
    async fn write_file(
        &self,
        path: &[u8],
        options: &WriteOptions,
        source: &mut (dyn AsyncRead + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError>;
}
