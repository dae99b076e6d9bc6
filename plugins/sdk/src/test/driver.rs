//! A plugin driven through its C interface, as midimon's worker does.

use super::recorded::{Answer, Answers, Recorded, Request};
use crate::{Error, Level, Outcome, Plugin, Table, Trigger, ffi};
use serde_json::{Map, Value};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::path::Path;
use std::ptr;

/// One call, with the event behind it. Nothing is there that was not set.
#[derive(Clone, Debug)]
pub struct Call {
    action: String,
    params: String,
    trigger: u32,
    velocity: i32,
    message: Vec<u8>,
    mode: Option<(u16, String)>,
    device: String,
    timestamp_ms: u64,
}

impl Call {
    /// By hand, without parameters.
    #[must_use]
    pub fn new(action: &str) -> Self {
        Self {
            action: action.to_owned(),
            params: "{}".to_owned(),
            trigger: raw(Trigger::Manual),
            velocity: -1,
            message: Vec::new(),
            mode: None,
            device: String::new(),
            timestamp_ms: 0,
        }
    }

    /// With these parameters, a JSON object.
    #[must_use]
    pub fn params(mut self, json: &str) -> Self {
        json.clone_into(&mut self.params);
        self
    }

    /// By a note's press on channel 1.
    #[must_use]
    pub fn note(mut self, note: u8, velocity: u8) -> Self {
        self.trigger = raw(Trigger::NotePress);
        self.velocity = velocity.into();
        self.message = vec![0x90, note, velocity];
        self
    }

    /// By this MIDI channel message and trigger, with a velocity, pressure or value of 0 to 127.
    #[must_use]
    pub fn message(mut self, trigger: Trigger, message: &[u8], velocity: Option<u8>) -> Self {
        self.trigger = raw(trigger);
        self.velocity = velocity.map_or(-1, i32::from);
        self.message = message.to_vec();
        self
    }

    /// By something without a message: a timer, or a plugin's event.
    #[must_use]
    pub fn trigger(mut self, trigger: Trigger) -> Self {
        self.trigger = raw(trigger);
        self
    }

    /// In a mode.
    #[must_use]
    pub fn mode(mut self, index: u16, name: &str) -> Self {
        self.mode = Some((index, name.to_owned()));
        self
    }

    /// From a device, by its alias.
    #[must_use]
    pub fn device(mut self, alias: &str) -> Self {
        alias.clone_into(&mut self.device);
        self
    }

    /// At this time, in milliseconds since the Unix epoch.
    #[must_use]
    pub const fn at(mut self, timestamp_ms: u64) -> Self {
        self.timestamp_ms = timestamp_ms;
        self
    }
}

/// A plugin that was started. It is ended when this is dropped.
#[derive(Debug)]
pub struct Driver<P: Plugin> {
    state: *mut c_void,
    host: &'static Recorded,
    plugin: PhantomData<P>,
}

impl<P: Plugin> Driver<P> {
    const TABLE: ffi::Plugin = Table::<P>::TABLE;

    /// Starts it with these settings, a JSON object, and no data directory.
    ///
    /// # Errors
    /// The plugin's own.
    pub fn start(settings: &str) -> Result<Self, Error> {
        Self::begin(settings, String::new(), None)
    }

    /// The same with a data directory.
    ///
    /// # Errors
    /// The plugin's own.
    pub fn start_in(data_dir: &Path, settings: &str) -> Result<Self, Error> {
        Self::begin(settings, data_dir.to_string_lossy().into_owned(), None)
    }

    /// The same with answers to what it asks for while it starts.
    ///
    /// # Errors
    /// The plugin's own.
    pub fn start_with(settings: &str, answers: impl FnMut(&Request) -> Answer + Send + 'static) -> Result<Self, Error> {
        Self::begin(settings, String::new(), Some(Box::new(answers)))
    }

    fn begin(settings: &str, data_dir: String, answers: Option<Answers>) -> Result<Self, Error> {
        // never freed: threads of the plugin may ask after its end, as a process' end would not let them
        let host: &'static Recorded = Box::leak(Box::new(Recorded::new(data_dir)));
        host.notes().answers = answers;
        let mut state = ptr::null_mut();
        // SAFETY: the table, the text and the place for the state live long enough, as the header asks.
        let code = unsafe { (Self::TABLE.init)(host.table(), ffi::Str::new(settings), &mut state) };
        if code != ffi::OK {
            return Err(failure(host, code));
        }
        Ok(Self { state, host, plugin: PhantomData })
    }

    /// What midimon answers from now on.
    pub fn answers(&mut self, answers: impl FnMut(&Request) -> Answer + Send + 'static) {
        self.host.notes().answers = Some(Box::new(answers));
    }

    /// Performs one call. Its effects are done by then: they are among [`Self::requests`].
    ///
    /// # Errors
    /// The plugin's own, or of an effect that was refused; a panic is one with [`Error::PANIC`].
    pub fn call(&mut self, call: &Call) -> Result<Outcome, Error> {
        let table: Map<String, Value> = serde_json::from_str(&call.params)
            .map_err(|error| Error::new(format_args!("the test's parameters are not a JSON object: {error}")))?;
        let texts: Vec<(&str, String)> = table.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        let pairs: Vec<ffi::Parameter> = texts
            .iter()
            .map(|(name, value)| ffi::Parameter { name: ffi::Str::new(name), value: ffi::Str::new(value) })
            .collect();
        let mut message = [0; 3];
        let length = call.message.len().min(message.len());
        message[..length].copy_from_slice(&call.message[..length]);
        let context = ffi::Context {
            struct_size: size_of::<ffi::Context>() as u32,
            trigger: call.trigger,
            velocity: call.velocity,
            current_mode: call.mode.as_ref().map_or(-1, |(index, _)| i32::from(*index)),
            timestamp_ms: call.timestamp_ms,
            monotonic_ns: 0,
            mode_name: ffi::Str::new(call.mode.as_ref().map_or("", |(_, name)| name)),
            device: ffi::Str::new(&call.device),
            message,
            message_len: length as u8,
            reserved: [0; 4],
        };
        let raw = ffi::Call {
            struct_size: size_of::<ffi::Call>() as u32,
            reserved: 0,
            action: ffi::Str::new(&call.action),
            params_json: ffi::Str::new(&call.params),
            parameters: pairs.as_ptr(),
            parameter_count: pairs.len(),
            context: &context,
        };
        self.host.notes().answer = None;
        // SAFETY: `init` made the state, and all that the call points to lives through it.
        match unsafe { (Self::TABLE.handle)(self.state, &raw) } {
            ffi::OK => Ok(Outcome { answer: self.host.notes().answer.take(), effects: Vec::new() }),
            code => Err(failure(self.host, code)),
        }
    }

    /// What it asked for so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.host.notes().requests.clone()
    }

    /// What it wrote to its log so far.
    #[must_use]
    pub fn logged(&self) -> Vec<(Level, String)> {
        self.host.notes().log.clone()
    }
}

impl<P: Plugin> Drop for Driver<P> {
    fn drop(&mut self) {
        // SAFETY: `init` made the state, and nothing is called after this.
        unsafe { (Self::TABLE.shutdown)(self.state) }
    }
}

fn failure(host: &Recorded, code: i32) -> Error {
    Error::new(host.notes().fail.take().unwrap_or_default()).with_code(code)
}

/// As midimon makes text of a parameter.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The number of the header; `Other` is one that nothing has.
const fn raw(trigger: Trigger) -> u32 {
    match trigger {
        Trigger::Manual => 0,
        Trigger::NotePress => 1,
        Trigger::NoteRelease => 2,
        Trigger::ControlChange => 3,
        Trigger::PitchBend => 4,
        Trigger::ChannelPressure => 5,
        Trigger::PolyPressure => 6,
        Trigger::ProgramChange => 7,
        Trigger::Timer => 8,
        Trigger::PluginEvent => 9,
        Trigger::Other => u32::MAX,
    }
}
