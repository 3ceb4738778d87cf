//! Files of several hosts that would go to one place on this machine.

use std::collections::HashMap;
use std::path::Path;

use fabric_transport::transfer::{APART, destination};

use super::context::Context;
use super::error::TaskError;
use crate::hostlist::Listed;

impl Context {
    /// Fails where the step `at` gets files of several hosts into one place, before any of them is got. `paths` says what
    /// it gets and whereto, on a host.
    ///
    /// What only a host knows is found when its files have arrived ([`Destinations`]).
    pub(crate) fn keep_apart(
        &self,
        at: &str,
        paths: impl Fn(&Self) -> Result<(String, String), TaskError>,
    ) -> Result<(), TaskError> {
        let apart = self.apart();
        if apart.at_once.len() < 2 {
            return Ok(());
        }
        // The hosts wait for the one that finds out.
        let mut found = apart.found.lock();
        let found = found.entry(at.to_owned()).or_insert_with(|| self.collision(&apart.at_once, &paths));
        found.clone().map_or(Ok(()), |text| Err(TaskError::Abort(text)))
    }

    fn collision(
        &self,
        hosts: &[Listed],
        paths: &impl Fn(&Self) -> Result<(String, String), TaskError>,
    ) -> Option<String> {
        let mut taken: HashMap<Vec<u8>, &str> = HashMap::new();
        for listed in hosts {
            let context = self.of(listed);
            let place = || -> Result<_, TaskError> {
                let (from, to) = paths(&context)?;
                let lcwd = &context.settings()?.lcwd;
                Ok((to.clone(), destination(&*context.target()?, lcwd, &from, Path::new(&to))?))
            };
            // Its own run says what is wrong with it.
            let Ok((to, Some(place))) = place() else { continue };
            if let Some(other) = taken.insert(place, listed.host.as_str()) {
                let to = if to.is_empty() { "{host}/{path}" } else { &to };
                let host = listed.host.as_str();
                return Some(format!("get: what {other} and {host} send would both go to {to}: {APART}"));
            }
        }
        None
    }
}
