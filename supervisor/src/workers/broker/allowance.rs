//! How much one plugin may ask for, whatever is granted. Pure.

use super::{Permit, refusal};
use crate::clock::Time;
use crate::workers::rate::TokenBucket;
use midimon_shared::host::{HostRefusal, RefusalKind};
use serde::{Deserialize, Serialize};

/// Requests of all kinds: a second, and at once.
pub const REQUESTS: (u32, u32) = (2_000, 500);
/// MIDI messages: faster than any player, slower than a loop.
pub const MIDI: (u32, u32) = (1_000, 200);
/// Connections.
pub const CONNECTIONS: (u32, u32) = (10, 20);
/// Programs.
pub const PROGRAMS: (u32, u32) = (5, 10);
/// Keystrokes, mouse and system actions.
pub const STROKES: (u32, u32) = (100, 100);
/// Characters of text: the most that a request may have at once, then as fast as they are typed.
pub const CHARACTERS: (u32, u32) = (250, 1_024);
/// Notifications.
pub const NOTICES: (u32, u32) = (1, 3);
/// Events: faster than anybody follows, slow enough that a plugin whose event calls itself is no load.
pub const EVENTS: (u32, u32) = (100, 100);
/// Changes of the mode.
pub const MODES: (u32, u32) = (10, 20);
/// Questions that take work to answer: how full the data directory is, and the certificates.
pub const QUESTIONS: (u32, u32) = (5, 20);

/// What became of a plugin's requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// Carried out, or tried.
    pub allowed: u64,
    /// Not granted, senseless or too many.
    pub refused: u64,
}

impl RequestCounts {
    /// Counts one by how it ended.
    pub const fn count(&mut self, refused: Option<RefusalKind>) {
        match refused {
            Some(RefusalKind::NotGranted | RefusalKind::Invalid | RefusalKind::TooMany) => self.refused += 1,
            Some(RefusalKind::TimedOut | RefusalKind::Failed) | None => self.allowed += 1,
        }
    }
}

/// What a plugin's events, lights and timers came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceCounts {
    /// Events emitted.
    pub events: u64,
    /// Events that were too many, or made no sense.
    pub events_refused: u64,
    /// Changes of the mode it made.
    pub modes: u64,
    /// Messages sent for lights.
    pub lights: u64,
    /// Values of lights that gave way to a newer one before they were sent.
    pub lights_replaced: u64,
    /// Timers that are set.
    pub timers: u64,
    /// Calls that timers made.
    pub timer_calls: u64,
    /// Calls of timers left out since the one before had no answer, or nobody came in time.
    pub timer_calls_left_out: u64,
}

/// One plugin's, kept from process to process.
#[derive(Clone, Debug)]
pub struct Allowance {
    requests: TokenBucket,
    midi: TokenBucket,
    connections: TokenBucket,
    programs: TokenBucket,
    strokes: TokenBucket,
    characters: TokenBucket,
    notices: TokenBucket,
    events: TokenBucket,
    modes: TokenBucket,
    questions: TokenBucket,
}

impl Default for Allowance {
    fn default() -> Self {
        let bucket = |(per_second, burst)| TokenBucket::new(per_second, burst);
        Self {
            requests: bucket(REQUESTS),
            midi: bucket(MIDI),
            connections: bucket(CONNECTIONS),
            programs: bucket(PROGRAMS),
            strokes: bucket(STROKES),
            characters: bucket(CHARACTERS),
            notices: bucket(NOTICES),
            events: bucket(EVENTS),
            modes: bucket(MODES),
            questions: bucket(QUESTIONS),
        }
    }
}

impl Allowance {
    /// Counts a request, before it is looked at.
    ///
    /// # Errors
    /// It is one too many.
    pub fn ask(&mut self, now: Time) -> Result<(), HostRefusal> {
        if self.requests.take(now) { Ok(()) } else { Err(too_many("requests", REQUESTS)) }
    }

    /// Counts what is permitted.
    ///
    /// # Errors
    /// It is one too many.
    pub fn spend(&mut self, now: Time, permit: &Permit) -> Result<(), HostRefusal> {
        let (bucket, what, limit) = match permit {
            Permit::Connect { .. } => (&mut self.connections, "connections", CONNECTIONS),
            Permit::MidiSend { .. } => (&mut self.midi, "MIDI messages", MIDI),
            Permit::Run { .. } => (&mut self.programs, "programs", PROGRAMS),
            Permit::Keystroke(_) | Permit::Mouse(_) | Permit::System(_) => (&mut self.strokes, "strokes", STROKES),
            Permit::Text(text) => {
                let fits = text.chars().all(|_| self.characters.take(now));
                return if fits { Ok(()) } else { Err(too_many("characters", CHARACTERS)) };
            }
            Permit::Notify { .. } => (&mut self.notices, "notifications", NOTICES),
            Permit::Emit { .. } => (&mut self.events, "events", EVENTS),
            Permit::Mode(_) => (&mut self.modes, "changes of the mode", MODES),
            Permit::Usage | Permit::Roots => (&mut self.questions, "questions of this kind", QUESTIONS),
            // as many as requests of all kinds; lights and timers have limits of their own
            Permit::DatagramSend { .. }
            | Permit::DatagramReceive { .. }
            | Permit::Light { .. }
            | Permit::TimerSet(_)
            | Permit::TimerCancel(_) => return Ok(()),
        };
        if bucket.take(now) { Ok(()) } else { Err(too_many(what, limit)) }
    }
}

fn too_many(what: &str, (per_second, burst): (u32, u32)) -> HostRefusal {
    refusal(RefusalKind::TooMany, format!("too many {what}: {per_second} a second and {burst} at once are the most"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workers::broker::midi::MidiMessage;

    fn spent(permit: &Permit, seconds: u64) -> u32 {
        let mut allowance = Allowance::default();
        let tries = (0..seconds * 1000).flat_map(|ms| [ms; 4]);
        let taken = tries.filter(|&ms| allowance.spend(Time::from_millis(1_000_000 + ms), permit).is_ok());
        u32::try_from(taken.count()).unwrap()
    }

    #[test]
    fn each_kind_has_its_burst_and_its_rate() {
        let message = MidiMessage::parse(&[0x90, 1, 1]).unwrap();
        let cases = [
            (Permit::MidiSend { port: "p".into(), message }, MIDI),
            (Permit::Notify { title: String::new(), body: String::new() }, NOTICES),
            (Permit::Keystroke("a".into()), STROKES),
            (Permit::Text("a".into()), CHARACTERS),
            (Permit::Emit { event: "e".into(), value: String::new() }, EVENTS),
            (Permit::Mode("m".into()), MODES),
            (Permit::Usage, QUESTIONS),
            (Permit::Roots, QUESTIONS),
            (Permit::Run { program: "p".into(), arguments: vec![], wait: std::time::Duration::ZERO }, PROGRAMS),
        ];
        for (permit, (rate, burst)) in cases {
            let spent = spent(&permit, 10);
            assert!((10 * rate + burst - rate..=10 * rate + burst).contains(&spent), "{permit:?}: {spent}");
        }
    }

    #[test]
    fn a_text_costs_its_characters() {
        let (mut allowance, now) = (Allowance::default(), Time::from_millis(1));
        assert!(allowance.spend(now, &Permit::Text("x".repeat(1_000))).is_ok());
        let error = allowance.spend(now, &Permit::Text("x".repeat(100))).unwrap_err();
        assert_eq!(error.kind, RefusalKind::TooMany);
    }

    #[test]
    fn requests_of_all_kinds_are_counted_together() {
        let mut allowance = Allowance::default();
        let asked = (0..10_000).filter(|_| allowance.ask(Time::from_millis(1)).is_ok()).count();
        assert_eq!(asked, REQUESTS.1 as usize);
    }

    #[test]
    fn what_was_tried_counts_as_allowed() {
        let mut counts = RequestCounts::default();
        for kind in [None, Some(RefusalKind::Failed), Some(RefusalKind::NotGranted), Some(RefusalKind::TooMany)] {
            counts.count(kind);
        }
        assert_eq!(counts, RequestCounts { allowed: 2, refused: 2 });
    }
}
