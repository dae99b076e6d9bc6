//! One thread that steps the engine when a timer it asked for is due.

use crate::clock::{self, Time};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A handle on when the thread wakes next. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct TimerThread(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
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
        let mut next = self.next();
        if next.due == due {
            return;
        }
        let sooner = due.is_some_and(|due| next.due.is_none_or(|known| due < known));
        next.due = due;
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
