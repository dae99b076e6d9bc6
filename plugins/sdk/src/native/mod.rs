//! A plugin as a native library: through the C interface of `include/midimon_plugin.h`.

mod connection;
mod export;
mod host;
mod services;
#[cfg(feature = "http")]
mod tls;

pub(crate) use connection::Stream;
pub use export::Table;
pub(crate) use host::Raw;

use crate::{Context, Params, Trigger, ffi};
use std::borrow::Cow;

/// The parameters of a call as text, ready to be read.
#[derive(Clone, Copy)]
pub(crate) struct Pairs<'c>(&'c [ffi::Parameter]);

impl<'c> Pairs<'c> {
    /// Settings, and parameters that are there as JSON only.
    pub(crate) const NONE: Self = Self(&[]);

    pub(crate) fn text(&self, name: &str) -> Option<&'c str> {
        // SAFETY: `params_of` was promised parameters whose texts are valid for 'c.
        self.0.iter().find(|pair| unsafe { pair.name.get() } == name).map(|pair| unsafe { pair.value.get() })
    }
}

/// The names that come with a context.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'c> {
    mode: &'c str,
    device: &'c str,
}

impl<'c> Names<'c> {
    pub(crate) fn mode(&self) -> Option<Cow<'c, str>> {
        (!self.mode.is_empty()).then_some(Cow::Borrowed(self.mode))
    }

    pub(crate) fn device(&self) -> Option<Cow<'c, str>> {
        (!self.device.is_empty()).then_some(Cow::Borrowed(self.device))
    }
}

/// # Safety
/// `raw` is a context as the header describes it, valid for `'c`.
unsafe fn context_of(raw: &ffi::Context) -> Context<'_> {
    // SAFETY: the caller promises texts that are valid for 'c.
    let names = unsafe { Names { mode: raw.mode_name.get(), device: raw.device.get() } };
    Context {
        trigger: trigger_of(raw.trigger),
        velocity: u8::try_from(raw.velocity).ok(),
        current_mode: usize::try_from(raw.current_mode).ok(),
        timestamp_ms: raw.timestamp_ms,
        monotonic_ns: raw.monotonic_ns,
        message: raw.message,
        message_len: raw.message_len,
        names,
    }
}

/// # Safety
/// `call` is a call as the header describes it, valid for `'c`.
unsafe fn params_of(call: &ffi::Call) -> Params<'_> {
    let pairs = if call.parameter_count == 0 || call.parameters.is_null() {
        Pairs::NONE
    } else {
        // SAFETY: the caller promises that many parameters, valid for 'c.
        Pairs(unsafe { std::slice::from_raw_parts(call.parameters, call.parameter_count) })
    };
    // SAFETY: the caller promises a text valid for 'c.
    Params::new(Cow::Borrowed(unsafe { call.params_json.get() }), pairs)
}

const fn trigger_of(raw: u32) -> Trigger {
    match raw {
        0 => Trigger::Manual,
        1 => Trigger::NotePress,
        2 => Trigger::NoteRelease,
        3 => Trigger::ControlChange,
        4 => Trigger::PitchBend,
        5 => Trigger::ChannelPressure,
        6 => Trigger::PolyPressure,
        7 => Trigger::ProgramChange,
        8 => Trigger::Timer,
        9 => Trigger::PluginEvent,
        _ => Trigger::Other,
    }
}
