//! WASM plugins, run from code that `midimon-compile` compiled ahead of time: core modules of the
//! MIDIMon 2.5-2.7 interface, and components ([`component`]).
//!
//! A module exports `memory`, `init`, `alloc` and `execute`, and may import WASI preview 1.
//! Everything it does (start function, `_initialize`, `init`, `alloc`, `execute`, sleeping in
//! WASI) happens under one deadline, one fuel budget and one bound on its memory for each call;
//! what it meets ends the call with its name, and the next call gets a fresh instance.

mod bounds;
mod component;
mod deadline;
mod engine;
mod factory;
mod halt;
mod instance;
mod load;
mod log_stream;
mod meter;
mod plugin;
mod poll;
mod process;
mod request;
mod wasi;

pub use component::{ComponentPlugin, LinkNetwork, link_network};
pub use engine::config;
pub use load::{Host, LoadError, Opened, OpenedModule, open, open_module};
pub use plugin::WasmPlugin;
pub use process::run;
