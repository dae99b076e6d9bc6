//! What the repository shows people about plugins works as it stands: the
//! manifests of the examples and fixtures, and what the plugin guide prints.

use midimon::mapping::config::load_text;
use midimon::plugins::Manifest;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The blocks of a document that are in this language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    document.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

fn assert_config(name: &str, text: &str) {
    if let Err(diagnostics) = load_text(name, text, &|_| true) {
        panic!("{diagnostics:?}");
    }
}

#[test]
fn every_manifest_in_the_repository_is_valid() {
    let folders = ["plugins", "plugins/wasm", "tests/fixtures"];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let folders: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("plugin.toml").exists()).collect();
    assert!(folders.len() >= 13, "{folders:?}");
    for folder in folders {
        let manifest = Manifest::read(&folder).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(folder.file_name().unwrap().to_str(), Some(manifest.id.as_str()));
    }
}

#[test]
fn the_plugin_guides_manifest_and_configurations_are_valid() {
    let blocks = blocks(&read("docs/plugins.md"), "toml");
    let (manifests, rest): (Vec<_>, Vec<_>) = blocks.iter().partition(|block| block.contains("kind = "));
    assert_eq!(manifests.len(), 1);
    Manifest::parse(manifests[0]).unwrap();
    let configs: Vec<_> = rest.into_iter().filter(|block| block.contains("[plugins")).collect();
    assert_eq!(configs.len(), 2);
    for config in configs {
        assert_config("docs/plugins.md", config);
    }
}
