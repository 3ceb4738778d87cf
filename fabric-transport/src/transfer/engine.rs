//! Brings files from one side to the other: directories first, then many files at once, each under a
//! temporary name until it is whole.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::outcome::Direction;
use fabric_core::transport::{FileChanges, FileKind, FileStat, Files, WriteOptions};
use fabric_core::{Error, TransferOutcome};
use futures_util::stream::{self, StreamExt as _};
use tokio::io::AsyncRead;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::options::Options;
use super::progress::Progress;
use super::walk::Found;
use super::{local, names, verify};
use crate::connection::Connection;

/// How many files are under way at once.
const AT_ONCE: usize = 32;
/// How many small files are opened and read together, and how many such lots ahead of the files under way.
const TOGETHER: usize = 8;
const LOTS_AHEAD: usize = 2;
/// How many checksums a host computes at once.
pub(super) const CHECKSUMS_AT_ONCE: usize = 4;
/// How long an interrupted transfer waits for the host to remove what is not finished.
const LONGEST_REMOVAL: Duration = Duration::from_secs(3);
/// By `sudo` each step is a command, and hosts allow few sessions at once (MaxSessions).
const AT_ONCE_BY_SUDO: usize = 4;

/// One file to bring over.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
    pub(super) stat: FileStat,
    pub(super) existing: Existing,
}

/// A file that was opened before its turn, or why it could not be.
type ReadAhead = Result<local::Source, FileError>;

/// What is known about the place a file goes to, links not followed.
#[derive(Debug, Clone)]
pub(super) enum Existing {
    Unknown,
    Nothing,
    Is(FileStat),
}

/// Both sides of a transfer.
pub(super) struct Engine {
    pub(super) connection: Connection,
    pub(super) direction: Direction,
    pub(super) options: Options,
    pub(super) remote: Arc<dyn Files>,
    pub(super) local: Arc<dyn Files>,
    /// Bounds the commands that compute checksums: hosts allow few sessions at once (MaxSessions).
    pub(super) checksums: Semaphore,
    /// Removals of what was given up, under way.
    pub(super) removals: TaskTracker,
}

impl Engine {
    /// Does `work` unless the run is interrupted, and leaves nothing half done behind, if the host still answers.
    pub(super) async fn unless_interrupted<T>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let ended = self.connection.unless_interrupted(what, work).await.and_then(|done| done);
        self.removals.close();
        let _ = tokio::time::timeout(LONGEST_REMOVAL, self.removals.wait()).await;
        ended
    }

    /// The side that is written.
    pub(super) fn target(&self) -> &Arc<dyn Files> {
        match self.direction {
            Direction::Put => &self.remote,
            Direction::Get => &self.local,
        }
    }

    /// Makes `root` and the directories below it, and says what is in each: nothing where it is new.
    pub(super) async fn make_tree(
        &self,
        root: &[u8],
        directories: &[Found],
    ) -> Result<HashMap<Vec<u8>, HashMap<Vec<u8>, FileStat>>, FileError> {
        let mut inside = HashMap::new();
        inside.insert(Vec::new(), self.make_dir(root).await?);
        let mut depth = 0;
        let mut rest: Vec<&Found> = directories.iter().collect();
        while !rest.is_empty() {
            let here: Vec<_> =
                rest.extract_if(.., |dir| dir.below.split(|b| *b == b'/').count() == depth + 1).collect();
            let made = here
                .into_iter()
                .map(|dir| async move { (dir.below.clone(), self.make_dir(&names::join(root, &dir.below)).await) });
            let made: Vec<_> = stream::iter(made.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await;
            for (below, entries) in made {
                inside.insert(below, entries?);
            }
            depth += 1;
        }
        Ok(inside)
    }

    async fn make_dir(&self, path: &[u8]) -> Result<HashMap<Vec<u8>, FileStat>, FileError> {
        let target = self.target();
        let Err(error) = target.create_dir(path, None).await else { return Ok(HashMap::new()) };
        // Hosts of SFTP version 3 don't say why it failed.
        match target.stat(path).await {
            Ok(stat) if stat.kind == FileKind::Directory => {
                let entries = target.read_dir(path).await?;
                Ok(entries.into_iter().map(|entry| (entry.name, entry.stat)).collect())
            }
            Ok(_) => Err(FileError::new("make directory", path, FileErrorKind::WrongKind("a file is in its place"))),
            Err(_) => Err(error),
        }
    }

    /// Gives directories the mode and times of those they are made from; the deepest first, so that none is
    /// closed or touched while something is still put into it.
    pub(super) async fn finish_tree(&self, root: &[u8], directories: &[Found]) -> Result<(), FileError> {
        for dir in directories.iter().rev() {
            let changes = FileChanges { size: None, owner: None, ..self.changes(&dir.stat, None) };
            if changes != FileChanges::default() {
                self.target().set_stat(&names::join(root, &dir.below), &changes).await?;
            }
        }
        Ok(())
    }

    /// Brings all files over, and fills the outcome in.
    pub(super) async fn run(
        self: &Arc<Self>,
        jobs: Vec<Job>,
        progress: &Arc<Progress>,
        outcome: &mut TransferOutcome,
    ) -> Option<FileError> {
        let at_once = if self.options.use_sudo { AT_ONCE_BY_SUDO } else { AT_ONCE };
        let at_once = self.options.concurrency.unwrap_or(at_once);
        let mut results: Vec<(usize, Job, Result<(), FileError>)> = stream::iter(jobs.into_iter().enumerate())
            .chunks(TOGETHER)
            .map(|lot| self.read_ahead(lot))
            .buffered(LOTS_AHEAD)
            .flat_map(stream::iter)
            .map(|((index, job), source)| {
                let (engine, progress) = (self.clone(), progress.clone());
                async move {
                    let delivered = engine.deliver(&job, source, &progress).await;
                    (index, job, delivered)
                }
            })
            .buffer_unordered(at_once)
            .collect()
            .await;
        results.sort_unstable_by_key(|(index, ..)| *index);
        let mut first = None;
        for (_, job, delivered) in results {
            match delivered {
                Ok(()) => self.delivered(&job.from, &job.to, outcome),
                Err(error) => {
                    outcome.failed.push((names::text(&job.from), error.to_string()));
                    first.get_or_insert(error);
                }
            }
        }
        first
    }

    /// Opens the small files among those that are put, all at once.
    async fn read_ahead(&self, lot: Vec<(usize, Job)>) -> Vec<((usize, Job), Option<ReadAhead>)> {
        // With these not every file is read, or not from its beginning.
        let wanted = self.direction == Direction::Put && !self.options.skip_same && !self.options.resume;
        let is_small =
            |(_, job): &&(usize, Job)| wanted && job.stat.size.is_some_and(|size| size < local::SMALL as u64);
        let small: Vec<&[u8]> = lot.iter().filter(is_small).map(|(_, job)| &*job.from).collect();
        let mut opened = if small.is_empty() { Vec::new() } else { local::open_all_to_read(&small).await }.into_iter();
        let sources: Vec<_> = lot.iter().map(|job| is_small(&job).then(|| opened.next()).flatten()).collect();
        lot.into_iter().zip(sources).collect()
    }

    pub(super) fn delivered(&self, from: &[u8], to: &[u8], outcome: &mut TransferOutcome) {
        let (local, remote) = match self.direction {
            Direction::Put => (from, to),
            Direction::Get => (to, from),
        };
        if !local.is_empty() {
            outcome.local.push(names::text(local));
        }
        outcome.remote.push(names::text(remote));
    }

    /// One file, from what is there to its final name.
    async fn deliver(&self, job: &Job, source: Option<ReadAhead>, progress: &Progress) -> Result<(), FileError> {
        let (to, replaced) = self.place(&job.to, &job.existing).await?;
        if self.options.skip_same && self.is_same(job, &to, replaced.as_ref()).await? {
            return Ok(());
        }
        let staged = self.staged(&to);
        let mut offset = 0;
        if self.options.resume
            && let (Ok(part), Some(size)) = (self.target().lstat(&staged).await, job.stat.size)
            && part.kind == FileKind::File
        {
            offset = part.size.filter(|part| *part <= size).unwrap_or(0);
        }
        let options = self.write_options(Some(&job.stat), replaced.as_ref(), offset);
        let unfinished = Unfinished::new(self, &staged);
        let written = async {
            match self.direction {
                Direction::Put => {
                    let mut source = match source {
                        Some(source) => source?,
                        None => local::open_to_read(&job.from, offset).await?,
                    };
                    self.remote.write_file(&staged, &options, &mut source, &|bytes| progress.add(bytes)).await?;
                }
                Direction::Get => {
                    let mut sink = local::Sink::new(&staged, &options);
                    self.remote.read_file(&job.from, offset, &mut sink, &|bytes| progress.add(bytes)).await?;
                    sink.finish().await?;
                }
            }
            if self.options.verify {
                let (there, here) = match self.direction {
                    Direction::Put => (&staged, &job.from),
                    Direction::Get => (&job.from, &staged),
                };
                self.compare(there, here).await?;
            }
            self.keep_owner(&staged, replaced.as_ref()).await;
            self.target().rename(&staged, &to).await
        };
        let written = written.await;
        unfinished.settle(written.is_ok()).await;
        // The temporary name means nothing to anybody.
        written.map_err(|error| {
            if error.path == names::text(&staged) { FileError { path: names::text(&to), ..error } } else { error }
        })
    }

    /// A stream of unknown length as a file on the host.
    pub(super) async fn deliver_stream(
        &self,
        source: &mut (dyn AsyncRead + Send + Unpin),
        to: &[u8],
        progress: &Progress,
    ) -> Result<Vec<u8>, FileError> {
        let (to, replaced) = self.place(to, &Existing::Unknown).await?;
        let staged = self.staged(&to);
        let options = self.write_options(None, replaced.as_ref(), 0);
        let unfinished = Unfinished::new(self, &staged);
        let written = async {
            self.remote.write_file(&staged, &options, source, &|bytes| progress.add(bytes)).await?;
            self.keep_owner(&staged, replaced.as_ref()).await;
            self.remote.rename(&staged, &to).await
        };
        let written = written.await;
        unfinished.settle(written.is_ok()).await;
        written.map(|()| to)
    }

    /// Where a file really goes, and what it replaces there: through a link, not in its place.
    async fn place(&self, to: &[u8], existing: &Existing) -> Result<(Vec<u8>, Option<FileStat>), FileError> {
        let target = self.target();
        let known = match existing {
            Existing::Is(stat) => Some(stat.clone()),
            Existing::Nothing => None,
            Existing::Unknown => match target.lstat(to).await {
                Ok(stat) => Some(stat),
                Err(FileError { kind: FileErrorKind::NotFound, .. }) => None,
                Err(error) => return Err(error),
            },
        };
        let wrong = |what| Err(FileError::new("write", to, FileErrorKind::WrongKind(what)));
        match known {
            None => Ok((to.to_vec(), None)),
            Some(stat) if stat.kind == FileKind::Symlink => match target.stat(to).await {
                Ok(stat) if stat.kind == FileKind::Directory => wrong("it is a directory"),
                Ok(stat) => Ok((target.canonicalize(to).await?, Some(stat))),
                // It points nowhere; nothing is lost by replacing it.
                Err(_) => Ok((to.to_vec(), None)),
            },
            Some(stat) if stat.kind == FileKind::Directory => wrong("it is a directory"),
            Some(stat) if stat.kind == FileKind::Other => wrong("it is not a regular file"),
            Some(stat) => Ok((to.to_vec(), Some(stat))),
        }
    }

    fn staged(&self, to: &[u8]) -> Vec<u8> {
        let beside = names::temporary(to, self.options.resume);
        match (&self.options.temp_dir, self.direction) {
            (Some(dir), Direction::Put) => names::join(dir, beside.rsplit(|b| *b == b'/').next().unwrap_or_default()),
            _ => beside,
        }
    }

    fn write_options(&self, source: Option<&FileStat>, replaced: Option<&FileStat>, offset: u64) -> WriteOptions {
        let changes = source.map_or_else(
            || FileChanges {
                mode: self.options.mode.or(replaced.and_then(|stat| stat.mode)),
                ..FileChanges::default()
            },
            |source| self.changes(source, replaced),
        );
        WriteOptions {
            offset,
            truncate: offset == 0,
            exclusive: !self.options.resume,
            // Whatever is going to be secret is so from its first byte on.
            mode: changes.mode.map(|_| 0o600),
            changes,
            sync: self.options.sync,
            // What is left of it is gone on with at its end.
            in_order: self.options.resume,
        }
    }

    /// What is not the side's own to decide: the mode, and times if they are asked for.
    fn changes(&self, source: &FileStat, replaced: Option<&FileStat>) -> FileChanges {
        let bits = match self.direction {
            Direction::Put => 0o7777,
            // What a host says must not make a program of this machine run as somebody else.
            Direction::Get => 0o777,
        };
        let mirrored = source.mode.filter(|_| self.options.mirror_mode).map(|mode| mode & bits);
        let given = self.options.mode.filter(|_| source.kind != FileKind::Directory);
        let times = source.modified.filter(|_| self.options.preserve_times);
        FileChanges {
            size: None,
            mode: given.or(mirrored).or(replaced.and_then(|stat| stat.mode)),
            owner: None,
            times: times.map(|modified| (source.accessed.unwrap_or(modified), modified)),
        }
    }

    /// A replaced file keeps its owner, where this user may give files away.
    async fn keep_owner(&self, staged: &[u8], replaced: Option<&FileStat>) {
        let Some((uid, gid)) = replaced.and_then(|stat| Some((stat.uid?, stat.gid?))) else { return };
        let Ok(made) = self.target().lstat(staged).await else { return };
        if (made.uid, made.gid) != (Some(uid), Some(gid)) {
            let changes = FileChanges { owner: Some((uid, gid)), mode: made.mode, ..FileChanges::default() };
            if let Err(error) = self.target().set_stat(staged, &changes).await {
                tracing::debug!(%error, "keep the owner");
            }
        }
    }

    async fn is_same(&self, job: &Job, to: &[u8], there: Option<&FileStat>) -> Result<bool, FileError> {
        let Some(there) = there.filter(|there| there.size.is_some() && there.size == job.stat.size) else {
            return Ok(false);
        };
        let seconds = |stat: &FileStat| {
            stat.modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).map(|time| time.as_secs())
        };
        if !self.options.verify && seconds(there).is_some() && seconds(there) == seconds(&job.stat) {
            return Ok(true);
        }
        let (remote, local) = match self.direction {
            Direction::Put => (to, &job.from[..]),
            Direction::Get => (&job.from[..], to),
        };
        Ok(self.remote_sha256(remote).await? == verify::local_sha256(local).await?)
    }

    async fn remote_sha256(&self, path: &[u8]) -> Result<String, FileError> {
        // It is never closed.
        let _turn = self.checksums.acquire().await;
        verify::remote_sha256(&self.connection, path, self.options.use_sudo).await
    }

    async fn compare(&self, remote: &[u8], local: &[u8]) -> Result<(), FileError> {
        let there = self.remote_sha256(remote).await?;
        let here = verify::local_sha256(local).await?;
        if there == here {
            return Ok(());
        }
        let kind = FileErrorKind::Differs(format!("SHA-256 is {there} on the host, {here} here"));
        Err(FileError::new("verify", remote, kind))
    }
}

/// A temporary file that is removed unless it got its final name, also when the transfer is given up.
struct Unfinished {
    files: Arc<dyn Files>,
    removals: TaskTracker,
    path: Option<Vec<u8>>,
    local: bool,
    /// An interrupted transfer is to go on later.
    keep: bool,
}

impl Unfinished {
    fn new(engine: &Engine, path: &[u8]) -> Self {
        Self {
            files: engine.target().clone(),
            removals: engine.removals.clone(),
            path: Some(path.to_vec()),
            local: engine.direction == Direction::Get,
            keep: engine.options.resume,
        }
    }

    async fn settle(mut self, done: bool) {
        if let Some(path) = self.path.take()
            && !done
            && !self.keep
        {
            // It may never have been made.
            let _ = self.files.remove_file(&path).await;
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Some(path) = self.path.take().filter(|_| !self.keep) else { return };
        if self.local {
            let _ = std::fs::remove_file(local::path(&path));
        } else if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let files = self.files.clone();
            self.removals.spawn_on(async move { files.remove_file(&path).await }, &runtime);
        }
    }
}

/// Ends a transfer and tells its end: `first` is the first file that failed, or why the whole of it did.
pub(super) fn conclude(
    connection: &Connection,
    options: &Options,
    progress: &Progress,
    mut outcome: TransferOutcome,
    first: Result<Option<FileError>, Error>,
) -> Result<TransferOutcome, Error> {
    outcome.bytes = progress.bytes();
    let ended = first.and_then(|first| judge(connection, options, outcome, first));
    progress.finish(ended.as_ref().err().map(ToString::to_string));
    ended
}

/// What a whole transfer comes to: its outcome, or an error where a file failed and that is not a warning.
fn judge(
    connection: &Connection,
    options: &Options,
    outcome: TransferOutcome,
    first: Option<FileError>,
) -> Result<TransferOutcome, Error> {
    let host = connection.host_string().to_owned();
    let error = match first {
        None if outcome.failed.is_empty() => return Ok(outcome),
        Some(source) if outcome.failed.len() == 1 && outcome.remote.is_empty() => Error::File { host, source },
        _ => Error::TransferIncomplete(Box::new(outcome.clone())),
    };
    if options.warn.unwrap_or(connection.settings().warn_only) {
        if !options.silent {
            connection.emitter().warn(error.to_string());
        }
        return Ok(outcome);
    }
    Err(error)
}

/// A path of this machine, as text.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
