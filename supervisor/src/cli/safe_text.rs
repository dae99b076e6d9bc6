//! Text from plugins, devices and files, made safe to show.

pub use midimon_shared::text::{quoted, safe_lines, safe_text};
