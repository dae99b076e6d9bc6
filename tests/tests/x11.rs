//! What is typed through an X server arrives as it was written.

use midimon_tests::xvfb::{TypedText, Xvfb};
use midimon_tests::{Bed, Config, DEADLINE, midi};

/// Every kind of character a text can hold: Shift, symbols, other scripts,
/// more of them than a keyboard has free keys, beyond 16 bits.
fn texts() -> [String; 5] {
    [
        "Hello, World!".to_owned(),
        r#"!@#$%^&*()_+{}|:<>?[]\;',./`~" 1234567890"#.to_owned(),
        "aAbB äÖß €ñ 日本語 🎹".to_owned(),
        ('\u{400}'..='\u{4C8}').collect(),
        "tab\tand spaces   ".to_owned(),
    ]
}

#[test]
fn text_and_keystrokes_arrive_exactly_in_an_x11_window() {
    let texts = texts();
    let mut config = Config::new().mapping(r#"type = "Note", note = 99"#, r#"type = "Keystroke", keys = "enter""#);
    for (note, text) in (0..).zip(&texts) {
        // what JSON escapes in these, TOML escapes alike
        let text = serde_json::Value::from(text.as_str()).to_string();
        config =
            config.mapping(&format!(r#"type = "Note", note = {note}"#), &format!(r#"type = "Text", text = {text}"#));
    }
    config =
        config.mapping(r#"type = "Note", note = 98"#, r#"type = "Keystroke", keys = "a+b", modifiers = ["shift"]"#);

    let server = Xvfb::start().expect("an X server");
    let mut typed = TypedText::record(&server).expect("a window");
    let bed = Bed::new();
    bed.configure(&config);
    let environment = [("DISPLAY", server.display()), ("MIDIMON_KEYS", "x11")];
    let mut daemon = bed.start_in(&["--input", "stdin"], &environment);
    for (note, text) in (0..).zip(&texts) {
        daemon.send(&midi::tap(note));
        daemon.send(&midi::tap(99));
        let arrived = typed.until_return(DEADLINE).unwrap_or_else(|error| panic!("{error}\n{}", daemon.log_text()));
        assert_eq!(arrived, *text);
    }
    daemon.send(&midi::tap(98));
    daemon.send(&midi::tap(99));
    assert_eq!(typed.until_return(DEADLINE).expect("a keystroke"), "AB");
    daemon.stop();
}
