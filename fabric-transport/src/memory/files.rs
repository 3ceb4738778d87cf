//! A tree of files in memory, with directories, modes, times and symbolic links.

use std::collections::BTreeMap;
use std::time::SystemTime;

use async_trait::async_trait;
use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::transport::{DirEntry, FileChanges, FileKind, FileStat, Files, Progress, WriteOptions};
use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The size of a read or write.
const CHUNK: usize = 64 * 1024;

/// How many symbolic links a path may contain, as on Linux (path_resolution(7)).
const LINKS: usize = 40;

/// The umask: bits that new files and directories don't get.
const UMASK: u32 = 0o022;

/// The login directory: where relative paths start.
const HOME: &[u8] = b"/home/user";

/// A file tree in memory, with the login directory `/home/user` and with `/tmp`.
pub struct MemoryFiles {
    /// By absolute, normalised path; the root is `/`.
    nodes: Mutex<BTreeMap<Vec<u8>, Node>>,
}

#[derive(Debug, Clone)]
struct Node {
    content: Content,
    mode: u32,
    owner: (u32, u32),
    accessed: SystemTime,
    modified: SystemTime,
}

#[derive(Debug, Clone)]
enum Content {
    File(Vec<u8>),
    Directory,
    Link(Vec<u8>),
}

impl Default for MemoryFiles {
    fn default() -> Self {
        let nodes =
            [&b"/"[..], b"/home", HOME, b"/tmp"].map(|path| (path.to_vec(), Node::new(Content::Directory, 0o755)));
        Self { nodes: Mutex::new(nodes.into()) }
    }
}

impl MemoryFiles {
    /// Creates or replaces a file, with its parent directories.
    pub fn insert(&self, path: impl AsRef<[u8]>, content: impl Into<Vec<u8>>) {
        let path = absolute(path.as_ref());
        let mut nodes = self.lock();
        let mut at = parent(&path);
        while !nodes.contains_key(&at) {
            nodes.insert(at.clone(), Node::new(Content::Directory, 0o755));
            at = parent(&at);
        }
        nodes.insert(path, Node::new(Content::File(content.into()), 0o644));
    }

    /// The content of the file at `path`; links are followed.
    pub fn content(&self, path: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let nodes = self.lock();
        let path = resolve(&nodes, path.as_ref(), true).ok()?;
        match nodes.get(&path).map(|node| &node.content) {
            Some(Content::File(bytes)) => Some(bytes.clone()),
            _ => None,
        }
    }

    /// All paths in order, as text.
    pub fn paths(&self) -> Vec<String> {
        self.lock().keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Node>> {
        self.nodes.lock()
    }

    /// Resolves the path, calls the operation on the tree, and adds the path to its error.
    fn with<T>(
        &self,
        what: &'static str,
        path: &[u8],
        follow: bool,
        work: impl FnOnce(&mut BTreeMap<Vec<u8>, Node>, Vec<u8>) -> Result<T, FileErrorKind>,
    ) -> Result<T, FileError> {
        let mut nodes = self.lock();
        let at = resolve(&nodes, path, follow);
        at.and_then(|at| work(&mut nodes, at)).map_err(|kind| FileError::new(what, path, kind))
    }
}

impl Node {
    fn new(content: Content, mode: u32) -> Self {
        let now = SystemTime::now();
        Self { content, mode, owner: (1000, 1000), accessed: now, modified: now }
    }

    fn stat(&self) -> FileStat {
        let (kind, size) = match &self.content {
            Content::File(bytes) => (FileKind::File, bytes.len()),
            Content::Directory => (FileKind::Directory, 0),
            Content::Link(to) => (FileKind::Symlink, to.len()),
        };
        FileStat::new(kind)
            .size(size as u64)
            .mode(self.mode)
            .uid(self.owner.0)
            .gid(self.owner.1)
            .accessed(self.accessed)
            .modified(self.modified)
    }

    fn change(&mut self, changes: &FileChanges) {
        if let (Some(size), Content::File(bytes)) = (changes.size, &mut self.content) {
            bytes.resize(usize::try_from(size).unwrap_or(usize::MAX), 0);
        }
        self.mode = changes.mode.map_or(self.mode, |mode| mode & 0o7777);
        self.owner = changes.owner.unwrap_or(self.owner);
        (self.accessed, self.modified) = changes.times.unwrap_or((self.accessed, self.modified));
    }
}

/// Absolute, without `.`, `..` and doubled slashes; links are not followed.
fn absolute(path: &[u8]) -> Vec<u8> {
    let whole = if path.starts_with(b"/") { path.to_vec() } else { [HOME, b"/", path].concat() };
    let mut out = Vec::new();
    for part in whole.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => out = parent(&out),
            _ => out = child(&out, part),
        }
    }
    if out.is_empty() { b"/".to_vec() } else { out }
}

fn child(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let dir = if dir == b"/" { b"" } else { dir };
    [dir, b"/", name].concat()
}

fn parent(path: &[u8]) -> Vec<u8> {
    match path.iter().rposition(|b| *b == b'/') {
        None | Some(0) => b"/".to_vec(),
        Some(at) => path[..at].to_vec(),
    }
}

/// Follows the links of the parent directories, and the last one if `follow`. The parents must exist; the last part
/// need not.
fn resolve(nodes: &BTreeMap<Vec<u8>, Node>, path: &[u8], follow: bool) -> Result<Vec<u8>, FileErrorKind> {
    let start = if path.starts_with(b"/") { b"/".to_vec() } else { HOME.to_vec() };
    let mut links = 0;
    let mut at = start;
    let mut rest: Vec<Vec<u8>> = parts(path);
    while let Some(part) = rest.pop() {
        match nodes.get(&at).map(|node| &node.content) {
            Some(Content::Directory) => {}
            Some(_) => return Err(FileErrorKind::WrongKind("a part of it is not a directory")),
            None => return Err(FileErrorKind::NotFound),
        }
        if part == b".." {
            at = parent(&at);
            continue;
        }
        let next = child(&at, &part);
        match nodes.get(&next).map(|node| &node.content) {
            Some(Content::Link(to)) if follow || !rest.is_empty() => {
                links += 1;
                if links > LINKS {
                    return Err(FileErrorKind::Failed("too many levels of symbolic links".to_owned()));
                }
                if to.starts_with(b"/") {
                    at = b"/".to_vec();
                }
                rest.extend(parts(to));
            }
            _ => at = next,
        }
    }
    Ok(at)
}

/// The parts of a path, last one first.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.rev().map(<[u8]>::to_vec).collect()
}

fn node<'a>(nodes: &'a BTreeMap<Vec<u8>, Node>, path: &[u8]) -> Result<&'a Node, FileErrorKind> {
    nodes.get(path).ok_or(FileErrorKind::NotFound)
}

/// Whether a name is free: nothing exists there, and its parent is a directory.
fn free(nodes: &BTreeMap<Vec<u8>, Node>, path: &[u8]) -> Result<(), FileErrorKind> {
    if nodes.contains_key(path) {
        return Err(FileErrorKind::Exists);
    }
    match node(nodes, &parent(path))?.content {
        Content::Directory => Ok(()),
        _ => Err(FileErrorKind::WrongKind("a part of it is not a directory")),
    }
}

fn below<'a>(nodes: &'a BTreeMap<Vec<u8>, Node>, dir: &[u8]) -> impl Iterator<Item = (&'a Vec<u8>, &'a Node)> {
    let prefix = child(dir, b"");
    nodes
        .range(prefix.clone()..)
        .take_while(move |(path, _)| path.starts_with(&prefix))
        .filter(|(path, _)| *path != b"/")
}

#[async_trait]
impl Files for MemoryFiles {
    async fn stat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        self.with("stat", path, true, |nodes, at| Ok(node(nodes, &at)?.stat()))
    }

    async fn lstat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        self.with("stat", path, false, |nodes, at| Ok(node(nodes, &at)?.stat()))
    }

    async fn set_stat(&self, path: &[u8], changes: &FileChanges) -> Result<(), FileError> {
        self.with("change", path, true, |nodes, at| {
            nodes.get_mut(&at).ok_or(FileErrorKind::NotFound)?.change(changes);
            Ok(())
        })
    }

    async fn read_dir(&self, path: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        self.with("list", path, true, |nodes, at| {
            if !matches!(node(nodes, &at)?.content, Content::Directory) {
                return Err(FileErrorKind::WrongKind("it is not a directory"));
            }
            let start = child(&at, b"").len();
            let own = below(nodes, &at).filter(|(path, _)| !path[start..].contains(&b'/'));
            Ok(own.map(|(path, node)| DirEntry::new(path[start..].to_vec(), node.stat())).collect())
        })
    }

    async fn create_dir(&self, path: &[u8], mode: Option<u32>) -> Result<(), FileError> {
        self.with("make directory", path, false, |nodes, at| {
            free(nodes, &at)?;
            nodes.insert(at, Node::new(Content::Directory, mode.unwrap_or(0o777) & !UMASK));
            Ok(())
        })
    }

    async fn remove_file(&self, path: &[u8]) -> Result<(), FileError> {
        self.with("remove", path, false, |nodes, at| {
            if matches!(node(nodes, &at)?.content, Content::Directory) {
                return Err(FileErrorKind::WrongKind("it is a directory"));
            }
            nodes.remove(&at);
            Ok(())
        })
    }

    async fn remove_dir(&self, path: &[u8]) -> Result<(), FileError> {
        self.with("remove directory", path, false, |nodes, at| {
            if !matches!(node(nodes, &at)?.content, Content::Directory) {
                return Err(FileErrorKind::WrongKind("it is not a directory"));
            }
            if below(nodes, &at).next().is_some() {
                return Err(FileErrorKind::Failed("it is not empty".to_owned()));
            }
            nodes.remove(&at);
            Ok(())
        })
    }

    async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), FileError> {
        self.with("rename", from, false, |nodes, at| {
            let to = resolve(nodes, to, false)?;
            node(nodes, &at)?;
            match nodes.get(&to).map(|node| &node.content) {
                Some(Content::Directory) => return Err(FileErrorKind::Exists),
                Some(_) => {}
                None => free(nodes, &to)?,
            }
            let moved: Vec<_> = below(nodes, &at).map(|(path, _)| path.clone()).collect();
            for path in moved.into_iter().chain([at.clone()]) {
                if let Some(node) = nodes.remove(&path) {
                    nodes.insert([&to, &path[at.len()..]].concat(), node);
                }
            }
            Ok(())
        })
    }

    async fn symlink(&self, to: &[u8], path: &[u8]) -> Result<(), FileError> {
        self.with("link", path, false, |nodes, at| {
            free(nodes, &at)?;
            nodes.insert(at, Node::new(Content::Link(to.to_vec()), 0o777));
            Ok(())
        })
    }

    async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        self.with("read link", path, false, |nodes, at| match &node(nodes, &at)?.content {
            Content::Link(to) => Ok(to.clone()),
            _ => Err(FileErrorKind::WrongKind("it is not a link")),
        })
    }

    async fn canonicalize(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        self.with("resolve", path, true, |nodes, at| node(nodes, &at).map(|_| at.clone()))
    }

    async fn read_file(
        &self,
        path: &[u8],
        offset: u64,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        let bytes = self.with("read", path, true, |nodes, at| match &node(nodes, &at)?.content {
            Content::File(bytes) => {
                let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes[offset..].to_vec())
            }
            _ => Err(FileErrorKind::WrongKind("it is a directory")),
        })?;
        for chunk in bytes.chunks(CHUNK) {
            sink.write_all(chunk).await.map_err(|error| local("read", path, &error))?;
            progress(chunk.len() as u64);
        }
        sink.flush().await.map_err(|error| local("read", path, &error))?;
        Ok(bytes.len() as u64)
    }

    async fn write_file(
        &self,
        path: &[u8],
        options: &WriteOptions,
        source: &mut (dyn AsyncRead + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        let at = self.with("write", path, !options.no_follow, |nodes, at| {
            match nodes.get_mut(&at).map(|node| &mut node.content) {
                Some(_) if options.exclusive => return Err(FileErrorKind::Exists),
                Some(Content::Link(_)) => return Err(FileErrorKind::WrongKind("it is a link")),
                Some(Content::File(bytes)) if options.truncate => bytes.clear(),
                Some(Content::File(_)) => {}
                Some(_) => return Err(FileErrorKind::WrongKind("it is a directory")),
                None if !options.create => return Err(FileErrorKind::NotFound),
                None => {
                    free(nodes, &at)?;
                    let mode = options.mode.unwrap_or(0o666) & !UMASK;
                    nodes.insert(at.clone(), Node::new(Content::File(Vec::new()), mode));
                }
            }
            Ok(at)
        })?;
        let mut position = usize::try_from(options.offset).unwrap_or(usize::MAX);
        let mut total = 0;
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = source.read(&mut buffer).await.map_err(|error| local("write", path, &error))?;
            if read == 0 {
                break;
            }
            self.with("write", &at, false, |nodes, at| {
                let node = nodes.get_mut(&at).ok_or(FileErrorKind::NotFound)?;
                if let Content::File(bytes) = &mut node.content {
                    bytes.resize(bytes.len().max(position + read), 0);
                    bytes[position..position + read].copy_from_slice(&buffer[..read]);
                }
                node.modified = SystemTime::now();
                Ok(())
            })?;
            position += read;
            total += read as u64;
            progress(read as u64);
        }
        self.set_stat(&at, &options.changes).await?;
        Ok(total)
    }
}

/// The caller's reader or writer failed.
fn local(what: &'static str, path: &[u8], error: &std::io::Error) -> FileError {
    FileError::new(what, path, FileErrorKind::Local(error.to_string()))
}
