//! Input for those who have no controller at hand: a small piece for pads and knobs, for ever.

use super::device::{DeviceRef, Feed, MidiSink};
use super::stop::{Playing, Stop};
use crate::clock::now;
use midimon_shared::{Channel, ChannelMessage, U7, U14};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Time between two steps: eighth notes at 100 beats a minute.
pub const STEP: Duration = Duration::from_millis(300);
/// How long a note is held.
const GATE: Duration = Duration::from_millis(200);
/// Steps of a bar.
const BAR: u64 = 8;

/// A bar of pads: kick, closed hat, snare, open hat, as General MIDI numbers them.
const PADS: [u8; BAR as usize] = [36, 42, 38, 42, 36, 36, 38, 46];
/// A melody over it, every other step of the second half of each phrase.
const MELODY: [u8; 4] = [60, 64, 67, 72];

/// A message and when it comes after its step's beginning.
pub type Timed = (Duration, ChannelMessage);

/// What step `number` of the piece plays, in the order of time: a pad that is
/// pressed and released, on even bars a melody note, and something that moves:
/// modulation (CC 1), pitch bend, channel pressure or a program change. All on channel 1.
pub fn step(number: u64) -> impl Iterator<Item = Timed> {
    let (bar, beat) = (number / BAR, number % BAR);
    let channel = Channel::from_status(0);
    let accent = U7::truncate(if beat.is_multiple_of(4) { 110 } else { 50 + (beat as u8) * 7 });
    let melody = (bar % 2 == 1 && beat.is_multiple_of(2)).then(|| MELODY[beat as usize / 2]);
    let notes = [Some(PADS[beat as usize]), melody].into_iter().flatten().map(U7::truncate);
    let on =
        notes.clone().map(move |note| (Duration::ZERO, ChannelMessage::NoteOn { channel, note, velocity: accent }));
    let off = notes.map(move |note| (GATE, ChannelMessage::NoteOff { channel, note, velocity: U7::truncate(64) }));
    // a triangle over two bars
    let position = number % (2 * BAR);
    let height = if position < BAR { position } else { 2 * BAR - position };
    let sweep = U7::truncate((height * 127 / BAR) as u8);
    let moving = match bar % 4 {
        0 => Some(ChannelMessage::ControlChange { channel, controller: U7::truncate(1), value: sweep }),
        1 if beat.is_multiple_of(2) => {
            let value = if beat == BAR - 2 { U14::CENTRE } else { U14::from_bytes(U7::default(), sweep) };
            Some(ChannelMessage::PitchBend { channel, value })
        }
        2 if beat.is_multiple_of(2) => Some(ChannelMessage::ChannelPressure { channel, pressure: sweep }),
        3 if beat == 0 => Some(ChannelMessage::ProgramChange { channel, program: U7::truncate((bar / 4 % 8) as u8) }),
        _ => None,
    };
    on.chain(moving.map(|message| (GATE / 2, message))).chain(off)
}

/// The piece being played; dropping it stops it.
#[derive(Debug)]
pub(super) struct Demo {
    _playing: Playing,
}

impl Demo {
    /// Plays on a thread of its own, except while `quiet` says so at a step's beginning.
    pub fn start(
        device: DeviceRef,
        sink: Arc<dyn MidiSink>,
        quiet: impl Fn() -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let run = move |stop: &Stop| {
            let mut feed = Feed::new(device, sink);
            let mut begin = now();
            let mut number = 0;
            while !stop.sleep_until(begin) {
                if !quiet() {
                    for (after, message) in step(number) {
                        if stop.sleep_until(begin + after) {
                            return;
                        }
                        feed.message(now(), message);
                    }
                    number += 1;
                }
                begin = begin + STEP;
            }
        };
        Ok(Self { _playing: Playing::start("demo", run)? })
    }
}

#[cfg(test)]
mod tests {
    use super::super::device::DeviceTable;
    use super::super::device::testing::{Told, recorder};
    use super::*;
    use std::collections::HashSet;
    use std::mem::discriminant;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn every_note_that_is_pressed_is_released_within_its_step() {
        for number in 0..64 {
            let mut held = HashSet::new();
            let mut last = Duration::ZERO;
            for (at, message) in step(number) {
                assert!(at >= last && at < STEP);
                last = at;
                match message {
                    ChannelMessage::NoteOn { note, .. } => assert!(held.insert(note)),
                    ChannelMessage::NoteOff { note, .. } => assert!(held.remove(&note)),
                    _ => {}
                }
            }
            assert!(held.is_empty(), "step {number}");
        }
    }

    #[test]
    fn the_piece_has_six_kinds_of_messages_and_leaves_the_wheel_centred() {
        let messages: Vec<_> = (0..32).flat_map(step).map(|(_, message)| message).collect();
        assert_eq!(messages.iter().map(discriminant).collect::<HashSet<_>>().len(), 6);
        let bend = messages.iter().rev().find_map(|message| match message {
            ChannelMessage::PitchBend { value, .. } => Some(*value),
            _ => None,
        });
        assert_eq!(bend, Some(U14::CENTRE));
    }

    #[test]
    fn it_plays_at_once_and_is_silent_while_told_to() {
        static QUIET: AtomicBool = AtomicBool::new(true);
        let (sink, told) = recorder();
        let demo = Demo::start(DeviceTable::default().device("demo"), sink, || {
            let quiet = QUIET.load(Ordering::Relaxed);
            QUIET.store(false, Ordering::Relaxed);
            quiet
        });
        assert_eq!(told.recv(), Ok(Told::Connected("demo".into())));
        let start = now();
        let Ok(Told::Message(_, at, message)) = told.recv() else { panic!() };
        assert!(at.since(start) > STEP / 2, "one step was to be silent");
        assert_eq!(message.to_bytes()[..2], [0x90, PADS[0]]);
        drop(demo);
        assert_eq!(told.iter().last(), Some(Told::Disconnected("demo".into())));
    }
}
