//! Patterns in paths: `*`, `?` and `[..]`, in any component.

use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::transport::{FileKind, Files};
use globset::GlobBuilder;

use crate::paths;

/// Whether a path contains a pattern.
pub(super) fn is_pattern(path: &[u8]) -> bool {
    path.iter().any(|b| matches!(b, b'*' | b'?' | b'['))
}

/// The matching paths, sorted. As in a shell, a name with a leading dot is matched only by a pattern with one.
pub(super) async fn expand(files: &dyn Files, pattern: &[u8]) -> Result<Vec<Vec<u8>>, FileError> {
    let start: &[u8] = if pattern.starts_with(b"/") { b"/" } else { b"" };
    let mut found = vec![start.to_vec()];
    let parts: Vec<&[u8]> = pattern.split(|b| *b == b'/').filter(|part| !part.is_empty()).collect();
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        let mut next = Vec::new();
        for dir in found {
            if is_pattern(part) {
                let here: &[u8] = if dir.is_empty() { b"." } else { &dir };
                next.extend(matches(files, here, part).await?.into_iter().map(|name| paths::join(&dir, &name)));
            } else {
                let path = paths::join(&dir, part);
                // Components before a pattern are looked up by the listing.
                if !last || files.lstat(&path).await.is_ok() {
                    next.push(path);
                }
            }
        }
        found = next;
    }
    Ok(found)
}

async fn matches(files: &dyn Files, dir: &[u8], pattern: &[u8]) -> Result<Vec<Vec<u8>>, FileError> {
    let wrong = |reason: String| FileError::new("match", pattern, FileErrorKind::Failed(reason));
    let text = std::str::from_utf8(pattern).map_err(|_| wrong("a pattern must be UTF-8".to_owned()))?;
    let matcher = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
    let matcher = matcher.map_err(|error| wrong(error.kind().to_string()))?.compile_matcher();
    let entries = match files.read_dir(dir).await {
        Ok(entries) => entries,
        // In `*/x`, what is no directory has no entries.
        Err(FileError { kind: FileErrorKind::NotFound | FileErrorKind::WrongKind(_), .. }) => return Ok(Vec::new()),
        Err(error) => match files.stat(dir).await {
            Ok(stat) if stat.kind != FileKind::Directory => return Ok(Vec::new()),
            _ => return Err(error),
        },
    };
    let hidden = pattern.starts_with(b".");
    let names = entries.into_iter().map(|entry| entry.name).filter(|name| {
        use std::os::unix::ffi::OsStrExt as _;
        (hidden || !name.starts_with(b"."))
            && paths::is_plain(name)
            && matcher.is_match(std::path::Path::new(std::ffi::OsStr::from_bytes(name)))
    });
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    Ok(names)
}
