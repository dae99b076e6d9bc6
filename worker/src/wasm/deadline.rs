//! The clock that makes guest code look at its deadline.
//!
//! Guest code checks the engine's epoch at each function and loop; a signal moves it on every
//! [`TICK`] while a call runs. With no call for [`REST`] the clock stops: an idle worker must not
//! wake up a hundred times a second. A call then costs two atomic stores and a load, and only the
//! first one after a rest starts the clock.

use crate::sandbox::alarm;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use wasmtime::Engine;

/// How late a deadline can be noticed.
pub const TICK: Duration = Duration::from_millis(10);
/// How long the clock goes on ticking without calls.
const REST: Duration = Duration::from_secs(1);

/// Deadlines passed while guest code or a sleep on its behalf ran.
#[derive(Debug, thiserror::Error)]
#[error("its deadline passed")]
pub struct DeadlinePassed;

/// The process's one clock.
static CLOCK: OnceLock<Clock> = OnceLock::new();

struct Clock {
    engine: Engine,
    /// Calls begun and ended: odd while one runs.
    count: AtomicU64,
    ticks: AtomicBool,
    /// An [`IdleWatch`], of which each tick is the only user.
    last: AtomicU64,
    idle: AtomicU32,
}

/// The clock, as those who run guests see it.
#[derive(Clone, Copy)]
pub struct Ticker(&'static Clock);

/// While it lives, the epoch moves.
pub struct Running(&'static Clock);

impl Ticker {
    /// Makes the clock; one in a process.
    ///
    /// # Errors
    /// There is one, or its signal cannot be had.
    #[allow(unsafe_code)]
    pub fn start(engine: Engine) -> io::Result<Self> {
        let (count, last, idle) = Default::default();
        let mut is_new = false;
        let clock = CLOCK.get_or_init(|| {
            is_new = true;
            Clock { engine, count, ticks: AtomicBool::new(false), last, idle }
        });
        if !is_new {
            return Err(io::Error::other("deadlines have their clock already"));
        }
        // SAFETY: a tick loads and stores atomics, moves the epoch (an atomic, which its documentation calls
        // signal-safe) and starts or stops the clock.
        unsafe { alarm::install(tick) }?;
        Ok(Self(clock))
    }

    /// Says that guest code runs until the guard is dropped. Not nested.
    pub fn run(self) -> Running {
        let Self(clock) = self;
        let count = clock.count.load(Ordering::Relaxed);
        // in one order with `ticks` on both sides: either this sees that the clock stands, or the tick this call
        clock.count.store(count.wrapping_add(1), Ordering::SeqCst);
        if !clock.ticks.load(Ordering::SeqCst) {
            clock.ticks.store(true, Ordering::SeqCst);
            alarm::start(TICK);
        }
        Running(clock)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let count = self.0.count.load(Ordering::Relaxed);
        self.0.count.store(count.wrapping_add(1), Ordering::Release);
    }
}

/// What the signal does.
fn tick() {
    let Some(clock) = CLOCK.get() else { return };
    let count = clock.count.load(Ordering::SeqCst);
    let mut watch = IdleWatch { last: clock.last.load(Ordering::Relaxed), idle: clock.idle.load(Ordering::Relaxed) };
    let next = watch.tick(count);
    clock.last.store(watch.last, Ordering::Relaxed);
    clock.idle.store(watch.idle, Ordering::Relaxed);
    match next {
        Next::Tick => clock.engine.increment_epoch(),
        Next::Wait => {}
        Next::Stop => {
            alarm::stop();
            clock.ticks.store(false, Ordering::SeqCst);
            if clock.count.load(Ordering::SeqCst) != count {
                clock.ticks.store(true, Ordering::SeqCst);
                alarm::start(TICK);
            }
        }
    }
}

/// What a tick does.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Tick,
    Wait,
    Stop,
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
                Next::Stop
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
    fn a_second_without_calls_stops_the_clock_and_calls_between_ticks_count() {
        let mut watch = IdleWatch::default();
        let ticks = |watch: &mut IdleWatch, count| (1..1000).find(|_| watch.tick(count) == Next::Stop);
        assert_eq!(ticks(&mut watch, 0), Some(100));
        assert!((0..99).all(|_| watch.tick(0) == Next::Wait));
        assert_eq!(watch.tick(4), Next::Wait);
        assert_eq!(ticks(&mut watch, 4), Some(100));
    }
}
