//! `midimon-worker-wasm`: runs one WASM plugin that has no use for the network.
#![forbid(unsafe_code)]

use midimon_worker::sandbox::leave;
use midimon_worker::wasm;

fn main() {
    leave::leave(wasm::run(None))
}
