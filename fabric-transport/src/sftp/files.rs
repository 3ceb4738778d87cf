//! The client as the [`Files`] of a session.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use fabric_core::error::{FileError, FileErrorKind, SessionError};
use fabric_core::transport::{DirEntry, FileChanges, FileKind, FileStat, Files, Progress, WriteOptions};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Attributes, Client, CloseReason, FileType, OpenFlags, SftpError, StatusCode, Write};

/// The most entries of one directory; a server that sends more is considered hostile.
const MAX_ENTRIES: usize = 4_000_000;

#[async_trait]
impl Files for Client {
    async fn stat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        Client::stat(self, path).await.map(stat_of).map_err(|error| plain("stat", path, error))
    }

    async fn lstat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        Client::lstat(self, path).await.map(stat_of).map_err(|error| plain("lstat", path, error))
    }

    async fn set_stat(&self, path: &[u8], changes: &FileChanges) -> Result<(), FileError> {
        let attributes = attributes_of(changes);
        Client::set_stat(self, path, &attributes).await.map_err(|error| plain("change", path, error))
    }

    async fn read_dir(&self, path: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        let listed = async { Client::read_dir(self, path).await?.collect(MAX_ENTRIES).await }.await;
        match listed {
            Ok(names) => Ok(names.into_iter().map(|n| DirEntry::new(n.name, stat_of(n.attributes))).collect()),
            Err(error) => Err(self.explain("list", path, Wanted::Directory, error).await),
        }
    }

    async fn over_further_channel(&self) -> Option<Arc<dyn Files>> {
        let lane = self.lanes.as_ref()?.open().next()?.await?;
        Some(Arc::new(Client::of_lane(lane)))
    }

    async fn create_dir(&self, path: &[u8], mode: Option<u32>) -> Result<(), FileError> {
        let attributes = Attributes { permissions: mode, ..Attributes::default() };
        match self.make_dir(path, &attributes).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explain("create directory", path, Wanted::Nothing, error).await),
        }
    }

    async fn remove_file(&self, path: &[u8]) -> Result<(), FileError> {
        match Client::remove_file(self, path).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explain("remove", path, Wanted::File, error).await),
        }
    }

    async fn remove_dir(&self, path: &[u8]) -> Result<(), FileError> {
        match Client::remove_dir(self, path).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explain("remove directory", path, Wanted::Directory, error).await),
        }
    }

    async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), FileError> {
        self.replace(from, to).await.map_err(|error| plain("rename", from, error))
    }

    async fn symlink(&self, to: &[u8], path: &[u8]) -> Result<(), FileError> {
        match Client::symlink(self, to, path).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explain("symlink", path, Wanted::Nothing, error).await),
        }
    }

    async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        Client::read_link(self, path).await.map_err(|error| plain("read link", path, error))
    }

    async fn canonicalize(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        self.real_path(path).await.map_err(|error| plain("canonicalize", path, error))
    }

    async fn read_file(
        &self,
        path: &[u8],
        offset: u64,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        match Client::read_file(self, path, offset, sink, progress).await {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(self.explain("read", path, Wanted::File, error).await),
        }
    }

    async fn write_file(
        &self,
        path: &[u8],
        options: &WriteOptions,
        source: &mut (dyn AsyncRead + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        let mut flags = OpenFlags::WRITE;
        if options.create {
            flags = flags | OpenFlags::CREATE;
        }
        if options.truncate {
            flags = flags | OpenFlags::TRUNCATE;
        }
        if options.exclusive {
            flags = flags | OpenFlags::EXCLUSIVE;
        }
        let how = Write {
            flags,
            no_follow: options.no_follow,
            created_with: Attributes { permissions: options.mode, ..Attributes::default() },
            offset: options.offset,
            finish_with: attributes_of(&options.changes),
            sync: options.sync,
            in_order: options.in_order,
        };
        let wanted = if options.exclusive { Wanted::Nothing } else { Wanted::File };
        match Client::write_file(self, path, &how, source, progress).await {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(self.explain("write", path, wanted, error).await),
        }
    }
}

/// What an operation needs to find at its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    File,
    Directory,
    Nothing,
}

impl Client {
    /// The error as [`FileErrorKind`]. Version 3 says "failure" for many reasons, so the path is checked again to find
    /// out which.
    async fn explain(&self, what: &'static str, path: &[u8], wanted: Wanted, error: SftpError) -> FileError {
        // OpenSSH says "no such file" if a part of the path is no directory.
        if matches!(error, SftpError::Status(ref status)
            if matches!(status.operation, "open" | "read" | "opendir" | "mkdir" | "rmdir" | "remove" | "symlink")
                && matches!(status.code, StatusCode::Failure | StatusCode::NoSuchFile))
        {
            let found = match wanted {
                Wanted::Nothing => Client::lstat(self, path).await,
                Wanted::File | Wanted::Directory => Client::stat(self, path).await,
            };
            let kind = match (wanted, found.map(|attributes| attributes.file_type())) {
                (Wanted::Nothing, Ok(_)) => Some(FileErrorKind::Exists),
                (Wanted::File, Ok(FileType::Directory)) => Some(FileErrorKind::WrongKind("it is a directory")),
                (Wanted::Directory, Ok(FileType::File | FileType::Other)) => {
                    Some(FileErrorKind::WrongKind("it is not a directory"))
                }
                _ => None,
            };
            if let Some(kind) = kind {
                return FileError::new(what, path, kind);
            }
        }
        plain(what, path, error)
    }
}

/// The error as [`FileErrorKind`], without looking at the path.
fn plain(what: &'static str, path: &[u8], error: SftpError) -> FileError {
    let kind = match error {
        SftpError::Status(status) => match status.code {
            StatusCode::NoSuchFile => FileErrorKind::NotFound,
            StatusCode::PermissionDenied => FileErrorKind::PermissionDenied,
            StatusCode::Unsupported => FileErrorKind::Unsupported,
            code if status.message.is_empty() => FileErrorKind::Failed(format!("{}: {code}", status.operation)),
            _ => FileErrorKind::Failed(format!("{}: {}", status.operation, status.message)),
        },
        SftpError::Closed(CloseReason::Protocol(error)) => FileErrorKind::Protocol(error.to_string()),
        SftpError::Closed(CloseReason::Shutdown) => FileErrorKind::Session(SessionError::Closed),
        SftpError::Closed(reason) => FileErrorKind::Session(SessionError::Lost { reason: reason.to_string() }),
        SftpError::Unsupported { .. } => FileErrorKind::Unsupported,
        SftpError::NotTheFile => FileErrorKind::WrongKind("it is not the regular file that it was"),
        error @ SftpError::Local { .. } => FileErrorKind::Local(error.to_string()),
        error => FileErrorKind::Failed(error.to_string()),
    };
    FileError::new(what, path, kind)
}

fn stat_of(attributes: Attributes) -> FileStat {
    let time = |seconds: u32| UNIX_EPOCH + Duration::from_secs(seconds.into());
    FileStat::new(match attributes.file_type() {
        FileType::File => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::Other => FileKind::Other,
        FileType::Unknown => FileKind::Unknown,
    })
    .size(attributes.size)
    .mode(attributes.permissions.map(|mode| mode & 0o7777))
    .uid(attributes.owner.map(|(user, _)| user))
    .gid(attributes.owner.map(|(_, group)| group))
    .accessed(attributes.times.map(|(accessed, _)| time(accessed)))
    .modified(attributes.times.map(|(_, modified)| time(modified)))
}

fn attributes_of(changes: &FileChanges) -> Attributes {
    // 32 bits of seconds: from 1970 to 2106; other times are clamped.
    let seconds = |time: SystemTime| {
        time.duration_since(UNIX_EPOCH).map_or(0, |since| u32::try_from(since.as_secs()).unwrap_or(u32::MAX))
    };
    Attributes {
        size: changes.size,
        owner: changes.owner,
        permissions: changes.mode.map(|mode| mode & 0o7777),
        times: changes.times.map(|(accessed, modified)| (seconds(accessed), seconds(modified))),
    }
}
