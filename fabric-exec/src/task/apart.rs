//! What keeps the files apart that several hosts send to one place on this machine.

use std::collections::HashMap;
use std::sync::Arc;

use fabric_transport::transfer::Destinations;
use parking_lot::Mutex;

use crate::hostlist::Listed;

/// What keeps the files apart that the hosts of one execution send.
pub(crate) struct Apart {
    pub(super) destinations: Arc<Destinations>,
    /// The hosts that are at work at the same time, where files are moved.
    pub(super) at_once: Vec<Listed>,
    /// What was found about a step: the text of an error.
    pub(super) found: Mutex<HashMap<String, Option<String>>>,
}

impl Apart {
    /// Of an execution on `hosts`; `at_once` are those of them that send files at the same time.
    pub(crate) fn new(hosts: &[Listed], parallel: bool, at_once: Vec<Listed>, parent: Option<&Self>) -> Self {
        // A single host is one of those for which its task is executed.
        let outer = parent.filter(|_| hosts.len() < 2).map(|parent| parent.destinations.clone());
        let own = || Arc::new(if parallel { Destinations::at_once() } else { Destinations::in_turn() });
        Self { destinations: outer.unwrap_or_else(own), at_once, found: Mutex::default() }
    }
}
