//! Files to the host.

use std::ffi::{OsStr, OsString};
use std::future::{Future, IntoFuture};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::outcome::Direction;
use fabric_core::transport::{FileKind, FileStat, Files};
use fabric_core::{Error, TransferOutcome};
use tokio::io::AsyncRead;

use super::engine::{Engine, shown};
use super::job::{Existing, Job};
use super::local;
use super::local::MadeDirs;
use super::options::{TransferOptions, option_methods};
use super::plan::{Copy, Plan};
use super::progress::Progress;
use super::roots::{Root, find};
use super::scripts::by_sudo;
use crate::connection::Connection;
use crate::paths;

/// The source of a put. Text and paths name a file; bytes (`b".."`, `Vec<u8>`, [`Bytes`]) are its content.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let connection = fabric_transport::Connection::builder("local://localhost").build()?;
/// # let dir = tempfile::tempdir()?;
/// # let remote = dir.path().join("greeting").display().to_string();
/// let outcome = connection.put(b"hello\n", remote).await?;
/// assert_eq!(outcome.bytes, 6);
/// # Ok(()) }
/// ```
#[non_exhaustive]
pub enum Source {
    /// A file, a directory or a pattern. Relative paths start in `lcwd`; `~` is the home directory.
    Path(PathBuf),
    /// The content of a reader.
    Reader {
        /// The reader.
        reader: Box<dyn AsyncRead + Send + Unpin>,
        /// How many bytes it has, for progress, if that is known.
        size: Option<u64>,
    },
}

impl Source {
    /// These bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        Self::reader(std::io::Cursor::new(bytes)).size(size)
    }

    /// The content of `reader`.
    pub fn reader(reader: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self::Reader { reader: Box::new(reader), size: None }
    }

    /// How many bytes the reader has, for events. Files and bytes have a known size.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Self {
        if let Self::Reader { size, .. } = &mut self {
            *size = Some(bytes);
        }
        self
    }
}

macro_rules! paths {
    ($($path:ty)*) => {$(
        impl From<$path> for Source {
            fn from(path: $path) -> Self {
                Self::Path(path.into())
            }
        }
    )*};
}
paths!(PathBuf &PathBuf &Path String &String &str OsString &OsStr);

impl From<Bytes> for Source {
    fn from(bytes: Bytes) -> Self {
        Self::bytes(bytes)
    }
}

impl From<Vec<u8>> for Source {
    fn from(bytes: Vec<u8>) -> Self {
        Self::bytes(bytes)
    }
}

/// A copy of them.
impl From<&[u8]> for Source {
    fn from(bytes: &[u8]) -> Self {
        Self::bytes(Bytes::copy_from_slice(bytes))
    }
}

/// A copy of them.
impl<const N: usize> From<&[u8; N]> for Source {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(&bytes[..])
    }
}

/// A request for a transfer to the host, to be awaited; see [`Connection::put`].
#[must_use = "a transfer does nothing until it is awaited"]
pub struct Put {
    connection: Connection,
    source: Source,
    remote: Vec<u8>,
    /// The mode of a stream.
    source_mode: Option<u32>,
    options: TransferOptions,
}

impl Connection {
    /// Puts a file, a directory with its content, all matches of a pattern, or a stream on the host.
    ///
    /// If `remote` is a directory or ends in `/`, a file is written into it, otherwise to that path. If it is a directory, a
    /// directory is copied into it, otherwise to that path. Relative paths start in `cwd`, which starts in the login
    /// directory; so do an empty path and `~`. For a stream, `remote` must be the path of a file.
    ///
    /// Links below a directory are followed, unless [`links`](Put::links) says otherwise. Two files with the same target are
    /// an error before anything is transferred.
    pub fn put(&self, local: impl Into<Source>, remote: impl Into<Vec<u8>>) -> Put {
        Put {
            connection: self.clone(),
            source: local.into(),
            remote: remote.into(),
            source_mode: None,
            options: TransferOptions::of(self),
        }
    }
}

impl Put {
    option_methods!();

    /// Whether to create missing directories above the target. Default: no.
    pub fn parents(mut self, parents: bool) -> Self {
        self.options.parents = parents;
        self
    }

    /// The directory on the host for unfinished files. Default: beside the target. In another file system the final rename is
    /// not atomic.
    pub fn temp_dir(mut self, dir: impl Into<Vec<u8>>) -> Self {
        self.options.temp_dir = Some(dir.into());
        self
    }

    /// The permission bits of a stream, as if it were a file. Default: none, so that a new file has the host's default.
    pub fn source_mode(mut self, mode: u32) -> Self {
        self.source_mode = Some(mode);
        self
    }

    async fn execute(mut self) -> Result<TransferOutcome, Error> {
        let began = Instant::now();
        let connection = self.connection.clone();
        let host = connection.host_string().to_owned();
        let mut outcome = TransferOutcome::new(&host, Direction::Put);
        let (path, given) = match &self.source {
            Source::Path(path) if path.as_os_str().is_empty() => {
                // Joined with a directory, it would be that directory.
                let host = connection.host_string();
                return Err(Error::Usage(format!("{host}: put needs the path of a file or directory")));
            }
            Source::Path(path) => (Some(paths::local(&connection.settings().lcwd, path)), Some(shown(path))),
            Source::Reader { .. } => (None, None),
        };
        outcome.orig_local = given;
        outcome.orig_remote = Some(paths::text(&self.remote));
        let from = path.as_deref().map_or_else(|| "(stream)".to_owned(), shown);
        if self.options.dry {
            let what = format!("{from} -> {}", paths::text(&self.remote));
            connection.emitter().plan("put", what);
            return Ok(outcome);
        }
        let connection = connection.with_dry(false);
        let failed = |error| Error::File { host: host.clone(), error };

        // Missing local files are an error before anything is opened.
        let roots = match &path {
            Some(path) => find(&local::files(), &local::bytes(path), &self.options).await.map_err(failed)?,
            None => Vec::new(),
        };
        let remote_files: Arc<dyn Files> =
            if self.options.use_sudo { by_sudo(&connection) } else { connection.files().await? };
        let to = paths::remote(&*remote_files, &connection.settings().cwd, &self.remote).await.map_err(failed)?;
        if let Some(dir) = self.options.temp_dir.take() {
            self.options.temp_dir = Some(paths::remote(&*remote_files, "", &dir).await.map_err(failed)?);
        }
        let size = match &self.source {
            Source::Path(_) => roots.iter().map(Root::size).sum(),
            Source::Reader { size, .. } => *size,
        };
        let paths = (from, paths::text(&to));
        let (engine, progress) =
            Engine::begin(&connection, Direction::Put, &self.options, remote_files, paths, size, began);
        let work = async {
            match self.source {
                Source::Path(_) => put_paths(&engine, roots, &to, &progress, &mut outcome).await,
                Source::Reader { mut reader, .. } => {
                    let stat = FileStat::new(FileKind::File).mode(self.source_mode);
                    let to = engine.deliver_stream(&mut *reader, &to, &stat, &progress).await.map_err(failed)?;
                    engine.delivered(b"", &to, &mut outcome);
                    Ok(None)
                }
            }
        };
        let first = engine.unless_interrupted(work).await;
        engine.end(&progress, outcome, first)
    }
}

impl IntoFuture for Put {
    type Output = Result<TransferOutcome, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.execute())
    }
}

/// Writes files and directories to their targets.
async fn put_paths(
    engine: &Arc<Engine>,
    roots: Vec<Root>,
    to: &[u8],
    progress: &Arc<Progress>,
    outcome: &mut TransferOutcome,
) -> Result<Option<FileError>, Error> {
    let host = engine.connection.host_string();
    let failed = |error| Error::File { host: host.to_owned(), error };
    let there = match engine.remote.stat(to).await {
        Ok(stat) => Some(stat),
        Err(FileError { kind: FileErrorKind::NotFound, .. }) => None,
        Err(error) => return Err(failed(error)),
    };
    let is_dir = there.as_ref().is_some_and(|stat| stat.kind == FileKind::Directory);
    if roots.len() > 1 && there.is_some() && !is_dir {
        let text =
            format!("{host}: {} is no directory, so that {} files can't be put into it", paths::text(to), roots.len());
        return Err(Error::Usage(text));
    }
    let becomes_dir = |root: &Root| root.tree.is_some() && !is_dir && roots.len() == 1;
    let into = is_dir || roots.len() > 1 || (to.ends_with(b"/") && !roots.iter().any(becomes_dir));

    let mut plan = Plan::default();
    for Root { path: from, name, stat, tree } in roots {
        let to = if into { paths::join(to, &name) } else { paths::trimmed(to).to_vec() };
        if let Some(mut tree) = tree {
            plan.note(&from, &mut tree);
            plan.trees.push(Copy { from, to, tree });
        } else {
            let existing = if into && !is_dir { Existing::Nothing } else { Existing::Unknown };
            plan.files.push(Job { from, to, stat, existing, into_stream: false });
        }
    }
    plan.check(host, Direction::Put)?;

    let mut made = MadeDirs::default();
    let needed = if into { Some(to) } else { Some(paths::parent(to)).filter(|_| engine.options.parents) };
    if let Some(dir) = needed.filter(|_| !is_dir) {
        if engine.options.parents {
            made.make(&*engine.remote, dir).await.map_err(failed)?;
        } else {
            engine.remote.create_dir(paths::trimmed(dir), None).await.map_err(failed)?;
        }
    }
    let first = plan.carry_out(engine, progress, outcome).await.map_err(failed)?;
    if outcome.remote.is_empty() && first.is_some() {
        made.undo(&*engine.remote).await;
    }
    Ok(first)
}
