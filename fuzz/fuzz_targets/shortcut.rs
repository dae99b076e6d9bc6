//! A component as it is before it is compiled: whatever its bytes are, what comes of it is one, too.
#![no_main]

use libfuzzer_sys::fuzz_target;

// its crate would bring the WASM runtime
#[path = "../../worker/src/compile/shortcut.rs"]
mod shortcut;

fuzz_target!(|bytes: &[u8]| {
    if let Some(shortened) = shortcut::shortened(bytes) {
        assert_eq!(shortened[..8], *b"\0asm\x0d\0\x01\0");
        let _ = shortcut::shortened(&shortened);
    }
});
