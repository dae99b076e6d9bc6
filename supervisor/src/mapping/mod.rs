//! From MIDI messages to what should happen: the configuration, the tables
//! compiled from it, and the engine that runs them. No clock, thread or I/O here
//! (reading the file is `config`'s only contact with the world).

pub mod compiled;
pub mod config;
pub mod engine;
pub mod events;
#[cfg(test)]
mod tests;
pub mod types;

pub use compiled::{Compiled, DeviceConfig, MappingInfo};
pub use config::{Diagnostics, Loaded, PluginSettings, explain, load_file, load_text, parse_keystroke};
pub use engine::Engine;
pub use types::{Input, Output};
