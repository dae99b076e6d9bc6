//! WASM plugins that are components: the world `midimon-plugin` of `plugins/wit`, over WASI 0.2.
//!
//! A component exports `describe`, `start`, `bind`, `handle` and `stop`. Guest code is stopped by the epoch, a wait within WASI
//! by the clock, and a request to midimon waits no longer than the call may. What a call meets ends it with its name,
//! and the next one gets a fresh instance.

mod bindings;
mod factory;
mod host;
mod link;
mod load;
mod net;
mod plugin;
mod state;
mod waits;

pub use link::LinkNetwork;
pub use load::{Opened, open};
pub use net::link as link_network;
pub use plugin::ComponentPlugin;
