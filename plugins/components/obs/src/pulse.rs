//! Whether the other side is still there. Pure: time is milliseconds of any clock that
//! only goes forward.

/// Silence after which it is asked.
const ASK_AFTER_MS: u64 = 10_000;
/// How long it may take to say that it is there.
const ANSWER_MS: u64 = 5_000;

/// When the other side was heard, and asked.
#[derive(Debug)]
pub struct Pulse {
    heard_ms: u64,
    asked_ms: Option<u64>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// Ask whether it is there.
    Ask,
    /// Give up: it did not say.
    GiveUp,
}

impl Pulse {
    /// It is there now.
    pub const fn new(now_ms: u64) -> Self {
        Self { heard_ms: now_ms, asked_ms: None }
    }

    /// Something came from it.
    pub const fn heard(&mut self, now_ms: u64) {
        *self = Self::new(now_ms);
    }

    /// What is to be done; who is told to ask does so.
    pub const fn need(&mut self, now_ms: u64) -> Need {
        match self.asked_ms {
            Some(asked_ms) if now_ms.saturating_sub(asked_ms) >= ANSWER_MS => Need::GiveUp,
            None if now_ms.saturating_sub(self.heard_ms) >= ASK_AFTER_MS => {
                self.asked_ms = Some(now_ms);
                Need::Ask
            }
            _ => Need::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_asked_about_once_and_then_given_up() {
        let mut pulse = Pulse::new(0);
        let needs: Vec<(u64, Need)> = (0..=16_000)
            .step_by(100)
            .map(|now| (now, pulse.need(now)))
            .filter(|(_, need)| *need != Need::Nothing)
            .collect();
        assert_eq!(needs[..2], [(10_000, Need::Ask), (15_000, Need::GiveUp)]);
    }

    #[test]
    fn whoever_is_heard_is_not_given_up() {
        let mut pulse = Pulse::new(0);
        for now in (0..100_000).step_by(100) {
            if pulse.need(now) == Need::Ask {
                pulse.heard(now + 4_900);
            }
            assert_ne!(pulse.need(now), Need::GiveUp);
        }
    }
}
