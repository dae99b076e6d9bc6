//! `midimon-worker-wasm-net`: runs one component that imports the network, with the TLS and HTTP it may speak.
#![forbid(unsafe_code)]

use midimon_worker::sandbox::leave;
use midimon_worker::wasm;

fn main() {
    leave::leave(wasm::run(Some(wasm::link_network)))
}
