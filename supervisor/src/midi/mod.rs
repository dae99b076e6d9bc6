//! MIDI in and out: bytes to messages, where they come from, where they go.
//!
//! Inputs call a [`MidiSink`] from the thread that read the bytes; what the
//! messages mean is none of this module's business.

pub mod demo;
pub mod device;
pub mod hardware;
pub mod hotplug;
pub mod input;
pub mod output;
pub mod parser;
pub mod ports;
pub mod replay;
pub mod select;
pub mod seq;
pub mod smf;
mod stdin;
mod stop;

pub use device::{DeviceRef, DeviceStatus, DeviceTable, MidiSink};
pub use input::{InputOptions, InputSpec, Inputs};
pub use select::Selection;
