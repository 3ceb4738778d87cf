//! How often each call has been made in one place.

use std::collections::HashMap;

use parking_lot::Mutex;

/// How often each call was made in one place: on the command line, or in the run of a task on one host.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<String, usize>>);

impl Turns {
    /// How often this call has been made, this time included.
    pub(crate) fn next(&self, call: &str) -> usize {
        let mut turns = self.0.lock();
        let turn = turns.entry(call.to_owned()).or_default();
        *turn += 1;
        *turn
    }
}

/// In which execution another one is made.
#[derive(Clone, Copy)]
pub(crate) struct In<'a> {
    /// Its key; `None` if it is made again whatever came of it.
    pub(crate) key: Option<&'a str>,
    /// On which of its hosts.
    pub(crate) host: Option<&'a str>,
}
