//! What waits to be sent to one port, and what must not be forgotten about it. Pure.

use crate::clock::Time;
use midimon_shared::{Channel, ChannelMessage, U7};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Messages that wait at most; note-offs find room beyond it, see [`MAX_WAITING_OFFS`].
pub const MAX_WAITING: usize = 1024;
/// Note-offs that wait beyond [`MAX_WAITING`]: one for every note there is.
const MAX_WAITING_OFFS: usize = 16 * 128;
/// From this many on, a newer value of a knob or fader takes the place of an older one.
pub const BACKLOG: usize = 32;

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutMessage {
    /// A channel message.
    Channel(ChannelMessage),
    /// A whole System Exclusive message, 0xF0 and 0xF7 included.
    SysEx(Arc<[u8]>),
}

impl From<ChannelMessage> for OutMessage {
    fn from(message: ChannelMessage) -> Self {
        Self::Channel(message)
    }
}

/// Messages that wait for their turn.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<OutMessage>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    /// It waits.
    Waits,
    /// It took the place of an older value.
    Replaced,
    /// There was no room.
    Dropped,
}

impl Queue {
    /// Puts a message at the end, or in the place of an older one that it makes pointless.
    pub fn push(&mut self, message: OutMessage) -> Queued {
        if self.waiting.len() >= BACKLOG
            && let Some(stream) = stream(&message)
            && let Some(older) = self.waiting.iter_mut().find(|older| self::stream(older) == Some(stream))
        {
            *older = message;
            return Queued::Replaced;
        }
        let room = match message {
            // a note that was switched on must be switched off
            OutMessage::Channel(ChannelMessage::NoteOff { .. }) => MAX_WAITING + MAX_WAITING_OFFS,
            _ => MAX_WAITING,
        };
        if self.waiting.len() >= room {
            return Queued::Dropped;
        }
        self.waiting.push_back(message);
        Queued::Waits
    }

    /// The message whose turn it is.
    pub fn pop(&mut self) -> Option<OutMessage> {
        self.waiting.pop_front()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Forgets all that waits and says how many they were.
    pub fn clear(&mut self) -> usize {
        self.waiting.drain(..).count()
    }
}

/// What a continuous value belongs to; `None` for messages of which each one counts.
///
/// Switches (CC 64-69), bank select, data entry and (N)RPN numbers (0, 6, 32, 38,
/// 96-101) and channel mode messages (120-127) depend on their order.
fn stream(message: &OutMessage) -> Option<[u8; 2]> {
    let OutMessage::Channel(message) = *message else { return None };
    let [status, number, _] = message.to_bytes();
    match message {
        ChannelMessage::ControlChange { .. } => {
            let ordered = matches!(number, 0 | 6 | 32 | 38 | 64..=69 | 96..=101 | 120..);
            (!ordered).then_some([status, number])
        }
        ChannelMessage::PolyPressure { .. } => Some([status, number]),
        ChannelMessage::ChannelPressure { .. } | ChannelMessage::PitchBend { .. } => Some([status, 0]),
        ChannelMessage::NoteOn { .. } | ChannelMessage::NoteOff { .. } | ChannelMessage::ProgramChange { .. } => None,
    }
}

/// Notes that are switched on at the other end.
#[derive(Debug, Default)]
pub struct Sounding([u128; 16]);

impl Sounding {
    /// This was sent.
    pub fn sent(&mut self, message: ChannelMessage) {
        let notes = &mut self.0[usize::from(message.channel().wire())];
        match message {
            ChannelMessage::NoteOn { note, velocity, .. } if velocity.get() > 0 => *notes |= 1 << note.get(),
            // of velocity 0: how a light is switched off
            ChannelMessage::NoteOn { note, .. } | ChannelMessage::NoteOff { note, .. } => *notes &= !(1 << note.get()),
            // all sound off, all notes off
            ChannelMessage::ControlChange { controller, .. } if matches!(controller.get(), 120 | 123) => *notes = 0,
            _ => {}
        }
    }

    /// How many they are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.iter().map(|notes| notes.count_ones()).sum()
    }

    /// The messages that switch them off, which are then taken for sent.
    pub fn release(&mut self) -> impl Iterator<Item = ChannelMessage> + use<> {
        let held = std::mem::take(&mut self.0);
        (0..16u8).zip(held).flat_map(|(channel, notes)| {
            let off = move |note| ChannelMessage::NoteOff {
                channel: Channel::from_status(channel),
                note: U7::truncate(note),
                velocity: U7::truncate(64),
            };
            (0..128u8).filter(move |&note| notes & 1 << note != 0).map(off)
        })
    }
}

/// How fast bytes may follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// What one byte takes in the long run.
    byte: Duration,
    /// How far ahead of that a burst may run.
    burst: Duration,
}

impl Pace {
    /// Thirty times a DIN cable's, after a burst of 64 messages: quick for
    /// people, yet the kernel's queues (200 events) never fill up.
    pub const USB: Self = Self::new(Duration::from_nanos(10_667), 192);
    /// A DIN cable's 31,250 baud: 320 µs a byte, a message ahead.
    pub const DIN: Self = Self::new(Duration::from_micros(320), 3);

    const fn new(byte: Duration, burst_bytes: u32) -> Self {
        Self { byte, burst: byte.saturating_mul(burst_bytes) }
    }
}

/// Says when the next message may go. The generic cell rate algorithm (ITU-T I.371).
#[derive(Debug, Default)]
pub struct Pacer {
    /// When all that was sent would have gone at an even pace.
    even: Time,
}

impl Pacer {
    /// When a message of this many bytes may go, `now` or later; it is taken for sent then.
    pub fn send_at(&mut self, pace: Pace, now: Time, bytes: usize) -> Time {
        let begin = self.even.max(now);
        self.even = begin + pace.byte * bytes as u32;
        let ahead = self.even.since(now);
        now + ahead.saturating_sub(pace.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn channel(bytes: [u8; 3]) -> ChannelMessage {
        ChannelMessage::from_bytes(bytes).unwrap()
    }

    fn message(bytes: [u8; 3]) -> OutMessage {
        channel(bytes).into()
    }

    fn note(key: u8) -> OutMessage {
        message([0x90, key, 1])
    }

    fn backlog() -> Queue {
        let mut queue = Queue::default();
        for key in 0..BACKLOG as u8 {
            assert_eq!(queue.push(note(key)), Queued::Waits);
        }
        queue
    }

    fn drained(mut queue: Queue) -> Vec<OutMessage> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn without_a_backlog_every_value_is_sent() {
        let mut queue = Queue::default();
        for value in 0..20 {
            assert_eq!(queue.push(message([0xB0, 7, value])), Queued::Waits);
        }
        assert_eq!(drained(queue).len(), 20);
    }

    #[test]
    fn in_a_backlog_the_latest_value_of_a_knob_is_sent_in_the_place_of_the_first() {
        let mut queue = backlog();
        for value in 0..100 {
            queue.push(message([0xB0, 7, value]));
            queue.push(message([0xE0, 0, value]));
            queue.push(message([0xB1, 7, 1]));
        }
        queue.push(note(60));
        let sent = drained(queue);
        let tail = [[0xB0, 7, 99], [0xE0, 0, 99], [0xB1, 7, 1], [0x90, 60, 1]].map(message);
        assert_eq!(sent[BACKLOG..], tail);
    }

    #[test]
    fn notes_switches_and_parameter_numbers_are_never_merged() {
        for bytes in
            [[0x90, 1, 1], [0x80, 1, 1], [0xC0, 1, 0], [0xB0, 64, 1], [0xB0, 6, 1], [0xB0, 99, 1], [0xB0, 123, 0]]
        {
            let mut queue = backlog();
            queue.push(message(bytes));
            assert_eq!(queue.push(message(bytes)), Queued::Waits, "{bytes:?}");
        }
    }

    #[test]
    fn sysex_is_never_merged() {
        let mut queue = backlog();
        let sysex = OutMessage::SysEx([0xF0, 1, 0xF7][..].into());
        for _ in 0..2 {
            assert_eq!(queue.push(sysex.clone()), Queued::Waits);
        }
        assert_eq!(drained(queue)[BACKLOG..], [sysex.clone(), sysex]);
    }

    #[test]
    fn a_full_queue_drops_but_never_a_note_off() {
        let mut queue = Queue::default();
        for _ in 0..MAX_WAITING {
            queue.push(note(1));
        }
        assert_eq!(queue.push(note(2)), Queued::Dropped);
        for _ in 0..MAX_WAITING_OFFS {
            assert_eq!(queue.push(message([0x80, 2, 0])), Queued::Waits);
        }
        assert_eq!(queue.push(message([0x80, 2, 0])), Queued::Dropped);
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_pace() {
        let mut pacer = Pacer::default();
        let start = Time::from_millis(1000);
        let times: Vec<_> = (0..1000).map(|_| pacer.send_at(Pace::USB, start, 3)).collect();
        assert_eq!(times.iter().filter(|&&at| at == start).count(), 64);
        let last = times[999].since(start).as_micros();
        assert!((29_900..30_000).contains(&last), "{last} µs for 936 messages after the burst");
        let later = start + Duration::from_secs(1);
        assert_eq!(pacer.send_at(Pace::USB, later, 3), later);
    }

    #[test]
    fn a_din_cable_gets_a_message_every_960_microseconds() {
        let mut pacer = Pacer::default();
        let start = Time::from_millis(1000);
        let times: Vec<_> = (0..4).map(|_| pacer.send_at(Pace::DIN, start, 3).since(start).as_micros()).collect();
        assert_eq!(times, [0, 960, 1920, 2880]);
    }

    proptest! {
        #[test]
        fn after_release_nothing_sounds(messages in prop::collection::vec((0x80u8..0xA0, 0u8..128, 0u8..128), 0..300)) {
            let mut sounding = Sounding::default();
            let mut on = std::collections::HashSet::new();
            for (status, note, velocity) in messages {
                let message = channel([status, note, velocity]);
                sounding.sent(message);
                match message {
                    ChannelMessage::NoteOn { channel, note, .. } => on.insert((channel, note)),
                    ChannelMessage::NoteOff { channel, note, .. } => on.remove(&(channel, note)),
                    _ => unreachable!(),
                };
            }
            prop_assert_eq!(sounding.count() as usize, on.len());
            for off in sounding.release() {
                let ChannelMessage::NoteOff { channel, note, .. } = off else { panic!("{off:?}") };
                prop_assert!(on.remove(&(channel, note)));
            }
            prop_assert!(on.is_empty());
            prop_assert_eq!(sounding.count(), 0);
        }
    }
}
