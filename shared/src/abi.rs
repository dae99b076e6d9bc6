//! The C interface of native plugins, as Rust types.
//!
//! `plugins/sdk/include/midimon_plugin.h` defines it and documents every field;
//! a test of the worker compiles that header and compares sizes and offsets.

use std::ffi::c_void;

/// `MIDIMON_ABI_VERSION`.
pub const ABI_VERSION: u32 = 1;

/// The exported symbol, with the NUL that `dlsym` wants.
pub const PLUGIN_SYMBOL: &[u8] = b"midimon_plugin_v1\0";

/// `MIDIMON_OK`.
pub const OK: i32 = 0;
/// `MIDIMON_E_NOT_GRANTED`.
pub const E_NOT_GRANTED: i32 = -101;
/// `MIDIMON_E_INVALID`.
pub const E_INVALID: i32 = -102;
/// `MIDIMON_E_TOO_MANY`.
pub const E_TOO_MANY: i32 = -103;
/// `MIDIMON_E_TIMED_OUT`.
pub const E_TIMED_OUT: i32 = -104;
/// `MIDIMON_E_FAILED`.
pub const E_FAILED: i32 = -105;

/// `MIDIMON_MOUSE_MOVE`.
pub const MOUSE_MOVE: i32 = 1;
/// `MIDIMON_MOUSE_SCROLL`.
pub const MOUSE_SCROLL: i32 = 2;
/// `MIDIMON_MOUSE_LEFT`.
pub const MOUSE_LEFT: i32 = 3;
/// `MIDIMON_MOUSE_MIDDLE`.
pub const MOUSE_MIDDLE: i32 = 4;
/// `MIDIMON_MOUSE_RIGHT`.
pub const MOUSE_RIGHT: i32 = 5;

/// `MIDIMON_LIGHT_NOTE`.
pub const LIGHT_NOTE: i32 = 1;
/// `MIDIMON_LIGHT_CONTROL`.
pub const LIGHT_CONTROL: i32 = 2;

/// Bytes kept of one `log` message.
pub const MAX_LOG: usize = 4096;
/// Bytes kept of a plugin's name.
pub const MAX_NAME: usize = 256;
/// Bytes kept of a plugin's version.
pub const MAX_VERSION: usize = 64;
/// Bytes kept of a plugin's description.
pub const MAX_DESCRIPTION: usize = 1024;

/// `midimon_str`: UTF-8, no terminating NUL, `data` may be null when `len` is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Str {
    pub data: *const u8,
    pub len: usize,
}

impl Str {
    /// No text.
    pub const EMPTY: Self = Self { data: std::ptr::null(), len: 0 };

    /// Points at `text`, which must outlive every use of the result.
    #[must_use]
    pub const fn new(text: &str) -> Self {
        Self { data: text.as_ptr(), len: text.len() }
    }
}

/// `midimon_host`.
#[repr(C)]
#[allow(missing_docs)]
pub struct Host {
    pub struct_size: u32,
    pub abi_version: u32,
    pub log: unsafe extern "C" fn(host: *const Host, level: i32, message: Str),
    pub data_dir: unsafe extern "C" fn(host: *const Host) -> Str,
    pub answer: unsafe extern "C" fn(host: *const Host, text: Str),
    pub fail: unsafe extern "C" fn(host: *const Host, message: Str),
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

/// `midimon_bytes`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Bytes {
    pub data: *const u8,
    pub len: usize,
}

/// `midimon_buffer`.
#[repr(C)]
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Buffer {
    pub data: *mut u8,
    pub capacity: usize,
    pub len: usize,
}

/// `midimon_output`.
#[repr(C)]
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Output {
    pub struct_size: u32,
    pub exit_code: i32,
    pub out: Buffer,
    pub err: Buffer,
}

/// `midimon_usage`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct Usage {
    pub struct_size: u32,
    pub reserved: u32,
    pub used_bytes: u64,
    pub max_bytes: u64,
    pub used_files: u64,
    pub max_files: u64,
}

/// `midimon_metadata`.
#[repr(C)]
#[allow(missing_docs)]
pub struct Metadata {
    pub struct_size: u32,
    pub reserved: u32,
    pub name: Str,
    pub version: Str,
    pub description: Str,
}

/// `midimon_context`.
#[repr(C)]
#[allow(missing_docs)]
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

/// `midimon_parameter`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Parameter {
    pub name: Str,
    pub value: Str,
}

/// `midimon_call`.
#[repr(C)]
#[allow(missing_docs)]
pub struct Call {
    pub struct_size: u32,
    pub reserved: u32,
    pub action: Str,
    pub params_json: Str,
    pub parameters: *const Parameter,
    pub parameter_count: usize,
    pub context: *const Context,
}

/// `midimon_plugin`. A null function arrives as `None`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Plugin {
    pub abi_version: u32,
    pub struct_size: u32,
    pub describe: Option<unsafe extern "C" fn(metadata: *mut Metadata)>,
    pub init: Option<unsafe extern "C" fn(host: *const Host, settings: Str, state: *mut *mut c_void) -> i32>,
    pub handle: Option<unsafe extern "C" fn(state: *mut c_void, call: *const Call) -> i32>,
    pub shutdown: Option<unsafe extern "C" fn(state: *mut c_void)>,
}

/// `midimon_plugin_v1`.
pub type Entry = unsafe extern "C" fn() -> *const Plugin;
