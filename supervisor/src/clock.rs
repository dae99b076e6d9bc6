//! The one clock: `CLOCK_MONOTONIC` in nanoseconds, the same in every process
//! of the machine. Read at the edges only; everything pure takes it as an argument.

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A point in time, in nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(u64);

impl Time {
    /// From nanoseconds of `CLOCK_MONOTONIC`.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A point that many milliseconds after the clock's zero; handy where time is ticked by hand.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// Nanoseconds of `CLOCK_MONOTONIC`.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this, zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// The processor time this thread has taken.
#[must_use]
pub fn thread_time() -> Duration {
    // the clock always exists on Linux; the fallback only keeps this total
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Now.
#[must_use]
pub fn now() -> Time {
    Time(nanos(ClockId::CLOCK_MONOTONIC))
}

/// What the wall clock showed at a moment, in milliseconds since the Unix epoch, by how far it is ahead of
/// the monotonic clock now. Both coarse clocks stand at the last tick, so their difference is exact; they
/// cost a sixth of the exact ones. A tick between the two readings makes it that tick less.
#[must_use]
pub fn unix_ms_at(at: Time) -> u64 {
    let wall = nanos(ClockId::CLOCK_REALTIME_COARSE);
    let ahead = wall.saturating_sub(nanos(ClockId::CLOCK_MONOTONIC_COARSE));
    ahead.saturating_add(at.as_nanos()) / 1_000_000
}

fn nanos(clock: ClockId) -> u64 {
    // these clocks always exist on Linux; the fallback only keeps this total
    clock_gettime(clock).map_or(0, |spec| spec.tv_sec() as u64 * 1_000_000_000 + spec.tv_nsec() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use midimon_shared::context::unix_ms;

    #[test]
    fn the_wall_clock_of_a_moment_is_that_of_the_moment() {
        let (before, at, after) = (unix_ms(), now(), unix_ms());
        // a tick, 10 ms at most, may pass while the coarse clocks are read
        let shown = unix_ms_at(at);
        assert!((before.saturating_sub(11)..=after + 1).contains(&shown), "{before} {shown} {after}");
        let earlier = unix_ms_at(Time(at.as_nanos() - 60_000_000_000));
        assert!((59_980..=60_020).contains(&(shown - earlier)), "{earlier} {shown}");
    }
}
