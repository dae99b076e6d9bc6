//! One at a time, where whoever waits for its turn can give up: a lock has no deadline.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// What one at a time has.
#[derive(Debug)]
pub struct Turns<T> {
    /// None while somebody has it.
    free: Mutex<Option<T>>,
    given: Condvar,
}

impl<T> Turns<T> {
    /// Nobody has it yet.
    #[must_use]
    pub const fn new(what: T) -> Self {
        Self { free: Mutex::new(Some(what)), given: Condvar::new() }
    }

    /// Does something with it, as soon as nobody else has it; `None` when somebody still has at `until`, if there is
    /// such a time.
    pub fn take<R>(&self, until: Option<Instant>, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = match until.map(|until| until.saturating_duration_since(Instant::now())) {
            None => self.given.wait_while(free, |free| free.is_none()).unwrap_or_else(PoisonError::into_inner),
            Some(left) => {
                let waited = self.given.wait_timeout_while(free, left, |free| free.is_none());
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        let mut own = free.take()?;
        drop(free);
        let result = work(&mut own);
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) = Some(own);
        self.given.notify_one();
        Some(result)
    }
}
