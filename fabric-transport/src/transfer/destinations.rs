//! Where things go on this machine, and what several hosts put there.

use std::path::Path;

use fabric_core::{Error, Target};

use super::resolved::Resolved;
use super::template::{DEFAULT, File, Template, Values};
use super::{glob, local};
use crate::connection::Connection;
use crate::connection::destinations::{Claim, Which};
use crate::paths;

/// Where a file or a tree goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LocalPlace {
    pub(super) path: Vec<u8>,
    /// The directory that it goes into only because it is there: a tree of another host, perhaps.
    pub(super) into: Option<Vec<u8>>,
}

impl Connection {
    /// Takes local places for this host.
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
            // What a later step has moved away is safe.
            if std::fs::symlink_metadata(local::path(path)).is_ok() && destinations.is_first_warning() {
                self.emitter().warn(format!("{shown} gets over what {other} sent: {APART}"));
            }
            Ok(())
        })
    }
}

/// What keeps hosts apart.
pub const APART: &str = "`{host}` or `{host}-{port}` in the local path keeps hosts apart";

/// Where a [`get`](Connection::get) of `remote` puts things on this machine, as far as that is known without asking
/// the host, links resolved: two that are equal get over each other. `None` where what is there takes any number, as `/dev/null` does.
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
        // Which names match isn't known: only the same pattern is taken to match the same ones.
        key = [&key[..], b"\0", remote.as_bytes()].concat();
    }
    Ok(Some(key))
}
