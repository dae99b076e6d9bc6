//! A Standard MIDI File, or what calls itself one: it cannot be played, or is played in the order of
//! time, with no more in it than its bytes have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::midi::parser::Parser;
use midimon::midi::smf::{Chunk, Timeline};
use std::time::Duration;

fuzz_target!(|file: &[u8]| {
    let mut timeline = match Timeline::new(file) {
        Ok(timeline) => timeline,
        Err(error) => return assert!(!error.to_string().chars().any(char::is_control)),
    };
    let (mut before, mut played, mut parser) = (Duration::ZERO, 0, Parser::new());
    for (at, chunk) in timeline.by_ref() {
        assert!(at >= before);
        before = at;
        played += match chunk {
            // in running status
            Chunk::Message(message) => message.wire_len() - 1,
            Chunk::Raw(bytes) | Chunk::SysEx(bytes) => {
                parser.feed(bytes, |_| {});
                bytes.len()
            }
        };
        assert!(played <= file.len());
    }
    assert!(timeline.end() >= before && timeline.damaged() <= file.len());
});
