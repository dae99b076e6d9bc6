//! The one configuration, for compiling and for running: compiled code fits no other.

use wasmtime::Config;

/// Bytes of stack that guest code can use.
const MAX_STACK: usize = 512 * 1024;

/// The settings under which modules are compiled and run.
#[must_use]
pub fn config() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(MAX_STACK)
        // nothing unwinds through guest code, and registering the tables costs time at every start
        .native_unwind_info(false)
        .wasm_memory64(false);
    config
}
