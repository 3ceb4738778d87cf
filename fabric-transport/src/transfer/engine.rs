//! Brings files from one side to the other: directories first, then many files at once, each under a
//! temporary name until it is whole.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::outcome::Direction;
use fabric_core::transport::{FileKind, FileStat, Files, WriteOptions};
use fabric_core::{Emitter, Error, TransferOutcome};
use futures_util::future;
use futures_util::stream::{self, StreamExt as _};
use tokio::io::AsyncRead;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::in_place::{Content, InPlace};
use super::leftovers::Leftovers;
use super::options::Options;
use super::progress::Progress;
use super::unfinished::{Part, Unfinished};
use super::{local, names, streams, verify};
use crate::connection::Connection;
use crate::shell_files::{OnConnection, Scripts, ShellFiles};

/// How many files are under way at once; of small ones twice as many.
pub(super) const AT_ONCE: usize = 32;
/// How many files are taken on together, whose small ones are opened and read in one step, and how much is read in it.
const TOGETHER: usize = 64;
const TOGETHER_BYTES: u64 = 8 * local::SMALL as u64;
/// How many such lots ahead of the files under way.
const LOTS_AHEAD: usize = 2;
/// So many small files are put over two channels.
const MANY: usize = 256;
/// How many checksums a host computes at once.
const CHECKSUMS_AT_ONCE: usize = 4;
/// How long an interrupted transfer waits for the host to remove what is not finished.
const LONGEST_REMOVAL: Duration = Duration::from_secs(3);

/// One file to bring over.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
    pub(super) stat: FileStat,
    pub(super) existing: Existing,
    /// Whether it goes into a device or pipe of this machine, as it comes.
    pub(super) into_stream: bool,
}

impl Job {
    /// Whether it is so small that it is read or written in one step.
    fn is_small(&self) -> bool {
        self.stat.size.is_some_and(|size| size < local::SMALL as u64)
    }
}

/// A file that was opened before its turn, or why it could not be.
type ReadAhead = Result<local::Source, FileError>;

/// Files that follow one another, cut into lots: no more than [`TOGETHER`], and no more than [`TOGETHER_BYTES`] to read.
fn lots(jobs: &[Job]) -> Vec<Range<usize>> {
    let mut lots = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, job) in jobs.iter().enumerate() {
        let size = if job.is_small() { job.stat.size.unwrap_or(0) } else { 0 };
        if index - start == TOGETHER || (index > start && bytes + size > TOGETHER_BYTES) {
            lots.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes += size;
    }
    lots.push(start..jobs.len());
    lots
}

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
    pub(super) in_place: InPlace,
}

impl Engine {
    /// Begins a transfer between these paths, of so many bytes if that is known, and says so.
    pub(super) fn begin(
        connection: &Connection,
        direction: Direction,
        options: &Options,
        remote: Arc<dyn Files>,
        (here, there): (String, String),
        size: Option<u64>,
        began: Instant,
    ) -> (Arc<Self>, Arc<Progress>) {
        let emitter = if options.silent { Emitter::none() } else { connection.emitter().clone() };
        let engine = Self {
            connection: connection.clone(),
            direction,
            options: options.clone(),
            remote,
            local: Arc::new(local::files()),
            checksums: Semaphore::new(CHECKSUMS_AT_ONCE),
            removals: TaskTracker::new(),
            in_place: InPlace::default(),
        };
        (Arc::new(engine), Arc::new(Progress::start(emitter, direction, here, there, size, began)))
    }

    /// Ends a transfer and says so: `first` is the first file that failed, or why the whole of it did.
    pub(super) fn end(
        &self,
        progress: &Progress,
        mut outcome: TransferOutcome,
        first: Result<Option<FileError>, Error>,
    ) -> Result<TransferOutcome, Error> {
        self.tell_in_place(&mut outcome);
        outcome.duration = progress.began.elapsed();
        outcome.bytes = progress.bytes();
        let ended = first.and_then(|first| judge(&self.connection, &self.options, outcome, first));
        progress.finish(ended.as_ref().err().map(ToString::to_string));
        ended
    }

    pub(super) fn verb(&self) -> &'static str {
        match self.direction {
            Direction::Put => "put",
            Direction::Get => "get",
        }
    }

    /// Does `work` unless the run is interrupted, and leaves nothing half done behind, if the host still answers.
    pub(super) async fn unless_interrupted<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let ended = self.connection.unless_interrupted(self.verb(), work).await.and_then(|done| done);
        self.removals.close();
        let _ = tokio::time::timeout(LONGEST_REMOVAL, self.removals.wait()).await;
        ended.map_err(|error| self.interrupted(error))
    }

    /// The side that is written.
    pub(super) fn target(&self) -> &Arc<dyn Files> {
        match self.direction {
            Direction::Put => &self.remote,
            Direction::Get => &self.local,
        }
    }

    /// Brings all files over, and fills the outcome in.
    pub(super) async fn run(
        &self,
        jobs: Vec<Job>,
        leftovers: Leftovers,
        progress: &Progress,
        outcome: &mut TransferOutcome,
    ) -> Option<FileError> {
        // How much room there is, and how much of it one takes that isn't small.
        let (room, large) = match self.options.concurrency {
            // What goes into a stream goes one after the other.
            _ if jobs.iter().any(|job| job.into_stream) => (1, 1),
            Some(files) => (files, 1),
            None => (2 * AT_ONCE, 2_u32),
        };
        let (free, jobs) = (Semaphore::new(room), &jobs[..]);
        let further = OnceLock::new();
        let many = self.direction == Direction::Put
            && self.options.concurrency.is_none()
            && !self.options.resume
            && jobs.iter().filter(|job| job.is_small()).count() >= MANY;
        let delivering = stream::iter(lots(jobs))
            .map(|lot| self.read_ahead(jobs, lot))
            .buffered(LOTS_AHEAD)
            .flat_map(stream::iter)
            .map(|(index, source)| {
                let (job, free, further) = (&jobs[index], &free, &further);
                async move {
                    // It is never closed.
                    let _room = free.acquire_many(if job.is_small() { 1 } else { large }).await;
                    let over = further.get().filter(|_| index % 2 == 1 && job.is_small());
                    self.deliver(job, source, over, progress).await.err().map(|error| (index, error))
                }
            })
            .buffer_unordered(room)
            .filter_map(future::ready)
            .collect();
        let opening = async {
            if many && let Some(files) = self.remote.over_further_channel().await {
                let _ = further.set(files);
            }
            future::pending::<Infallible>().await
        };
        // There is no waiting for the channel: it is used once it is open.
        let delivering = Box::pin(async {
            tokio::select! {
                biased;
                failed = delivering => failed,
                never = opening => match never {},
            }
        });
        let mut failed: HashMap<usize, FileError> = self.while_sweeping(leftovers, delivering).await;
        let mut first = None;
        for (index, job) in jobs.iter().enumerate() {
            match failed.remove(&index) {
                None => self.delivered(&job.from, &job.to, outcome),
                Some(error) => {
                    outcome.failed.push((names::text(&job.from), error.to_string()));
                    first.get_or_insert(error);
                }
            }
        }
        first
    }

    /// Opens the small files among those that are put, all at once.
    async fn read_ahead(&self, jobs: &[Job], lot: Range<usize>) -> Vec<(usize, Option<ReadAhead>)> {
        // With these not every file is read, or not from its beginning.
        let wanted = self.direction == Direction::Put && !self.options.skip_same && !self.options.resume;
        let ahead = |index: &usize| wanted && jobs[*index].is_small();
        let small: Vec<&[u8]> = lot.clone().filter(ahead).map(|index| &*jobs[index].from).collect();
        let opened = if small.is_empty() { Vec::new() } else { local::open_all_to_read(&small).await };
        let mut opened = opened.into_iter();
        lot.map(|index| (index, ahead(&index).then(|| opened.next()).flatten())).collect()
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
    ///
    /// It is written `over` a further channel, if there is one.
    async fn deliver(
        &self,
        job: &Job,
        mut source: Option<ReadAhead>,
        mut over: Option<&Arc<dyn Files>>,
        progress: &Progress,
    ) -> Result<(), FileError> {
        if job.into_stream {
            let mut sink = streams::open(&job.to).await?;
            return self.remote.read_file(&job.from, 0, &mut sink, &|bytes| progress.add(bytes)).await.map(drop);
        }
        let (to, replaced) = self.place(&job.to, &job.existing).await?;
        if self.options.skip_same && self.is_same(job, &to, replaced.as_ref()).await? {
            return Ok(());
        }
        let mut part = self.part(job, &to).await?;
        let mut elsewhere = self.options.temp_dir.is_some() && self.direction == Direction::Put;
        loop {
            let options = self.write_options(&job.stat, replaced.as_ref(), &part);
            let target = over.unwrap_or(self.target());
            let unfinished = Unfinished::new(self, &part).over(target);
            let filled = async {
                self.fill(job, source.take(), &part, target, &options, progress).await?;
                self.settle_mode(&job.stat, &part, &options).await?;
                self.keep_owner(&part.path, replaced.as_ref()).await;
                Ok(())
            };
            // Few files need it, and all would have to make room for it.
            let instead =
                |error, part| Box::pin(self.instead_of_replacing(error, job, part, &to, replaced.as_ref(), progress));
            let mut renamed = false;
            let written = match filled.await {
                Ok(()) => match target.rename(&part.path, &to).await {
                    Ok(()) => {
                        renamed = true;
                        Ok(())
                    }
                    Err(error) if std::mem::take(&mut elsewhere) => {
                        tracing::debug!(%error, "a part that is elsewhere");
                        unfinished.settle(false, true).await;
                        part = Part {
                            path: self.connection.parts().fresh(&to),
                            offset: 0,
                            is_there: false,
                            lasting: false,
                        };
                        continue;
                    }
                    Err(error) => instead(error, Some(&part)).await,
                },
                Err(error) if replaced.is_some() && !part.is_there && self.is_missing(&part).await => {
                    instead(error, None).await
                }
                Err(error) => Err(error),
            };
            if over.take().is_some() && matches!(&written, Err(FileError { kind: FileErrorKind::Session(_), .. })) {
                // That channel has ended; what became of it doesn't matter to what is written anew.
                unfinished.over(self.target()).settle(false, true).await;
                part = self.fresh_part(&to);
                continue;
            }
            let differs = matches!(&written, Err(FileError { kind: FileErrorKind::Differs(_), .. }));
            unfinished.settle(renamed, differs || written.is_ok()).await;
            if differs && part.offset > 0 {
                // What was there did not belong to it: once more from the beginning.
                part = Part { offset: 0, is_there: false, ..part };
                continue;
            }
            // The temporary name means nothing to a reader.
            return written.map_err(|error| {
                if error.path == names::text(&part.path) {
                    FileError { path: names::text(&to), ..error }
                } else {
                    error
                }
            });
        }
    }

    /// Writes what is missing of a part, and proves it.
    async fn fill(
        &self,
        job: &Job,
        source: Option<ReadAhead>,
        part: &Part,
        target: &Arc<dyn Files>,
        options: &WriteOptions,
        progress: &Progress,
    ) -> Result<(), FileError> {
        let moved = match self.direction {
            Direction::Put => {
                let mut source = match source {
                    Some(source) => source?,
                    None => local::open_to_read(&job.from, part.offset).await?,
                };
                target.write_file(&part.path, options, &mut source, &|bytes| progress.add(bytes)).await?
            }
            Direction::Get => {
                let mut sink = local::Sink::new(&part.path, options);
                let add = |bytes| progress.add(bytes);
                let moved = self.remote.read_file(&job.from, part.offset, &mut sink, &add).await?;
                sink.finish().await?;
                moved
            }
        };
        if let Some(size) = job.stat.size.filter(|size| part.offset > 0 && part.offset + moved != *size) {
            let kind = FileErrorKind::Differs(format!("it has {} bytes, not {size}", part.offset + moved));
            return Err(FileError::new("resume", &job.from, kind));
        }
        if self.options.verify {
            let (there, here) = match self.direction {
                Direction::Put => (&part.path, &job.from),
                Direction::Get => (&job.from, &part.path),
            };
            self.compare(there, here).await?;
        }
        Ok(())
    }

    /// A stream of unknown length as a file on the host; of `stat` only the mode counts.
    pub(super) async fn deliver_stream(
        &self,
        source: &mut (dyn AsyncRead + Send + Unpin),
        to: &[u8],
        stat: &FileStat,
        progress: &Progress,
    ) -> Result<Vec<u8>, FileError> {
        let mut leftovers = Leftovers::default();
        leftovers.look_for(self, to);
        let (to, replaced) = self.place(to, &Existing::Unknown).await?;
        let part = self.fresh_part(&to);
        let mut options = self.write_options(stat, replaced.as_ref(), &part);
        let unfinished = Unfinished::new(self, &part);
        let mut renamed = false;
        let written = async {
            if replaced.is_some() {
                // A stream can be read once: whether there can be a part is found out before that.
                if let Err(error) = self.remote.write_file(&part.path, &options, &mut tokio::io::empty(), &|_| ()).await
                {
                    let replaced = self.may_go_in_place(error, replaced.as_ref())?;
                    return Box::pin(self.put_in_place(Content::Stream(source), &to, stat, replaced, progress)).await;
                }
                (options.exclusive, options.truncate, options.no_follow) = (false, false, true);
            }
            self.remote.write_file(&part.path, &options, source, &|bytes| progress.add(bytes)).await?;
            self.keep_owner(&part.path, replaced.as_ref()).await;
            match self.remote.rename(&part.path, &to).await {
                Ok(()) => {
                    renamed = true;
                    Ok(())
                }
                Err(error) => {
                    let replaced = self.may_go_in_place(error, replaced.as_ref())?;
                    Box::pin(self.put_in_place(Content::Part(&part), &to, stat, replaced, progress)).await
                }
            }
        };
        let written = self.while_sweeping(leftovers, written).await;
        unfinished.settle(renamed, true).await;
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
        match self.remote.sha256(path).await? {
            Some(sum) => Ok(sum),
            None => Scripts::new(OnConnection::new(&self.connection, false)).sha256(path).await,
        }
    }

    pub(super) async fn compare(&self, remote: &[u8], local: &[u8]) -> Result<(), FileError> {
        let there = self.remote_sha256(remote).await?;
        let here = verify::local_sha256(local).await?;
        if there == here {
            return Ok(());
        }
        let kind = FileErrorKind::Differs(format!("SHA-256 is {there} on the host, {here} here"));
        Err(FileError::new("verify", remote, kind))
    }
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

/// The host's files as the user sees them that `sudo` becomes.
pub(super) fn by_sudo(connection: &Connection) -> Arc<dyn Files> {
    Arc::new(ShellFiles::new(OnConnection::new(connection, true)))
}

/// A path of this machine, as text.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
