//! The manifest of MIDIMon 2.x: told apart, and rewritten for its author.

use super::walk::Table;
use midimon_shared::PluginId;
use std::fmt::Write;

/// What to say about a `[plugin]` table: the same in the new form.
pub(super) fn explain(mut old: Table<'_>) -> String {
    let mut text = |key| old.take(key).and_then(|field| field.text(500));
    let name = text("name").unwrap_or_else(|| "my-plugin".to_owned());
    let binary = text("binary").unwrap_or_else(|| "plugin.wasm".to_owned());
    let kind = if binary.ends_with(".wasm") { "wasm" } else { "native" };
    let mut new = String::from(
        "this is the manifest of MIDIMon 2.x; write it like this, with a reason for each capability:\n\nschema = 1\n",
    );
    let mut line = |key: &str, value: &str| {
        // cannot fail: a String takes everything
        let _ = writeln!(new, "{key} = {}", toml::Value::from(value));
    };
    line("id", &id(&name));
    line("name", &name);
    line("version", &text("version").unwrap_or_else(|| "0.1.0".to_owned()));
    line("kind", kind);
    line("entry", binary.rsplit(['/', '\\']).next().unwrap_or(&binary));
    for (key, old_key) in [("description", "description"), ("licence", "license"), ("homepage", "homepage")] {
        if let Some(value) = text(old_key) {
            line(key, &value);
        }
    }
    if let Some(author) = text("author") {
        let _ = writeln!(new, "authors = [{}]", toml::Value::from(author));
    }
    if let Some(mut capabilities) = old.take("capabilities").and_then(|field| field.table()) {
        for key in ["filesystem", "network", "midi", "subprocess", "system_control", "audio"] {
            if capabilities.take(key).and_then(|field| field.boolean()) == Some(true) {
                let name = key.replace('_', "-");
                let targets = match key {
                    "network" => "targets = [\"HOST:PORT\"]\n",
                    "midi" => "targets = [\"PORT NAME\"]\n",
                    "subprocess" => "targets = [\"PROGRAM\"]\n",
                    _ => "",
                };
                let _ = write!(new, "\n[[capabilities]]\ncapability = \"{name}\"\n{targets}reason = \"…\"\n");
            }
        }
    }
    new
}

/// The nearest id to a name.
fn id(name: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '-' };
    let id: String = name.chars().map(plain).collect();
    let id: String = id.trim_matches('-').chars().take(64).collect();
    if id.parse::<PluginId>().is_ok() { id } else { "my-plugin".to_owned() }
}
