//! The manifests of examples and fixtures work as they stand.

use midimon::plugins::Manifest;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
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
