//! Waiting for what must come true.

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up. Nothing takes this long
/// unless it is broken; a busy machine must not fail a test.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Looks until there is something to return.
///
/// # Panics
/// After [`DEADLINE`], with `what` was waited for and what was seen last.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    within(DEADLINE, what, look)
}

/// As [`eventually`], with a deadline of its own.
///
/// # Panics
/// After `limit`.
pub fn within<T>(limit: Duration, what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    come_true(limit, look).unwrap_or_else(|seen| panic!("{what}: not within {limit:?}; last seen:\n{seen}"))
}

/// As [`within`], for what may just as well not come: it is not the test's failure.
///
/// # Errors
/// After `limit`, with what was seen last.
pub fn come_true<T, E>(limit: Duration, mut look: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let deadline = Instant::now() + limit;
    loop {
        match look() {
            Err(_) if Instant::now() < deadline => std::thread::sleep(POLL),
            seen => return seen,
        }
    }
}
