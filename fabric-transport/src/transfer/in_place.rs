//! Files that can't be replaced by a rename: in a read-only directory, bind-mounted, or another user's in a sticky directory.
//! They are written in place, as by scp, which is not atomic.
//!
//! The whole new content is read before anything is changed. On this machine the old content is kept until the new one is
//! written, and restored if that fails.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Seek as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use fabric_core::Error;
use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::outcome::Direction;
use fabric_core::transport::{FileChanges, FileStat, WriteOptions};
use tempfile::NamedTempFile;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncSeekExt as _, AsyncWriteExt as _};

use super::engine::Engine;
use super::job::Job;
use super::local;
use super::progress::Progress;
use super::unfinished::Part;
use crate::local::change;

/// The new content of a file.
pub(super) enum Content<'a> {
    /// The source of a job, and whether it is read again.
    Source(&'a Job, bool),
    /// A stream, unread.
    Stream(&'a mut (dyn AsyncRead + Send + Unpin)),
    /// A part, which a stream was written to.
    Part(&'a Part),
}

impl Engine {
    /// The file to write in place after replacing it failed with `error`. Returns `error` if there is no file, if something
    /// else failed, and with `atomic`.
    pub(super) fn may_go_in_place<'a>(
        &self,
        error: FileError,
        replaced: Option<&'a FileStat>,
    ) -> Result<&'a FileStat, FileError> {
        let refused = match error.kind {
            FileErrorKind::PermissionDenied
            | FileErrorKind::Failed(_)
            | FileErrorKind::Unsupported
            | FileErrorKind::Exists => true,
            // Only if this machine is the side that is written.
            FileErrorKind::Local(_) => self.direction == Direction::Get,
            _ => false,
        };
        let Some(replaced) = replaced.filter(|_| refused) else { return Err(error) };
        if self.options.atomic {
            let text = format!("{}; it can only be written in place, which `atomic` rules out", error.kind);
            return Err(error.with_kind(FileErrorKind::Failed(text)));
        }
        Ok(replaced)
    }

    /// Whether a part was not created.
    pub(super) async fn is_missing(&self, part: &Part) -> bool {
        let found = self.target().lstat(&part.path).await;
        matches!(found, Err(FileError { kind: FileErrorKind::NotFound, .. }))
    }

    /// Writes a file in place if `error` means that it can't be replaced. If there is a part it is complete.
    pub(super) async fn instead_of_replacing(
        &self,
        error: FileError,
        job: &Job,
        part: Option<&Part>,
        to: &[u8],
        replaced: Option<&FileStat>,
        progress: &Progress,
    ) -> Result<(), FileError> {
        let replaced = self.may_go_in_place(error, replaced)?;
        match self.direction {
            // Bytes are counted once.
            Direction::Put => {
                let content = Content::Source(job, part.is_some());
                self.put_in_place(content, to, &job.stat, replaced, progress).await
            }
            Direction::Get => self.get_in_place(job, part, to, replaced, progress).await,
        }
    }

    /// Writes `to` on the host in place.
    pub(super) async fn put_in_place(
        &self,
        content: Content<'_>,
        to: &[u8],
        source: &FileStat,
        replaced: &FileStat,
        progress: &Progress,
    ) -> Result<(), FileError> {
        let mut changes = self.changes(source, None);
        changes.mode = changes.mode.filter(|mode| replaced.mode != Some(*mode));
        // Check that it can be opened before anything is changed.
        let mut options = WriteOptions::default().truncate(false).create(false).no_follow(true);
        self.remote.write_file(to, &options, &mut tokio::io::empty(), &|_| ()).await?;
        let (from, counted) = match &content {
            Content::Source(job, again) => (Some(&job.from), *again),
            Content::Stream(_) => (None, false),
            Content::Part(_) => (None, true),
        };
        let (mut spool, size) = self.spool(content).await?;
        if let Some(mode) = changes.mode {
            let for_now = FileChanges::default().mode(mode | 0o600);
            self.remote.set_stat(to, &for_now).await?;
        }
        changes.size = Some(size);
        (options.changes, options.sync) = (changes, self.options.sync);
        self.in_place.under_way.lock().push(to.to_vec());
        let written = async {
            let add = |bytes| {
                if !counted {
                    progress.add(bytes);
                }
            };
            self.remote.write_file(to, &options, &mut spool, &add).await?;
            match from {
                Some(from) if self.options.verify => self.compare(to, from).await,
                _ => Ok(()),
            }
        };
        let written = written.await;
        self.in_place.under_way.lock().retain(|path| path != to);
        written.map_err(|error| {
            let text = format!("{}; {INCOMPLETE}", error.kind);
            error.with_kind(FileErrorKind::Failed(text))
        })?;
        self.in_place.done.lock().push(to.to_vec());
        Ok(())
    }

    /// Copies the whole content to a file without a name; returns it and its length.
    async fn spool(&self, content: Content<'_>) -> Result<(File, u64), FileError> {
        let failed =
            |error: io::Error| FileError::new("write", "a copy of it", FileErrorKind::Local(error.to_string()));
        let file = tokio::task::spawn_blocking(tempfile::tempfile).await.map_err(io::Error::other).flatten();
        let mut file = File::from_std(file.map_err(failed)?);
        let size = match content {
            Content::Source(job, _) => {
                let mut source = local::open_to_read(&job.from, 0).await?;
                let copied = tokio::io::copy(&mut source, &mut file).await;
                copied.map_err(|error| local::failed("read", &job.from, &error))?
            }
            Content::Stream(source) => tokio::io::copy(source, &mut file).await.map_err(failed)?,
            Content::Part(part) => self.remote.read_file(&part.path, 0, &mut file, &|_| ()).await?,
        };
        file.flush().await.map_err(failed)?;
        file.rewind().await.map_err(failed)?;
        Ok((file, size))
    }

    /// Writes `to` on this machine in place, from its part if there is one.
    pub(super) async fn get_in_place(
        &self,
        job: &Job,
        part: Option<&Part>,
        to: &[u8],
        replaced: &FileStat,
        progress: &Progress,
    ) -> Result<(), FileError> {
        let failed = |error: io::Error| local::failed("write", to, &error);
        let mut changes = self.changes(&job.stat, None);
        changes.mode = changes.mode.filter(|mode| replaced.mode != Some(*mode));
        let (path, _spool) = if let Some(part) = part {
            (local::path(&part.path), None)
        } else {
            let spool = tokio::task::spawn_blocking(NamedTempFile::new).await.map_err(io::Error::other).flatten();
            let spool = spool.map_err(failed)?;
            let path = local::bytes(spool.path());
            let options = WriteOptions::default().exclusive(false);
            let mut sink = local::Sink::new(&path, &options);
            self.remote.read_file(&job.from, 0, &mut sink, &|bytes| progress.add(bytes)).await?;
            sink.finish().await?;
            if self.options.verify {
                self.compare(&job.from, &path).await?;
            }
            (spool.path().to_owned(), Some(spool))
        };
        let work = Replacement { content: path, to: local::path(to), changes, sync: self.options.sync };
        // It completes even if this future is dropped.
        let replaced = self.removals.spawn_blocking(move || work.carry_out()).await;
        replaced.map_err(io::Error::other).flatten().map_err(failed)?;
        self.in_place.done.lock().push(to.to_vec());
        Ok(())
    }

    /// The error of an interrupt, which names a file that was being written in place.
    pub(super) fn interrupted(&self, error: Error) -> Error {
        let under_way = self.in_place.under_way.lock();
        match (&error, under_way.first()) {
            (Error::Interrupted { .. }, Some(path)) => Error::File {
                host: self.connection.host_string().to_owned(),
                error: FileError::new("write", path, FileErrorKind::Failed(format!("interrupted; {INCOMPLETE}"))),
            },
            _ => error,
        }
    }
}

const INCOMPLETE: &str = "it was being written in place, so that it may be incomplete";

/// New content for a local file, written in place.
struct Replacement {
    content: PathBuf,
    to: PathBuf,
    changes: FileChanges,
    sync: bool,
}

impl Replacement {
    fn carry_out(self) -> io::Result<()> {
        let mut content = fs::File::open(&self.content)?;
        let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let mut target = fs::OpenOptions::new().read(true).write(true).custom_flags(no_follow).open(&self.to)?;
        let mut old = self.kept_old()?;
        io::copy(&mut target, old.as_file_mut())?;
        let mut fill = |from: &mut fs::File| {
            from.rewind()?;
            target.rewind()?;
            let size = io::copy(from, &mut target)?;
            target.set_len(size)?;
            if self.sync { target.sync_all() } else { Ok(()) }
        };
        let Err(error) = fill(&mut content).and_then(|()| change(&self.to, &self.changes)) else { return Ok(()) };
        let Err(again) = fill(old.as_file_mut()) else { return Err(error) };
        let kept = old.keep().map_or_else(|error| error.to_string(), |(_, path)| path.display().to_string());
        Err(io::Error::other(format!("{error}; the old content can't be put back ({again}) and is in {kept}")))
    }

    /// The file for the old content: beside it, or in the directory for temporary files.
    fn kept_old(&self) -> io::Result<NamedTempFile> {
        let prefix = [OsStr::new("."), self.to.file_name().unwrap_or_default(), OsStr::new(".")];
        let prefix: OsString = prefix.into_iter().collect();
        let mut named = tempfile::Builder::new();
        named.prefix(&prefix).suffix(".old");
        self.to.parent().map_or_else(|| named.tempfile(), |dir| named.tempfile_in(dir).or_else(|_| named.tempfile()))
    }
}
