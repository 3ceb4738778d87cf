//! The files and directories that a source path or pattern names.

use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::transport::{FileKind, FileStat, Files};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::glob;
use super::options::TransferOptions;
use super::walk::{Tree, walk};
use crate::paths;

/// How many matches of a pattern are examined at once.
const AT_ONCE: usize = 32;

/// A file or directory that was named or matched.
pub(super) struct Root {
    pub(super) path: Vec<u8>,
    /// Its name, a single component; empty for `/`.
    pub(super) name: Vec<u8>,
    pub(super) stat: FileStat,
    /// Its content, if it is a directory.
    pub(super) tree: Option<Tree>,
}

impl Root {
    /// How many bytes it has, if all sizes are known.
    pub(super) fn size(&self) -> Option<u64> {
        match &self.tree {
            Some(tree) => tree.files.iter().map(|file| file.stat.size).sum(),
            None => self.stat.size,
        }
    }
}

/// The file or directory at `path`, or if there is none the matches of the pattern.
pub(super) async fn find(files: &dyn Files, path: &[u8], options: &TransferOptions) -> Result<Vec<Root>, FileError> {
    let paths = match files.stat(path).await {
        Ok(_) => vec![path.to_vec()],
        Err(FileError { kind: FileErrorKind::NotFound | FileErrorKind::WrongKind(_), .. })
            if options.glob && glob::is_pattern(path) =>
        {
            glob::expand(files, path).await?
        }
        Err(error) => return Err(error),
    };
    if paths.is_empty() {
        return Err(FileError::new("match", path, FileErrorKind::NotFound));
    }
    stream::iter(paths).map(|path| root(files, path, options)).buffered(AT_ONCE).try_collect().await
}

async fn root(files: &dyn Files, path: Vec<u8>, options: &TransferOptions) -> Result<Root, FileError> {
    let stat = files.stat(&path).await?;
    let tree = match stat.kind {
        FileKind::Directory => Some(walk(files, &path, stat.clone(), options.links).await),
        // Not every host reports the kind of a file.
        FileKind::File | FileKind::Unknown => None,
        // Reading a device or a pipe may never end.
        FileKind::Symlink | FileKind::Other => {
            let kind = FileErrorKind::WrongKind("it is neither a file nor a directory");
            return Err(FileError::new("read", &path, kind));
        }
    };
    let mut name = paths::base(&path).to_vec();
    if name.is_empty() {
        name = paths::base(&files.canonicalize(&path).await?).to_vec();
    }
    if name.is_empty() && tree.is_none() {
        return Err(FileError::new("read", &path, FileErrorKind::Escapes));
    }
    Ok(Root { path, name, stat, tree })
}
