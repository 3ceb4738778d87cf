//! Time limits that exclude the time of prompts.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The clock of one connection attempt. A prompt stops it; after the answer it restarts.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    /// When the current step began; `None` during a prompt.
    step: watch::Sender<Option<Instant>>,
    /// The same for all steps together.
    whole: watch::Sender<Option<Instant>>,
}

/// The limit was reached.
#[derive(Debug)]
pub(super) struct Expired;

impl Clock {
    pub(super) fn new() -> Self {
        let now = || watch::Sender::new(Some(Instant::now()));
        Self { step: now(), whole: now() }
    }

    /// Waits for a prompt, with the clock stopped.
    pub(super) async fn while_asking<T>(&self, question: impl Future<Output = T>) -> T {
        self.step.send_replace(None);
        self.whole.send_replace(None);
        let _restart = Restart(self);
        question.await
    }

    /// Restarts the clock.
    pub(super) fn restart(&self) {
        self.step.send_replace(Some(Instant::now()));
    }

    /// Waits for `work`, at most `limit` from now or from the answer to the last prompt.
    pub(super) fn limit<T>(
        &self,
        limit: Option<Duration>,
        work: impl Future<Output = T>,
    ) -> impl Future<Output = Result<T, Expired>> {
        self.restart();
        within(&self.step, limit, work)
    }

    /// The same for work with many steps, which may have their own limits.
    pub(super) fn limit_whole<T>(
        &self,
        limit: Option<Duration>,
        work: impl Future<Output = T>,
    ) -> impl Future<Output = Result<T, Expired>> {
        self.whole.send_replace(Some(Instant::now()));
        within(&self.whole, limit, work)
    }
}

async fn within<T>(
    since: &watch::Sender<Option<Instant>>,
    limit: Option<Duration>,
    work: impl Future<Output = T>,
) -> Result<T, Expired> {
    let Some(limit) = limit else { return Ok(work.await) };
    let mut since = since.subscribe();
    let expired = async {
        loop {
            // No deadline if it can't be represented.
            let deadline = since.borrow_and_update().and_then(|since| since.checked_add(limit));
            tokio::select! {
                () = sleep_until(deadline) => return,
                // The sender lives as long as this, so there is no error.
                _ = since.changed() => {}
            }
        }
    };
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = expired => Err(Expired),
    }
}

struct Restart<'a>(&'a Clock);

impl Drop for Restart<'_> {
    fn drop(&mut self) {
        self.0.restart();
        self.0.whole.send_replace(Some(Instant::now()));
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_question_stops_the_clock() {
        let clock = Clock::new();
        let limit = Some(Duration::from_secs(1));
        let slow = async {
            clock.while_asking(tokio::time::sleep(Duration::from_mins(1))).await;
            tokio::time::sleep(Duration::from_millis(900)).await;
            "answered"
        };
        assert_eq!(clock.limit(limit, slow).await.unwrap(), "answered");
        clock.limit(limit, tokio::time::sleep(Duration::from_secs(2))).await.unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn steps_within_their_limits_have_one_together() {
        let clock = Clock::new();
        let steps = async |asks: bool| {
            for _ in 0..5 {
                clock.limit(Some(Duration::from_secs(2)), tokio::time::sleep(Duration::from_secs(1))).await.unwrap();
                if asks {
                    clock.while_asking(tokio::time::sleep(Duration::from_mins(1))).await;
                }
            }
        };
        clock.limit_whole(Some(Duration::from_secs(3)), steps(true)).await.unwrap();
        clock.limit_whole(Some(Duration::from_secs(3)), steps(false)).await.unwrap_err();
    }
}
