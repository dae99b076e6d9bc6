//! Notes when its handler is entered; see `benches/probe`, which does the same.

use core_abi::Request;
use std::cell::RefCell;
use std::collections::VecDeque;

const METADATA: &str = r#"{
    "name": "Probe in WASM", "version": "0.1.0", "description": "Notes when it is called",
    "author": "The midimon project", "license": "MIT OR Apache-2.0", "type": "action", "capabilities": []
}"#;

const MONOTONIC: u32 = 1;

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
}

thread_local! {
    static ENTERED: RefCell<VecDeque<i32>> = const { RefCell::new(VecDeque::new()) };
}

fn handle(request: Request) -> i32 {
    let mut now = 0;
    // SAFETY: WASI writes eight bytes to the address it is given
    unsafe { clock_time_get(MONOTONIC, 1, &raw mut now) };
    ENTERED.with_borrow_mut(|entered| match request.action.as_str() {
        "mark" => {
            entered.push_back((now & 0x7FFF_FFFF) as i32);
            0
        }
        "pop" => entered.pop_front().unwrap_or(-1),
        _ => core_abi::FAILED,
    })
}

core_abi::export!(METADATA, handle);
