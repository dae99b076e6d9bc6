//! One worker process for each plugin: spawning, the channel, the lifecycle.
//!
//! [`manager::PluginManager`] is the way in. What lives here must not know
//! configuration files, MIDI inputs or the control socket.

pub mod bindings;
pub mod cause;
pub mod lifecycle;
pub mod ring;
pub mod status;
