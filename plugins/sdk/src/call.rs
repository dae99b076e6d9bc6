//! What a plugin is told with a call.

use crate::{Error, ffi};
use serde::Deserialize;

/// What fired a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Trigger {
    /// By hand or by a program, not by MIDI.
    Manual,
    NotePress,
    NoteRelease,
    ControlChange,
    PitchBend,
    ChannelPressure,
    PolyPressure,
    ProgramChange,
    /// A timer of the plugin's own.
    Timer,
    /// An event that a plugin emitted.
    PluginEvent,
    /// Something this version of the SDK has no name for.
    Other,
}

impl Trigger {
    const fn from_raw(raw: u32) -> Self {
        match raw {
            0 => Self::Manual,
            1 => Self::NotePress,
            2 => Self::NoteRelease,
            3 => Self::ControlChange,
            4 => Self::PitchBend,
            5 => Self::ChannelPressure,
            6 => Self::PolyPressure,
            7 => Self::ProgramChange,
            8 => Self::Timer,
            9 => Self::PluginEvent,
            _ => Self::Other,
        }
    }
}

/// The event behind a call.
#[derive(Clone, Copy, Debug)]
pub struct Context<'c> {
    /// What fired.
    pub trigger: Trigger,
    /// Velocity, pressure or controller value, 0 to 127.
    pub velocity: Option<u8>,
    /// Index of the active mode.
    pub current_mode: Option<usize>,
    /// When it happened, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// `CLOCK_MONOTONIC` when the message was read, in nanoseconds.
    pub monotonic_ns: u64,
    /// Name of the active mode.
    pub mode_name: Option<&'c str>,
    /// Alias of the device that sent the message.
    pub device: Option<&'c str>,
    /// The MIDI channel message as on the wire; empty when there is none.
    pub message: &'c [u8],
}

impl<'c> Context<'c> {
    /// # Safety
    /// `raw` is a context as the header describes it, valid for `'c`.
    pub(crate) unsafe fn new(raw: &'c ffi::Context) -> Self {
        // SAFETY: the caller promises texts that are valid for 'c.
        let (mode_name, device) = unsafe { (raw.mode_name.get(), raw.device.get()) };
        let length = usize::from(raw.message_len).min(raw.message.len());
        Self {
            trigger: Trigger::from_raw(raw.trigger),
            velocity: u8::try_from(raw.velocity).ok(),
            current_mode: usize::try_from(raw.current_mode).ok(),
            timestamp_ms: raw.timestamp_ms,
            monotonic_ns: raw.monotonic_ns,
            mode_name: (!mode_name.is_empty()).then_some(mode_name),
            device: (!device.is_empty()).then_some(device),
            message: &raw.message[..length],
        }
    }

    /// The note of a note message or poly pressure, 0 to 127.
    #[must_use]
    pub fn note(&self) -> Option<u8> {
        match self.message {
            [0x80..=0xAF, note, _] => Some(*note),
            _ => None,
        }
    }

    /// The message's channel, 1 to 16.
    #[must_use]
    pub fn channel(&self) -> Option<u8> {
        self.message.first().map(|status| (status & 0x0F) + 1)
    }
}

/// A mapping's `params`, or a plugin's settings.
#[derive(Clone, Copy)]
pub struct Params<'c> {
    json: &'c str,
    pairs: &'c [ffi::Parameter],
}

impl<'c> Params<'c> {
    pub(crate) const fn settings(json: &'c str) -> Self {
        Self { json, pairs: &[] }
    }

    /// # Safety
    /// `call` is a call as the header describes it, valid for `'c`.
    pub(crate) unsafe fn of(call: &'c ffi::Call) -> Self {
        let pairs = if call.parameter_count == 0 || call.parameters.is_null() {
            &[]
        } else {
            // SAFETY: the caller promises that many parameters, valid for 'c.
            unsafe { std::slice::from_raw_parts(call.parameters, call.parameter_count) }
        };
        // SAFETY: the caller promises a text valid for 'c.
        Self { json: unsafe { call.params_json.get() }, pairs }
    }

    /// One parameter of a call as text: a string is itself, everything else its
    /// JSON. Costs a walk over the names, no parsing. Settings have none; use
    /// [`Params::parse`].
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&'c str> {
        // SAFETY: `of` was promised parameters whose texts are valid for 'c.
        self.pairs.iter().find(|pair| unsafe { pair.name.get() } == name).map(|pair| unsafe { pair.value.get() })
    }

    /// The table as JSON text, `{}` when there is none.
    #[must_use]
    pub const fn json(&self) -> &'c str {
        self.json
    }

    /// The table as a type of one's own.
    ///
    /// # Errors
    /// It does not fit.
    pub fn parse<T: Deserialize<'c>>(&self) -> Result<T, Error> {
        serde_json::from_str(self.json).map_err(|error| Error::new(format_args!("parameters: {error}")))
    }
}
