//! Effects on the outside world: keys, text, programs, MIDI out.

pub mod keys;
