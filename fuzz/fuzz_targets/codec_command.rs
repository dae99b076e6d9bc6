//! Any bytes are a frame body of this type, or an error; what is one survives its bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon_shared::Command;
use midimon_shared::codec::{PREFIX, decode, encode};

fuzz_target!(|body: &[u8]| {
    let Ok(message) = decode::<Command>(body) else { return };
    let mut frame = Vec::new();
    encode(&message, &mut frame).expect("what was decoded fits");
    assert_eq!(decode::<Command>(&frame[PREFIX..]), Ok(message));
});
