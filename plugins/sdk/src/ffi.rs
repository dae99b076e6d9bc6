//! The C interface, field by field as `include/midimon_plugin.h` has it (a test
//! compares the two). Plugins have no use for it; it is public for those who
//! want the C interface without the trait.
#![allow(missing_docs)] // as in the header

use std::ffi::{c_char, c_void};

pub const ABI_VERSION: u32 = 1;
pub const OK: i32 = 0;

pub const E_NOT_GRANTED: i32 = -101;
pub const E_INVALID: i32 = -102;
pub const E_TOO_MANY: i32 = -103;
pub const E_TIMED_OUT: i32 = -104;
pub const E_FAILED: i32 = -105;
pub const MOUSE_MOVE: i32 = 1;
pub const MOUSE_SCROLL: i32 = 2;
pub const MOUSE_LEFT: i32 = 3;
pub const MOUSE_MIDDLE: i32 = 4;
pub const MOUSE_RIGHT: i32 = 5;
pub const LIGHT_NOTE: i32 = 1;
pub const LIGHT_CONTROL: i32 = 2;

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
    // an earlier midimon's table ends here: look at `struct_size` first
    pub refusal: unsafe extern "C" fn(host: *const Host) -> Str,
    pub connect: unsafe extern "C" fn(host: *const Host, target: Str, timeout_ms: u32, socket: *mut i32) -> i32,
    pub datagram_send: unsafe extern "C" fn(host: *const Host, target: Str, payload: Bytes) -> i32,
    pub datagram_receive:
        unsafe extern "C" fn(host: *const Host, target: Str, timeout_ms: u32, payload: *mut Buffer) -> i32,
    pub midi_send: unsafe extern "C" fn(host: *const Host, port: Str, message: Bytes) -> i32,
    pub run: unsafe extern "C" fn(
        host: *const Host,
        program: Str,
        arguments: *const Str,
        argument_count: usize,
        timeout_ms: u32,
        output: *mut Output,
    ) -> i32,
    pub keystroke: unsafe extern "C" fn(host: *const Host, keys: Str) -> i32,
    pub type_text: unsafe extern "C" fn(host: *const Host, text: Str) -> i32,
    pub mouse: unsafe extern "C" fn(host: *const Host, what: i32, x: i32, y: i32) -> i32,
    pub system_control: unsafe extern "C" fn(host: *const Host, what: i32) -> i32,
    pub notify: unsafe extern "C" fn(host: *const Host, title: Str, body: Str) -> i32,
    // and the next one's here
    pub emit: unsafe extern "C" fn(host: *const Host, event: Str, value: Str) -> i32,
    pub set_light:
        unsafe extern "C" fn(host: *const Host, device: Str, channel: i32, light: i32, number: i32, value: i32) -> i32,
    pub set_mode: unsafe extern "C" fn(host: *const Host, name: Str) -> i32,
    pub after: unsafe extern "C" fn(host: *const Host, id: u32, ms: u32, action: Str, params_json: Str) -> i32,
    pub every: unsafe extern "C" fn(host: *const Host, id: u32, ms: u32, action: Str, params_json: Str) -> i32,
    pub cancel: unsafe extern "C" fn(host: *const Host, id: u32) -> i32,
    pub usage: unsafe extern "C" fn(host: *const Host, usage: *mut Usage) -> i32,
    pub tls_roots: unsafe extern "C" fn(host: *const Host, descriptor: *mut i32) -> i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    pub data: *const u8,
    pub len: usize,
}

#[repr(C)]
#[derive(Debug)]
pub struct Buffer {
    pub data: *mut u8,
    pub capacity: usize,
    pub len: usize,
}

#[repr(C)]
#[derive(Debug)]
pub struct Output {
    pub struct_size: u32,
    pub exit_code: i32,
    pub out: Buffer,
    pub err: Buffer,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub struct_size: u32,
    pub reserved: u32,
    pub used_bytes: u64,
    pub max_bytes: u64,
    pub used_files: u64,
    pub max_files: u64,
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
