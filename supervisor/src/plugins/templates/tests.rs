//! What is written is whole, and what is refused leaves nothing.

use super::*;
use crate::plugins::manifest::Manifest;

fn id(text: &str) -> PluginId {
    text.parse().unwrap()
}

fn text_of<'f>(files: &'f [(&'static str, String)], name: &str) -> &'f str {
    files.iter().find(|(path, _)| *path == name).map_or("", |(_, text)| text)
}

#[test]
fn every_template_is_filled_in_and_has_a_manifest_that_is_one() {
    for template in TEMPLATES {
        let files = template.render(&id("9-lives"), &Sdk::Git).unwrap();
        for (path, text) in &files {
            assert!(!text.contains("{{") && !text.contains("}}"), "{template:?} {path}: {text}");
        }
        let manifest = Manifest::parse(text_of(&files, "plugin.toml")).unwrap();
        assert_eq!(
            (manifest.id.as_str(), manifest.name.as_str(), manifest.kind),
            ("9-lives", "9 lives", template.kind)
        );
        assert_eq!(manifest.actions[0].name, "greet");
        for name in [".gitignore", "Makefile"] {
            assert!(text_of(&files, name).contains(&manifest.entry), "{template:?} {name}");
        }
        assert!(text_of(&files, template.source).contains("9 lives"), "{template:?}");
        assert!(text_of(&files, "README.md").contains(template.source), "{template:?}");
    }
}

#[test]
fn a_rust_plugin_has_the_sdk_from_the_repository_or_from_a_directory_that_is_it() {
    let render = |sdk| find(Language::Rust, None).unwrap().render(&id("my-plugin"), &sdk);
    let cargo = |files: Vec<(&'static str, String)>| text_of(&files, "Cargo.toml").to_owned();
    let git = cargo(render(Sdk::Git).unwrap());
    assert!(git.contains("midimon-plugin = { git = \"https://"), "{git}");
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/sdk");
    let path = cargo(render(Sdk::Path(here.clone())).unwrap());
    assert!(path.contains(&format!("path = '{}'", here.canonicalize().unwrap().display())), "{path}");
    for wrong in [here.join("src"), here.join("none")] {
        assert!(matches!(render(Sdk::Path(wrong)), Err(NewError::NoSdk(_))));
    }
}

#[test]
fn the_kind_is_the_usual_one_unless_said_and_one_that_is_missing_is_refused() {
    assert_eq!(find(Language::Rust, None).unwrap().kind, PluginKind::Wasm);
    assert_eq!(find(Language::Rust, Some(PluginKind::Native)).unwrap().kind, PluginKind::Native);
    assert_eq!(find(Language::C, None).unwrap().kind, PluginKind::Native);
    let missing = find(Language::Python, Some(PluginKind::Native)).unwrap_err().to_string();
    assert_eq!(missing, "there is no template in Python for a native plugin; there is one for a wasm plugin");
    for (_, language) in Language::ALL {
        assert!(find(language, None).is_ok(), "{language}");
    }
}

#[test]
fn a_directory_that_is_there_is_left_as_it_is() {
    let temp = tempfile::tempdir().unwrap();
    let template = find(Language::C, None).unwrap();
    let dir = temp.path().join("hello");
    let files = template.write(&id("hello"), &dir, &Sdk::Git).unwrap();
    assert!(files.iter().all(|file| dir.join(file).is_file()), "{files:?}");
    fs::write(dir.join("plugin.c"), "mine").unwrap();
    assert!(matches!(template.write(&id("hello"), &dir, &Sdk::Git), Err(NewError::Exists(_))));
    assert_eq!(fs::read_to_string(dir.join("plugin.c")).unwrap(), "mine");
    let nowhere = temp.path().join("none/hello");
    assert!(matches!(template.write(&id("hello"), &nowhere, &Sdk::Git), Err(NewError::Write { .. })));
}
