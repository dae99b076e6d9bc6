//! What a plugin is told about the event behind a call.

use crate::backend;
use std::borrow::Cow;

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
    pub(crate) message: [u8; 3],
    pub(crate) message_len: u8,
    pub(crate) names: backend::Names<'c>,
}

impl<'c> Context<'c> {
    /// The name of the active mode.
    #[must_use]
    pub fn mode_name(&self) -> Option<Cow<'c, str>> {
        self.names.mode()
    }

    /// The alias of the device that sent the message.
    #[must_use]
    pub fn device(&self) -> Option<Cow<'c, str>> {
        self.names.device()
    }

    /// The MIDI channel message as on the wire, 2 or 3 bytes; empty when there is none.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message[..usize::from(self.message_len).min(self.message.len())]
    }

    /// The note of a note message or poly pressure, 0 to 127.
    #[must_use]
    pub fn note(&self) -> Option<u8> {
        match self.message() {
            [0x80..=0xAF, note, _] => Some(*note),
            _ => None,
        }
    }

    /// The message's channel, 1 to 16.
    #[must_use]
    pub fn channel(&self) -> Option<u8> {
        self.message().first().map(|status| (status & 0x0F) + 1)
    }
}
