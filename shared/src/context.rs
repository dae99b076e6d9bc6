//! What a plugin is told about the event that triggered it.

use crate::midi::ChannelMessage;
use bincode::{Decode, Encode};
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

/// What fired an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    /// A call by hand or by an embedding program, not by MIDI.
    #[default]
    Manual,
    /// A note or pad was pressed.
    NotePress,
    /// A note or pad was released.
    NoteRelease,
    /// A controller moved.
    ControlChange,
    /// The pitch wheel moved.
    PitchBend,
    /// Pressure on the whole channel.
    ChannelPressure,
    /// Pressure on one note.
    PolyPressure,
    /// A program was chosen.
    ProgramChange,
    /// A timer of the plugin's own.
    Timer,
    /// An event that a plugin emitted.
    PluginEvent,
}

/// The event behind a call, with names in full.
///
/// On the pipe it travels as a [`TriggerStamp`], where mode and device are indices.
///
/// ```
/// use midimon_shared::TriggerContext;
///
/// let context = TriggerContext::new().with_velocity(100);
/// assert_eq!(context.velocity, Some(100));
/// assert_eq!(context.current_mode, None);
/// assert!(context.timestamp > 1_700_000_000_000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TriggerContext {
    /// Velocity, pressure or controller value, 0 to 127.
    pub velocity: Option<u8>,
    /// Index of the mode that was active.
    pub current_mode: Option<usize>,
    /// Milliseconds since the Unix epoch.
    pub timestamp: u64,
    /// Name of the mode that was active.
    pub mode_name: Option<String>,
    /// Alias of the device that sent the message.
    pub device: Option<String>,
    /// The MIDI message.
    pub message: Option<ChannelMessage>,
    /// What fired.
    pub kind: TriggerKind,
    /// `CLOCK_MONOTONIC` when the message was read, in nanoseconds; 0 is now.
    pub monotonic_ns: u64,
}

impl TriggerContext {
    /// A context for a call by hand: the time is now, everything else unknown.
    #[must_use]
    pub fn new() -> Self {
        Self {
            velocity: None,
            current_mode: None,
            timestamp: unix_ms(),
            mode_name: None,
            device: None,
            message: None,
            kind: TriggerKind::Manual,
            monotonic_ns: 0,
        }
    }

    /// The same with a velocity (values above 127 become 127).
    #[must_use]
    pub fn with_velocity(mut self, velocity: u8) -> Self {
        self.velocity = Some(velocity.min(127));
        self
    }
}

impl Default for TriggerContext {
    fn default() -> Self {
        Self::new()
    }
}

/// A [`TriggerContext`] as it travels: fixed size, mode and device as indices
/// into the names the supervisor sent before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct TriggerStamp {
    /// Velocity, pressure or controller value, 0 to 127.
    pub velocity: Option<u8>,
    /// Index into the mode names.
    pub mode: Option<u16>,
    /// Index into the device aliases.
    pub device: Option<u16>,
    /// Milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// `CLOCK_MONOTONIC` when the message was read, in nanoseconds.
    pub monotonic_ns: u64,
    /// What fired.
    pub kind: TriggerKind,
    /// The MIDI message.
    pub message: Option<ChannelMessage>,
}

/// Now, in milliseconds since the Unix epoch.
#[must_use]
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
