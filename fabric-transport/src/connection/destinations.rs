//! Which host has which place on this machine, where several hosts send something.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// The local files and directories that the hosts of one execution have got, so that none gets over what another one has.
///
/// A program that gets files from many hosts at once gives all their connections one
/// ([`Connection::with_destinations`](super::Connection::with_destinations)).
#[derive(Debug)]
pub struct Destinations {
    /// Which host has what.
    hosts: Mutex<HashMap<Vec<u8>, String>>,
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
        Self { hosts: Mutex::default(), refuse, warned: AtomicBool::new(false) }
    }

    /// Whether a place is refused that another host has.
    pub fn refuses(&self) -> bool {
        self.refuse
    }

    /// Whether this is the first warning of a run.
    pub(crate) fn is_first_warning(&self) -> bool {
        !self.warned.swap(true, Ordering::Relaxed)
    }

    /// Takes places for `host`, all at once. `taken` is called for each that another host had; its error ends it.
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

/// A place that a host asks for, links resolved.
pub(crate) struct Claim<T> {
    pub(crate) place: Vec<u8>,
    /// The directory that it goes into only because it is there.
    pub(crate) into: Option<Vec<u8>>,
    /// What it is for.
    pub(crate) of: T,
}

/// Which path of a [`Claim`] another host has.
pub(crate) enum Which {
    Place,
    Into,
}
