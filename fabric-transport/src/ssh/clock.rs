//! Time limits that don't count the time in which a person is asked.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The clock of one connection attempt. A question stops it; after the answer it starts afresh.
#[derive(Debug, Clone)]
pub(super) struct Clock(watch::Sender<Option<Instant>>);

/// The limit was reached.
#[derive(Debug)]
pub(super) struct Expired;

impl Clock {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Some(Instant::now())))
    }

    /// Waits for a person: the clock stands still.
    pub(super) async fn while_asking<T>(&self, question: impl Future<Output = T>) -> T {
        self.0.send_replace(None);
        let _restart = Restart(self);
        question.await
    }

    /// The time is counted from now on.
    pub(super) fn restart(&self) {
        self.0.send_replace(Some(Instant::now()));
    }

    /// Waits for `work`, at most `limit` from now or from the last question's answer.
    pub(super) async fn limit<T>(&self, limit: Option<Duration>, work: impl Future<Output = T>) -> Result<T, Expired> {
        self.restart();
        let Some(limit) = limit else { return Ok(work.await) };
        let mut since = self.0.subscribe();
        let expired = async {
            loop {
                let deadline = since.borrow_and_update().map(|since| since + limit);
                tokio::select! {
                    () = sleep_until(deadline) => return,
                    // The sender lives in `self`, so there is no error.
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
}

struct Restart<'a>(&'a Clock);

impl Drop for Restart<'_> {
    fn drop(&mut self) {
        self.0.restart();
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
}
