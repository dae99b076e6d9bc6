//! Ends the pool's sleep at a deadline.
//!
//! A timeout of `epoll_wait` would set up and cancel a kernel timer for every
//! answer; this one is set only when a deadline comes before the one it knows.

use crate::clock::Time;
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::os::fd::{AsFd, BorrowedFd};

/// A timer in the epoll set.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: TimerFd,
    set: Option<Time>,
}

impl Alarm {
    /// # Errors
    /// The system call's.
    pub fn new() -> Result<Self, Errno> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        Ok(Self { timer, set: None })
    }

    /// Rings at `at` or earlier.
    ///
    /// # Errors
    /// The system call's.
    pub fn at_latest(&mut self, at: Time) -> Result<(), Errno> {
        if self.set.is_some_and(|set| set <= at) {
            return Ok(());
        }
        // zero would switch it off
        let nanos = i64::try_from(at.as_nanos().max(1)).unwrap_or(i64::MAX);
        let spec = TimeSpec::new(nanos / 1_000_000_000, nanos % 1_000_000_000);
        self.timer.set(Expiration::OneShot(spec), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        self.set = Some(at);
        Ok(())
    }

    /// It rang.
    pub fn rang(&mut self) {
        let _ = self.timer.wait(); // WouldBlock: it was set anew meanwhile
        self.set = None;
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::time::Duration;

    #[test]
    fn it_rings_at_the_earliest_time_it_was_given_and_not_before() {
        let mut alarm = Alarm::new().unwrap();
        let due = now() + Duration::from_millis(5);
        alarm.at_latest(now() + Duration::from_secs(3600)).unwrap();
        alarm.at_latest(due).unwrap();
        alarm.at_latest(now() + Duration::from_secs(60)).unwrap();
        poll(&mut [PollFd::new(alarm.as_fd(), PollFlags::POLLIN)], PollTimeout::from(30_000_u16)).unwrap();
        assert!(now() >= due);
        alarm.rang();
        assert_eq!(poll(&mut [PollFd::new(alarm.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap(), 0);
        // a time that has passed rings at once
        alarm.at_latest(Time::default()).unwrap();
        assert_eq!(
            poll(&mut [PollFd::new(alarm.as_fd(), PollFlags::POLLIN)], PollTimeout::from(30_000_u16)).unwrap(),
            1
        );
    }
}
