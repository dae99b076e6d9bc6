//! Native plugins: shared libraries with the C interface of `midimon_plugin.h`.
#![allow(unsafe_code)] // calls into C

mod calls;
mod elf;
mod host;
mod library;
mod services;

use crate::host::HostClient;
use crate::log::bounded;
use crate::names::NameTable;
use crate::params::Params;
use crate::serve::Runtime;
use host::{HostTable, Phase};
use library::Library;
use midimon_shared::abi::{Call, Context, MAX_DESCRIPTION, MAX_NAME, MAX_VERSION, Metadata, Parameter, Str};
use midimon_shared::context::TriggerStamp;
use midimon_shared::limits::MAX_ANSWER;
use midimon_shared::protocol::{BindingId, Load, Outcome, Ready};
use std::ffi::c_void;
use std::fs::File;
use std::mem::size_of;
use std::time::Duration;

pub use library::LoadError;

/// A loaded and initialised plugin.
pub struct NativePlugin {
    library: Library,
    /// Boxed: the plugin keeps its address.
    host: Box<HostTable>,
    state: *mut c_void,
}

/// An action and its parameters as the plugin will get them.
pub struct NativeBinding {
    action: String,
    params: Params,
    /// Point into `params`.
    parameters: Vec<Parameter>,
}

/// A library whose constructors have run.
pub struct Opened {
    library: Library,
    load: Load,
}

/// Loads the library.
///
/// # Errors
/// See [`LoadError`]: each says what is wrong with the file.
pub fn open(load: Load, code: File) -> Result<Opened, LoadError> {
    Ok(Opened { library: Library::open(code)?, load })
}

impl Opened {
    /// Asks it what it is, and calls its init, which can make requests by `client`.
    ///
    /// # Errors
    /// [`LoadError::Init`].
    pub fn start(self, client: HostClient) -> Result<(NativePlugin, Ready), LoadError> {
        let Self { library, load } = self;
        let ready = describe(&library);
        let host = HostTable::new(load.data_dir.unwrap_or_default(), client);
        let mut state = std::ptr::null_mut();
        let settings = if load.settings.is_empty() { "{}" } else { &load.settings };
        host.enter(Phase::Init);
        // SAFETY: the pointers live until init returns, the host table until the process ends; what init itself does
        // is the plugin's own, which is why it runs in this process.
        let code = unsafe { (library.init)(host.as_ptr(), Str::new(settings), &raw mut state) };
        host.enter(Phase::Idle);
        match code {
            0 => Ok((NativePlugin { library, host, state }, ready)),
            code => Err(LoadError::Init { code, message: host.take_failure() }),
        }
    }
}

fn describe(library: &Library) -> Ready {
    let mut metadata = Metadata {
        struct_size: size_of::<Metadata>() as u32,
        reserved: 0,
        name: Str::EMPTY,
        version: Str::EMPTY,
        description: Str::EMPTY,
    };
    // SAFETY: the struct is as the header says and outlives the call.
    unsafe { (library.describe)(&raw mut metadata) };
    Ready {
        name: copy(metadata.name, MAX_NAME),
        version: copy(metadata.version, MAX_VERSION),
        description: copy(metadata.description, MAX_DESCRIPTION),
    }
}

/// Copies at most `max` bytes of a plugin's text; what is not UTF-8 becomes U+FFFD.
fn copy(text: Str, max: usize) -> String {
    if text.data.is_null() || text.len == 0 {
        return String::new();
    }
    // SAFETY: the plugin says so many bytes are there. When it lies it can crash its own process, which it can anyway.
    let bytes = unsafe { std::slice::from_raw_parts(text.data, text.len.min(max)) };
    let text = String::from_utf8_lossy(bytes);
    bounded(&text, max).to_owned()
}

impl Runtime for NativePlugin {
    type Binding = NativeBinding;

    // The supervisor ends a native call past its deadline by ending the process.
    fn bind(&mut self, _id: BindingId, action: String, params: Params, _timeout: Duration) -> NativeBinding {
        let parameter = |(name, value): &(String, String)| Parameter { name: Str::new(name), value: Str::new(value) };
        // the texts are on the heap and stay there when `params` moves
        let parameters = params.texts.iter().map(parameter).collect();
        NativeBinding { action, params, parameters }
    }

    fn call(&mut self, binding: &NativeBinding, stamp: &TriggerStamp, names: &NameTable) -> Outcome {
        let context = context(stamp, names);
        let call = Call {
            struct_size: size_of::<Call>() as u32,
            reserved: 0,
            action: Str::new(&binding.action),
            params_json: Str::new(&binding.params.json),
            parameters: binding.parameters.as_ptr(),
            parameter_count: binding.parameters.len(),
            context: &raw const context,
        };
        self.host.enter(Phase::Handle);
        // SAFETY: everything `call` points to outlives it, and `state` is what init gave.
        let code = unsafe { (self.library.handle)(self.state, &raw const call) };
        self.host.enter(Phase::Idle);
        match code {
            0 => self.host.take_answer().map_or(Outcome::Ok, Outcome::Answer),
            code => Outcome::Failed { code, message: self.host.take_failure() },
        }
    }

    fn shutdown(&mut self) {
        // SAFETY: `state` is what init gave; this is the last call.
        unsafe { (self.library.shutdown)(self.state) };
    }
}

fn context(stamp: &TriggerStamp, names: &NameTable) -> Context {
    let (message, message_len) = match stamp.message {
        Some(message) => (message.to_bytes(), message.wire_len() as u8),
        None => ([0; 3], 0),
    };
    Context {
        struct_size: size_of::<Context>() as u32,
        trigger: stamp.kind as u32,
        velocity: stamp.velocity.map_or(-1, i32::from),
        current_mode: stamp.mode.map_or(-1, i32::from),
        timestamp_ms: stamp.unix_ms,
        monotonic_ns: stamp.monotonic_ns,
        mode_name: Str::new(names.mode(stamp)),
        device: Str::new(names.device(stamp)),
        message,
        message_len,
        reserved: [0; 4],
    }
}

/// Longest answer or failure text, in bytes.
const MAX_TEXT: usize = MAX_ANSWER;
