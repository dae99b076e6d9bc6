//! Configurations, written as text.

use std::fmt::Write;

/// For `[plugins.ID]`: a call waits however long a busy computer takes to start the plugin.
pub const PATIENT: &str = "max_age_ms = 60000";

/// A configuration for a [`Bed`](crate::Bed), which adds `schema` and the plugin directory.
#[derive(Clone, Debug, Default)]
pub struct Config {
    plugins: String,
    mappings: String,
}

impl Config {
    /// Without any mapping.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `[plugins.ID]` with the settings, lines of TOML.
    #[must_use]
    pub fn plugin(mut self, id: &str, settings: &str) -> Self {
        // cannot fail: writing to a string
        let _ = write!(self.plugins, "[plugins.{id}]\n{settings}\n\n");
        self
    }

    /// Maps a note's press to an action of a plugin.
    #[must_use]
    pub fn note(self, note: u8, plugin: &str, action: &str) -> Self {
        self.note_with(note, plugin, action, "params = {}")
    }

    /// As [`Self::note`], with more keys of the action, such as `params = { ms = 5 }, on = "both"`.
    #[must_use]
    pub fn note_with(self, note: u8, plugin: &str, action: &str, keys: &str) -> Self {
        self.mapping(
            &format!(r#"type = "Note", note = {note}"#),
            &format!(r#"type = "Plugin", plugin = "{plugin}", action = "{action}", {keys}"#),
        )
    }

    /// Adds a global mapping.
    #[must_use]
    pub fn mapping(mut self, trigger: &str, action: &str) -> Self {
        // cannot fail: writing to a string
        let _ = write!(self.mappings, "[[global_mappings]]\ntrigger = {{ {trigger} }}\naction = {{ {action} }}\n\n");
        self
    }

    pub(crate) fn text(&self, plugin_dir: &str) -> String {
        format!("schema = 1\n\n[plugins]\ndir = \"{plugin_dir}\"\n\n{}{}", self.plugins, self.mappings)
    }
}
