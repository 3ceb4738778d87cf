//! Files from the host.

use std::future::{Future, IntoFuture};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use fabric_core::error::FileError;
use fabric_core::outcome::Direction;
use fabric_core::transport::{FileKind, Files};
use fabric_core::{Error, TransferOutcome};
use tokio::io::AsyncWrite;

use super::destinations::LocalPlace;
use super::engine::Engine;
use super::job::{Existing, Job};
use super::local::{self, MadeDirs};
use super::options::{TransferOptions, option_methods};
use super::plan::{Copy, Plan};
use super::progress::Progress;
use super::roots::{Root, find};
use super::scripts::by_sudo;
use super::streams;
use super::template::{DEFAULT, File, Template, Values};
use crate::connection::Connection;
use crate::paths;

/// The destination of a get.
#[non_exhaustive]
pub enum Destination {
    /// A path with placeholders; an empty one is the default, `{host}/{path}`.
    Path(PathBuf),
    /// A writer, for the content of one file.
    Writer(Box<dyn AsyncWrite + Send + Unpin>),
}

impl Destination {
    /// Writes the content of one file to `writer`.
    pub fn writer(writer: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self::Writer(Box::new(writer))
    }
}

impl<P: Into<PathBuf>> From<P> for Destination {
    fn from(path: P) -> Self {
        Self::Path(path.into())
    }
}

/// A request for a transfer from the host, to be awaited; see [`Connection::get`].
#[must_use = "a transfer does nothing until it is awaited"]
pub struct Get {
    connection: Connection,
    remote: Vec<u8>,
    destination: Destination,
    options: TransferOptions,
}

impl Connection {
    /// Gets a file, a directory with its content, or all matches of a pattern, from the host.
    ///
    /// `local` may have placeholders: `{host}`, `{user}`, `{port}`, and for each file `{path}` (relative to the requested
    /// path), `{basename}` and `{dirname}` (absolute, on the host); `%(host)s`, `%(path)s`, `%(basename)s` and
    /// `%(dirname)s` as in Fabric 1. Empty is `{host}/{path}`. Relative paths start in `lcwd`; missing directories are
    /// created.
    ///
    /// If `local` is a directory or ends in `/`, a file is written into it, otherwise to that path. If it is a directory, a
    /// directory is copied into it, otherwise to that path. On the host relative paths start in `cwd`, which starts in the
    /// login directory; so does `~`. Links are followed, unless [`links`](Get::links) says otherwise.
    ///
    /// Two files with the same destination are an error before anything is transferred. Any number of files can be written
    /// to a device or a pipe, such as `/dev/stdout`, one after another.
    pub fn get(&self, remote: impl Into<Vec<u8>>, local: impl Into<Destination>) -> Get {
        Get {
            connection: self.clone(),
            remote: remote.into(),
            destination: local.into(),
            options: TransferOptions::of(self),
        }
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
        outcome.orig_remote = Some(paths::text(&self.remote));
        let template = match &self.destination {
            Destination::Path(path) if path.as_os_str().is_empty() => Template::parse(DEFAULT)?,
            Destination::Path(path) => Template::parse(&local::bytes(path))?,
            Destination::Writer(_) => Template::parse(b"")?,
        };
        let shown = match &self.destination {
            Destination::Path(path) => {
                outcome.orig_local =
                    Some(if path.as_os_str().is_empty() { paths::text(DEFAULT) } else { path.display().to_string() });
                let file = File { absolute: &self.remote, path: paths::base(&self.remote) };
                paths::text(&template.expand(&Values::of(connection.target()), &file))
            }
            Destination::Writer(_) => "(stream)".to_owned(),
        };
        if self.options.dry {
            let what = format!("{shown} <- {}", paths::text(&self.remote));
            connection.emitter().plan("get", what);
            return Ok(outcome);
        }
        let connection = connection.with_dry(false);
        let failed = |error| Error::File { host: host.clone(), error };

        let remote: Arc<dyn Files> =
            if self.options.use_sudo { by_sudo(&connection) } else { connection.files().await? };
        let from = paths::remote(&*remote, &connection.settings().cwd, &self.remote).await.map_err(failed)?;
        let roots = find(&*remote, &from, &self.options).await.map_err(failed)?;
        let size = roots.iter().map(Root::size).sum();
        let paths = (shown, paths::text(&from));
        let (engine, progress) = Engine::begin(&connection, Direction::Get, &self.options, remote, paths, size, began);
        let work = async {
            match self.destination {
                Destination::Path(_) => get_paths(&engine, roots, &template, &progress, &mut outcome).await,
                Destination::Writer(mut writer) => {
                    let [Root { path, tree: None, .. }] = &roots[..] else {
                        let text = format!("{host}: {} is not one file, which a stream needs", paths::text(&from));
                        return Err(Error::Usage(text));
                    };
                    let read = engine.remote.read_file(path, 0, &mut *writer, &|bytes| progress.add(bytes)).await;
                    read.map_err(failed)?;
                    engine.delivered(path, b"", &mut outcome);
                    Ok(None)
                }
            }
        };
        let first = engine.unless_interrupted(work).await;
        engine.end(&progress, outcome, first)
    }
}

impl IntoFuture for Get {
    type Output = Result<TransferOutcome, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.execute())
    }
}

/// Writes files and directories to their destinations.
async fn get_paths(
    engine: &Arc<Engine>,
    roots: Vec<Root>,
    template: &Template,
    progress: &Arc<Progress>,
    outcome: &mut TransferOutcome,
) -> Result<Option<FileError>, Error> {
    let host = engine.connection.host_string();
    let failed = |error| Error::File { host: host.to_owned(), error };
    let places = Places { engine, template, values: Values::of(engine.connection.target()), several: roots.len() > 1 };
    let mut plan = Plan::default();
    let mut taken = Vec::new();
    for Root { path, name, stat, tree } in roots {
        let Some(mut tree) = tree else {
            let (to, into_stream) = places.of_file(&path, &name, &mut taken).await;
            plan.files.push(Job { from: path, to, stat, existing: Existing::Unknown, into_stream });
            continue;
        };
        plan.note(&path, &mut tree);
        if !template.is_of_file() || template.keeps_trees() {
            let to = places.of_dir(&path, &name, &mut taken).await;
            plan.trees.push(Copy { from: path, to, tree });
            continue;
        }
        for file in tree.files {
            let from = paths::join(&path, &file.below);
            let (to, into_stream) = places.of_file(&from, &paths::join(&name, &file.below), &mut taken).await;
            plan.files.push(Job { from, to, stat: file.stat, existing: Existing::Unknown, into_stream });
        }
        // Each file has its own destination, so links can't lead to another one.
        plan.left_out.extend(tree.links.iter().map(|link| paths::join(&path, &link.below)));
    }
    plan.check(host, Direction::Get)?;
    engine.connection.claim(&taken)?;
    let mut made = MadeDirs::default();
    plan.make_above(engine, &mut made).await.map_err(failed)?;
    let first = plan.carry_out(engine, progress, outcome).await.map_err(failed)?;
    if outcome.local.is_empty() && first.is_some() {
        made.undo(&*engine.local).await;
    }
    Ok(first)
}

/// The local destinations of a get.
struct Places<'a> {
    engine: &'a Engine,
    template: &'a Template,
    values: Values,
    /// Whether there are several roots, so that the path must be a directory.
    several: bool,
}

impl Places<'_> {
    /// The destination of a file, and whether it is a stream, which accepts any number; any other is added to `taken`.
    async fn of_file(&self, absolute: &[u8], path: &[u8], taken: &mut Vec<LocalPlace>) -> (Vec<u8>, bool) {
        let expanded = self.template.expand(&self.values, &File { absolute, path });
        let to = self.local(&expanded);
        let several = self.several && !self.template.is_of_file();
        let is_dir = match self.engine.local.stat(&to).await.map(|stat| stat.kind) {
            Ok(FileKind::Other) if streams::is_stream(&to).await => return (to, true),
            _ if streams::is_name_of_stream(&to) => return (to, true),
            Ok(kind) => kind == FileKind::Directory,
            Err(_) => false,
        };
        let into = several || is_dir || expanded.ends_with(b"/");
        (take(taken, to, into, paths::base(path)), false)
    }

    /// The destination of a tree, which is added to `taken`.
    async fn of_dir(&self, absolute: &[u8], name: &[u8], taken: &mut Vec<LocalPlace>) -> Vec<u8> {
        let to = self.local(&self.template.expand(&self.values, &File { absolute, path: name }));
        let into = !self.template.keeps_trees() && (self.several || self.is_dir(&to).await);
        take(taken, to, into && !name.is_empty(), name)
    }

    fn local(&self, expanded: &[u8]) -> Vec<u8> {
        let path = paths::local(&self.engine.connection.settings().lcwd, &local::path(expanded));
        paths::trimmed(&local::bytes(&path)).to_vec()
    }

    async fn is_dir(&self, path: &[u8]) -> bool {
        self.engine.local.stat(path).await.is_ok_and(|stat| stat.kind == FileKind::Directory)
    }
}

/// Adds a destination, or `name` in it, to `taken`, and returns its path.
fn take(taken: &mut Vec<LocalPlace>, to: Vec<u8>, into: bool, name: &[u8]) -> Vec<u8> {
    let place = if into {
        LocalPlace { path: paths::join(&to, name), into: Some(to) }
    } else {
        LocalPlace { path: to, into: None }
    };
    let path = place.path.clone();
    taken.push(place);
    path
}
