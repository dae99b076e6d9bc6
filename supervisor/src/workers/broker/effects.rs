//! The seam to keys, MIDI outputs and the desktop.

pub use super::midi::MidiMessage;
use midimon_shared::PluginId;
use midimon_shared::host::{HostRefusal, Mouse, SystemControl};
use std::fmt::Debug;

/// Has effects on a plugin's behalf, once they are permitted. None of these may
/// wait: what cannot be taken in at once is refused. They say so when it was taken
/// in, not when it is done.
pub trait Effects: Debug + Send + Sync {
    /// Sends a message to the output of this name.
    ///
    /// # Errors
    /// Too many wait already.
    fn send_midi(&self, port: &str, message: &MidiMessage) -> Result<(), HostRefusal>;

    /// Presses and releases keys, written as in a mapping's `keys`.
    ///
    /// # Errors
    /// They are no keys, or too many wait already.
    fn keystroke(&self, keys: &str) -> Result<(), HostRefusal>;

    /// Types a text.
    ///
    /// # Errors
    /// Too many wait already.
    fn text(&self, text: &str) -> Result<(), HostRefusal>;

    /// Uses the mouse.
    ///
    /// # Errors
    /// Too many wait already.
    fn mouse(&self, mouse: Mouse) -> Result<(), HostRefusal>;

    /// Volume, media, brightness.
    ///
    /// # Errors
    /// Too many wait already.
    fn system(&self, control: SystemControl) -> Result<(), HostRefusal>;

    /// Shows a notification, the plugin's id in front of its title. The texts are a stranger's.
    ///
    /// # Errors
    /// Too many wait already.
    fn notify(&self, plugin: &PluginId, title: &str, body: &str) -> Result<(), HostRefusal>;

    /// Lets mappings have an event of a plugin's. The texts are a stranger's.
    ///
    /// # Errors
    /// It cannot be taken in.
    fn emit(&self, plugin: &PluginId, event: &str, value: &str) -> Result<(), HostRefusal>;

    /// Makes the mode of this name the active one.
    ///
    /// # Errors
    /// There is no such mode.
    fn set_mode(&self, plugin: &PluginId, name: &str) -> Result<(), HostRefusal>;

    /// The name of a device's output, by the device's alias.
    ///
    /// # Errors
    /// There is no such device, or it has no output of its own.
    fn output_of(&self, device: &str) -> Result<String, HostRefusal>;
}
