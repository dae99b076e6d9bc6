//! Outgoing messages with the trigger's value put in. Pure.

use crate::mapping::types::{MidiTemplate, Value};
use midimon_shared::context::TriggerStamp;
use midimon_shared::{ChannelMessage, U7, U14};

/// The message this template means for this trigger.
#[must_use]
pub fn fill(template: MidiTemplate, stamp: &TriggerStamp) -> ChannelMessage {
    let small = |value| match value {
        Value::Fixed(value) => value,
        Value::FromTrigger => U7::truncate(stamp.velocity.unwrap_or(0).min(U7::MAX.get())),
    };
    match template {
        MidiTemplate::NoteOn { channel, note, velocity } => match small(velocity) {
            // what the receiver takes it for
            velocity if velocity.get() == 0 => ChannelMessage::NoteOff { channel, note, velocity: U7::truncate(64) },
            velocity => ChannelMessage::NoteOn { channel, note, velocity },
        },
        MidiTemplate::NoteOff { channel, note, velocity } => {
            ChannelMessage::NoteOff { channel, note, velocity: small(velocity) }
        }
        MidiTemplate::ControlChange { channel, controller, value } => {
            ChannelMessage::ControlChange { channel, controller, value: small(value) }
        }
        MidiTemplate::ProgramChange { channel, program } => ChannelMessage::ProgramChange { channel, program },
        MidiTemplate::ChannelPressure { channel, pressure } => {
            ChannelMessage::ChannelPressure { channel, pressure: small(pressure) }
        }
        MidiTemplate::PitchBend { channel, value } => {
            let value = match (value, stamp.message) {
                (Value::Fixed(value), _) => value,
                (Value::FromTrigger, Some(ChannelMessage::PitchBend { value, .. })) => value,
                (Value::FromTrigger, _) => widen(small(Value::FromTrigger)),
            };
            ChannelMessage::PitchBend { channel, value }
        }
    }
}

/// 7 bits to 14 so that 0, the centre 64 and 127 stay bottom, centre and top
/// (MIDI 2.0 bit scaling and resolution, M2-115-U).
fn widen(value: U7) -> U14 {
    let low = if value.get() <= 64 { 0 } else { (value.get() & 0x3F) << 1 | (value.get() & 0x3F) >> 5 };
    U14::from_bytes(U7::truncate(low), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use midimon_shared::Channel;

    fn stamp(velocity: Option<u8>, message: Option<[u8; 3]>) -> TriggerStamp {
        let message = message.map(|bytes| ChannelMessage::from_bytes(bytes).unwrap());
        TriggerStamp { velocity, message, ..TriggerStamp::default() }
    }

    const CHANNEL: Channel = Channel::from_status(2);
    const NOTE: U7 = U7::truncate(60);

    #[test]
    fn the_triggers_value_is_put_in_and_0_where_it_has_none() {
        let template = MidiTemplate::NoteOn { channel: CHANNEL, note: NOTE, velocity: Value::FromTrigger };
        assert_eq!(fill(template, &stamp(Some(99), None)).to_bytes(), [0x92, 60, 99]);
        assert_eq!(fill(template, &stamp(None, None)).to_bytes(), [0x82, 60, 64]);
        let fixed = MidiTemplate::ControlChange { channel: CHANNEL, controller: NOTE, value: Value::Fixed(U7::MAX) };
        assert_eq!(fill(fixed, &stamp(Some(1), None)).to_bytes(), [0xB2, 60, 127]);
    }

    #[test]
    fn pitch_bend_keeps_its_14_bits_and_7_bits_reach_both_ends_and_the_centre() {
        let template = MidiTemplate::PitchBend { channel: CHANNEL, value: Value::FromTrigger };
        assert_eq!(fill(template, &stamp(Some(64), Some([0xE0, 1, 64]))).to_bytes(), [0xE2, 1, 64]);
        let widened = |value| match fill(template, &stamp(Some(value), None)) {
            ChannelMessage::PitchBend { value, .. } => value.get(),
            other => panic!("{other:?}"),
        };
        assert_eq!([0, 64, 127].map(widened), [0, 8192, 16383]);
        assert!((1..128).all(|value| widened(value) > widened(value - 1)));
    }
}
