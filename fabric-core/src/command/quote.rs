//! Words and directories for a Bourne shell.

use std::borrow::Cow;

use super::error::CommandError;

/// Whether a shell takes this as the name of a variable.
pub fn is_env_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// One word for a Bourne shell, whatever the bytes.
///
/// # Errors
///
/// [`CommandError::Nul`] for a zero byte, which no argument can hold.
///
/// ```
/// use fabric_core::command::quote;
/// assert_eq!(*quote(b"my file")?, *b"'my file'");
/// assert_eq!(*quote(b"plain")?, *b"plain");
/// # Ok::<(), fabric_core::CommandError>(())
/// ```
pub fn quote(bytes: &[u8]) -> Result<Cow<'_, [u8]>, CommandError> {
    shlex::bytes::try_quote(bytes).map_err(|_| CommandError::Nul)
}

/// Joins directories as `cd` after `cd` would: an absolute path, or one with `~`, starts over.
///
/// ```
/// let mut dir = b"/srv".to_vec();
/// fabric_core::command::join_dir(&mut dir, b"app");
/// assert_eq!(dir, b"/srv/app");
/// fabric_core::command::join_dir(&mut dir, b"~/other");
/// assert_eq!(dir, b"~/other");
/// ```
pub fn join_dir(dir: &mut Vec<u8>, next: &[u8]) {
    if next.is_empty() {
        return;
    }
    if dir.is_empty() || next.starts_with(b"/") || next.starts_with(b"~") {
        dir.clear();
    } else if !dir.ends_with(b"/") {
        dir.push(b'/');
    }
    dir.extend_from_slice(next);
}

/// A directory for `cd`: a leading `~` or `~user` stays open to the shell, the rest is quoted.
pub(super) fn quote_dir(dir: &[u8]) -> Result<Vec<u8>, CommandError> {
    if dir.starts_with(b"~") {
        let end = dir.iter().position(|b| *b == b'/').unwrap_or(dir.len());
        let (home, rest) = dir.split_at(end);
        if home[1..].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
            let mut out = home.to_vec();
            if let [slash, rest @ ..] = rest {
                out.push(*slash);
                if !rest.is_empty() {
                    out.extend_from_slice(&quote(rest)?);
                }
            }
            return Ok(out);
        }
    }
    // Neither an option of `cd`, nor looked up in CDPATH (which would print the directory).
    if dir.starts_with(b"/") || dir.starts_with(b".") {
        return Ok(quote(dir)?.into_owned());
    }
    Ok(quote(&[b"./", dir].concat())?.into_owned())
}
