//! What a worker writes to its pipe, cut anywhere: the same events as in one piece, or the same fault
//! after the same events, in a buffer of bounded size.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon_shared::Event;
use midimon_shared::codec::{CodecError, PREFIX, encode};
use midimon_shared::limits::MAX_FRAME;
use midimon_shared::pipe::FrameBuffer;

/// The events of a stream that comes in pieces of the given size, and what is wrong with it.
fn events(mut bytes: &[u8], piece: usize) -> (Vec<Event>, Option<CodecError>) {
    let (mut buffer, mut events) = (FrameBuffer::<Event>::new(), Vec::new());
    loop {
        match buffer.next() {
            Ok(Some(event)) => events.push(event),
            Ok(None) if bytes.is_empty() => return (events, None),
            Ok(None) => {
                let spare = buffer.spare();
                assert!((1..=PREFIX + MAX_FRAME).contains(&spare.len()));
                let (now, later) = bytes.split_at(piece.min(bytes.len()).min(spare.len()));
                spare[..now.len()].copy_from_slice(now);
                buffer.advance(now.len());
                bytes = later;
            }
            Err(fault) => return (events, Some(fault)),
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let whole = events(bytes, bytes.len());
    for piece in [1, 5, 64] {
        assert_eq!(events(bytes, piece), whole);
    }
    let mut again = Vec::new();
    for event in &whole.0 {
        encode(event, &mut again).expect("what was decoded fits");
    }
    assert!(bytes.starts_with(&again));
});
