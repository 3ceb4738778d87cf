//! Resolving links in local paths.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::local;

/// How many dangling links are followed, as in Linux (`ELOOP`, path_resolution(7)).
const LINKS: usize = 40;

/// Resolves the links in local paths, as far as they exist: equal results are the same file. Directories are cached.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    dirs: HashMap<PathBuf, PathBuf>,
}

impl Resolved {
    /// The path of a file or directory, which may be a link itself, as writing follows links.
    pub(super) fn place(&mut self, path: &[u8]) -> Vec<u8> {
        local::bytes(&self.of(&local::path(path), LINKS))
    }

    /// The path of an entry of a directory; only the directory is resolved.
    pub(super) fn below(&mut self, path: &[u8]) -> Vec<u8> {
        let path = local::path(path);
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => local::bytes(&self.dir(parent, LINKS).join(name)),
            _ => self.place(&local::bytes(&path)),
        }
    }

    fn dir(&mut self, dir: &Path, links: usize) -> PathBuf {
        if let Some(known) = self.dirs.get(dir) {
            return known.clone();
        }
        let resolved = self.of(dir, links);
        self.dirs.insert(dir.to_owned(), resolved.clone());
        resolved
    }

    fn of(&mut self, path: &Path, links: usize) -> PathBuf {
        if let Ok(full) = fs::canonicalize(path) {
            return full;
        }
        let Some(parent) = path.parent() else { return path.to_owned() };
        if links == 0 {
            return path.to_owned();
        }
        if let Ok(to) = fs::read_link(path) {
            // Its target may be created later.
            return self.of(&parent.join(to), links - 1);
        }
        let mut place = self.dir(parent, links);
        match path.components().next_back() {
            Some(Component::Normal(name)) => place.push(name),
            Some(Component::ParentDir) => drop(place.pop()),
            _ => {}
        }
        // After `new/..` there may be links again.
        if place == path { place } else { self.of(&place, links - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn paths_that_lead_to_one_place_are_equal() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("real/deep")).unwrap();
        fs::write(root.join("real/file"), "").unwrap();
        symlink("real", root.join("link")).unwrap();
        symlink("real/file", root.join("to-file")).unwrap();
        symlink("link/nothing-yet", root.join("dangling")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let place = |path: &str| {
            let place = Resolved::default().place(&local::bytes(&root.join(path)));
            local::path(&place).strip_prefix(&root).unwrap().to_owned()
        };
        for (path, expected) in [
            ("link/x", "real/x"),
            ("link/new/x", "real/new/x"),
            ("new/../link/deep/x", "real/deep/x"),
            ("link/deep/../x", "real/x"),
            ("to-file", "real/file"),
            ("dangling", "real/nothing-yet"),
            ("loop", "loop"),
            ("loop/x", "loop/x"),
        ] {
            assert_eq!(place(path), Path::new(expected), "{path}");
        }
    }
}
