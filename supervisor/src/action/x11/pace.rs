//! How long keys wait for the programs that read them. Pure: what time it is, the caller says.
//!
//! Keys come in series, each begun by the first key after a pause. With it programs
//! begin to read the layout, and until they have, no code is to be lent to another key.

use std::time::{Duration, Instant};

/// How far a program may be behind with the keys it was sent.
const CATCH_UP: Duration = Duration::from_millis(300);
/// How long programs need at most to read a layout, on a machine that is not overloaded; it takes them about 1 ms.
const LAYOUT_READ: Duration = Duration::from_millis(30);
/// A pause after which another keyboard may have been used.
const PAUSE: Duration = Duration::from_millis(50);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the first key of this series was sent; none where the next one begins a series.
    first: Option<Instant>,
    /// When the last key was sent, of any series.
    last: Option<Instant>,
}

impl Pace {
    /// How long to wait before a key is sent that is lent a code, or that has one.
    pub fn wait(&mut self, now: Instant, is_lent: bool) -> Duration {
        if self.last.is_none_or(|last| now.saturating_duration_since(last) > PAUSE) {
            self.first = None;
        }
        match self.first {
            Some(first) if is_lent => LAYOUT_READ.saturating_sub(now.saturating_duration_since(first)),
            _ => Duration::ZERO,
        }
    }

    /// A key was sent.
    pub fn sent(&mut self, now: Instant) {
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    /// How long to wait until programs have read all keys.
    pub fn until_caught_up(&self, now: Instant) -> Duration {
        self.last.map_or(Duration::ZERO, |last| CATCH_UP.saturating_sub(now.saturating_duration_since(last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENT: bool = true;

    /// A pace whose time goes on by what it waits for.
    struct Clock {
        pace: Pace,
        now: Instant,
    }

    impl Clock {
        fn new() -> Self {
            Self { pace: Pace::default(), now: Instant::now() }
        }

        fn passes(&mut self, time: Duration) {
            self.now += time;
        }

        /// Sends a key; how long it waited.
        fn key(&mut self, is_lent: bool) -> Duration {
            let wait = self.pace.wait(self.now, is_lent);
            self.passes(wait);
            self.pace.sent(self.now);
            wait
        }
    }

    #[test]
    fn after_the_first_key_the_first_loan_waits_until_the_layout_is_read_and_no_later_one_does() {
        for first_is_lent in [false, true] {
            let mut clock = Clock::new();
            assert_eq!(clock.key(first_is_lent), Duration::ZERO, "it is what makes programs read");
            clock.passes(Duration::from_millis(1));
            assert_eq!(clock.key(!LENT), Duration::ZERO, "a key of the layout's own");
            assert_eq!(clock.key(LENT), LAYOUT_READ - Duration::from_millis(1));
            for _ in 0..1000 {
                assert_eq!(clock.key(LENT), Duration::ZERO);
                // no pause, however often
                clock.passes(PAUSE);
            }
        }
    }

    #[test]
    fn after_a_pause_a_loan_waits_again() {
        let mut clock = Clock::new();
        for _ in 0..3 {
            assert_eq!(clock.key(LENT), Duration::ZERO);
            assert_eq!(clock.key(LENT), LAYOUT_READ);
            assert_eq!(clock.key(LENT), Duration::ZERO);
            clock.passes(PAUSE + Duration::from_nanos(1));
        }
    }

    #[test]
    fn a_loan_that_comes_late_waits_for_no_more_than_is_left_to_read() {
        let mut clock = Clock::new();
        clock.key(!LENT);
        clock.passes(LAYOUT_READ - Duration::from_nanos(1));
        assert_eq!(clock.key(LENT), Duration::from_nanos(1));
        let mut clock = Clock::new();
        clock.key(!LENT);
        clock.passes(LAYOUT_READ);
        assert_eq!(clock.key(LENT), Duration::ZERO);
    }

    #[test]
    fn a_key_that_could_not_be_sent_begins_no_series() {
        let mut clock = Clock::new();
        assert_eq!(clock.pace.wait(clock.now, LENT), Duration::ZERO);
        clock.passes(LAYOUT_READ);
        assert_eq!(clock.key(LENT), Duration::ZERO, "it is the first that programs see");
        assert_eq!(clock.key(LENT), LAYOUT_READ);
    }

    #[test]
    fn programs_have_caught_up_a_while_after_the_last_key_and_at_once_without_any() {
        let mut clock = Clock::new();
        assert_eq!(clock.pace.until_caught_up(clock.now), Duration::ZERO);
        clock.key(!LENT);
        clock.key(LENT);
        assert_eq!(clock.pace.until_caught_up(clock.now), CATCH_UP);
        clock.passes(Duration::from_millis(100));
        assert_eq!(clock.pace.until_caught_up(clock.now), CATCH_UP - Duration::from_millis(100));
        clock.passes(CATCH_UP);
        assert_eq!(clock.pace.until_caught_up(clock.now), Duration::ZERO);
    }
}
