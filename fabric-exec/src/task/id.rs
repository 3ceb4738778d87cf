//! Which task is which.

use std::sync::atomic::{AtomicU64, Ordering};

/// The identity of a task, whatever it is called and wherever it is kept. A clone of a task may be
/// changed into another one, and so has an identity of its own; what stays the same task is shared in an `Arc`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TaskId(u64);

impl TaskId {
    pub(crate) fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }

    /// The same, to compare with.
    pub(crate) fn same(&self) -> Self {
        Self(self.0)
    }
}

impl Clone for TaskId {
    fn clone(&self) -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_another_task() {
        let id = TaskId::new();
        assert_eq!(id, id.same());
        assert_ne!(id, id.clone());
        assert_ne!(id.clone(), id.clone());
    }
}
