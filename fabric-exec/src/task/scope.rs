//! What one execution of a task is to all of its hosts: what it was called with, and what is in force around it.

use std::sync::Arc;

use fabric_core::settings::Overlay;
use fabric_core::{Emitter, Layer};
use parking_lot::Mutex;

use super::apart::Apart;
use super::env::Env;
use super::hide::Hide;
use super::id::TaskId;
use super::invocation::Args;
use crate::hostlist::Around;
use crate::report::Execution;

/// What one execution of a task has in common for all its hosts.
pub(crate) struct Scope {
    pub(crate) name: Arc<str>,
    pub(crate) args: Args,
    pub(crate) hosts: Vec<Arc<str>>,
    /// The hosts that came with settings, of this list and of those around it.
    pub(crate) around: Arc<Around>,
    pub(crate) roles: Vec<String>,
    pub(crate) emitter: Emitter,
    pub(crate) overlays: Vec<Overlay>,
    /// Whether it is a health check, or executed by one.
    pub(crate) is_check: bool,
    /// What being one of several hosts at the same time makes of the settings.
    pub(crate) at_once: Option<Overlay>,
    /// Shared state, as its hosts find it.
    pub(crate) env: Env,
    /// Whether each host has shared state of its own while it is at work, as Fabric 1's processes had.
    pub(crate) forks: bool,
    /// What isn't shown around the `execute` that it comes from.
    pub(crate) hidden: Hide,
    /// Whether no other host is at work at the same time, so that a person's keys can be meant for this one.
    pub(crate) serial: bool,
    /// The tasks in whose runs this one is executed, outermost first, and itself.
    pub(crate) path: Vec<TaskId>,
    /// Its key among the run's executions; see `plan::again`.
    pub(crate) key: Option<Arc<str>>,
    /// Its place in the ledger.
    pub(crate) execution: Execution,
    pub(crate) usage: Mutex<Option<String>>,
    pub(crate) apart: Apart,
}

impl Scope {
    pub(crate) fn note_usage(&self, message: String) {
        self.usage.lock().get_or_insert(message);
    }

    pub(crate) fn take_usage(&self) -> Option<String> {
        self.usage.lock().take()
    }
}

/// The settings that make a failure a warning.
pub(crate) const LENIENCY: [&str; 2] = ["warn_only", "skip_bad_hosts"];

/// Settings as they hold in a health check, where only what a step says makes a failure a warning.
pub(crate) fn without_leniency(overlay: &Overlay) -> Overlay {
    let mut strict = overlay.clone();
    if LENIENCY.iter().any(|name| strict.values.contains_key(*name)) {
        Arc::make_mut(&mut strict.values).retain(|name, _| !LENIENCY.contains(&name.as_str()));
    }
    strict
}

/// Of the settings around an `execute`, those that are in force in what it executes: all but its role's, and but who and
/// where it is and how it goes over its hosts.
pub(crate) fn passed_on(overlays: &[Overlay]) -> Vec<Overlay> {
    let own = ["user", "port", "pool_size", "batch"];
    let passed_on = |overlay: &Overlay| {
        let mut values = overlay.values.clone();
        if own.iter().any(|name| values.contains_key(*name)) {
            Arc::make_mut(&mut values).retain(|name, _| !own.contains(&name.as_str()));
        }
        Overlay::new(overlay.origin.clone(), values)
    };
    overlays.iter().filter(|overlay| overlay.origin.layer != Layer::Role).map(passed_on).collect()
}
