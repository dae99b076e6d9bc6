//! One thread that steps the engine when a timer it asked for is due.

use crate::clock::{self, Time};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A handle on when the thread wakes next. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct TimerThread(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// What `next.due` is, in nanoseconds, 0 for none: most messages change nothing, which this says without the lock.
    known: AtomicU64,
    next: Mutex<Next>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Next {
    due: Option<Time>,
    stopped: bool,
}

impl TimerThread {
    fn next(&self) -> MutexGuard<'_, Next> {
        self.0.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says when the engine's next timer is due. Wakes the thread only when
    /// that is sooner than it knew.
    pub fn set(&self, due: Option<Time>) {
        // when the thread takes a due time meanwhile it steps the engine, and that sets the next one
        if self.0.known.load(Ordering::Acquire) == nanos(due) {
            return;
        }
        let mut next = self.next();
        if next.due == due {
            return;
        }
        let sooner = due.is_some_and(|due| next.due.is_none_or(|known| due < known));
        next.due = due;
        self.0.known.store(nanos(due), Ordering::Release);
        if sooner {
            self.0.changed.notify_one();
        }
    }

    /// Starts the thread; it calls `fire` with each time that is due.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(&self, fire: impl Fn(Time) + Send + 'static) -> std::io::Result<JoinHandle<()>> {
        let timers = self.clone();
        std::thread::Builder::new().name("timers".into()).spawn(move || timers.run(&fire))
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.next().stopped = true;
        self.0.changed.notify_one();
    }

    fn run(&self, fire: &impl Fn(Time)) {
        let mut next = self.next();
        while !next.stopped {
            let now = clock::now();
            next = match next.due {
                None => self.0.changed.wait(next).unwrap_or_else(PoisonError::into_inner),
                Some(due) if due <= now => {
                    next.due = None;
                    self.0.known.store(nanos(None), Ordering::Release);
                    drop(next);
                    fire(now);
                    self.next()
                }
                Some(due) => {
                    self.0.changed.wait_timeout(next, due.since(now)).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

fn nanos(due: Option<Time>) -> u64 {
    due.map_or(0, |due| due.as_nanos().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn a_sooner_timer_is_not_missed_and_none_fires_early() {
        let (sender, fired) = channel();
        let timers = TimerThread::default();
        let thread = timers.start(move |now| sender.send(now).unwrap()).unwrap();
        timers.set(Some(clock::now() + Duration::from_secs(3600)));
        let due = clock::now() + Duration::from_millis(5);
        timers.set(Some(due));
        assert!(fired.recv_timeout(Duration::from_secs(30)).unwrap() >= due);
        timers.stop();
        thread.join().unwrap();
    }
}
