//! Any bytes, cut anywhere, give the same MIDI events as in one piece, and each is in range.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::midi::parser::{MAX_SYSEX, ParsedEvent, Parser};

/// The events of a stream, fed in pieces of the given size.
fn events(bytes: &[u8], piece: usize) -> Vec<Vec<u8>> {
    let (mut parser, mut events) = (Parser::new(), Vec::new());
    for bytes in bytes.chunks(piece) {
        parser.feed(bytes, |event| {
            events.push(match event {
                ParsedEvent::Channel(message) => message.to_bytes()[..message.wire_len()].to_vec(),
                ParsedEvent::SysEx(bytes) => {
                    assert!(bytes.len() <= MAX_SYSEX && bytes.first() == Some(&0xF0) && bytes.last() == Some(&0xF7));
                    bytes.to_vec()
                }
                ParsedEvent::SysExAborted => vec![0xF0],
                ParsedEvent::Realtime(byte) => vec![byte],
                ParsedEvent::SystemCommon(bytes) => bytes.to_vec(),
            });
        });
    }
    events
}

fuzz_target!(|bytes: &[u8]| {
    let whole = events(bytes, bytes.len().max(1));
    for piece in [1, 2, 3, 7] {
        assert_eq!(events(bytes, piece), whole);
    }
});
