//! The C interface, field by field as `include/midimon_plugin.h` has it (a test
//! compares the two). Plugins have no use for it; it is public for those who
//! want the C interface without the trait.
#![allow(missing_docs)] // as in the header

use std::ffi::{c_char, c_void};

pub const ABI_VERSION: u32 = 1;
pub const OK: i32 = 0;

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Str {
    pub data: *const c_char,
    pub len: usize,
}

impl Str {
    /// Borrows a text; it must outlive the call it is given to.
    #[must_use]
    pub const fn new(text: &str) -> Self {
        Self { data: text.as_ptr().cast(), len: text.len() }
    }

    /// The text; empty when it is not UTF-8.
    ///
    /// # Safety
    /// `data` points to `len` bytes that stay as they are for `'a`, or `len` is 0.
    #[must_use]
    pub unsafe fn get<'a>(self) -> &'a str {
        if self.len == 0 || self.data.is_null() {
            return "";
        }
        // SAFETY: the caller promises that these bytes are there for 'a; data is not null.
        let bytes = unsafe { std::slice::from_raw_parts(self.data.cast::<u8>(), self.len) };
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

#[repr(C)]
pub struct Host {
    pub struct_size: u32,
    pub abi_version: u32,
    pub log: unsafe extern "C" fn(host: *const Host, level: i32, message: Str),
    pub data_dir: unsafe extern "C" fn(host: *const Host) -> Str,
    pub answer: unsafe extern "C" fn(host: *const Host, text: Str),
    pub fail: unsafe extern "C" fn(host: *const Host, message: Str),
}

#[repr(C)]
pub struct Metadata {
    pub struct_size: u32,
    pub reserved: u32,
    pub name: Str,
    pub version: Str,
    pub description: Str,
}

#[repr(C)]
pub struct Context {
    pub struct_size: u32,
    pub trigger: u32,
    pub velocity: i32,
    pub current_mode: i32,
    pub timestamp_ms: u64,
    pub monotonic_ns: u64,
    pub mode_name: Str,
    pub device: Str,
    pub message: [u8; 3],
    pub message_len: u8,
    pub reserved: [u8; 4],
}

#[repr(C)]
pub struct Parameter {
    pub name: Str,
    pub value: Str,
}

#[repr(C)]
pub struct Call {
    pub struct_size: u32,
    pub reserved: u32,
    pub action: Str,
    pub params_json: Str,
    pub parameters: *const Parameter,
    pub parameter_count: usize,
    pub context: *const Context,
}

#[repr(C)]
pub struct Plugin {
    pub abi_version: u32,
    pub struct_size: u32,
    pub describe: unsafe extern "C" fn(metadata: *mut Metadata),
    pub init: unsafe extern "C" fn(host: *const Host, settings: Str, state: *mut *mut c_void) -> i32,
    pub handle: unsafe extern "C" fn(state: *mut c_void, call: *const Call) -> i32,
    pub shutdown: unsafe extern "C" fn(state: *mut c_void),
}
