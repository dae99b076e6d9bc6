//! When to try to connect again. Pure: time is milliseconds of any clock that only goes forward.

/// First wait after a failure.
const FIRST_MS: u64 = 500;
/// Longest wait.
const LONGEST_MS: u64 = 30_000;

/// Waits that double from failure to failure.
#[derive(Debug, Default)]
pub struct Retry {
    failures: u32,
    not_before_ms: u64,
}

impl Retry {
    /// Whether it is time.
    pub const fn is_due(&self, now_ms: u64) -> bool {
        now_ms >= self.not_before_ms
    }

    /// Whether somebody who waits for it may try at once: not faster than the first wait.
    pub const fn may_hurry(&self, now_ms: u64) -> bool {
        self.failures == 0 || now_ms + self.wait() >= self.not_before_ms + FIRST_MS
    }

    /// It failed.
    pub fn failed(&mut self, now_ms: u64) {
        self.failures = self.failures.saturating_add(1);
        self.not_before_ms = now_ms + self.wait();
    }

    /// It failed in a way that trying again does not mend.
    pub fn hopeless(&mut self, now_ms: u64) {
        self.failures = u32::MAX;
        self.not_before_ms = now_ms + self.wait();
    }

    /// It worked.
    pub fn worked(&mut self) {
        *self = Self::default();
    }

    const fn wait(&self) -> u64 {
        match self.failures {
            0 => 0,
            failures if failures > 6 => LONGEST_MS,
            failures => {
                let wait = FIRST_MS << (failures - 1);
                if wait < LONGEST_MS { wait } else { LONGEST_MS }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When it is tried, by somebody who looks every 100 ms for a minute and always fails.
    fn tries(mut fail: impl FnMut(&mut Retry, u64)) -> Vec<u64> {
        let mut retry = Retry::default();
        let due = (0..60_000).step_by(100).filter(|&now| {
            let due = retry.is_due(now);
            if due {
                fail(&mut retry, now);
            }
            due
        });
        due.collect()
    }

    #[test]
    fn waits_double_up_to_half_a_minute() {
        assert_eq!(tries(|retry, now| retry.failed(now)), [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
        let mut retry = Retry::default();
        (0..1_000).for_each(|_| retry.failed(0));
        assert!(!retry.is_due(LONGEST_MS - 1) && retry.is_due(LONGEST_MS));
    }

    #[test]
    fn what_is_hopeless_waits_longest_at_once() {
        assert_eq!(tries(Retry::hopeless), [0, 30_000]);
    }

    #[test]
    fn a_press_need_not_wait_but_presses_do_not_hammer() {
        let mut retry = Retry::default();
        assert!(retry.may_hurry(0));
        (0..20).for_each(|_| retry.failed(1_000));
        assert!(!retry.may_hurry(1_499) && retry.may_hurry(1_500) && !retry.is_due(1_500));
    }

    #[test]
    fn after_success_all_is_as_at_first() {
        let mut retry = Retry::default();
        retry.hopeless(0);
        retry.worked();
        assert!(retry.is_due(0));
        retry.failed(0);
        assert!(retry.is_due(500));
    }
}
