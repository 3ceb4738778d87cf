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

/// A directory that is still to be listed.
struct Waiting {
    below: Vec<u8>,
    depth: usize,
    /// Where it really is, and all that it is in; kept only where links are followed.
    real: Vec<Vec<u8>>,
}

/// Lists what is below `root`. Links to files are files; links to directories are followed only where
/// `into_links` says so, which nobody should say of a host: they may lead anywhere.
pub(super) async fn walk(files: &dyn Files, root: &[u8], into_links: bool) -> Tree {
    let mut tree = Tree::default();
    let real = if into_links { files.canonicalize(root).await.ok().into_iter().collect() } else { Vec::new() };
    let mut waiting = vec![Waiting { below: Vec::new(), depth: 0, real }];
    let mut listing = FuturesUnordered::new();
    loop {
        while listing.len() < AT_ONCE
            && let Some(dir) = waiting.pop()
        {
            listing.push(async move {
                let path = if dir.below.is_empty() { root.to_vec() } else { names::join(root, &dir.below) };
                (list(files, &path, into_links.then_some(&dir.real)).await, dir)
            });
        }
        let Some((listed, dir)) = listing.next().await else { break };
        let entries = match listed {
            Ok(entries) => entries,
            Err(error) => {
                tree.failed.push((dir.below, error));
                continue;
            }
        };
        for Listed { name, stat, real } in entries {
            let below = names::join(&dir.below, &name);
            let stat = match stat {
                Ok(stat) => stat,
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
                    let real = dir.real.iter().cloned().chain(real).collect();
                    waiting.push(Waiting { below: below.clone(), depth: dir.depth + 1, real });
                    tree.directories.push(Found { below, stat });
                }
                FileKind::File => tree.files.push(Found { below, stat }),
                // A link to a directory that is not followed.
                FileKind::Symlink => {}
                FileKind::Other => {
                    let kind = FileErrorKind::WrongKind("it is neither a file nor a directory");
                    tree.failed.push((below.clone(), FileError::new("read", below, kind)));
                }
            }
        }
    }
    tree.files.sort_unstable_by(|a, b| a.below.cmp(&b.below));
    tree.directories.sort_unstable_by(|a, b| a.below.cmp(&b.below));
    tree
}

struct Listed {
    name: Vec<u8>,
    stat: Result<FileStat, FileError>,
    /// Where a directory really is, where that matters.
    real: Option<Vec<u8>>,
}

/// The entries of `dir`. With `above`, links to directories are followed, but not back into one of those.
async fn list(files: &dyn Files, dir: &[u8], above: Option<&Vec<Vec<u8>>>) -> Result<Vec<Listed>, FileError> {
    let mut listed = Vec::new();
    for DirEntry { name, stat } in files.read_dir(dir).await? {
        let path = names::join(dir, &name);
        let mut real = None;
        let stat = if !names::is_plain(&name) {
            Err(FileError::new("read", &path, FileErrorKind::Escapes))
        } else if stat.kind == FileKind::Symlink {
            match (files.stat(&path).await, above) {
                (Ok(found), None) if found.kind == FileKind::Directory => Ok(stat),
                (Ok(found), Some(above)) if found.kind == FileKind::Directory => {
                    let leads_to = files.canonicalize(&path).await?;
                    if above.contains(&leads_to) {
                        let why = "the link leads back to a directory that it is in".to_owned();
                        Err(FileError::new("follow", &path, FileErrorKind::Failed(why)))
                    } else {
                        real = Some(leads_to);
                        Ok(found)
                    }
                }
                (other, _) => other,
            }
        } else {
            if let Some(dir) = above.and_then(|above| above.last()) {
                real = (stat.kind == FileKind::Directory).then(|| names::join(dir, &name));
            }
            Ok(stat)
        };
        listed.push(Listed { name, stat, real });
    }
    Ok(listed)
}
