//! What is below a directory of the side that is read.

use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::transport::{DirEntry, FileKind, FileStat, Files};
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::names;

/// A tree that is deeper is taken for a loop.
const DEEPEST: usize = 128;

/// How many directories are listed at once.
const AT_ONCE: usize = 32;

/// A directory or file below the start, by the names that lead to it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Its names from the start on, joined by `/`; all plain.
    pub(super) below: Vec<u8>,
    /// What it is, links followed.
    pub(super) stat: FileStat,
}

/// Everything below a directory.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Directories, each after the one it is in.
    pub(super) directories: Vec<Found>,
    pub(super) files: Vec<Found>,
    /// What could not be looked at.
    pub(super) failed: Vec<(Vec<u8>, FileError)>,
}

/// Lists what is below `root`. Links to files are files; links to directories are followed only where
/// `into_links` says so, which nobody should say of a host: they may lead anywhere.
pub(super) async fn walk(files: &dyn Files, root: &[u8], into_links: bool) -> Tree {
    let mut tree = Tree::default();
    let mut waiting = vec![(Vec::new(), 0)];
    let mut listing = FuturesUnordered::new();
    loop {
        while listing.len() < AT_ONCE
            && let Some((below, depth)) = waiting.pop()
        {
            listing.push(async move {
                let path = if below.is_empty() { root.to_vec() } else { names::join(root, &below) };
                (list(files, &path, into_links).await, below, depth)
            });
        }
        let Some((listed, below, depth)) = listing.next().await else { break };
        let entries = match listed {
            Ok(entries) => entries,
            Err(error) => {
                tree.failed.push((below, error));
                continue;
            }
        };
        for (name, stat) in entries {
            let path = names::join(&below, &name);
            let stat = match stat {
                Ok(stat) => stat,
                Err(error) => {
                    tree.failed.push((path, error));
                    continue;
                }
            };
            match stat.kind {
                FileKind::Directory if depth >= DEEPEST => {
                    let kind = FileErrorKind::Failed("directories are nested too deep".to_owned());
                    tree.failed.push((path.clone(), FileError::new("list", path, kind)));
                }
                FileKind::Directory => {
                    waiting.push((path.clone(), depth + 1));
                    tree.directories.push(Found { below: path, stat });
                }
                FileKind::File => tree.files.push(Found { below: path, stat }),
                // A link to a directory that is not followed.
                FileKind::Symlink => {}
                FileKind::Other => {
                    let kind = FileErrorKind::WrongKind("it is neither a file nor a directory");
                    tree.failed.push((path.clone(), FileError::new("read", path, kind)));
                }
            }
        }
    }
    tree.files.sort_unstable_by(|a, b| a.below.cmp(&b.below));
    tree.directories.sort_unstable_by(|a, b| a.below.cmp(&b.below));
    tree
}

type Listed = (Vec<u8>, Result<FileStat, FileError>);

async fn list(files: &dyn Files, dir: &[u8], into_links: bool) -> Result<Vec<Listed>, FileError> {
    let mut listed = Vec::new();
    for DirEntry { name, stat } in files.read_dir(dir).await? {
        let path = names::join(dir, &name);
        let stat = if !names::is_plain(&name) {
            Err(FileError::new("read", &path, FileErrorKind::Escapes))
        } else if stat.kind == FileKind::Symlink {
            match files.stat(&path).await {
                Ok(found) if found.kind == FileKind::Directory && !into_links => Ok(stat),
                other => other,
            }
        } else {
            Ok(stat)
        };
        listed.push((name, stat));
    }
    Ok(listed)
}
