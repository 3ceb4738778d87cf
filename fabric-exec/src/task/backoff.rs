//! Trying again: how often, and with which pauses.

use std::time::Duration;

/// How often something is tried again, and how long the pauses between tries are: the first one is `delay`,
/// each further one twice as long, up to `longest`.
///
/// ```
/// use fabric_exec::run::Backoff;
/// use std::time::Duration;
///
/// let backoff = Backoff::new(3).delay(Duration::from_secs(20));
/// let pauses: Vec<u64> = (1..).map_while(|attempt| backoff.pause(attempt)).map(|pause| pause.as_secs()).collect();
/// assert_eq!(pauses, [20, 30, 30]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    retries: u32,
    delay: Duration,
    longest: Duration,
}

impl Backoff {
    /// Up to `retries` further tries after the first, with pauses that grow from 1 s to 30 s.
    pub fn new(retries: u32) -> Self {
        Self { retries, delay: Duration::from_secs(1), longest: Duration::from_secs(30) }
    }

    /// The first pause. Default: 1 s.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The longest pause. Default: 30 s.
    #[must_use]
    pub fn longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// The pause after this try, counted from 1; `None` if it was the last.
    pub fn pause(self, attempt: u32) -> Option<Duration> {
        let factor = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        (attempt <= self.retries).then(|| self.delay.saturating_mul(factor).min(self.longest))
    }
}
