//! When a silent peer is considered dead.
//!
//! russh sends keepalives to a silent server at an interval; the stream decides here what silence means. russh doesn't
//! notice answers while it writes, and would consider a host dead if the gateway's connection isn't read because of
//! another host's unread output.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{fmt, io};

use fabric_core::target::Keepalive;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::store::Pool;

/// How much longer, at most, a stream through a gateway may be silent, so that the gateway's own error comes first.
const GATEWAY_FIRST: Duration = Duration::from_secs(1);

/// Counts keepalive intervals without an answer.
///
/// Only time in which this side waits for the peer counts. An unread peer gets no keepalives either.
pub(super) struct Silence {
    keepalive: Keepalive,
    /// Cancelled after the login. Before that there are other time limits, and prompts.
    begun: CancellationToken,
    /// Set for a stream through a gateway, which other hosts may block.
    shared_way: Option<Arc<Pool>>,
    /// Created when it is first needed.
    timer: Option<Pin<Box<Sleep>>>,
    /// When waiting for the peer, or its last keepalive, began; `None` while not waiting.
    since: Option<Instant>,
    missed: u32,
}

impl Silence {
    /// `shared_way` is the pool of the transport if this stream goes through a gateway.
    pub(super) fn new(keepalive: &Keepalive, begun: CancellationToken, shared_way: Option<Arc<Pool>>) -> Self {
        Self { keepalive: keepalive.clone(), begun, shared_way, timer: None, since: None, missed: 0 }
    }

    /// Never considers the peer dead.
    #[cfg(test)]
    pub(super) fn off() -> Self {
        Self::new(&Keepalive::default().interval(None).count(0), CancellationToken::new(), None)
    }

    /// Whether the peer is watched now.
    pub(super) fn is_watched(&self) -> bool {
        self.keepalive.interval.is_some() && self.begun.is_cancelled()
    }

    /// The peer has sent or accepted data.
    pub(super) fn broken(&mut self) {
        self.since = None;
    }

    /// Waits for the peer; ready with an error once it is considered dead.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(interval) = self.keepalive.interval.filter(|_| self.is_watched()) else { return Poll::Pending };
        let mut since = *self.since.get_or_insert_with(|| {
            self.missed = 0;
            Instant::now()
        });
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(since + interval)));
        // Reset only when it has elapsed: most waits are short.
        loop {
            ready!(timer.as_mut().poll(cx));
            let now = Instant::now();
            let mut due = since + interval;
            if self.shared_way.is_some() && self.missed == self.keepalive.count {
                due += GATEWAY_FIRST.min(interval / 4);
            }
            if now >= due {
                let held_up = self.shared_way.as_ref().is_some_and(|pool| pool.has_waited_since(since));
                self.missed = if held_up { 0 } else { self.missed + 1 };
                if self.missed > self.keepalive.count {
                    let silent = interval.saturating_mul(self.missed);
                    return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, Dead(silent)));
                }
                since = now;
                self.since = Some(since);
                due = since + interval;
            }
            timer.as_mut().reset(due);
        }
    }
}

/// Why a connection is ended.
#[derive(Debug)]
struct Dead(Duration);

impl fmt::Display for Dead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "nothing has come from the host for {} s, not even answers to keepalives (settings keepalive, ServerAliveCountMax)",
            self.0.as_secs_f64()
        )
    }
}

impl std::error::Error for Dead {}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::ssh::store::Store;

    fn watching(keepalive: &Keepalive, shared_way: Option<Arc<Pool>>) -> Silence {
        let begun = CancellationToken::new();
        begun.cancel();
        Silence::new(keepalive, begun, shared_way)
    }

    async fn given_up(silence: &mut Silence) -> Duration {
        let begun = Instant::now();
        let error = poll_fn(|cx| silence.poll(cx)).await;
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn by_default_a_silent_peer_is_dead_after_two_minutes() {
        let mut silence = watching(&Keepalive::default(), None);
        assert_eq!(given_up(&mut silence).await.as_secs(), 120);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_answers_never_is() {
        let mut silence = watching(&Keepalive::default(), None);
        for _ in 0..100 {
            let answer = tokio::time::sleep(Duration::from_secs(31));
            tokio::select! {
                error = poll_fn(|cx| silence.poll(cx)) => panic!("{error}"),
                () = answer => silence.broken(),
            }
        }
        assert_eq!(given_up(&mut silence).await.as_secs(), 120);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nothing_is_waited_for_does_not_count() {
        let mut silence = watching(&Keepalive::default(), None);
        assert!(poll_fn(|cx| silence.poll(cx)).now_or_never().is_none());
        silence.broken();
        tokio::time::advance(Duration::from_hours(1)).await;
        assert_eq!(given_up(&mut silence).await.as_secs(), 120);
        // A process that was stopped for long has missed one question, not all.
        let mut silence = watching(&Keepalive::default(), None);
        assert!(poll_fn(|cx| silence.poll(cx)).now_or_never().is_none());
        tokio::time::advance(Duration::from_hours(1)).await;
        assert!(poll_fn(|cx| silence.poll(cx)).now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_dead_before_the_login_or_without_keepalive() {
        for mut silence in [Silence::off(), Silence::new(&Keepalive::default(), CancellationToken::new(), None)] {
            for _ in 0..10 {
                assert!(poll_fn(|cx| silence.poll(cx)).now_or_never().is_none());
                tokio::time::advance(Duration::from_mins(1)).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_behind_a_gateway_that_others_hold_up_is_not_dead() {
        let pool = Arc::new(Pool::default());
        let mut silence = watching(&Keepalive::default(), Some(pool.clone()));
        let store = Store::new(1, pool);
        let filling = async {
            store.push((), 1 << 20).await;
        };
        let taking = async {
            tokio::time::sleep(Duration::from_mins(10)).await;
            poll_fn(|cx| store.poll_next(cx)).await;
            Instant::now()
        };
        let (died, (), taken) = tokio::join!(
            async {
                poll_fn(|cx| silence.poll(cx)).await;
                Instant::now()
            },
            filling,
            taking
        );
        assert!((90..=160).contains(&(died - taken).as_secs()), "{:?}", died - taken);
    }
}
