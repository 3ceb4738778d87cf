//! How what a server has no room for is tried again.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

/// How often what a server has no room for is tried again, a login that was dropped before it began or a channel: for
/// 6 s, as others come to an end.
pub(crate) const RETRIES: u32 = 6;

/// What sshd says before it closes a connection from an address that it holds something against
/// (`PerSourcePenalties`, OpenSSH 9.8).
pub(crate) const PENALISED: &str = "Not allowed at this time";

/// The first wait; each one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The wait after so many retries.
pub(crate) fn wait_after(retries: u32) -> Duration {
    jittered(FIRST_WAIT * 2_u32.pow(retries))
}

/// Between half and one and a half of `wait`, so that those who were dropped together don't come back
/// together.
pub(crate) fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 1000;
    wait / 2 + wait * u32::try_from(random).unwrap_or_default() / 1000
}
