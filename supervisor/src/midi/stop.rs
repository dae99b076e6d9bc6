//! Telling a thread to end, and sleeping until a point in time or until told.

use crate::clock::{Time, now};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Deadlines further off than this are waited for in parts (`Condvar` cannot take all of `u64`).
const LONGEST: Duration = Duration::from_secs(3600);

/// Says once that a thread should end. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// From now on [`Self::sleep_until`] returns true at once.
    pub fn stop(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Whether the thread should end.
    pub fn is_stopped(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `deadline`; true when the thread should end instead.
    pub fn sleep_until(&self, deadline: Time) -> bool {
        let mut stopped = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = deadline.since(now());
            if *stopped || left.is_zero() {
                return *stopped;
            }
            let wait = self.0.1.wait_timeout(stopped, left.min(LONGEST));
            stopped = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A thread that ends when this is dropped.
#[derive(Debug)]
pub(super) struct Playing {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Playing {
    /// Starts `run` on a thread of its own; it must look at the stop it is given.
    pub fn start(name: &str, run: impl FnOnce(&Stop) + Send + 'static) -> std::io::Result<Self> {
        let stop = Stop::default();
        let told = stop.clone();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&told))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it has nothing to say
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeper_is_woken_by_the_stop_and_not_before_its_deadline() {
        let stop = Stop::default();
        let soon = now() + Duration::from_millis(2);
        assert!(!stop.sleep_until(soon));
        assert!(now() >= soon);
        let sleeper = std::thread::spawn({
            let stop = stop.clone();
            move || stop.sleep_until(Time::from_nanos(u64::MAX))
        });
        stop.stop();
        assert!(sleeper.join().unwrap());
    }
}
