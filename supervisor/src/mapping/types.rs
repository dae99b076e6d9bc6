//! What goes into the engine and what comes out.

use super::events::EventKey;
use midimon_shared::context::TriggerStamp;
use midimon_shared::{Channel, ChannelMessage, PluginId, U7, U14};
use std::sync::Arc;
use std::time::Duration;

/// Index of a device alias in `Compiled::devices`.
pub type DeviceIndex = u16;
/// Index of an input that messages come from; several can be one configured device.
pub type SourceIndex = u16;
/// Index of a mode in `Compiled::modes`.
pub type ModeIndex = u16;
/// Index into `Compiled::bindings`.
pub type BindingIndex = u32;
/// Index into `Compiled::effects`.
pub type EffectIndex = u32;
/// Index into `Compiled::mappings`, for labels.
pub type MappingIndex = u32;

/// What the engine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A channel message from a device.
    Message {
        /// Which input it came from: what is held is kept apart by this.
        source: SourceIndex,
        /// Which configured device that is.
        device: DeviceIndex,
        /// What it sent.
        message: ChannelMessage,
        /// Milliseconds since the Unix epoch, for the context.
        unix_ms: u64,
    },
    /// A plugin emitted an event that a mapping waits for.
    PluginEvent {
        /// Which, in the tables of the configuration in force.
        event: EventKey,
        /// The number it says, where it says one.
        velocity: Option<U7>,
        /// Milliseconds since the Unix epoch, for the context.
        unix_ms: u64,
    },
    /// A timer the engine asked for (`Engine::next_timer`) is due.
    Timer,
    /// Somebody chose a mode from outside.
    SetMode(ModeIndex),
    /// An input went away: what it held is released.
    SourceGone(SourceIndex),
    /// Panic: everything held is released, delayed steps are forgotten.
    ReleaseAll,
}

/// What the engine decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Output {
    /// Call a plugin.
    Plugin {
        /// The mapping that fired.
        mapping: MappingIndex,
        /// Which of `Compiled::bindings`.
        binding: BindingIndex,
        /// Why.
        stamp: TriggerStamp,
    },
    /// Have an effect on the outside world.
    Effect {
        /// The mapping that fired.
        mapping: MappingIndex,
        /// Which of `Compiled::effects`.
        effect: EffectIndex,
        /// Why.
        stamp: TriggerStamp,
    },
    /// The mode is another one now.
    ModeChanged(ModeIndex),
}

/// A plugin's action with its parameters, as a mapping states it.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginBinding {
    /// Whose action.
    pub plugin: PluginId,
    /// Its name.
    pub action: Arc<str>,
    /// Its parameters, a JSON object in the order written.
    pub params: Arc<str>,
    /// Deadline of a call where the mapping sets one.
    pub timeout: Option<Duration>,
    /// `on = "both"`: it gets the release of each press.
    pub paired: bool,
}

/// One effect on the outside world; sequences, delays, repeats and mode changes
/// are the engine's own and never come here.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Press the modifiers, click the keys in order, release the modifiers.
    Keystroke(Keystroke),
    /// Type a text.
    Text(Arc<str>),
    /// Run a shell command or a program.
    Shell(Shell),
    /// Start an application and forget it.
    Launch(Arc<str>),
    /// Send a MIDI message.
    SendMidi(SendMidi),
    /// Release everything and silence every output.
    Panic,
    /// Write a line to the log and the monitor.
    Log(Arc<str>),
}

/// Keys to click.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keystroke {
    /// Held while the keys are clicked, names as validated by `action::keys`.
    pub modifiers: Vec<crate::action::keys::Key>,
    /// Clicked in order.
    pub keys: Vec<crate::action::keys::Key>,
}

/// A command to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shell {
    /// Program and arguments; a `command` string is `["sh", "-c", command]`.
    pub argv: Vec<String>,
    /// The process group is killed after this.
    pub timeout: Duration,
}

/// A MIDI message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendMidi {
    /// The output's name: exact, then unique prefix, then unique substring.
    pub port: Arc<str>,
    /// What to send, its value possibly taken from the trigger.
    pub message: MidiTemplate,
}

/// A number in an outgoing message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<T> {
    /// As written.
    Fixed(T),
    /// `$velocity` or `$value`: the trigger's, 0 when it has none.
    FromTrigger,
}

/// An outgoing message whose value may come from the trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MidiTemplate {
    NoteOn { channel: Channel, note: U7, velocity: Value<U7> },
    NoteOff { channel: Channel, note: U7, velocity: Value<U7> },
    ControlChange { channel: Channel, controller: U7, value: Value<U7> },
    ProgramChange { channel: Channel, program: U7 },
    PitchBend { channel: Channel, value: Value<U14> },
    ChannelPressure { channel: Channel, pressure: Value<U7> },
}
