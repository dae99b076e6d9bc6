//! MIDI bytes and files.

use midly::num::{u15, u28};
use midly::{Format, Header, Smf, Timing, TrackEvent, TrackEventKind, live::LiveEvent};

/// Presses a note on channel 1.
#[must_use]
pub const fn press(note: u8) -> [u8; 3] {
    [0x90, note, 100]
}

/// Releases a note on channel 1.
#[must_use]
pub const fn release(note: u8) -> [u8; 3] {
    [0x80, note, 64]
}

/// Presses and releases a note.
#[must_use]
pub const fn tap(note: u8) -> [u8; 6] {
    let ([a, b, c], [d, e, f]) = (press(note), release(note));
    [a, b, c, d, e, f]
}

/// Sets a controller on channel 1.
#[must_use]
pub const fn control(controller: u8, value: u8) -> [u8; 3] {
    [0xB0, controller, value]
}

/// A Standard MIDI File with one track: channel messages, each so many 100 µs
/// after the one before.
///
/// # Panics
/// A message is none, or a distance is over 7 hours.
#[must_use]
pub fn file(events: impl IntoIterator<Item = (u32, [u8; 3])>) -> Vec<u8> {
    let events: Vec<(u32, [u8; 3])> = events.into_iter().collect();
    // at the default tempo a beat is 500 ms
    let header = Header::new(Format::SingleTrack, Timing::Metrical(u15::new(5000)));
    let mut track: Vec<TrackEvent<'_>> = Vec::with_capacity(events.len() + 1);
    for (delta, bytes) in &events {
        let LiveEvent::Midi { channel, message } = LiveEvent::parse(bytes).expect("a MIDI message") else {
            panic!("{bytes:?} is no channel message");
        };
        track.push(TrackEvent { delta: u28::new(*delta), kind: TrackEventKind::Midi { channel, message } });
    }
    track.push(TrackEvent { delta: u28::new(0), kind: TrackEventKind::Meta(midly::MetaMessage::EndOfTrack) });
    let mut bytes = Vec::new();
    Smf { header, tracks: vec![track] }.write_std(&mut bytes).expect("writing to memory");
    bytes
}
