//! Notes and pedals that a plugin left on. Pure.

use super::midi::MidiMessage;
use midimon_shared::{Channel, ChannelMessage, U7};
use std::collections::BTreeMap;

/// The controller of the sustain pedal.
const SUSTAIN: u8 = 64;

/// What one process has switched on and not off again, by output.
#[derive(Debug, Default)]
pub struct Held(BTreeMap<String, [Channels; 16]>);

#[derive(Clone, Copy, Debug, Default)]
struct Channels {
    /// A bit for each note.
    notes: u128,
    sustain: bool,
}

impl Held {
    /// This was sent.
    pub fn sent(&mut self, port: &str, message: &MidiMessage) {
        let MidiMessage::Channel(message) = message else { return };
        let is_new = matches!(message, ChannelMessage::NoteOn { .. } | ChannelMessage::ControlChange { .. });
        if is_new && !self.0.contains_key(port) {
            self.0.insert(port.to_owned(), Default::default());
        }
        let Some(channels) = self.0.get_mut(port) else { return };
        let channel = &mut channels[usize::from(message.channel().wire())];
        match message {
            ChannelMessage::NoteOn { note, .. } => channel.notes |= 1 << note.get(),
            ChannelMessage::NoteOff { note, .. } => channel.notes &= !(1 << note.get()),
            ChannelMessage::ControlChange { controller, value, .. } => match controller.get() {
                SUSTAIN => channel.sustain = value.get() >= 64,
                // all sound off, all notes off
                120 | 123 => channel.notes = 0,
                // reset all controllers
                121 => channel.sustain = false,
                _ => {}
            },
            _ => {}
        }
    }

    /// The messages that switch off what is on, which is then forgotten.
    pub fn release(&mut self) -> Vec<(String, MidiMessage)> {
        let mut messages = Vec::new();
        for (port, channels) in std::mem::take(&mut self.0) {
            for (number, held) in (0..16u8).zip(channels) {
                let channel = Channel::from_status(number);
                let mut send = |message| messages.push((port.clone(), MidiMessage::Channel(message)));
                for note in (0..128u8).filter(|note| held.notes & 1 << note != 0) {
                    let (note, velocity) = (U7::truncate(note), U7::truncate(64));
                    send(ChannelMessage::NoteOff { channel, note, velocity });
                }
                if held.sustain {
                    let (controller, value) = (U7::truncate(SUSTAIN), U7::default());
                    send(ChannelMessage::ControlChange { channel, controller, value });
                }
            }
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(bytes: &[u8]) -> MidiMessage {
        MidiMessage::parse(bytes).unwrap()
    }

    #[test]
    fn what_is_on_is_switched_off_at_its_own_output_once() {
        let mut held = Held::default();
        held.sent("a", &message(&[0x90, 60, 100]));
        held.sent("a", &message(&[0x91, 61, 100]));
        held.sent("a", &message(&[0x91, 61, 0]));
        held.sent("b", &message(&[0xB2, 64, 127]));
        held.sent("b", &message(&[0xF0, 1, 0xF7]));
        let off = vec![("a".to_owned(), message(&[0x80, 60, 64])), ("b".to_owned(), message(&[0xB2, 64, 0]))];
        assert_eq!(held.release(), off);
        assert_eq!(held.release(), []);
    }

    #[test]
    fn all_notes_off_and_reset_controllers_count() {
        let mut held = Held::default();
        for bytes in [[0x90, 1, 1], [0x90, 2, 1], [0xB0, 64, 64], [0xB0, 123, 0], [0xB0, 121, 0]] {
            held.sent("a", &message(&bytes));
        }
        assert_eq!(held.release(), []);
    }

    proptest! {
        #[test]
        fn after_the_release_nothing_is_on(sent in prop::collection::vec((0x80u8..0xA0, 0u8..128, 0u8..128), 0..200)) {
            let (mut held, mut on) = (Held::default(), std::collections::BTreeSet::new());
            let mut track = |message: &MidiMessage| match message {
                MidiMessage::Channel(ChannelMessage::NoteOn { channel, note, .. }) => drop(on.insert((*channel, *note))),
                MidiMessage::Channel(ChannelMessage::NoteOff { channel, note, .. }) => drop(on.remove(&(*channel, *note))),
                other => panic!("{other:?}"),
            };
            for (status, note, velocity) in sent {
                let message = message(&[status, note, velocity]);
                held.sent("p", &message);
                track(&message);
            }
            for (_, message) in held.release() {
                track(&message);
            }
            prop_assert!(on.is_empty());
        }
    }
}
