//! Files from the host.

use std::future::{Future, IntoFuture};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::outcome::Direction;
use fabric_core::transport::{FileKind, FileStat, Files};
use fabric_core::{Error, TransferOutcome};
use tokio::io::AsyncWrite;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::engine::{CHECKSUMS_AT_ONCE, Engine, Existing, Job, conclude};
use super::local::{self, MadeDirs};
use super::options::{Options, option_methods};
use super::privileged::SudoFiles;
use super::progress::Progress;
use super::template::{File, Template, Values};
use super::walk::{Found, Tree, walk};
use super::{glob, names};
use crate::connection::Connection;

/// Where what is got goes.
pub enum Destination {
    /// A path with placeholders; empty is the default, `{host}/{path}`.
    Path(PathBuf),
    /// The bytes of one file.
    Writer(Box<dyn AsyncWrite + Send + Unpin>),
}

impl Destination {
    /// The bytes of one file go here.
    pub fn writer(writer: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self::Writer(Box::new(writer))
    }
}

impl<P: Into<PathBuf>> From<P> for Destination {
    fn from(path: P) -> Self {
        Self::Path(path.into())
    }
}

/// A transfer from the host that is asked for, to be awaited; see [`Connection::get`].
#[must_use = "a transfer does nothing until it is awaited"]
pub struct Get {
    connection: Connection,
    remote: Vec<u8>,
    destination: Destination,
    options: Options,
}

impl Connection {
    /// Gets a file, a directory with all that is in it, or everything a pattern matches, from the host.
    ///
    /// `local` may hold placeholders: `{host}` `{user}` `{port}`, and for each file `{path}` (from what was
    /// asked for on), `{basename}` and `{dirname}` (absolute, on the host); `%(host)s`, `%(path)s`,
    /// `%(basename)s` and `%(dirname)s` as in Fabric 1. Empty is `{host}/{path}`. Relative paths start in
    /// `lcwd`; missing directories are made.
    ///
    /// A file goes into a directory that is there or a path that ends in `/`, else it becomes it. A directory
    /// goes into one that is there, else it becomes it. On the host relative paths start in `cwd`, that in the
    /// login directory, which is what `~` means too. Links to directories are not followed.
    pub fn get(&self, remote: impl Into<Vec<u8>>, local: impl Into<Destination>) -> Get {
        Get { connection: self.clone(), remote: remote.into(), destination: local.into(), options: Options::of(self) }
    }
}

impl Get {
    option_methods!();

    async fn execute(self) -> Result<TransferOutcome, Error> {
        let began = Instant::now();
        let connection = self.connection.clone();
        let host = connection.host_string().to_owned();
        if self.remote.is_empty() {
            return Err(Error::Usage(format!("{host}: get needs the path of a file or directory")));
        }
        let mut outcome = TransferOutcome::new(&host, Direction::Get);
        outcome.orig_remote = Some(names::text(&self.remote));
        let template = match &self.destination {
            Destination::Path(path) if path.as_os_str().is_empty() => Template::parse(b"{host}/{path}")?,
            Destination::Path(path) => Template::parse(&local::bytes(path))?,
            Destination::Writer(_) => Template::parse(b"")?,
        };
        let shown = match &self.destination {
            Destination::Path(path) => {
                outcome.orig_local = Some(if path.as_os_str().is_empty() {
                    "{host}/{path}".to_owned()
                } else {
                    path.display().to_string()
                });
                let file = File { absolute: &self.remote, path: names::base(&self.remote) };
                names::text(&template.expand(&values(&connection), &file))
            }
            Destination::Writer(_) => "(stream)".to_owned(),
        };
        if self.options.dry {
            let what = format!("{shown} <- {}", names::text(&self.remote));
            connection.emitter().plan("get", what);
            return Ok(outcome);
        }
        let connection = connection.with_dry(false);
        let failed = |source| Error::File { host: host.clone(), source };

        let remote: Arc<dyn Files> =
            if self.options.use_sudo { Arc::new(SudoFiles::new(&connection)) } else { connection.files().await? };
        let from = names::remote(&*remote, &connection.settings().cwd, &self.remote).await.map_err(failed)?;
        let roots = find(&*remote, &from, self.options.glob).await.map_err(failed)?;
        let size = roots.iter().map(Root::size).sum();
        let emitter = if self.options.silent { fabric_core::Emitter::none() } else { connection.emitter().clone() };
        let progress = Arc::new(Progress::start(emitter, Direction::Get, shown, names::text(&from), size, began));
        let engine = Arc::new(Engine {
            connection: connection.clone(),
            direction: Direction::Get,
            options: self.options.clone(),
            remote,
            local: Arc::new(local::files()),
            checksums: Semaphore::new(CHECKSUMS_AT_ONCE),
            removals: TaskTracker::new(),
        });
        let work = async {
            match self.destination {
                Destination::Path(_) => get_paths(&engine, roots, &template, &progress, &mut outcome).await,
                Destination::Writer(mut writer) => {
                    let [Root { path, tree: None, .. }] = &roots[..] else {
                        let text = format!("{host}: {} is not one file, which a stream needs", names::text(&from));
                        return Err(Error::Usage(text));
                    };
                    let read = engine.remote.read_file(path, 0, &mut *writer, &|bytes| progress.add(bytes)).await;
                    read.map_err(failed)?;
                    engine.delivered(path, b"", &mut outcome);
                    Ok(None)
                }
            }
        };
        let first = engine.unless_interrupted("get", work).await;
        outcome.duration = began.elapsed();
        conclude(&connection, &self.options, &progress, outcome, first)
    }
}

impl IntoFuture for Get {
    type Output = Result<TransferOutcome, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.execute())
    }
}

/// A file or directory that was named or matched.
struct Root {
    path: Vec<u8>,
    /// Its own name: one plain name.
    name: Vec<u8>,
    stat: FileStat,
    /// What is below it, if it is a directory.
    tree: Option<Tree>,
}

impl Root {
    fn size(&self) -> Option<u64> {
        match &self.tree {
            Some(tree) => tree.files.iter().map(|file| file.stat.size).sum(),
            None => self.stat.size,
        }
    }
}

async fn find(files: &dyn Files, path: &[u8], patterns: bool) -> Result<Vec<Root>, FileError> {
    let paths = match files.stat(path).await {
        Ok(_) => vec![path.to_vec()],
        Err(FileError { kind: FileErrorKind::NotFound, .. }) if patterns && glob::is_pattern(path) => {
            glob::expand(files, path).await?
        }
        Err(error) => return Err(error),
    };
    if paths.is_empty() {
        return Err(FileError::new("match", path, FileErrorKind::NotFound));
    }
    let mut roots = Vec::new();
    for path in paths {
        let stat = files.stat(&path).await?;
        let tree = match stat.kind {
            FileKind::Directory => Some(walk(files, &path, false).await),
            _ => None,
        };
        let mut name = names::base(&path).to_vec();
        if name.is_empty() {
            name = names::base(&files.canonicalize(&path).await?).to_vec();
        }
        if name.is_empty() && tree.is_none() {
            return Err(FileError::new("read", &path, FileErrorKind::Escapes));
        }
        roots.push(Root { path, name, stat, tree });
    }
    Ok(roots)
}

/// Puts what is got where it belongs.
async fn get_paths(
    engine: &Arc<Engine>,
    roots: Vec<Root>,
    template: &Template,
    progress: &Arc<Progress>,
    outcome: &mut TransferOutcome,
) -> Result<Option<FileError>, Error> {
    let host = engine.connection.host_string();
    let failed = |source| Error::File { host: host.to_owned(), source };
    let places = Places { engine, template, values: values(&engine.connection), several: roots.len() > 1 };
    let mut made = MadeDirs::default();
    let mut jobs = Vec::new();
    let mut trees = Vec::new();
    let mut first = None;
    for root in roots {
        let Some(mut tree) = root.tree else {
            let to = places.of_file(&root.path, &root.name).await;
            made.make(&*engine.local, names::parent(&to)).await.map_err(failed)?;
            jobs.push(Job { from: root.path, to, stat: root.stat, existing: Existing::Unknown });
            continue;
        };
        for (below, error) in tree.failed.drain(..) {
            outcome.failed.push((names::text(&names::join(&root.path, &below)), error.to_string()));
            first.get_or_insert(error);
        }
        if template.is_of_file() {
            for file in std::mem::take(&mut tree.files) {
                let from = names::join(&root.path, &file.below);
                let to = places.of_file(&from, &names::join(&root.name, &file.below)).await;
                made.make(&*engine.local, names::parent(&to)).await.map_err(failed)?;
                jobs.push(Job { from, to, stat: file.stat, existing: Existing::Unknown });
            }
            continue;
        }
        let place = places.of_dir(&root.path, &root.name).await;
        made.make(&*engine.local, names::parent(&place)).await.map_err(failed)?;
        let inside = engine.make_tree(&place, &tree.directories).await.map_err(failed)?;
        for file in std::mem::take(&mut tree.files) {
            let (dir, name) = super::put::split(&file.below);
            let existing = inside.get(dir).and_then(|entries| entries.get(name));
            let existing = existing.map_or(Existing::Nothing, |stat| Existing::Is(stat.clone()));
            let (from, to) = (names::join(&root.path, &file.below), names::join(&place, &file.below));
            jobs.push(Job { from, to, stat: file.stat, existing });
        }
        tree.directories.insert(0, Found { below: Vec::new(), stat: root.stat });
        trees.push((place, tree.directories));
    }
    let failure = engine.run(jobs, progress, outcome).await;
    if outcome.local.is_empty() && failure.is_some() {
        made.undo(&*engine.local).await;
    }
    for (place, directories) in trees {
        engine.finish_tree(&place, &directories).await.map_err(failed)?;
    }
    Ok(first.or(failure))
}

/// Where things go on this machine.
struct Places<'a> {
    engine: &'a Engine,
    template: &'a Template,
    values: Values,
    /// Whether there are several files or directories, so that the path must be a directory.
    several: bool,
}

impl Places<'_> {
    async fn of_file(&self, absolute: &[u8], path: &[u8]) -> Vec<u8> {
        let expanded = self.template.expand(&self.values, &File { absolute, path });
        let to = self.local(&expanded);
        let several = self.several && !self.template.is_of_file();
        if several || expanded.ends_with(b"/") || self.is_dir(&to).await {
            names::join(&to, names::base(path))
        } else {
            to
        }
    }

    async fn of_dir(&self, absolute: &[u8], name: &[u8]) -> Vec<u8> {
        let to = self.local(&self.template.expand(&self.values, &File { absolute, path: name }));
        if (self.several || self.is_dir(&to).await) && !name.is_empty() { names::join(&to, name) } else { to }
    }

    fn local(&self, expanded: &[u8]) -> Vec<u8> {
        let path = names::local(&self.engine.connection.settings().lcwd, &local::path(expanded));
        names::trimmed(&local::bytes(&path)).to_vec()
    }

    async fn is_dir(&self, path: &[u8]) -> bool {
        self.engine.local.stat(path).await.is_ok_and(|stat| stat.kind == FileKind::Directory)
    }
}

fn values(connection: &Connection) -> Values {
    Values {
        host: connection.original_host().to_owned(),
        host_string: connection.host_string().to_owned(),
        user: connection.user().unwrap_or_default().to_owned(),
        port: connection.port(),
    }
}
