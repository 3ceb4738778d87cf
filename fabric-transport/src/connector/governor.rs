//! Limits the number of concurrent logins, for each host and in total.
//!
//! sshd drops connections before login if there are too many (`MaxStartups`, by default at random from 10 on), or from
//! addresses with penalties (`PerSourcePenalties`). So the limit for an address starts lower, grows while logins succeed,
//! and shrinks when one is dropped. A dropped login is tried again after a while.
//!
//! The total is limited because logins cost processor time and memory: with ten thousand at once, servers would time out.
//! A login that takes long waits for another login or a host that is down or far away, and no longer counts.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fabric_core::{ConnectError, ConnectErrorKind, Emitter, EventKind, Phase};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, watch};

use crate::retry::{RETRIES, wait_after};

/// Below sshd's first limit of 10, with room for other clients.
const START: f64 = 8.0;

/// sshd refuses all from 100 on.
const MOST: f64 = 90.0;

/// How often to retry if the server penalises this address, which lasts at least 15 s: for 25 s.
const RETRIES_IF_PENALISED: u32 = 8;

/// Waits longer than this are reported.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// How many logins in total may be in progress at first, and after successful ones. More don't make a run of thousands of
/// hosts faster on two cores.
const START_IN_ALL: f64 = 128.0;
const MOST_IN_ALL: f64 = 512.0;

/// How many logins may wait before [`Governor::ready`] does.
const MOST_WAITING: usize = 64;

/// How long a login counts in the total.
const BUSY: Duration = Duration::from_secs(1);

/// The logins in progress of a run.
#[derive(Debug)]
pub(super) struct Governor {
    gates: Mutex<HashMap<String, Arc<Gate>>>,
    all: Arc<Gate>,
    /// How many logins wait for the total.
    waiting: watch::Sender<usize>,
}

impl Default for Governor {
    fn default() -> Self {
        let all = Arc::new(Gate::new(START_IN_ALL, MOST_IN_ALL));
        Self { gates: Mutex::default(), all, waiting: watch::Sender::new(0) }
    }
}

/// Whose login it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// A host's own.
    Host,
    /// A gateway's, for hosts that are counted already.
    Gateway,
}

/// The logins in progress to one address.
#[derive(Debug)]
struct Gate {
    state: Mutex<Logins>,
    changed: Notify,
}

#[derive(Debug)]
struct Logins {
    limit: f64,
    most: f64,
    active: usize,
}

impl Governor {
    /// Does `login` to `address` once the limits allow it, and again if it is dropped.
    pub(super) async fn run<T, F>(
        &self,
        address: String,
        who: Who,
        events: &Emitter,
        login: impl Fn() -> F,
    ) -> Result<T, ConnectError>
    where
        F: Future<Output = Result<T, ConnectError>>,
    {
        let gate = self.gate(address);
        let mut retries = 0;
        loop {
            let permit = Gate::enter(gate.clone()).await;
            let result = match who {
                Who::Host => self.counted(login()).await,
                Who::Gateway => login().await,
            };
            drop(permit);
            match result {
                Ok(done) => {
                    gate.grow_slowly();
                    return Ok(done);
                }
                Err(error) if retries < retries_after(&error) => {
                    gate.shrink();
                    let wait = wait_after(retries);
                    retries += 1;
                    tracing::debug!(host = error.host, ?wait, %error, "dropped by the server, trying again");
                    if wait >= LONG_WAIT {
                        events.emit(EventKind::retrying(retries, error.to_string(), wait));
                    }
                    tokio::time::sleep(wait).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until a further login would not wait long.
    pub(super) async fn ready(&self) {
        // The sender lives as long as this.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting < MOST_WAITING).await;
    }

    /// A login that counts in the total.
    async fn counted<T>(&self, login: impl Future<Output = Result<T, ConnectError>>) -> Result<T, ConnectError> {
        let permit = {
            let _waits = Waits::among(&self.waiting);
            Gate::enter(self.all.clone()).await
        };
        let mut login = pin!(login);
        let result = tokio::select! {
            result = &mut login => result,
            () = tokio::time::sleep(BUSY) => {
                drop(permit);
                return login.await;
            }
        };
        if result.is_ok() {
            self.all.grow(1.0);
        }
        result
    }

    fn gate(&self, address: String) -> Arc<Gate> {
        let mut gates = self.gates.lock();
        gates.entry(address).or_default().clone()
    }
}

/// How often to retry. That is safe if the server ended the connection before the login began.
fn retries_after(error: &ConnectError) -> u32 {
    match &error.kind {
        ConnectErrorKind::Dropped { phase: Phase::Banner, penalised: true, .. } => RETRIES_IF_PENALISED,
        ConnectErrorKind::Dropped { phase: Phase::Banner | Phase::KeyExchange, .. } => RETRIES,
        _ => 0,
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(START, MOST)
    }
}

impl Gate {
    fn new(limit: f64, most: f64) -> Self {
        Self { state: Mutex::new(Logins { limit, most, active: 0 }), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, Logins> {
        self.state.lock()
    }

    async fn enter(self: Arc<Self>) -> LoginPermit {
        loop {
            let changed = self.changed.notified();
            if self.try_enter() {
                // Another one may be allowed.
                self.changed.notify_one();
                return LoginPermit(self.clone());
            }
            changed.await;
        }
    }

    fn try_enter(&self) -> bool {
        let mut state = self.state();
        let fits = (state.active as f64) < state.limit.floor();
        state.active += usize::from(fits);
        fits
    }

    /// Increases the limit by one after as many successes as it allows at once.
    fn grow_slowly(&self) {
        let limit = self.state().limit;
        self.grow(1.0 / limit);
    }

    fn grow(&self, by: f64) {
        let mut state = self.state();
        state.limit = (state.limit + by).min(state.most);
        drop(state);
        self.changed.notify_one();
    }

    fn shrink(&self) {
        let mut state = self.state();
        state.limit = (state.limit / 2.0).max(1.0);
    }
}

/// A waiting login.
struct Waits<'a>(&'a watch::Sender<usize>);

impl<'a> Waits<'a> {
    fn among(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|waiting| *waiting += 1);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

/// A login in progress.
struct LoginPermit(Arc<Gate>);

impl Drop for LoginPermit {
    fn drop(&mut self) {
        self.0.state().active -= 1;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn dropped(penalised: bool) -> ConnectError {
        let kind = ConnectErrorKind::Dropped { phase: Phase::Banner, reason: String::new(), penalised };
        ConnectError::new("h", Phase::Banner, kind)
    }

    /// The same without events.
    async fn run<T, F>(governor: &Governor, address: &str, who: Who, login: impl Fn() -> F) -> Result<T, ConnectError>
    where
        F: Future<Output = Result<T, ConnectError>>,
    {
        governor.run(address.to_owned(), who, &Emitter::none(), login).await
    }

    /// The most logins in progress at once, of one to each of these addresses, that take `each`.
    async fn most_at_once(governor: &Governor, addresses: impl IntoIterator<Item = String>, each: Duration) -> usize {
        let (active, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let login = || async {
            most.fetch_max(active.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(each).await;
            active.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        };
        let logins = addresses.into_iter().map(async |address| run(governor, &address, Who::Host, login).await);
        futures_util::future::try_join_all(logins).await.unwrap();
        most.load(Ordering::SeqCst)
    }

    /// So many addresses.
    fn hosts(count: usize) -> impl Iterator<Item = String> {
        (0..count).map(|host| format!("host{host}"))
    }

    const BRIEF: Duration = Duration::from_millis(10);

    async fn brief() -> Result<(), ConnectError> {
        tokio::time::sleep(BRIEF).await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn logins_start_few_and_become_more() {
        let governor = Governor::default();
        let to_one = |count| std::iter::repeat_n("a".to_owned(), count);
        assert_eq!(most_at_once(&governor, to_one(8), BRIEF).await, 8);
        let most = most_at_once(&governor, to_one(200), BRIEF).await;
        assert!((9..=40).contains(&most), "{most}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_login_is_tried_again_and_a_refused_one_is_not() {
        let governor = Governor::default();
        let tries = AtomicUsize::new(0);
        let busy_twice =
            || async { if tries.fetch_add(1, Ordering::SeqCst) < 2 { Err(dropped(false)) } else { Ok("in") } };
        assert_eq!(run(&governor, "a", Who::Host, busy_twice).await.unwrap(), "in");

        let tries = AtomicUsize::new(0);
        let refused = || async {
            tries.fetch_add(1, Ordering::SeqCst);
            let kind = ConnectErrorKind::Refused { address: "a:22".to_owned() };
            Err::<(), _>(ConnectError::new("h", Phase::Connect, kind))
        };
        run(&governor, "a", Who::Host, refused).await.unwrap_err();
        assert_eq!(tries.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_holds_something_against_us_is_given_longer() {
        let governor = Governor::default();
        for (penalised, longest, tries) in [(true, 39, 9), (false, 10, 7)] {
            let tried = AtomicUsize::new(0);
            let login = || async {
                tried.fetch_add(1, Ordering::SeqCst);
                Err::<(), _>(dropped(penalised))
            };
            let began = tokio::time::Instant::now();
            run(&governor, "a", Who::Host, login).await.unwrap_err();
            assert_eq!(tried.load(Ordering::SeqCst), tries);
            assert!(began.elapsed() < Duration::from_secs(longest), "{:?}", began.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn logins_to_all_hosts_are_bounded_but_nobody_waits_for_slow_ones() {
        let governor = Governor::default();
        assert_eq!(most_at_once(&governor, hosts(128), BRIEF).await, 128);
        assert_eq!(most_at_once(&governor, hosts(10_000), BRIEF).await, MOST_IN_ALL as usize);

        // Hosts that are down hold the others up for a second at most.
        let began = tokio::time::Instant::now();
        assert_eq!(most_at_once(&governor, hosts(2_000), Duration::from_mins(1)).await, 2_000);
        assert!(began.elapsed() < Duration::from_secs(65), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_would_only_wait_in_line_is_held_back() {
        let governor = Governor::default();
        let log_in = async |host: String| run(&governor, &host, Who::Host, brief).await;
        let mut logins: Vec<_> = hosts(191).map(|host| Box::pin(log_in(host))).collect();
        futures_util::future::poll_immediate(futures_util::future::join_all(&mut logins)).await;
        assert!(futures_util::FutureExt::now_or_never(governor.ready()).is_some(), "63 wait");
        let mut one_more = Box::pin(log_in("one more".to_owned()));
        futures_util::future::poll_immediate(&mut one_more).await;
        assert!(futures_util::FutureExt::now_or_never(governor.ready()).is_none(), "64 wait");
        drop(one_more);
        assert!(futures_util::FutureExt::now_or_never(governor.ready()).is_some());
        futures_util::future::join_all(logins).await;
    }

    #[tokio::test(start_paused = true)]
    async fn gateways_are_not_held_up_by_the_hosts_that_wait_for_them() {
        let governor = Governor::default();
        let behind = || run(&governor, "hop", Who::Gateway, brief);
        let logins = hosts(128).map(async |host| run(&governor, &host, Who::Host, behind).await);
        let began = tokio::time::Instant::now();
        futures_util::future::try_join_all(logins).await.unwrap();
        assert!(began.elapsed() < BUSY, "{:?}", began.elapsed());
    }
}
