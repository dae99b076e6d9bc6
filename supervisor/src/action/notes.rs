//! Lines for the user, few enough to be read.

use crate::clock::Time;
use crate::midi::output::NoteFn;
use std::sync::{Mutex, PoisonError};

/// Lines a second in the long run, and how many may come at once.
const RATE: u64 = 5;
const BURST: u64 = 10;
const SECOND: u64 = 1_000_000_000;

/// Passes lines on unless there are too many; those left out are counted in the next one.
pub(super) struct Notes {
    note: NoteFn,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The time that all lines so far would have taken at an even rate.
    even: u64,
    left_out: u64,
}

impl Notes {
    pub fn new(note: NoteFn) -> Self {
        Self { note, state: Mutex::default() }
    }

    pub fn tell(&self, now: Time, text: &str) {
        let line = self.state.lock().unwrap_or_else(PoisonError::into_inner).line(now.as_nanos(), text);
        if let Some(line) = line {
            (self.note)(line);
        }
    }
}

impl State {
    fn line(&mut self, now: u64, text: &str) -> Option<String> {
        let even = self.even.max(now) + SECOND / RATE;
        if even > now + BURST * SECOND / RATE {
            self.left_out += 1;
            return None;
        }
        self.even = even;
        Some(match std::mem::take(&mut self.left_out) {
            0 => text.to_owned(),
            count => format!("{text} ({count} more lines left out)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_thinned_out_and_counted() {
        let mut state = State::default();
        let told = (0..1000).filter_map(|_| state.line(SECOND, "x")).count() as u64;
        assert_eq!(told, BURST);
        assert_eq!(state.line(2 * SECOND, "y").unwrap(), "y (990 more lines left out)");
        assert_eq!(state.line(100 * SECOND, "z").unwrap(), "z");
    }
}
