//! The home directory in paths.

use std::path::{Path, PathBuf};

/// A path in which a leading `~` or `~/` is this home directory. Without one, and behind `~user`, the path stays as it is.
///
/// ```
/// use std::path::Path;
/// use fabric_core::home::expand;
/// assert_eq!(expand(Path::new("~/x"), Some(Path::new("/home/me"))), Path::new("/home/me/x"));
/// assert_eq!(expand(Path::new("~you/x"), Some(Path::new("/home/me"))), Path::new("~you/x"));
/// ```
pub fn expand(path: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) if rest.as_os_str().is_empty() => home.to_owned(),
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}
