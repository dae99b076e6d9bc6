//! Nothing a configuration says makes it grow without bounds.

use super::{load, pads};
use crate::mapping::config::{Code, Diagnostics, MAX_CONFIG, Severity, load_file, load_text};
use std::io::Write;

fn code(result: Result<crate::mapping::Loaded, Diagnostics>) -> Option<Code> {
    let diagnostics = result.err()?;
    diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error).map(|diagnostic| diagnostic.code)
}

fn repeats(counts: &[u32]) -> String {
    let action = counts.iter().fold(r#"{ type = "Log", text = "x" }"#.to_owned(), |action, count| {
        format!(r#"{{ type = "Repeat", count = {count}, action = {action} }}"#)
    });
    pads(&[(r#"type = "Note", note = 1"#, action.trim_matches(['{', '}']))])
        .replace("action = {  type", "action = { type")
}

#[test]
fn a_mapping_has_10_000_steps_at_most() {
    assert_eq!(code(load(&repeats(&[10_000]))), None);
    assert_eq!(code(load(&repeats(&[10_000, 1]))), None);
    assert_eq!(code(load(&repeats(&[100, 101]))), Some(Code::TooLong));
    assert_eq!(code(load(&repeats(&[10_000, 10_000, 10_000, 10_000]))), Some(Code::TooLong));
}

#[test]
fn all_mappings_together_have_a_million_steps_at_most() {
    let many = repeats(&[10_000]).repeat(101).replace("schema = 1", "");
    assert_eq!(code(load(&many)), Some(Code::TooLong));
}

#[test]
fn actions_lie_16_levels_deep_at_most() {
    assert_eq!(code(load(&repeats(&[1; 15]))), None);
    assert_eq!(code(load(&repeats(&[1; 16]))), Some(Code::TooDeep));
    assert!(load(&repeats(&[1; 500])).is_err(), "and far deeper is no stack overflow");
}

#[test]
fn dotted_keys_and_headers_of_any_depth_are_an_error() {
    for text in [
        "a.".repeat(100_000) + "a = 1",
        format!("[{}a]", "a.".repeat(100_000)),
        "x = ".to_owned() + &"[".repeat(100_000),
    ] {
        assert_eq!(code(load(&text)), Some(Code::Syntax));
    }
}

#[test]
fn diagnostics_are_counted_beyond_those_that_are_kept() {
    let text: String = (0..1000).map(|key| format!("key{key} = 1\n")).collect();
    let diagnostics = load(&text).unwrap_err();
    assert_eq!((diagnostics.iter().count(), diagnostics.omitted()), (Diagnostics::KEPT, 800));
    assert!(diagnostics.render(false).ends_with("... and 800 more\n"));
}

#[test]
fn a_text_over_4_mib_is_refused() {
    let text = "#".repeat(MAX_CONFIG as usize + 1);
    assert_eq!(code(load_text("x", &text, &|_| true)), Some(Code::TooLarge));
    assert_eq!(code(load_text("x", &text[1..], &|_| true)), None);
}

#[test]
fn a_file_that_cannot_be_one_is_an_error_and_never_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    assert_eq!(code(load_file(&path("missing"))), Some(Code::Unreadable));
    assert_eq!(code(load_file(folder.path())), Some(Code::Unreadable));
    nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert_eq!(code(load_file(&path("pipe"))), Some(Code::Unreadable));
    std::fs::write(path("latin"), b"a = 1\nb = \"\xE4\"\n").unwrap();
    let diagnostics = load_file(&path("latin")).unwrap_err();
    assert!(diagnostics.to_string().contains("0xe4 in line 2"), "{diagnostics}");
    std::fs::File::create(path("large")).unwrap().set_len(MAX_CONFIG + 1).unwrap();
    assert_eq!(code(load_file(&path("large"))), Some(Code::TooLarge));
}

#[test]
fn the_plugins_folder_is_relative_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::File::create(&path).unwrap().write_all(b"[plugins]\ndir = \"my plugins\"\n").unwrap();
    assert_eq!(load_file(&path).unwrap().plugins_dir, Some(folder.path().join("my plugins")));
    std::fs::write(&path, "[plugins]\ndir = \"/opt/plugins\"\n").unwrap();
    assert_eq!(load_file(&path).unwrap().plugins_dir, Some("/opt/plugins".into()));
}
