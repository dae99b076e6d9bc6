//! The sandboxed process that runs one midimon plugin.
//!
//! The programs are lists of steps: enter the sandbox ([`sandbox`], one file a
//! layer), say `Hello` and take the code ([`channel`]), load it ([`native`] or
//! [`wasm`]), then answer commands until told to stop ([`serve`]).
#![deny(unsafe_code)] // allowed in `sandbox`, `native` and for loading compiled WASM code

pub mod channel;
pub mod compile;
pub mod host;
pub mod log;
pub mod names;
pub mod native;
pub mod params;
pub mod sandbox;
pub mod serve;
pub mod stale;
pub mod stop;
pub mod turns;
pub mod wasm;
