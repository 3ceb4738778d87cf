//! The process groups of a fleet.

use std::collections::HashSet;

use parking_lot::Mutex;
use rustix::process::{Pid, kill_process_group, test_kill_process_group};

/// The process groups of a fleet that may still have members.
#[derive(Default)]
pub(super) struct Groups(Mutex<HashSet<Pid>>);

impl Groups {
    pub(super) fn add(&self, group: Pid) {
        self.0.lock().insert(group);
    }

    /// Forgets a group whose leader has ended, unless other members remain.
    pub(super) fn leader_ended(&self, group: Pid) {
        if test_kill_process_group(group).is_err() {
            self.0.lock().remove(&group);
        }
    }

    /// Kills all of them.
    pub(super) fn kill_all(&self) {
        for group in self.0.lock().drain() {
            let _ = kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}
