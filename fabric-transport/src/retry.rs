//! Retries after a server had no room.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

/// How often to retry a login that was dropped before it began, or a refused channel: for 6 s, in which others end.
pub(crate) const RETRIES: u32 = 6;

/// The first wait; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The wait after this many retries.
pub(crate) fn wait_after(retries: u32) -> Duration {
    jittered(FIRST_WAIT * 2_u32.pow(retries))
}

/// A random time between half and one and a half of `wait`, so that clients that were dropped together don't return
/// together.
pub(crate) fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 1000;
    wait / 2 + wait * u32::try_from(random).unwrap_or_default() / 1000
}
