//! How often something may happen: a token bucket. Pure, the time is an argument.

use crate::clock::Time;
use std::time::Duration;

/// Lets `burst` happen at once and `per_second` for long, and counts the rest.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    /// Nanoseconds that bring one token back.
    refill: u64,
    /// Nanoseconds' worth of tokens it holds at most.
    full: u64,
    /// Nanoseconds' worth of tokens it holds.
    held: u64,
    refilled: Time,
    refused: u64,
}

impl TokenBucket {
    /// A full bucket. Both numbers count as 1 at least.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        let refill = (1_000_000_000 / u64::from(per_second.max(1))).max(1);
        let full = refill * u64::from(burst.max(1));
        Self { refill, full, held: full, refilled: Time::default(), refused: 0 }
    }

    /// Whether it may happen now. A refusal is counted and costs nothing.
    pub fn take(&mut self, now: Time) -> bool {
        self.refill(now);
        let may = self.held >= self.refill;
        if may {
            self.held -= self.refill;
        } else {
            self.refused = self.refused.saturating_add(1);
        }
        may
    }

    /// As much of `wanted` as may happen now; the rest is counted as refused.
    pub fn take_up_to(&mut self, now: Time, wanted: u64) -> u64 {
        self.refill(now);
        let taken = wanted.min(self.held / self.refill);
        self.held -= taken * self.refill;
        self.refused = self.refused.saturating_add(wanted - taken);
        taken
    }

    /// How long until it may happen again; zero when it may now.
    #[must_use]
    pub fn wait(&self, now: Time) -> Duration {
        let missing = Duration::from_nanos(self.refill.saturating_sub(self.held));
        missing.saturating_sub(now.since(self.refilled))
    }

    /// How often it was refused.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    fn refill(&mut self, now: Time) {
        let passed = u64::try_from(now.since(self.refilled).as_nanos()).unwrap_or(u64::MAX);
        self.held = self.held.saturating_add(passed).min(self.full);
        self.refilled = self.refilled.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &mut TokenBucket, at_ms: u64, tries: u32) -> usize {
        (0..tries).filter(|_| bucket.take(Time::from_millis(at_ms))).count()
    }

    #[test]
    fn a_burst_passes_then_the_rate_and_every_refusal_is_counted() {
        let mut bucket = TokenBucket::new(10, 5);
        assert_eq!(taken(&mut bucket, 1_000, 100), 5);
        assert_eq!(bucket.refused(), 95);
        assert_eq!(taken(&mut bucket, 1_099, 1), 0);
        assert_eq!(taken(&mut bucket, 1_100, 2), 1);
        let per_ms: usize = (1_101..=11_100).map(|at| taken(&mut bucket, at, 3)).sum();
        assert_eq!(per_ms, 100, "ten seconds at ten a second");
    }

    #[test]
    fn a_long_rest_gives_no_more_than_the_burst() {
        let mut bucket = TokenBucket::new(1_000_000, 3);
        assert_eq!(taken(&mut bucket, u64::MAX / 2_000_000, 10), 3);
        assert_eq!(taken(&mut bucket, 0, 10), 0, "a clock that goes back brings nothing");
    }

    #[test]
    fn the_wait_it_tells_is_the_shortest_that_helps() {
        let mut bucket = TokenBucket::new(4, 1);
        assert_eq!(bucket.wait(Time::default()), Duration::ZERO);
        assert!(bucket.take(Time::default()));
        assert_eq!(bucket.wait(Time::from_millis(100)), Duration::from_millis(150));
        assert!(!bucket.take(Time::from_millis(249)));
        assert_eq!(bucket.wait(Time::from_millis(249)), Duration::from_millis(1));
        assert!(bucket.take(Time::from_millis(250)));
    }

    #[test]
    fn of_a_large_amount_what_may_be_is_taken_and_the_rest_is_counted() {
        let mut bucket = TokenBucket::new(1000, 500);
        assert_eq!(bucket.take_up_to(Time::default(), 300), 300);
        assert_eq!(bucket.take_up_to(Time::default(), u64::MAX), 200);
        assert_eq!(bucket.refused(), u64::MAX - 200);
        assert_eq!(bucket.take_up_to(Time::from_millis(7), 100), 7);
        assert_eq!(bucket.take_up_to(Time::from_millis(7), 0), 0);
    }

    #[test]
    fn nonsense_numbers_are_made_sense_of() {
        let mut bucket = TokenBucket::new(0, 0);
        assert_eq!(taken(&mut bucket, 0, 3), 1);
        let mut bucket = TokenBucket::new(u32::MAX, u32::MAX);
        assert_eq!(taken(&mut bucket, 0, 1_000), 1_000);
    }
}
