//! What a plugin is run with in a test.

use super::sandbox::{Sandbox, SandboxError};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A plugin's directory that is to be run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its directory, or why there is none.
    plugin: Result<PathBuf, SandboxError>,
    /// In place of the manifest that lies there.
    manifest: Option<String>,
    grants: Vec<String>,
    settings: Vec<(String, String)>,
    mappings: String,
}

impl Setup {
    pub(super) const fn new(plugin: Result<PathBuf, SandboxError>) -> Self {
        Self { plugin, manifest: None, grants: Vec::new(), settings: Vec::new(), mappings: String::new() }
    }

    /// With this text as its `plugin.toml`: one that asks for a stand-in's address in place of
    /// the service's, say.
    #[must_use]
    pub fn manifest(mut self, text: &str) -> Self {
        self.manifest = Some(text.to_owned());
        self
    }

    /// Grants it something, as in a configuration: `filesystem`, `network:localhost:6600`.
    #[must_use]
    pub fn grant(mut self, grant: &str) -> Self {
        self.grants.push(grant.to_owned());
        self
    }

    /// Sets something of it, a secret too, as `midimon plugin config set` takes it.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Maps a note's press to an action of it, with parameters as an inline table of TOML.
    #[must_use]
    pub fn note(mut self, note: u8, action: &str, params: &str) -> Self {
        let action = format!("type = \"Plugin\", plugin = \"\u{0}\", action = {action:?}, params = {params}");
        // cannot fail: writing to a string
        let _ = write!(
            self.mappings,
            "[[global_mappings]]\ntrigger = {{ type = \"Note\", note = {note} }}\naction = {{ {action} }}\n\n"
        );
        self
    }

    /// Maps an event of its own, with any value or this one, to an action of it.
    #[must_use]
    pub fn event(mut self, event: &str, value: Option<&str>, action: &str, params: &str) -> Self {
        let value = value.map_or_else(String::new, |value| format!(", value = {value:?}"));
        let trigger = format!("type = \"Plugin\", plugin = \"\u{0}\", event = {event:?}{value}");
        let action = format!("type = \"Plugin\", plugin = \"\u{0}\", action = {action:?}, params = {params}");
        // cannot fail: writing to a string
        let _ = write!(self.mappings, "[[global_mappings]]\ntrigger = {{ {trigger} }}\naction = {{ {action} }}\n\n");
        self
    }

    /// Runs it, and waits until it is ready.
    ///
    /// # Errors
    /// midimon is not there, the plugin is not built, or it does not start.
    pub fn start(self) -> Result<Sandbox, SandboxError> {
        Sandbox::start(&self)
    }

    pub(super) fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// Copies the plugin's files into this directory of plugins; its id.
    pub(super) fn copy_plugin(&self, plugins: &Path) -> Result<String, SandboxError> {
        let from = self.plugin.as_ref().map_err(Clone::clone)?;
        let manifest = from.join("plugin.toml");
        let shown = manifest.display().to_string();
        let text = match &self.manifest {
            Some(text) => text.clone(),
            None => fs::read_to_string(&manifest).map_err(|error| SandboxError::of(&shown, error))?,
        };
        let id = field(&text, "id").ok_or_else(|| SandboxError::new(format!("{shown}: it has no `id = \"…\"`")))?;
        let to = plugins.join(&id);
        let copied = fs::create_dir_all(&to).and_then(|()| {
            for entry in fs::read_dir(from)? {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    fs::copy(entry.path(), to.join(entry.file_name()))?;
                }
            }
            fs::write(to.join("plugin.toml"), text)
        });
        copied.map_err(|error| SandboxError::of("the plugin's files", error))?;
        Ok(id)
    }

    /// The configuration that a midimon in this place is started with.
    pub(super) fn config(&self, id: &str, place: &Path) -> String {
        let plugins = place.join("plugins");
        let Self { grants, mappings, .. } = self;
        let mut text = format!("schema = 1\n\n[plugins]\ndir = {:?}\n\n", plugins.to_string_lossy());
        // cannot fail: writing to a string
        let _ = write!(text, "[plugins.{id}]\ngrants = {grants:?}\n\n");
        text + &mappings.replace('\u{0}', id)
    }
}

/// A text of the manifest's first table. midimon itself reads the rest.
fn field(manifest: &str, name: &str) -> Option<String> {
    let lines = manifest.lines().take_while(|line| !line.starts_with('['));
    let value = lines.filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == name)?.1;
    Some(value.trim().strip_prefix('"')?.split_once('"')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_manifests_own_and_not_an_actions() {
        let manifest = "schema = 1\nid = \"my-plugin\" # mine\n\n[[actions]]\nid = \"other\"\n";
        assert_eq!(field(manifest, "id").as_deref(), Some("my-plugin"));
        assert_eq!(field("[[actions]]\nid = \"other\"\n", "id"), None);
    }

    #[test]
    fn a_configuration_has_the_grants_and_the_mappings() {
        let setup = Sandbox::of("/p").grant("filesystem").note(36, "play", "{ b = 2 }");
        let expected = r#"schema = 1

[plugins]
dir = "/x/plugins"

[plugins.mine]
grants = ["filesystem"]

[[global_mappings]]
trigger = { type = "Note", note = 36 }
action = { type = "Plugin", plugin = "mine", action = "play", params = { b = 2 } }

"#;
        assert_eq!(setup.config("mine", Path::new("/x")), expected);
    }

    #[test]
    fn a_manifest_takes_the_place_of_the_plugins_own_and_names_the_id() {
        let place = std::env::temp_dir().join(format!("midimon-sdk-setup-{}", std::process::id()));
        let (from, plugins) = (place.join("from"), place.join("plugins"));
        fs::create_dir_all(&from).unwrap();
        fs::write(from.join("plugin.toml"), "id = \"own\"\n").unwrap();
        fs::write(from.join("code.so"), "code").unwrap();
        assert_eq!(Sandbox::of(&from).copy_plugin(&plugins).unwrap(), "own");
        let other = "id = \"other\"\nentry = \"code.so\"\n";
        assert_eq!(Sandbox::of(&from).manifest(other).copy_plugin(&plugins).unwrap(), "other");
        let read = |name: &str| fs::read_to_string(plugins.join(name)).unwrap();
        assert_eq!((read("own/plugin.toml"), read("own/code.so")), ("id = \"own\"\n".into(), "code".into()));
        assert_eq!((read("other/plugin.toml"), read("other/code.so")), (other.into(), "code".into()));
        let error = Sandbox::of(place.join("nothing")).copy_plugin(&plugins).unwrap_err().to_string();
        assert!(error.contains("nothing/plugin.toml"), "{error}");
        fs::remove_dir_all(place).unwrap();
    }
}
