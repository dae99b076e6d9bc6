//! What `midimon plugin new` writes, from nothing to an effect: built, packed, signed,
//! installed, hit by MIDI.

use midimon_tests::pages::Page;
use midimon_tests::{Bed, Config, midi};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where the templates are built: kept, so that what they depend on is built once.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("templates")
}

/// A command as an author types it in `dir`.
fn typed(mut command: Command, dir: &Path) -> Output {
    command.current_dir(dir).env("CARGO_TARGET_DIR", target());
    // what a make around the tests told its children is not for this one
    for variable in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
        command.env_remove(variable);
    }
    let output = command.output().expect("the command runs");
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A new plugin in a bed's directory of authors.
fn new_plugin(bed: &Bed, id: &str, arguments: &[&str]) -> PathBuf {
    let authors = bed.path("authors");
    fs::create_dir_all(&authors).expect("a directory");
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/sdk");
    let made = typed(bed.command(&[&["plugin", "new", id, "--sdk", sdk], arguments].concat()), &authors);
    assert!(text(&made.stdout).contains("make\n"), "{}", text(&made.stdout));
    let dir = authors.join(id);
    if dir.join("Cargo.toml").exists() {
        // the versions that are tested, and none from the network
        let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
        fs::copy(lock, dir.join("Cargo.lock")).expect("a copy of the lock file");
    }
    dir
}

/// From `new` to the answer, with every command of the README.
fn from_nothing_to_an_effect(id: &str, arguments: &[&str]) {
    let bed = Bed::new();
    let dir = new_plugin(&bed, id, arguments);
    typed(Command::new("make"), &dir);

    let midimon = |arguments: &[&str]| typed(bed.command(arguments), &dir);
    midimon(&["plugin", "pack", "."]);
    midimon(&["key", "generate", "-o", "me", "--no-password"]);
    let package = format!("{id}-0.1.0.mmp");
    midimon(&["plugin", "sign", &package, "--key", "me.key"]);
    let public = fs::read_to_string(dir.join("me.pub")).expect("the public key");
    let key = public.lines().nth(1).expect("the key").to_owned();
    midimon(&["plugin", "install", &package, "--yes", "--key", &key, "--key-name", "Me"]);

    bed.configure(&Config::new().note_with(36, id, "greet", "params = { name = \"Ada\" }"));
    let mut daemon = bed.start();
    daemon.wait_ready(id);
    let watch = daemon.watch();
    daemon.send(&[0x90, 36, 127]);
    let answer = watch.answer(id);
    assert_eq!((answer.outcome.as_str(), answer.failed), ("hello Ada!", false));
    daemon.send(&midi::tap(36));
    assert_eq!(watch.answer(id).outcome, "hello Ada");
    let log = || fs::read_to_string(bed.home().join("logs").join(format!("{id}.log"))).unwrap_or_default();
    midimon_tests::eventually("its log", || {
        let written = log();
        let lines = ["hello Ada! (number 1)", "hello Ada (number 2)"];
        if lines.iter().all(|line| written.contains(line)) { Ok(()) } else { Err(written) }
    });
    daemon.stop();
}

#[test]
fn rust_native_from_nothing_to_an_effect() {
    from_nothing_to_an_effect("rust-native", &["--lang", "rust", "--kind", "native"]);
}

#[test]
fn rust_component_from_nothing_to_an_effect() {
    from_nothing_to_an_effect("rust-wasm", &["--lang", "rust", "--kind", "wasm"]);
}

#[test]
fn c_native_from_nothing_to_an_effect() {
    from_nothing_to_an_effect("c-native", &["--lang", "c"]);
}

/// The guide's block in this language that has this in it.
fn block(page: &Page, language: &str, part: &str) -> String {
    let mut blocks = page
        .split()
        .0
        .into_iter()
        .filter(|block| block.language.as_deref() == Some(language) && block.text.contains(part));
    let block = blocks.next().unwrap_or_else(|| panic!("{} has no {language} with '{part}'", page.name));
    assert!(blocks.next().is_none(), "{} has more than one {language} with '{part}'", page.name);
    block.text
}

#[test]
fn the_guides_first_plugin_as_it_stands_greets_and_counts_over_restarts() {
    let guide = Page::read("docs/first-plugin.md");
    let bed = Bed::new();
    let dir = new_plugin(&bed, "hello", &[]);
    fs::write(dir.join("src/lib.rs"), block(&guide, "rust", "export_plugin!")).expect("its source");
    fs::write(dir.join("plugin.toml"), block(&guide, "toml", "kind = ")).expect("its manifest");
    typed(Command::new("make"), &dir);

    let place = bed.plugin_dir().join("hello");
    fs::create_dir(&place).expect("its folder");
    for file in ["plugin.toml", "hello.wasm"] {
        fs::copy(dir.join(file), place.join(file)).expect("what the guide copies");
    }
    let plugins = bed.plugin_dir();
    let plugins = plugins.to_str().expect("UTF-8");
    bed.configure_text(&block(&guide, "toml", "[plugins]").replace("/home/you/midi-plugins", plugins));
    for hits in ["1 hits", "2 hits"] {
        let mut daemon = bed.start();
        daemon.wait_ready("hello");
        let watch = daemon.watch();
        daemon.send(&[0x90, 36, 127]);
        assert_eq!(watch.answer("hello").outcome, "hello Ada, velocity 127");
        daemon.send(&[0x90, 37, 127]);
        assert_eq!(watch.answer("hello").outcome, hits);
        let called = bed.run(&["plugin", "call", "hello", "greet", "--params", "name = 'Ada'", "--velocity", "100"]);
        assert!(text(&called.stdout).contains("hello Ada, velocity 100"), "{called:?}");
        daemon.stop();
    }
}

#[test]
fn the_rust_templates_own_tests_pass() {
    let bed = Bed::new();
    let dir = new_plugin(&bed, "own-tests", &["--kind", "native"]);
    let mut make = Command::new("make");
    make.arg("test");
    let output = text(&typed(make, &dir).stdout);
    assert!(output.contains("2 passed; 0 failed"), "{output}");
}

#[test]
fn new_refuses_what_is_no_id_what_is_there_and_what_there_is_no_template_for() {
    let bed = Bed::new();
    let dir = bed.path("authors");
    fs::create_dir_all(dir.join("taken")).expect("a directory");
    let refused = |arguments: &[&str]| {
        let mut command = bed.command(&[&["plugin", "new"], arguments].concat());
        let output = command.current_dir(&dir).output().expect("midimon runs");
        assert!(!output.status.success(), "{arguments:?}");
        text(&output.stderr)
    };
    assert!(refused(&["taken"]).contains("'taken' is there already"));
    assert!(refused(&["../up"]).contains("is not a plugin id"));
    assert!(refused(&["hello", "--lang", "cobol"]).contains("there are templates for rust, c, js, python"));
    assert!(refused(&["hello", "--sdk", "."]).contains("is not the SDK"));
    let left: Vec<_> = fs::read_dir(&dir).expect("a directory").collect();
    assert_eq!(left.len(), 1, "{left:?}");

    let mut json = bed.command(&["plugin", "new", "hello", "--lang", "c", "--json"]);
    let made = json.current_dir(&dir).output().expect("midimon runs");
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect("JSON");
    assert_eq!((&made["id"], &made["kind"]), (&"hello".into(), &"native".into()));
    for file in made["files"].as_array().expect("files") {
        assert!(dir.join("hello").join(file.as_str().expect("a name")).is_file(), "{file}");
    }
}
