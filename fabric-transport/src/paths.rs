//! Paths and names on both sides, as bytes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use fabric_core::command::join_dir;
use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::transport::Files;

/// Whether a name from a host is one path component other than `.` and `..`, so that it can't lead elsewhere.
pub(crate) fn is_plain(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.iter().any(|b| matches!(b, b'/' | 0))
}

/// `dir/name`.
pub(crate) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = dir.to_vec();
    if !path.is_empty() && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// `dir/below`; the directory itself where that is empty.
pub(crate) fn below(dir: &[u8], below: &[u8]) -> Vec<u8> {
    if below.is_empty() { dir.to_vec() } else { join(dir, below) }
}

/// The directory and the name in it; the directory is empty for what is at the top.
pub(crate) fn split(below: &[u8]) -> (&[u8], &[u8]) {
    match below.iter().rposition(|b| *b == b'/') {
        Some(at) => (&below[..at], &below[at + 1..]),
        None => (b"", below),
    }
}

/// The last part of a path; empty for `/` and for a path that ends in `.` or `..`.
pub(crate) fn base(path: &[u8]) -> &[u8] {
    let last = trimmed(path).rsplit(|b| *b == b'/').next().unwrap_or_default();
    if is_plain(last) { last } else { b"" }
}

/// What is above the last part.
pub(crate) fn parent(path: &[u8]) -> &[u8] {
    let path = trimmed(path);
    match path.iter().rposition(|b| *b == b'/') {
        Some(0) => b"/",
        Some(at) => &path[..at],
        None => b".",
    }
}

/// Without the slashes at its end.
pub(crate) fn trimmed(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|b| *b != b'/').map_or(path.len().min(1), |at| at + 1);
    &path[..end]
}

pub(crate) fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// The absolute form of a path on a host. Relative paths start in `cwd`, which starts in the login directory; `~` is the
/// login directory.
pub(crate) async fn remote(files: &dyn Files, cwd: &str, path: &[u8]) -> Result<Vec<u8>, FileError> {
    let mut full = cwd.as_bytes().to_vec();
    join_dir(&mut full, path);
    if full.starts_with(b"/") {
        return Ok(full);
    }
    let home = files.canonicalize(b".").await?;
    if !home.starts_with(b"/") {
        return Err(FileError::new("resolve", ".", FileErrorKind::Protocol("it is not an absolute path".to_owned())));
    }
    Ok(match full.as_slice() {
        b"" | b"~" => home,
        [b'~', b'/', rest @ ..] => join(&home, rest),
        relative => join(&home, relative),
    })
}

/// The absolute form of a local path. Relative paths start in `lcwd`, which starts in the working directory of this
/// program; `~` is the home directory.
pub fn local(lcwd: &str, path: &Path) -> PathBuf {
    let mut full = lcwd.as_bytes().to_vec();
    join_dir(&mut full, path.as_os_str().as_bytes());
    let full = fabric_core::home::expand(Path::new(OsStr::from_bytes(&full)), std::env::home_dir().as_deref());
    // Fails for an empty path only, which is the directory itself.
    std::path::absolute(&full).unwrap_or_else(|_| std::env::current_dir().unwrap_or(full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_paths() {
        for (path, above, last) in [
            ("/a/b", "/a", "b"),
            ("/a/b/", "/a", "b"),
            ("/a", "/", "a"),
            ("/", ".", ""),
            ("a", ".", "a"),
            ("a/..", "a", ""),
            (".", ".", ""),
        ] {
            assert_eq!(base(path.as_bytes()), last.as_bytes(), "{path}");
            if !last.is_empty() {
                assert_eq!(parent(path.as_bytes()), above.as_bytes(), "{path}");
            }
        }
    }

    #[test]
    fn only_one_plain_name_is_plain() {
        for bad in [&b""[..], b".", b"..", b"a/b", b"/etc", b"../x", b"a\0b"] {
            assert!(!is_plain(bad));
        }
        for good in [&b"a"[..], b"...", b"a b", b"-rf", b"\xff", b"a\nb", b".x"] {
            assert!(is_plain(good));
        }
    }
}
