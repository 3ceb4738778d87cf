//! Work that is done once a run, whoever asks first.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::plan::SameCall;

/// Results by call. The first to ask does the work; all others wait for it and get its result, failures
/// included. A worker that is dropped before it has a result leaves `abandoned` behind, so that no
/// one waits for ever and nothing is begun twice.
pub(crate) struct OnceMap<T> {
    entries: Mutex<HashMap<SameCall, watch::Receiver<Option<T>>>>,
    abandoned: T,
}

/// What [`OnceMap::claim`] finds.
pub(crate) enum Claim<T> {
    /// It has not begun: do the work and [`Owner::finish`] it.
    Mine(Owner<T>),
    /// It is under way: wait for the result.
    Theirs(watch::Receiver<Option<T>>),
}

/// The one who does the work.
pub(crate) struct Owner<T> {
    sender: watch::Sender<Option<T>>,
    abandoned: Option<T>,
}

impl<T: Clone + Send + Sync> OnceMap<T> {
    pub(crate) fn new(abandoned: T) -> Self {
        Self { entries: Mutex::default(), abandoned }
    }

    pub(crate) fn claim(&self, call: SameCall) -> Claim<T> {
        let mut entries = self.entries.lock();
        if let Some(receiver) = entries.get(&call) {
            return Claim::Theirs(receiver.clone());
        }
        let (sender, receiver) = watch::channel(None);
        entries.insert(call, receiver);
        Claim::Mine(Owner { sender, abandoned: Some(self.abandoned.clone()) })
    }

    /// The result of another's work.
    pub(crate) async fn wait(&self, mut receiver: watch::Receiver<Option<T>>) -> T {
        match receiver.wait_for(Option::is_some).await {
            Ok(value) => value.clone().unwrap_or_else(|| self.abandoned.clone()),
            Err(_) => self.abandoned.clone(),
        }
    }
}

impl<T> Owner<T> {
    pub(crate) fn finish(mut self, value: T) {
        self.abandoned = None;
        self.sender.send_replace(Some(value));
    }
}

impl<T> Drop for Owner<T> {
    fn drop(&mut self) {
        if let Some(value) = self.abandoned.take() {
            self.sender.send_replace(Some(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::TaskId;

    fn call(task: &TaskId) -> SameCall {
        (task.same(), String::new())
    }

    async fn get(map: &OnceMap<Result<u32, &'static str>>, task: &TaskId) -> Result<u32, &'static str> {
        match map.claim(call(task)) {
            Claim::Mine(_) => panic!("the work is begun already"),
            Claim::Theirs(receiver) => map.wait(receiver).await,
        }
    }

    #[tokio::test]
    async fn waiters_get_the_result_and_failures_are_remembered() {
        let map = OnceMap::new(Err("abandoned"));
        let task = TaskId::new();
        let Claim::Mine(owner) = map.claim(call(&task)) else { panic!("first") };
        let ((), value) = tokio::join!(async { owner.finish(Err("failed")) }, get(&map, &task));
        assert_eq!(value, Err("failed"));
        assert_eq!(get(&map, &task).await, Err("failed"));
    }

    #[tokio::test]
    async fn a_dropped_owner_leaves_nobody_waiting() {
        let map = OnceMap::new(Err("abandoned"));
        let task = TaskId::new();
        let Claim::Mine(owner) = map.claim(call(&task)) else { panic!("first") };
        let (value, ()) = tokio::join!(get(&map, &task), async { drop(owner) });
        assert_eq!(value, Err("abandoned"));
    }
}
