//! Transfers files: many at once, each under a temporary name until it is complete.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use fabric_core::TransferOutcome;
use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::outcome::Direction;
use fabric_core::transport::{FileKind, FileStat, Files, WriteOptions};
use futures_util::future;
use futures_util::stream::{self, StreamExt as _};
use tokio::io::AsyncRead;
use tokio::sync::Semaphore;

use super::engine::{AT_ONCE, Engine, SMALL_FOR_ONE};
use super::in_place::Content;
use super::job::{Existing, Job};
use super::leftovers::Leftovers;
use super::progress::Progress;
use super::unfinished::{Part, Unfinished};
use super::{local, streams, verify};
use crate::paths;

/// How many files form a lot, whose small ones are opened and read in one step, and how many bytes are read in it.
const TOGETHER: usize = 64;
const TOGETHER_BYTES: u64 = 8 * local::SMALL as u64;
/// How many lots are read ahead.
const LOTS_AHEAD: usize = 2;
/// From how many small files on two channels are used.
const MANY: usize = 256;

/// A file that was opened ahead, or why it couldn't be.
type ReadAhead = Result<local::Source, FileError>;

/// Cuts a sequence of files into lots of at most [`TOGETHER`] files, with at most [`TOGETHER_BYTES`] to read.
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

impl Engine {
    /// Transfers all files, and adds them to the outcome. Returns the first error.
    pub(super) async fn run(
        &self,
        jobs: Vec<Job>,
        leftovers: Leftovers,
        progress: &Progress,
        outcome: &mut TransferOutcome,
    ) -> Option<FileError> {
        // The number of permits, and how many a large file takes.
        let (room, large) = match self.options.concurrency {
            // Files for a stream go one after another.
            _ if jobs.iter().any(|job| job.into_stream) => (1, 1),
            Some(files) => (files, 1),
            None => (AT_ONCE * SMALL_FOR_ONE as usize, SMALL_FOR_ONE),
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
                    // The semaphore is never closed.
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
        // Transfers don't wait for the channel; it is used once it is open.
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
                    outcome.failed.push((paths::text(&job.from), error.to_string()));
                    first.get_or_insert(error);
                }
            }
        }
        first
    }

    /// Opens the small files of a put, all at once.
    async fn read_ahead(&self, jobs: &[Job], lot: Range<usize>) -> Vec<(usize, Option<ReadAhead>)> {
        // With these options not every file is read, or not from its beginning.
        let wanted = self.direction == Direction::Put && !self.options.skip_same && !self.options.resume;
        let ahead = |index: &usize| wanted && jobs[*index].is_small();
        let small: Vec<&[u8]> = lot.clone().filter(ahead).map(|index| &*jobs[index].from).collect();
        let opened = if small.is_empty() { Vec::new() } else { local::open_all_to_read(&small).await };
        let mut opened = opened.into_iter();
        lot.map(|index| (index, ahead(&index).then(|| opened.next()).flatten())).collect()
    }

    /// Transfers one file, up to its final name. It is written `over` a further channel, if there is one.
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
            // Boxed, since few files need it and it would make the future of each larger.
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
                // That channel has ended; the file is written again over the first one.
                unfinished.over(self.target()).settle(false, true).await;
                part = self.fresh_part(&to);
                continue;
            }
            let differs = matches!(&written, Err(FileError { kind: FileErrorKind::Differs(_), .. }));
            unfinished.settle(renamed, differs || written.is_ok()).await;
            if differs && part.offset > 0 {
                // The existing part didn't belong to it: restart from the beginning.
                part = Part { offset: 0, is_there: false, ..part };
                continue;
            }
            // Errors have the final name.
            return written.map_err(|error| {
                if error.path == paths::text(&part.path) { error.with_path(paths::text(&to)) } else { error }
            });
        }
    }

    /// Writes the missing rest of a part, and verifies it.
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

    /// Writes a stream of unknown length to a file on the host; of `stat` only the mode is used.
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
                // A stream can be read only once, so whether a part can be created is checked before.
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

    /// The real path of a file, links followed, and the file that it replaces.
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
                // It is dangling, and can be replaced.
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
}
