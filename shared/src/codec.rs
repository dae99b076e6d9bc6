//! Messages to bytes and back. The only file that knows bincode.
//!
//! A frame is a `u32` length (little endian) and a body of that length, at most
//! [`MAX_FRAME`]. The body is bincode 2 with fixed-width little-endian integers.
//! Decoding is bounded: no length in the bytes makes it allocate more than
//! [`MAX_FRAME`], and bytes left over are an error.

use crate::limits::{MAX_FRAME, MAX_TRIGGER_FRAME};
use crate::protocol::{Command, Trigger};
use bincode::{Decode, Encode, config};

/// Bytes of the length in front of each body.
pub const PREFIX: usize = 4;

/// Why bytes are no frame, or a message does not fit into one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum CodecError {
    #[error("a frame of {0} bytes is over the limit of {MAX_FRAME}")]
    TooLong(usize),
    #[error("an empty frame")]
    Empty,
    #[error("not a valid message: {0}")]
    Malformed(String),
    #[error("{0} bytes left over after the message")]
    LeftOver(usize),
}

const fn bincode_config() -> config::Configuration<config::LittleEndian, config::Fixint, config::Limit<MAX_FRAME>> {
    config::standard().with_fixed_int_encoding().with_limit::<MAX_FRAME>()
}

/// Appends a message as one frame.
///
/// # Errors
/// [`CodecError::TooLong`] when the body is over [`MAX_FRAME`]; `frame` is then as before.
pub fn encode<M: Encode>(message: &M, frame: &mut Vec<u8>) -> Result<(), CodecError> {
    let start = frame.len();
    frame.extend_from_slice(&[0; PREFIX]);
    let written = bincode::encode_into_std_write(message, frame, bincode_config())
        .map_err(|error| CodecError::Malformed(error.to_string()));
    let length = match written {
        Ok(length) if length <= MAX_FRAME => length,
        Ok(length) => {
            frame.truncate(start);
            return Err(CodecError::TooLong(length));
        }
        Err(error) => {
            frame.truncate(start);
            return Err(error);
        }
    };
    frame[start..start + PREFIX].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(())
}

/// A trigger's frame, built without allocating.
#[derive(Clone, Copy)]
pub struct TriggerFrame {
    bytes: [u8; MAX_TRIGGER_FRAME],
    length: u8,
}

impl TriggerFrame {
    /// Encodes a trigger. Every trigger fits: its type has no part of variable size.
    #[must_use]
    #[inline]
    pub fn new(trigger: Trigger) -> Self {
        let mut bytes = [0; MAX_TRIGGER_FRAME];
        let length =
            bincode::encode_into_slice(Command::Trigger(trigger), &mut bytes[PREFIX..], bincode_config()).unwrap_or(0); // cannot fail: see the test `every_trigger_fits_its_frame`
        bytes[..PREFIX].copy_from_slice(&(length as u32).to_le_bytes());
        Self { bytes, length: (PREFIX + length) as u8 }
    }

    /// The frame, length prefix included.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// Decodes one frame's body.
///
/// # Errors
/// When the body is no message of this type, or is longer than the message.
pub fn decode<M: Decode<()>>(body: &[u8]) -> Result<M, CodecError> {
    if body.len() > MAX_FRAME {
        return Err(CodecError::TooLong(body.len()));
    }
    let (message, used) =
        bincode::decode_from_slice(body, bincode_config()).map_err(|error| CodecError::Malformed(error.to_string()))?;
    match body.len() - used {
        0 => Ok(message),
        left => Err(CodecError::LeftOver(left)),
    }
}

/// The body's length from a frame's first bytes; `None` while there are too few.
///
/// # Errors
/// A length of 0 or over [`MAX_FRAME`].
#[inline]
pub fn body_length(bytes: &[u8]) -> Result<Option<usize>, CodecError> {
    let Some(prefix) = bytes.first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    match u32::from_le_bytes(*prefix) as usize {
        0 => Err(CodecError::Empty),
        length if length > MAX_FRAME => Err(CodecError::TooLong(length)),
        length => Ok(Some(length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::{TriggerKind, TriggerStamp};
    use crate::midi::ChannelMessage;
    use crate::protocol::*;
    use proptest::prelude::*;

    fn frame_of<M: Encode>(message: &M) -> Vec<u8> {
        let mut frame = Vec::new();
        encode(message, &mut frame).unwrap();
        frame
    }

    fn largest_stamp(kind: TriggerKind) -> TriggerStamp {
        TriggerStamp {
            velocity: Some(127),
            mode: Some(u16::MAX),
            device: Some(u16::MAX),
            unix_ms: u64::MAX,
            monotonic_ns: u64::MAX,
            kind,
            message: ChannelMessage::from_bytes([0xEF, 127, 127]),
        }
    }

    #[test]
    fn every_trigger_fits_its_frame() {
        use TriggerKind::*;
        for kind in
            [Manual, NotePress, NoteRelease, ControlChange, PitchBend, ChannelPressure, PolyPressure, ProgramChange]
        {
            let trigger = Trigger { call: CallId(u64::MAX), binding: BindingId(u32::MAX), stamp: largest_stamp(kind) };
            let frame = TriggerFrame::new(trigger);
            assert!(frame.as_bytes().len() <= MAX_TRIGGER_FRAME);
            assert_eq!(frame.as_bytes(), frame_of(&Command::Trigger(trigger)));
            assert_eq!(decode::<Command>(&frame.as_bytes()[PREFIX..]), Ok(Command::Trigger(trigger)));
        }
    }

    #[test]
    fn left_over_bytes_are_an_error() {
        let mut frame = frame_of(&Command::Ping { nonce: 7 });
        assert_eq!(decode::<Command>(&frame[PREFIX..]), Ok(Command::Ping { nonce: 7 }));
        frame.push(0);
        assert_eq!(decode::<Command>(&frame[PREFIX..]), Err(CodecError::LeftOver(1)));
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_anything_is_allocated() {
        assert_eq!(body_length(&[1, 0, 0]), Ok(None));
        assert_eq!(body_length(&[0, 0, 1, 0]), Ok(Some(MAX_FRAME)));
        assert_eq!(body_length(&[1, 0, 1, 0]), Err(CodecError::TooLong(MAX_FRAME + 1)));
        assert_eq!(body_length(&[0xFF; 4]), Err(CodecError::TooLong(0xFFFF_FFFF)));
        assert_eq!(body_length(&[0; 4]), Err(CodecError::Empty));
        // a string inside a body that claims 2^60 bytes
        let mut body = frame_of(&Event::LoadFailed { message: "x".into() })[PREFIX..].to_vec();
        body[4..12].copy_from_slice(&(1u64 << 60).to_le_bytes());
        assert!(matches!(decode::<Event>(&body), Err(CodecError::Malformed(_))));
    }

    #[test]
    fn a_message_over_the_limit_is_refused_and_leaves_the_buffer_alone() {
        let mut frame = vec![1, 2, 3];
        let error = encode(&Event::LoadFailed { message: "x".repeat(MAX_FRAME) }, &mut frame);
        assert!(error.is_err());
        assert_eq!(frame, [1, 2, 3]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_event_that_encodes_back_or_an_error(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(event) = decode::<Event>(&body) {
                prop_assert_eq!(&frame_of(&event)[PREFIX..], &body[..]);
            }
        }

        #[test]
        fn any_bytes_are_a_command_or_an_error(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Command>(&body);
        }
    }
}
