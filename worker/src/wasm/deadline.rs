//! The clock that makes guest code look at its deadline.
//!
//! Guest code checks the engine's epoch at each function and loop; a thread moves it on every
//! [`TICK`] while a call runs. With no call for [`REST`] the thread parks: an idle worker must not
//! wake up a hundred times a second. A call then costs two atomic stores and a load, and only the
//! first one after a rest wakes the thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;
use wasmtime::Engine;

/// How late a deadline can be noticed.
pub const TICK: Duration = Duration::from_millis(10);
/// How long the thread goes on ticking without calls.
const REST: Duration = Duration::from_secs(1);
/// The thread needs hardly any.
const STACK: usize = 64 * 1024;

/// Deadlines passed while guest code or a sleep on its behalf ran.
#[derive(Debug, thiserror::Error)]
#[error("its deadline passed")]
pub struct DeadlinePassed;

#[derive(Default)]
struct Shared {
    /// Calls begun and ended: odd while one runs.
    count: AtomicU64,
    parked: AtomicBool,
}

/// The thread.
pub struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

/// While it lives, the epoch moves.
pub struct Running<'a>(&'a Shared);

impl Ticker {
    /// Starts the thread.
    ///
    /// # Errors
    /// There is no room for another thread.
    pub fn start(engine: Engine) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let builder = thread::Builder::new().name("deadlines".to_owned()).stack_size(STACK);
        let thread = builder.spawn(move || tick(&engine, &seen))?.thread().clone();
        Ok(Self { shared, thread })
    }

    /// Says that guest code runs until the guard is dropped. Not nested.
    pub fn run(&self) -> Running<'_> {
        let count = self.shared.count.load(Ordering::Relaxed);
        // in one order with `parked` on both sides: either this sees the thread parked, or the thread this call
        self.shared.count.store(count.wrapping_add(1), Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) {
            self.shared.parked.store(false, Ordering::SeqCst);
            self.thread.unpark();
        }
        Running(&self.shared)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let count = self.0.count.load(Ordering::Relaxed);
        self.0.count.store(count.wrapping_add(1), Ordering::Release);
    }
}

fn tick(engine: &Engine, shared: &Shared) {
    let mut watch = IdleWatch::default();
    loop {
        thread::sleep(TICK);
        let count = shared.count.load(Ordering::SeqCst);
        match watch.tick(count) {
            Next::Tick => engine.increment_epoch(),
            Next::Wait => {}
            Next::Park => {
                shared.parked.store(true, Ordering::SeqCst);
                if shared.count.load(Ordering::SeqCst) != count {
                    shared.parked.store(false, Ordering::SeqCst);
                }
                while shared.parked.load(Ordering::SeqCst) {
                    thread::park();
                }
            }
        }
    }
}

/// What the thread does next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Tick,
    Wait,
    Park,
}

/// Decides from the count of calls alone.
#[derive(Default)]
struct IdleWatch {
    last: u64,
    idle: u32,
}

impl IdleWatch {
    const LONGEST: u32 = (REST.as_millis() / TICK.as_millis()) as u32;

    fn tick(&mut self, count: u64) -> Next {
        let running = count % 2 == 1;
        if running || count != self.last {
            (self.last, self.idle) = (count, 0);
        } else {
            self.idle += 1;
        }
        match self.idle {
            _ if running => Next::Tick,
            Self::LONGEST => {
                self.idle = 0;
                Next::Park
            }
            _ => Next::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_moves_while_a_call_runs_however_long() {
        let mut watch = IdleWatch::default();
        assert!((0..10_000).all(|_| watch.tick(1) == Next::Tick));
    }

    #[test]
    fn a_second_without_calls_parks_the_thread_and_calls_between_ticks_count() {
        let mut watch = IdleWatch::default();
        let ticks = |watch: &mut IdleWatch, count| (1..1000).find(|_| watch.tick(count) == Next::Park);
        assert_eq!(ticks(&mut watch, 0), Some(100));
        assert!((0..99).all(|_| watch.tick(0) == Next::Wait));
        assert_eq!(watch.tick(4), Next::Wait);
        assert_eq!(ticks(&mut watch, 4), Some(100));
    }
}
