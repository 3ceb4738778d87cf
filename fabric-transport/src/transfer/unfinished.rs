//! Parts: new ones, those to be resumed, and their removal when a transfer ends before they are complete.

use std::sync::Arc;

use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::outcome::Direction;
use fabric_core::transport::{FileKind, FileStat, Files, WriteOptions};
use tokio_util::task::TaskTracker;

use super::engine::Engine;
use super::job::Job;

use super::local;
use crate::part_names::{PartNames, Whole};
use crate::paths;

/// A file under its temporary name.
pub(super) struct Part {
    pub(super) path: Vec<u8>,
    /// How many bytes exist.
    pub(super) offset: u64,
    pub(super) is_there: bool,
    /// Whether it is kept for resuming.
    pub(super) lasting: bool,
}

impl Engine {
    /// The part for `to`: one to be resumed if it belongs to it, otherwise a new one.
    pub(super) async fn part(&self, job: &Job, to: &[u8]) -> Result<Part, FileError> {
        let lasting = self.options.resume.then(|| self.lasting_name(job, to)).flatten();
        let Some(path) = lasting else { return Ok(self.fresh_part(to)) };
        let found = match self.target().lstat(&path).await {
            Ok(found) => found,
            Err(FileError { kind: FileErrorKind::NotFound, .. }) => {
                return Ok(Part { path, offset: 0, is_there: false, lasting: true });
            }
            Err(error) => return Err(error),
        };
        let offset = found.size.filter(|size| job.stat.size.is_some_and(|whole| *size <= whole));
        if let Some(offset) = offset.filter(|_| found.kind == FileKind::File)
            && self.probe(&self.beside(to)).await?.uid == found.uid
        {
            return Ok(Part { path, offset, is_there: true, lasting: true });
        }
        // It is another user's, or doesn't fit.
        match self.target().remove_file(&path).await {
            Ok(()) => Ok(Part { path, offset: 0, is_there: false, lasting: true }),
            Err(error) => {
                tracing::debug!(%error, "a part that does not fit");
                Ok(self.fresh_part(to))
            }
        }
    }

    pub(super) fn fresh_part(&self, to: &[u8]) -> Part {
        let path = self.connection.parts().fresh(&self.beside(to));
        Part { path, offset: 0, is_there: false, lasting: false }
    }

    /// The name of a part that can be resumed.
    pub(super) fn lasting_name(&self, job: &Job, to: &[u8]) -> Option<Vec<u8>> {
        let host = self.connection.host_string();
        let whole = Whole { host, direction: self.direction, from: &job.from, to: &job.to, stat: &job.stat };
        self.connection.parts().lasting(&self.beside(to), &whole)
    }

    /// The path that the part of `to` is beside of.
    pub(super) fn beside(&self, to: &[u8]) -> Vec<u8> {
        match (&self.options.temp_dir, self.direction) {
            (Some(dir), Direction::Put) => paths::join(dir, paths::base(to)),
            _ => to.to_vec(),
        }
    }

    /// The attributes of a new part: its owner, and the current time on that side.
    pub(super) async fn probe(&self, of: &[u8]) -> Result<FileStat, FileError> {
        let path = self.connection.parts().fresh(of);
        let options = WriteOptions::default().exclusive(true).mode(0o600);
        let unfinished =
            Unfinished::new(self, &Part { path: path.clone(), offset: 0, is_there: false, lasting: false });
        let made = async {
            self.target().write_file(&path, &options, &mut tokio::io::empty(), &|_| ()).await?;
            self.target().lstat(&path).await
        };
        let made = made.await;
        unfinished.settle(false, true).await;
        made
    }
}

/// Removes a part when this is dropped, unless it has its final name or is kept.
pub(super) struct Unfinished {
    files: Arc<dyn Files>,
    removals: TaskTracker,
    parts: Arc<PartNames>,
    path: Option<Vec<u8>>,
    local: bool,
    lasting: bool,
}

impl Unfinished {
    pub(super) fn new(engine: &Engine, part: &Part) -> Self {
        Self {
            files: engine.target().clone(),
            removals: engine.removals.clone(),
            parts: engine.connection.parts().clone(),
            path: Some(part.path.clone()),
            local: engine.direction == Direction::Get,
            lasting: part.lasting,
        }
    }

    /// Removes it over `files`, where it is written, after pending writes.
    pub(super) fn over(mut self, files: &Arc<dyn Files>) -> Self {
        self.files = files.clone();
        self
    }

    /// It has its final name (`done`), or failed; a `useless` part is not kept.
    pub(super) async fn settle(mut self, done: bool, useless: bool) {
        if let Some(path) = self.path.take()
            && !done
            && (useless || !self.lasting)
        {
            remove(&*self.files, &self.parts, &path).await;
        }
    }
}

async fn remove(files: &dyn Files, parts: &PartNames, path: &[u8]) {
    match files.remove_file(path).await {
        // It may not exist.
        Ok(()) | Err(FileError { kind: FileErrorKind::NotFound, .. }) => {}
        Err(_) => parts.abandon(path),
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Some(path) = self.path.take().filter(|_| !self.lasting) else { return };
        if self.local {
            let _ = std::fs::remove_file(local::path(&path));
        } else if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (files, parts) = (self.files.clone(), self.parts.clone());
            self.removals.spawn_on(async move { remove(&*files, &parts, &path).await }, &runtime);
        }
    }
}
