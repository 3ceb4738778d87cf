//! Local destinations, and conflicts between hosts.

use std::path::Path;

use fabric_core::{Error, Target};

use super::resolved::Resolved;
use super::template::{DEFAULT, File, Template, Values};
use super::{glob, local};
use crate::connection::Connection;
use crate::connection::destinations::{Claim, Which};
use crate::paths;

/// The destination of a file or a tree.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LocalPlace {
    pub(super) path: Vec<u8>,
    /// The directory that it goes into because it exists: it may be the tree of another host.
    pub(super) into: Option<Vec<u8>>,
}

impl Connection {
    /// Takes local destinations for this host.
    pub(super) fn claim<'a>(&self, places: impl IntoIterator<Item = &'a LocalPlace>) -> Result<(), Error> {
        let Some(destinations) = self.destinations() else { return Ok(()) };
        // Links may have changed since the last time.
        let mut resolved = Resolved::default();
        let claims = places.into_iter().map(|place| Claim {
            place: resolved.place(&place.path),
            into: place.into.as_ref().map(|into| resolved.place(into)),
            of: place,
        });
        let host = self.host_string();
        destinations.claim(host, claims, |place, which, other| {
            let path = match which {
                Which::Place => &place.path,
                Which::Into => place.into.as_ref().unwrap_or(&place.path),
            };
            let shown = paths::text(path);
            if destinations.refuses() {
                return Err(Error::Usage(format!("{host}: {shown} has what {other} sent: {APART}")));
            }
            // A file that a later step has moved away is safe.
            if std::fs::symlink_metadata(local::path(path)).is_ok() && destinations.is_first_warning() {
                self.emitter().warn(format!("{shown} gets over what {other} sent: {APART}"));
            }
            Ok(())
        })
    }
}

/// How to avoid conflicts.
pub const APART: &str = "`{host}` or `{host}-{port}` in the local path keeps hosts apart";

/// The local destination of a [`get`](Connection::get) of `remote`, links resolved, as far as it is known without asking the
/// host: equal ones overwrite each other. `None` for one that accepts any number of files, such as `/dev/null`.
///
/// # Errors
///
/// An unknown placeholder.
pub fn destination(target: &Target, lcwd: &str, remote: &str, to: &Path) -> Result<Option<Vec<u8>>, Error> {
    let template = if to.as_os_str().is_empty() { DEFAULT } else { &local::bytes(to) };
    let template = Template::parse(template)?;
    let name = paths::base(remote.as_bytes());
    let expanded = template.expand(&Values::of(target), &File { absolute: remote.as_bytes(), path: name });
    let path = paths::local(lcwd, &local::path(&expanded));
    let meta = std::fs::metadata(&path);
    if super::streams::is_name_of_stream(&local::bytes(&path))
        || meta.as_ref().is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
    {
        return Ok(None);
    }
    let into = expanded.ends_with(b"/") || (!template.keeps_trees() && meta.is_ok_and(|meta| meta.is_dir()));
    let mut key = paths::trimmed(&local::bytes(&path)).to_vec();
    if into {
        key = paths::join(&key, name);
    }
    key = Resolved::default().place(&key);
    if glob::is_pattern(remote.as_bytes()) {
        // The matching names are unknown: only an equal pattern is assumed to match the same ones.
        key = [&key[..], b"\0", remote.as_bytes()].concat();
    }
    Ok(Some(key))
}
