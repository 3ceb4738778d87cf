//! Where several hosts put what they send on this machine.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use fabric_core::{Error, Target};
use parking_lot::Mutex;

use super::resolved::Resolved;
use super::template::{File, Template, Values};
use super::{glob, local, names};
use crate::connection::Connection;

/// The local files and directories that the hosts of one execution have got, so that none gets over what another one has.
///
/// A program that gets files from many hosts at once gives all their connections one
/// ([`Connection::with_destinations`]).
#[derive(Debug)]
pub struct Destinations {
    /// Which host has what.
    taken: Mutex<HashMap<Vec<u8>, String>>,
    refuse: bool,
    warned: AtomicBool,
}

impl Destinations {
    /// For hosts at the same time: what a host has got is refused to all others.
    pub fn at_once() -> Self {
        Self::new(true)
    }

    /// For hosts one after the other: what a host has got may have been used by then, so that others get over it, with
    /// one warning.
    pub fn in_turn() -> Self {
        Self::new(false)
    }

    fn new(refuse: bool) -> Self {
        Self { taken: Mutex::default(), refuse, warned: AtomicBool::new(false) }
    }

    /// Whether a place is refused that another host has.
    pub fn refuses(&self) -> bool {
        self.refuse
    }
}

/// Where a file or a tree goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: Vec<u8>,
    /// The directory that it goes into only because it is there: a tree of another host, perhaps.
    pub(super) into: Option<Vec<u8>>,
}

impl Connection {
    /// Takes local places for this host.
    pub(super) fn claim<'a>(&self, places: impl IntoIterator<Item = &'a Place>) -> Result<(), Error> {
        let Some(destinations) = self.destinations() else { return Ok(()) };
        let mut taken = destinations.taken.lock();
        // Links may have changed since the last time.
        let mut resolved = Resolved::default();
        for Place { path, into } in places {
            let other = match taken.entry(resolved.place(path)) {
                Entry::Vacant(entry) => {
                    entry.insert(self.host_string().to_owned());
                    None
                }
                Entry::Occupied(entry) if entry.get() == self.host_string() => None,
                Entry::Occupied(mut entry) => Some(entry.insert(self.host_string().to_owned())),
            };
            let another = |host: &&String| *host != self.host_string();
            let (path, other) = match (other, into) {
                (Some(other), _) => (path, other),
                (None, Some(into)) => match taken.get(&resolved.place(into)).filter(another) {
                    Some(other) => (into, other.clone()),
                    None => continue,
                },
                (None, None) => continue,
            };
            let (host, shown) = (self.host_string(), names::text(path));
            if destinations.refuse {
                return Err(Error::Usage(format!("{host}: {shown} has what {other} sent: {APART}")));
            }
            // What a later step has moved away is safe.
            if std::fs::symlink_metadata(local::path(path)).is_ok()
                && !destinations.warned.swap(true, Ordering::Relaxed)
            {
                self.emitter().warn(format!("{shown} gets over what {other} sent: {APART}"));
            }
        }
        Ok(())
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
    let template = if to.as_os_str().is_empty() { super::get::DEFAULT } else { &local::bytes(to) };
    let template = Template::parse(template)?;
    let name = names::base(remote.as_bytes());
    let expanded = template.expand(&Values::of(target), &File { absolute: remote.as_bytes(), path: name });
    let path = names::local(lcwd, &local::path(&expanded));
    let meta = std::fs::metadata(&path);
    if super::streams::is_name_of_stream(&local::bytes(&path))
        || meta.as_ref().is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
    {
        return Ok(None);
    }
    let into = expanded.ends_with(b"/") || (!template.keeps_trees() && meta.is_ok_and(|meta| meta.is_dir()));
    let mut key = names::trimmed(&local::bytes(&path)).to_vec();
    if into {
        key = names::join(&key, name);
    }
    key = Resolved::default().place(&key);
    if glob::is_pattern(remote.as_bytes()) {
        // Which names match isn't known: only the same pattern is taken to match the same ones.
        key = [&key[..], b"\0", remote.as_bytes()].concat();
    }
    Ok(Some(key))
}
