//! Writing the directories and links of a tree.

use std::collections::HashMap;

use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::outcome::Direction;
use fabric_core::transport::{FileChanges, FileKind, FileStat};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::engine::{AT_ONCE, Engine};
use super::modes::OWN_DIRECTORY;
use super::walk::{Tree, TreeEntry};
use crate::paths;

/// How many links a link may lead through (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// A directory on the written side.
pub(super) struct Inside {
    /// Its entries before the transfer.
    pub(super) entries: HashMap<Vec<u8>, FileStat>,
    is_new: bool,
}

/// The result of copying links.
#[derive(Default)]
pub(super) struct Linked {
    pub(super) made: Vec<Vec<u8>>,
    pub(super) failed: Vec<(Vec<u8>, FileError)>,
    /// Those that lead out of the tree.
    pub(super) refused: Vec<Vec<u8>>,
}

fn depth(dir: &TreeEntry) -> usize {
    if dir.below.is_empty() { 0 } else { dir.below.split(|b| *b == b'/').count() }
}

/// Directories by depth, the deepest last.
fn levels(directories: &[TreeEntry]) -> Vec<Vec<&TreeEntry>> {
    let mut levels: Vec<Vec<&TreeEntry>> = Vec::new();
    for dir in directories {
        let depth = depth(dir);
        levels.resize_with(levels.len().max(depth + 1), Vec::new);
        levels[depth].push(dir);
    }
    levels
}

impl Engine {
    /// Creates the directories of a tree, and returns their entries.
    pub(super) async fn make_tree(
        &self,
        root: &[u8],
        directories: &[TreeEntry],
    ) -> Result<HashMap<Vec<u8>, Inside>, FileError> {
        let mut inside = HashMap::new();
        for level in levels(directories) {
            let made = level.into_iter().map(|dir| async move {
                Ok::<_, FileError>((
                    dir.below.clone(),
                    self.make_dir(&paths::below(root, &dir.below), &dir.stat).await?,
                ))
            });
            let made: Vec<_> = stream::iter(made.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).try_collect().await?;
            inside.extend(made);
        }
        Ok(inside)
    }

    async fn make_dir(&self, path: &[u8], source: &FileStat) -> Result<Inside, FileError> {
        let target = self.target();
        let mode = self.made_with(source).map(|mode| mode | OWN_DIRECTORY);
        let Err(error) = target.create_dir(path, mode).await else {
            return Ok(Inside { entries: HashMap::new(), is_new: true });
        };
        // Hosts of SFTP version 3 don't say why it failed.
        match target.stat(path).await {
            Ok(stat) if stat.kind == FileKind::Directory => {
                if let Some(mode) = stat.mode.filter(|mode| mode & OWN_DIRECTORY != OWN_DIRECTORY)
                    && self.options.mirror_mode == Some(true)
                {
                    // Its own mode is set when its content is complete.
                    let changes = FileChanges::default().mode(mode | OWN_DIRECTORY);
                    target.set_stat(path, &changes).await?;
                }
                let entries = target.read_dir(path).await?;
                let entries = entries.into_iter().map(|entry| (entry.name, entry.stat)).collect();
                Ok(Inside { entries, is_new: false })
            }
            Ok(_) => Err(FileError::new("make directory", path, FileErrorKind::WrongKind("a file is in its place"))),
            Err(_) => Err(error),
        }
    }

    /// Sets the modes and times of directories; the deepest first, so that none is changed before its content is complete.
    pub(super) async fn finish_tree(
        &self,
        root: &[u8],
        directories: &[TreeEntry],
        inside: &HashMap<Vec<u8>, Inside>,
    ) -> Result<(), FileError> {
        for level in levels(directories).into_iter().rev() {
            let finish = level.into_iter().map(|dir| self.finish_dir(paths::below(root, &dir.below), dir, inside));
            let finish = stream::iter(finish.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
            finish.try_collect::<Vec<()>>().await?;
        }
        Ok(())
    }

    async fn finish_dir(
        &self,
        path: Vec<u8>,
        dir: &TreeEntry,
        inside: &HashMap<Vec<u8>, Inside>,
    ) -> Result<(), FileError> {
        let changes = self.changes(&dir.stat, None);
        if changes.mode.is_none()
            && inside.get(&dir.below).is_some_and(|inside| inside.is_new)
            && let Some(mode) = self.made_with(&dir.stat).filter(|mode| mode & OWN_DIRECTORY != OWN_DIRECTORY)
        {
            self.narrow(&path, mode).await?;
        }
        if changes == FileChanges::default() {
            return Ok(());
        }
        self.target().set_stat(&path, &changes).await
    }

    /// Creates the links of the tree at `from`.
    pub(super) async fn make_links(&self, from: &[u8], to: &[u8], tree: &Tree) -> Linked {
        let mut linked = Linked::default();
        if tree.links.is_empty() {
            return linked;
        }
        let mut starts = vec![paths::trimmed(from).to_vec()];
        if self.direction == Direction::Get && tree.links.iter().any(|link| link.to.starts_with(b"/")) {
            starts.extend(self.remote.canonicalize(from).await);
        }
        let within = Within { links: tree.links.iter().map(|link| (&link.below[..], &link.to[..])).collect(), starts };
        let mut wanted = Vec::new();
        for link in &tree.links {
            let text = match self.direction {
                // Our own tree's links may lead anywhere.
                Direction::Put => Some(link.to.clone()),
                Direction::Get => within.text(&link.below, &link.to),
            };
            match text {
                Some(text) => wanted.push((paths::join(to, &link.below), text)),
                None => linked.refused.push(paths::join(from, &link.below)),
            }
        }
        let links = wanted.into_iter().map(|(path, text)| async move {
            let made = self.make_link(&path, &text).await;
            (path, made)
        });
        let made: Vec<_> = stream::iter(links.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await;
        for (path, made) in made {
            match made {
                Ok(()) => linked.made.push(path),
                Err(error) => linked.failed.push((path, error)),
            }
        }
        linked
    }

    async fn make_link(&self, path: &[u8], text: &[u8]) -> Result<(), FileError> {
        let target = self.target();
        let Err(error) = target.symlink(text, path).await else { return Ok(()) };
        let Ok(there) = target.lstat(path).await else { return Err(error) };
        match there.kind {
            FileKind::Symlink if target.read_link(path).await? == text => return Ok(()),
            FileKind::Directory => {
                let kind = FileErrorKind::WrongKind("a directory is in its place");
                return Err(FileError::new("link", path, kind));
            }
            _ => {}
        }
        let part = self.fresh_part(path);
        let unfinished = super::unfinished::Unfinished::new(self, &part);
        let made = async {
            target.symlink(text, &part.path).await?;
            target.rename(&part.path, path).await
        };
        let made = made.await;
        unfinished.settle(made.is_ok(), true).await;
        made
    }
}

/// Checks which links of a host's tree lead inside it.
struct Within<'a> {
    links: HashMap<&'a [u8], &'a [u8]>,
    /// The tree's absolute path, as requested and with links resolved.
    starts: Vec<Vec<u8>>,
}

impl Within<'_> {
    /// The text of the link on this machine; `None` if it leads out of the tree.
    fn text(&self, below: &[u8], to: &[u8]) -> Option<Vec<u8>> {
        self.resolve(below)?;
        if !to.starts_with(b"/") {
            return Some(to.to_vec());
        }
        let up = below.split(|b| *b == b'/').count() - 1;
        let rest = self.below_start(to)?;
        let text = [&b"../".repeat(up)[..], rest].concat();
        Some(if text.is_empty() { b".".to_vec() } else { text })
    }

    /// An absolute path from the start of the tree on.
    fn below_start<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        self.starts.iter().find_map(|start| {
            let rest = path.strip_prefix(&start[..])?;
            if rest.is_empty() || start.ends_with(b"/") { Some(rest) } else { rest.strip_prefix(b"/") }
        })
    }

    /// Follows the link, also through other links of the tree, as the kernel does; `None` if it leads out.
    fn resolve(&self, below: &[u8]) -> Option<()> {
        let parts = |path: &[u8]| path.split(|b| *b == b'/').rev().map(<[u8]>::to_vec).collect::<Vec<_>>();
        let mut at: Vec<Vec<u8>> = Vec::new();
        // The remaining components, in reverse, with the link itself first.
        let mut rest = parts(below);
        let mut links = 0;
        while let Some(part) = rest.pop() {
            match &part[..] {
                b"" | b"." => continue,
                b".." => {
                    at.pop()?;
                    continue;
                }
                _ => at.push(part),
            }
            let Some(to) = self.links.get(&at.join(&b'/')[..]) else { continue };
            links += 1;
            if links > MOST_LINKS {
                return None;
            }
            at.pop();
            if to.starts_with(b"/") {
                at.clear();
                rest.extend(parts(self.below_start(to)?));
            } else {
                rest.extend(parts(to));
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_only_if_it_leads_into_the_tree() {
        let links: [(&[u8], &[u8]); 14] = [
            (b"a", b"sub/x"),
            (b"b", b"./sub/../sub"),
            (b"sub/up", b".."),
            (b"sub/out", b"../.."),
            (b"abs", b"/srv/app/sub/x"),
            (b"sub/abs", b"/srv/app"),
            (b"etc", b"/etc"),
            (b"near", b"/srv/app2/x"),
            // By the names alone this stays inside.
            (b"deep", b"sub/up/../x"),
            (b"real", b"/data/app/x"),
            (b"through", b"etc/passwd"),
            (b"round", b"trip"),
            (b"trip", b"round"),
            (b"dangling", b"sub/none"),
        ];
        let within =
            Within { links: links.into_iter().collect(), starts: vec![b"/srv/app".to_vec(), b"/data/app".to_vec()] };
        let text = |below: &str| {
            let below = below.as_bytes();
            within.text(below, within.links[below]).map(|text| String::from_utf8(text).unwrap())
        };
        for (below, expected) in [
            ("a", Some("sub/x")),
            ("b", Some("./sub/../sub")),
            ("sub/up", Some("..")),
            ("sub/out", None),
            ("abs", Some("sub/x")),
            ("sub/abs", Some("../")),
            ("etc", None),
            ("near", None),
            ("deep", None),
            ("real", Some("x")),
            ("through", None),
            ("round", None),
            ("trip", None),
            ("dangling", Some("sub/none")),
        ] {
            assert_eq!(text(below).as_deref(), expected, "{below}");
        }
    }
}
