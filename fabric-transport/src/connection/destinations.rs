//! The local paths that several hosts send files to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// The local files and directories that the hosts of one execution have written, so that no host overwrites another's.
///
/// A program that gets files from many hosts at once shares one among all their connections
/// ([`Connection::with_destinations`](super::Connection::with_destinations)).
#[derive(Debug)]
pub struct Destinations {
    /// The host that has each path.
    hosts: Mutex<HashMap<Vec<u8>, String>>,
    refuse: bool,
    warned: AtomicBool,
}

impl Destinations {
    /// For hosts that run at the same time: a path of one host is refused to all others.
    pub fn at_once() -> Self {
        Self::new(true)
    }

    /// For hosts that run one after another: a later one may overwrite files, which may have been used by then; there is
    /// one warning.
    pub fn in_turn() -> Self {
        Self::new(false)
    }

    fn new(refuse: bool) -> Self {
        Self { hosts: Mutex::default(), refuse, warned: AtomicBool::new(false) }
    }

    /// Whether another host's path is refused.
    pub fn refuses(&self) -> bool {
        self.refuse
    }

    /// Whether this is the first warning of a run.
    pub(crate) fn is_first_warning(&self) -> bool {
        !self.warned.swap(true, Ordering::Relaxed)
    }

    /// Takes paths for `host`, atomically. `taken` is called for each that another host has; its error ends the call.
    pub(crate) fn claim<T, E>(
        &self,
        host: &str,
        claims: impl IntoIterator<Item = Claim<T>>,
        taken: impl Fn(T, Which, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut hosts = self.hosts.lock();
        for Claim { place, into, of } in claims {
            let other = hosts.insert(place, host.to_owned()).filter(|other| other != host);
            if let Some(other) = other {
                taken(of, Which::Place, &other)?;
            } else if let Some(other) = into.and_then(|into| hosts.get(&into)).filter(|other| *other != host) {
                taken(of, Which::Into, other)?;
            }
        }
        Ok(())
    }
}

/// A path that a host wants to write, links resolved.
pub(crate) struct Claim<T> {
    pub(crate) place: Vec<u8>,
    /// The directory that it goes into because it exists.
    pub(crate) into: Option<Vec<u8>>,
    /// What it is for.
    pub(crate) of: T,
}

/// Which path of a [`Claim`] another host has.
pub(crate) enum Which {
    Place,
    Into,
}
