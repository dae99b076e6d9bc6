//! From MIDI messages to what should happen: the configuration, the tables
//! compiled from it, and the engine that runs them. No clock, thread or I/O here
//! (reading the file is `config`'s only contact with the world).

pub mod types;
