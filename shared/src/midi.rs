//! MIDI values and channel messages as types that cannot be out of range.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// A 7-bit MIDI data value, 0 to 127.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct U7(u8);

impl U7 {
    /// The largest value, 127.
    pub const MAX: Self = Self(127);

    /// `None` above 127.
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        if value < 128 { Some(Self(value)) } else { None }
    }

    /// The low seven bits of any byte.
    #[must_use]
    pub const fn truncate(value: u8) -> Self {
        Self(value & 0x7F)
    }

    /// The value, 0 to 127.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// A 14-bit MIDI value, 0 to 16383.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct U14(u16);

impl U14 {
    /// The centre of a pitch-bend wheel, 8192.
    pub const CENTRE: Self = Self(8192);

    /// `None` above 16383.
    #[must_use]
    pub const fn new(value: u16) -> Option<Self> {
        if value < 0x4000 { Some(Self(value)) } else { None }
    }

    /// Joins two data bytes; on the wire the low one comes first.
    #[must_use]
    pub const fn from_bytes(lsb: U7, msb: U7) -> Self {
        Self((msb.0 as u16) << 7 | lsb.0 as u16)
    }

    /// The value, 0 to 16383.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The low and the high seven bits, in wire order.
    #[must_use]
    pub const fn to_bytes(self) -> (u8, u8) {
        ((self.0 & 0x7F) as u8, (self.0 >> 7) as u8)
    }

    /// The value as people know it for pitch bend, -8192 to 8191.
    #[must_use]
    pub const fn signed(self) -> i16 {
        self.0 as i16 - 8192
    }
}

/// A MIDI channel as people count it, 1 to 16 (0 to 15 on the wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Channel(u8);

impl Channel {
    /// `None` unless 1 to 16.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number >= 1 && number <= 16 { Some(Self(number)) } else { None }
    }

    /// The channel in the low four bits of a status byte.
    #[must_use]
    pub const fn from_status(status: u8) -> Self {
        Self((status & 0x0F) + 1)
    }

    /// 1 to 16.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// 0 to 15, as on the wire.
    #[must_use]
    pub const fn wire(self) -> u8 {
        self.0 - 1
    }
}

/// A number no MIDI value of its kind can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value} is out of range: {least} to {most}")]
#[allow(missing_docs)]
pub struct OutOfRange {
    pub value: u16,
    pub least: u16,
    pub most: u16,
}

macro_rules! checked_number {
    ($type:ident, $number:ty, $least:literal, $most:literal) => {
        impl TryFrom<$number> for $type {
            type Error = OutOfRange;

            fn try_from(value: $number) -> Result<Self, OutOfRange> {
                Self::new(value).ok_or(OutOfRange { value: value.into(), least: $least, most: $most })
            }
        }

        impl From<$type> for $number {
            fn from(value: $type) -> Self {
                value.get()
            }
        }
    };
}

checked_number!(U7, u8, 0, 127);
checked_number!(U14, u16, 0, 16_383);
checked_number!(Channel, u8, 1, 16);

/// A channel voice message (MIDI 1.0, statuses 0x80 to 0xEF).
///
/// A note-on with velocity 0 does not exist here: the parser turns it into a
/// note-off with release velocity 64, as the specification says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs)] // the fields are the specification's own names
pub enum ChannelMessage {
    NoteOff { channel: Channel, note: U7, velocity: U7 },
    NoteOn { channel: Channel, note: U7, velocity: U7 },
    PolyPressure { channel: Channel, note: U7, pressure: U7 },
    ControlChange { channel: Channel, controller: U7, value: U7 },
    ProgramChange { channel: Channel, program: U7 },
    ChannelPressure { channel: Channel, pressure: U7 },
    PitchBend { channel: Channel, value: U14 },
}

impl ChannelMessage {
    /// Reads one complete message: a status byte 0x80-0xEF and its data bytes
    /// (a missing second data byte of a two-byte message is not looked at).
    /// `None` for any other status or a data byte above 127.
    #[must_use]
    #[inline]
    pub fn from_bytes([status, first, second]: [u8; 3]) -> Option<Self> {
        let channel = Channel::from_status(status);
        let first = U7::new(first)?;
        let both = || Some((first, U7::new(second)?));
        Some(match status & 0xF0 {
            0x80 => {
                let (note, velocity) = both()?;
                Self::NoteOff { channel, note, velocity }
            }
            0x90 => match both()? {
                (note, U7(0)) => Self::NoteOff { channel, note, velocity: U7(64) },
                (note, velocity) => Self::NoteOn { channel, note, velocity },
            },
            0xA0 => {
                let (note, pressure) = both()?;
                Self::PolyPressure { channel, note, pressure }
            }
            0xB0 => {
                let (controller, value) = both()?;
                Self::ControlChange { channel, controller, value }
            }
            0xC0 => Self::ProgramChange { channel, program: first },
            0xD0 => Self::ChannelPressure { channel, pressure: first },
            0xE0 => {
                let (lsb, msb) = both()?;
                Self::PitchBend { channel, value: U14::from_bytes(lsb, msb) }
            }
            _ => return None,
        })
    }

    /// The message on the wire; two-byte messages leave the third byte 0.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 3] {
        let status = |kind: u8, channel: Channel| kind | channel.wire();
        match self {
            Self::NoteOff { channel, note, velocity } => [status(0x80, channel), note.0, velocity.0],
            Self::NoteOn { channel, note, velocity } => [status(0x90, channel), note.0, velocity.0],
            Self::PolyPressure { channel, note, pressure } => [status(0xA0, channel), note.0, pressure.0],
            Self::ControlChange { channel, controller, value } => [status(0xB0, channel), controller.0, value.0],
            Self::ProgramChange { channel, program } => [status(0xC0, channel), program.0, 0],
            Self::ChannelPressure { channel, pressure } => [status(0xD0, channel), pressure.0, 0],
            Self::PitchBend { channel, value } => {
                let (lsb, msb) = value.to_bytes();
                [status(0xE0, channel), lsb, msb]
            }
        }
    }

    /// How many bytes of [`Self::to_bytes`] belong on the wire, 2 or 3.
    #[must_use]
    pub const fn wire_len(self) -> usize {
        match self {
            Self::ProgramChange { .. } | Self::ChannelPressure { .. } => 2,
            _ => 3,
        }
    }

    /// The channel it was sent on.
    #[must_use]
    pub const fn channel(self) -> Channel {
        match self {
            Self::NoteOff { channel, .. }
            | Self::NoteOn { channel, .. }
            | Self::PolyPressure { channel, .. }
            | Self::ControlChange { channel, .. }
            | Self::ProgramChange { channel, .. }
            | Self::ChannelPressure { channel, .. }
            | Self::PitchBend { channel, .. } => channel,
        }
    }

    /// The velocity, pressure or value that plays the part of a velocity.
    ///
    /// Note: its velocity; pressure and CC: their value; pitch bend: its high
    /// seven bits; program change: none.
    #[must_use]
    pub fn velocity(self) -> Option<u8> {
        match self {
            Self::NoteOff { velocity, .. } | Self::NoteOn { velocity, .. } => Some(velocity.0),
            Self::PolyPressure { pressure, .. } | Self::ChannelPressure { pressure, .. } => Some(pressure.0),
            Self::ControlChange { value, .. } => Some(value.0),
            Self::PitchBend { value, .. } => Some(value.to_bytes().1),
            Self::ProgramChange { .. } => None,
        }
    }
}

// On the pipe a message is its three MIDI bytes; decoding checks them again.
impl Encode for ChannelMessage {
    fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        self.to_bytes().encode(encoder)
    }
}

impl<C> Decode<C> for ChannelMessage {
    fn decode<D: bincode::de::Decoder<Context = C>>(decoder: &mut D) -> Result<Self, bincode::error::DecodeError> {
        let bytes = <[u8; 3]>::decode(decoder)?;
        Self::from_bytes(bytes).ok_or(bincode::error::DecodeError::Other("not a MIDI channel message"))
    }
}

impl<'de, C> bincode::BorrowDecode<'de, C> for ChannelMessage {
    fn borrow_decode<D: bincode::de::BorrowDecoder<'de, Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        Self::decode(decoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_out_of_range_are_refused_when_read_from_text() {
        assert_eq!(serde_json::from_str::<U7>("127").unwrap(), U7::MAX);
        assert!(serde_json::from_str::<U7>("128").is_err());
        assert!(serde_json::from_str::<U14>("16384").is_err());
        assert!(serde_json::from_str::<Channel>("0").is_err());
        assert!(serde_json::from_str::<Channel>("17").is_err());
    }

    #[test]
    fn note_on_with_velocity_0_is_a_note_off_with_velocity_64() {
        let message = ChannelMessage::from_bytes([0x93, 60, 0]).unwrap();
        assert_eq!(message.to_bytes(), [0x83, 60, 64]);
    }

    #[test]
    fn pitch_bend_is_least_significant_byte_first() {
        let Some(ChannelMessage::PitchBend { value, channel }) = ChannelMessage::from_bytes([0xE0, 1, 64]) else {
            panic!("not a pitch bend");
        };
        assert_eq!((value.get(), value.signed(), channel.get()), (8193, 1, 1));
    }

    proptest! {
        #[test]
        fn every_message_survives_its_bytes(status in 0x80u8..0xF0, first in 0u8..128, second in 0u8..128) {
            let message = ChannelMessage::from_bytes([status, first, second]).unwrap();
            prop_assert_eq!(ChannelMessage::from_bytes(message.to_bytes()), Some(message));
        }

        #[test]
        fn any_three_bytes_are_a_message_or_none(bytes: [u8; 3]) {
            if let Some(message) = ChannelMessage::from_bytes(bytes) {
                prop_assert!(message.channel().get() <= 16);
            }
        }
    }
}
