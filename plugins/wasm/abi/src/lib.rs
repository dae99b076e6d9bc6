//! The MIDIMon 2.5-2.7 ABI for WASM core modules, from the plugin's side.
//!
//! A module exports `memory` and four functions. midimon calls `_initialize`
//! (which the toolchain adds), then `init() -> i64`, whose result is the address
//! (upper half) and length (lower half) of a JSON text that says what the plugin
//! is. For each call it asks `alloc(length) -> address` for room, writes the
//! request as JSON there, and calls `execute(address, length) -> code`, where 0
//! means that all went well. What the plugin prints goes to its log.

#[cfg(doctest)]
#[doc = include_str!("../../../../docs/plugin-reference/core-module.md")]
mod guide {}

use serde::Deserialize;
use std::cell::RefCell;

/// A call. Every key midimon may add later is ignored.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// Which action.
    pub action: String,
    /// The event behind it.
    #[serde(default)]
    pub context: Context,
    /// The mapping's `params` table.
    #[serde(default)]
    pub params: serde_json::Map<String, serde_json::Value>,
}

/// The event behind a call.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Context {
    /// Velocity, pressure or controller value, 0 to 127.
    pub velocity: Option<u8>,
    /// Index of the active mode.
    pub current_mode: Option<usize>,
    /// Milliseconds since the Unix epoch.
    pub timestamp: u64,
}

/// The request is not where `alloc` said, or not UTF-8.
pub const BAD_MEMORY: i32 = 1;
/// The request is not the JSON it should be.
pub const BAD_REQUEST: i32 = 2;
/// The action could not be performed.
pub const FAILED: i32 = 3;

thread_local! {
    // one buffer for all requests: nothing is leaked from call to call
    static REQUEST: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What `init` gives for a text.
#[must_use]
pub fn pack(text: &'static str) -> i64 {
    let address = text.as_ptr() as usize as u64;
    (address << 32 | text.len() as u64).cast_signed()
}

/// What `alloc` gives: room for a request of that length.
#[must_use]
pub fn room(length: usize) -> *mut u8 {
    REQUEST.with_borrow_mut(|buffer| {
        buffer.resize(length, 0);
        buffer.as_mut_ptr()
    })
}

/// Runs `handle` with the request that was written to [`room`].
pub fn execute(address: *const u8, length: usize, handle: impl FnOnce(Request) -> i32) -> i32 {
    let request = REQUEST.with_borrow(|buffer| {
        let bytes = buffer.get(..length).filter(|bytes| bytes.as_ptr() == address).ok_or(BAD_MEMORY)?;
        let text = std::str::from_utf8(bytes).map_err(|_| BAD_MEMORY)?;
        serde_json::from_str(text).map_err(|error| {
            println!("not a request: {error}");
            BAD_REQUEST
        })
    });
    request.map_or_else(|code| code, handle)
}

/// Exports what midimon looks for: `export!(METADATA, handle)` with a JSON text
/// and a `fn(Request) -> i32`.
#[macro_export]
macro_rules! export {
    ($metadata:expr, $handle:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn init() -> i64 {
            $crate::pack($metadata)
        }

        #[unsafe(no_mangle)]
        extern "C" fn alloc(length: usize) -> *mut u8 {
            $crate::room(length)
        }

        #[unsafe(no_mangle)]
        extern "C" fn execute(address: *const u8, length: usize) -> i32 {
            $crate::execute(address, length, $handle)
        }
    };
}
