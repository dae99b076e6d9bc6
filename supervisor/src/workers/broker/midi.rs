//! MIDI messages as plugins may send them. Pure.

use midimon_shared::ChannelMessage;

/// One whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MidiMessage {
    /// A channel message.
    Channel(ChannelMessage),
    /// A System Exclusive message from its 0xF0 to its 0xF7.
    SysEx(Vec<u8>),
}

impl MidiMessage {
    /// Reads one whole message; `None` for anything else: running status, a message
    /// cut off, two of them, real-time and system common messages.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        match *bytes {
            [0xF0, ref data @ .., 0xF7] => data.iter().all(|&byte| byte < 0x80).then(|| Self::SysEx(bytes.to_vec())),
            [status, first] if matches!(status & 0xF0, 0xC0 | 0xD0) => {
                ChannelMessage::from_bytes([status, first, 0]).map(Self::Channel)
            }
            [status, first, second] if !matches!(status & 0xF0, 0xC0 | 0xD0) => {
                ChannelMessage::from_bytes([status, first, second]).map(Self::Channel)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_whole_message_is_taken() {
        for bytes in [&[0x90, 60, 100][..], &[0x80, 60, 0], &[0xB0, 7, 127], &[0xC3, 5], &[0xDF, 127], &[0xE0, 0, 64]] {
            assert!(matches!(MidiMessage::parse(bytes), Some(MidiMessage::Channel(_))), "{bytes:x?}");
        }
        for bytes in [&[0xF0, 0x7E, 0x7F, 6, 1, 0xF7][..], &[0xF0, 0xF7]] {
            assert_eq!(MidiMessage::parse(bytes), Some(MidiMessage::SysEx(bytes.to_vec())));
        }
    }

    #[test]
    fn anything_else_is_not() {
        let cases: [&[u8]; 14] = [
            &[],
            &[0x90],
            &[0x90, 60],
            &[0x90, 60, 100, 0],
            &[0x90, 60, 128],
            &[60, 100],
            &[0xC0, 5, 0],
            &[0xF8],
            &[0xFF],
            &[0xF1, 1],
            &[0xF0],
            &[0xF0, 1, 2],
            &[0xF0, 0xF8, 0xF7],
            &[0xF0, 1, 0xF7, 0x90, 60, 0xF7],
        ];
        for bytes in cases {
            assert_eq!(MidiMessage::parse(bytes), None, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_begins_with_its_only_status_byte(bytes in prop::collection::vec(any::<u8>(), 0..8)) {
            if let Some(message) = MidiMessage::parse(&bytes) {
                prop_assert!(bytes[0] >= 0x80);
                let end = matches!(message, MidiMessage::SysEx(_));
                let [data @ .., _] = &bytes[1..] else { return Ok(()) };
                let data = if end { data } else { &bytes[1..] };
                prop_assert!(data.iter().all(|&byte| byte < 0x80));
            }
        }
    }
}
