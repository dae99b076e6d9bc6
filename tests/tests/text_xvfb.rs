//! What the Text action types arrives in a window exactly (X11, under Xvfb).

use midimon_tests::xvfb::{TypedText, Xvfb};
use midimon_tests::{Bed, Config, midi};
use std::fs;
use std::time::Duration;

/// How long all of a text may take to arrive.
const TYPED: Duration = Duration::from_secs(30);

/// Types the texts with one note each, a Return after each, and gives what arrived.
fn typed(texts: &[&str]) -> Vec<String> {
    let server = Xvfb::start().expect("an X server: scripts/setup test installs it");
    let mut window = TypedText::record(&server).expect("a window: scripts/setup test installs xev");
    let bed = Bed::new();
    let mut config = Config::new();
    for (note, text) in (1..).zip(texts) {
        // a string of JSON is one of TOML, too
        let text = serde_json::to_string(&format!("{text}\n")).expect("a string");
        config =
            config.mapping(&format!(r#"type = "Note", note = {note}"#), &format!(r#"type = "Text", text = {text}"#));
    }
    bed.configure(&config);
    let song = bed.path("song.mid");
    let notes = (1..).take(texts.len()).flat_map(|note| [(100, midi::press(note)), (100, midi::release(note))]);
    fs::write(&song, midi::file(notes)).expect("a MIDI file");
    let output = bed
        .command(&["replay", "--json"])
        .arg(&song)
        .env("DISPLAY", server.display())
        .env("MIDIMON_KEYS", "x11")
        .output()
        .expect("midimon runs");
    assert!(output.status.success(), "{output:?}");
    let until_return = |_: &&str| window.until_return(TYPED).unwrap_or_else(|error| panic!("{error}\n{output:?}"));
    texts.iter().map(until_return).collect()
}

#[test]
fn text_arrives_exactly() {
    let texts = [
        "hello",
        "Hello, World! {[(<>)]} @#$%^&*_+-=|\\;:'\"?/.,~`",
        "aaAAaa  bb   AaAaAa 00 1122",
        "ünïcödé €5 ß ñ Ж",
        "the quick brown fox jumps over the lazy dog, THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG 0123456789",
    ];
    assert_eq!(typed(&texts), texts);
}

#[test]
fn without_any_way_to_type_the_log_says_what_to_do_and_the_daemon_runs_on() {
    let bed = Bed::new();
    bed.install("echo");
    let config = Config::new().mapping(r#"type = "Note", note = 1"#, r#"type = "Text", text = "x""#);
    bed.configure(&config.note(60, "echo", "say"));
    let song = bed.path("song.mid");
    let notes = [midi::press(1), midi::release(1), midi::press(60), midi::release(60)];
    fs::write(&song, midi::file(notes.map(|message| (100, message)))).expect("a MIDI file");
    let output = bed
        .command(&["replay", "--json"])
        .arg(&song)
        // no server listens there
        .env("DISPLAY", ":9999")
        .env("MIDIMON_KEYS", "x11")
        .output()
        .expect("midimon runs");
    let status: midimon::control::model::Status =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!((status.engine.effects_failed, status.workers[0].calls.done), (1, 1), "{status:#?}");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("DISPLAY"), "{log}");
}
