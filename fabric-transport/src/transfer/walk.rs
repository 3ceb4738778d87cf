//! Listing the tree below a source directory.

use std::sync::Arc;

use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::transport::{FileKind, FileStat, Files};
use futures_util::stream::{self, FuturesUnordered, StreamExt as _};
use tokio::sync::OnceCell;

use super::options::Links;
use crate::paths;

/// A deeper tree is considered a loop.
const DEEPEST: usize = 128;

/// How many directories are listed at once, and how many links examined.
const AT_ONCE: usize = 32;

/// A directory or file below the start.
#[derive(Debug, Clone)]
pub(super) struct TreeEntry {
    /// Its path from the start, of plain names.
    pub(super) below: Vec<u8>,
    /// Its attributes, links followed.
    pub(super) stat: FileStat,
}

/// A link that is not followed.
#[derive(Debug, Clone)]
pub(super) struct TreeLink {
    pub(super) below: Vec<u8>,
    /// Its text.
    pub(super) to: Vec<u8>,
}

/// Everything below a directory.
#[derive(Debug)]
pub(super) struct Tree {
    /// Directories, each after the one it is in; the first is the start itself.
    pub(super) directories: Vec<TreeEntry>,
    pub(super) files: Vec<TreeEntry>,
    /// Links that are to be copied as links.
    pub(super) links: Vec<TreeLink>,
    /// Skipped links.
    pub(super) left_out: Vec<Vec<u8>>,
    /// What could not be read.
    pub(super) failed: Vec<(Vec<u8>, FileError)>,
}

/// A directory to be listed.
struct Unlisted {
    below: Vec<u8>,
    depth: usize,
    place: Arc<Ancestry>,
}

/// The directories that contain a directory.
enum Ancestry {
    Start,
    /// A named entry of another directory.
    Named(Vec<u8>, Arc<Ancestry>),
    /// The target of a link, by its absolute path, and the directory of the link.
    Linked(Vec<u8>, Arc<Ancestry>),
}

impl Ancestry {
    /// The absolute paths of the directory and of all that contain it.
    fn chain(&self, start: &[u8]) -> Vec<Vec<u8>> {
        match self {
            Self::Start => vec![start.to_vec()],
            Self::Named(name, above) => {
                let mut chain = above.chain(start);
                let path = chain.last().map(|above| paths::join(above, name));
                chain.extend(path);
                chain
            }
            Self::Linked(real, above) => {
                let mut chain = above.chain(start);
                chain.push(real.clone());
                chain
            }
        }
    }
}

/// An entry of a directory.
enum ListedEntry {
    Is(FileStat, Option<Vec<u8>>),
    Link(Vec<u8>),
    LeftOut,
}

/// Lists what is below the directory `root`.
pub(super) async fn walk(files: &dyn Files, root: &[u8], stat: FileStat, links: Links) -> Tree {
    let mut tree = Tree {
        directories: vec![TreeEntry { below: Vec::new(), stat }],
        files: Vec::new(),
        links: Vec::new(),
        left_out: Vec::new(),
        failed: Vec::new(),
    };
    let walk = Walk { files, root, links, start: OnceCell::new() };
    let mut waiting = vec![Unlisted { below: Vec::new(), depth: 0, place: Arc::new(Ancestry::Start) }];
    let mut listing = FuturesUnordered::new();
    loop {
        while listing.len() < AT_ONCE
            && let Some(dir) = waiting.pop()
        {
            listing.push(async { (walk.list(&dir).await, dir) });
        }
        let Some((listed, dir)) = listing.next().await else { break };
        let entries = match listed {
            Ok(entries) => entries,
            Err(error) => {
                tree.failed.push((dir.below, error));
                continue;
            }
        };
        for (name, entry) in entries {
            let below = paths::join(&dir.below, &name);
            let (stat, real) = match entry {
                Ok(ListedEntry::Is(stat, real)) => (stat, real),
                Ok(ListedEntry::Link(to)) => {
                    tree.links.push(TreeLink { below, to });
                    continue;
                }
                Ok(ListedEntry::LeftOut) => {
                    tree.left_out.push(below);
                    continue;
                }
                Err(error) => {
                    tree.failed.push((below, error));
                    continue;
                }
            };
            match stat.kind {
                FileKind::Directory if dir.depth >= DEEPEST => {
                    let kind = FileErrorKind::Failed("directories are nested too deep".to_owned());
                    tree.failed.push((below.clone(), FileError::new("list", below, kind)));
                }
                FileKind::Directory => {
                    let above = dir.place.clone();
                    let place = Arc::new(match real {
                        Some(real) => Ancestry::Linked(real, above),
                        None => Ancestry::Named(name, above),
                    });
                    waiting.push(Unlisted { below: below.clone(), depth: dir.depth + 1, place });
                    tree.directories.push(TreeEntry { below, stat });
                }
                FileKind::File | FileKind::Unknown => tree.files.push(TreeEntry { below, stat }),
                FileKind::Symlink | FileKind::Other => {
                    let kind = FileErrorKind::WrongKind("it is neither a file nor a directory");
                    tree.failed.push((below.clone(), FileError::new("read", below, kind)));
                }
            }
        }
    }
    tree.files.sort_unstable_by(|a, b| a.below.cmp(&b.below));
    tree.directories.sort_unstable_by(|a, b| a.below.cmp(&b.below));
    tree.links.sort_unstable_by(|a, b| a.below.cmp(&b.below));
    tree.left_out.sort_unstable();
    tree
}

struct Walk<'a> {
    files: &'a dyn Files,
    root: &'a [u8],
    links: Links,
    /// The resolved path of the start; needed only for links to directories.
    start: OnceCell<Vec<u8>>,
}

impl Walk<'_> {
    async fn list(&self, dir: &Unlisted) -> Result<Vec<(Vec<u8>, Result<ListedEntry, FileError>)>, FileError> {
        let path = if dir.below.is_empty() { self.root.to_vec() } else { paths::join(self.root, &dir.below) };
        let entries = self.files.read_dir(&path).await?;
        let (links, others): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.stat.kind == FileKind::Symlink);
        let named = |name: &[u8], entry| {
            if paths::is_plain(name) {
                Ok(entry)
            } else {
                Err(FileError::new("read", paths::join(&path, name), FileErrorKind::Escapes))
            }
        };
        let mut listed: Vec<_> = others
            .into_iter()
            .map(|entry| {
                let taken = named(&entry.name, ListedEntry::Is(entry.stat, None));
                (entry.name, taken)
            })
            .collect();
        let links = links.into_iter().map(|entry| {
            let (named, path) = (named(&entry.name, ListedEntry::LeftOut), &path);
            async move {
                let taken = match (named, self.links) {
                    (Ok(_), Links::Follow) => self.follow(&paths::join(path, &entry.name), &dir.place).await,
                    (Ok(_), Links::Keep) => {
                        self.files.read_link(&paths::join(path, &entry.name)).await.map(ListedEntry::Link)
                    }
                    (other, _) => other,
                };
                (entry.name, taken)
            }
        });
        listed.extend(stream::iter(links.collect::<Vec<_>>()).buffered(AT_ONCE).collect::<Vec<_>>().await);
        Ok(listed)
    }

    /// The target of a link; an error if it contains the link.
    async fn follow(&self, path: &[u8], within: &Ancestry) -> Result<ListedEntry, FileError> {
        let stat = self.files.stat(path).await?;
        if stat.kind != FileKind::Directory {
            return Ok(ListedEntry::Is(stat, None));
        }
        let real = self.files.canonicalize(path).await?;
        let root = self.start.get_or_try_init(|| self.files.canonicalize(self.root)).await?;
        if within.chain(root).contains(&real) {
            let why =
                "the link leads back to a directory that it is in; `links` can be \"keep\" or \"skip\"".to_owned();
            return Err(FileError::new("follow", path, FileErrorKind::Failed(why)));
        }
        Ok(ListedEntry::Is(stat, Some(real)))
    }
}
