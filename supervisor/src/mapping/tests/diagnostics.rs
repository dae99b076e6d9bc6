//! Every kind of mistake, where it is shown, and what is said about it.

use super::load;
use crate::mapping::config::{Code, Diagnostics, Severity, load_text};
use std::collections::HashSet;

fn diagnostics(toml: &str) -> Diagnostics {
    match load_text("config.toml", toml, &|program| !program.starts_with("nosuch")) {
        Ok(loaded) => loaded.warnings,
        Err(diagnostics) => diagnostics,
    }
}

/// The line, the code and the text underlined, for each.
fn shown(toml: &str) -> Vec<String> {
    let diagnostics = diagnostics(toml);
    diagnostics
        .iter()
        .map(|found| {
            let (line, _) = diagnostics.position(found.span.start);
            format!("{line} {} {}", found.code.as_str(), &toml[found.span.clone()])
        })
        .collect()
}

/// A mapping of one trigger or action in the second line, and what is said about it.
fn trigger(trigger: &str) -> Vec<String> {
    shown(&format!("[[global_mappings]]\ntrigger = {{ {trigger} }}\naction = {{ type = \"Panic\" }}\n"))
}

fn action(action: &str) -> Vec<String> {
    shown(&format!("[[global_mappings]]\naction = {{ {action} }}\ntrigger = {{ type = \"Note\", note = 1 }}\n"))
}

#[test]
fn a_misspelt_key_and_a_wrong_value_are_shown_at_their_own_place() {
    let toml = "[[modes]]\nname = \"A\"\n[[modes.mappings]]\n[modes.mappings.trigger]\ntype = \"Note\"\nnote = 300\n\
                velocty_min = 1\n[modes.mappings.action]\ntype = \"Panic\"\n";
    assert_eq!(shown(toml), ["6 MM0104 300", "7 MM0103 velocty_min"]);
    let text = diagnostics(toml).render(false);
    let expected = "\
error[MM0104]: `note` must be 0 to 127, not 300
 --> config.toml:6:8
  |
6 | note = 300
  |        ^^^

error[MM0103]: a Note trigger has no key `velocty_min`
 --> config.toml:7:1
  |
7 | velocty_min = 1
  | ^^^^^^^^^^^ unknown key
  |
help: did you mean `velocity_min`?
  |
7 | velocity_min = 1
  |      +

";
    assert_eq!(text, expected);
}

#[test]
fn triggers_say_what_is_wrong_with_them() {
    assert_eq!(trigger("note = 1"), [r#"2 MM0101 { note = 1 }"#]);
    assert_eq!(trigger(r#"type = "Noet", note = 1"#), [r#"2 MM0105 "Noet""#]);
    assert_eq!(trigger(r#"type = "Note""#), [r#"2 MM0101 { type = "Note" }"#]);
    assert_eq!(trigger(r#"type = "Note", note = "60""#), [r#"2 MM0102 "60""#]);
    assert_eq!(trigger(r#"type = "Note", note = 60.5"#), ["2 MM0102 60.5"]);
    assert_eq!(trigger(r#"type = "Note", note = -1"#), ["2 MM0104 -1"]);
    assert_eq!(trigger(r#"type = "Note", note = 99999999999999999999"#), ["2 MM0104 99999999999999999999"]);
    assert_eq!(trigger(r#"type = "Note", note = 0x3C"#), [""; 0]);
    assert_eq!(trigger(r#"type = "CC", cc = 123"#), ["2 MM0104 123"]);
    assert_eq!(trigger(r#"type = "Note", note = 1, velocity = "80..127""#), [r#"2 MM0110 "80..127""#]);
    assert_eq!(trigger(r#"type = "Note", note = 1, velocity = "9..=8""#), [r#"2 MM0110 "9..=8""#]);
    assert_eq!(trigger(r#"type = "Note", note = 1, velocity = "1..=128""#), [r#"2 MM0110 "1..=128""#]);
    assert_eq!(trigger(r#"type = "Note", note = 1, velocity_min = 9, velocity_max = 8"#), ["2 MM0110 9"]);
    assert_eq!(trigger(r#"type = "Note", note = 1, velocity = "1..", velocity_min = 8"#), ["2 MM0106 8"]);
    assert_eq!(trigger(r#"type = "PitchBend", value_max = 16384"#), ["2 MM0104 16384"]);
    assert_eq!(trigger(r#"type = "Note", note = 1, channel = 1"#), ["2 MM0109 1"]);
    assert_eq!(trigger(r#"type = "Note", note = 1, device = "pad""#), [r#"2 MM0207 "pad""#]);
    assert_eq!(trigger(r#"type = "LongPress", note = 1, duration_ms = 600"#), [r#"2 MM0107 "LongPress""#]);
}

#[test]
fn actions_say_what_is_wrong_with_them() {
    assert_eq!(action(r#"type = "Plugin", plugin = "Echo", action = "x""#), [r#"2 MM0205 "Echo""#]);
    assert_eq!(action(r#"type = "Plugin", plugin = "echo""#).len(), 1);
    assert_eq!(action(r#"type = "Plugin", plugin = "echo", action = "x", params = 5"#), ["2 MM0102 5"]);
    assert_eq!(
        action(r#"type = "Plugin", plugin = "echo", action = "x", params = { a = inf }"#),
        ["2 MM0104 { a = inf }"]
    );
    assert_eq!(action(r#"type = "Plugin", plugin = "echo", action = "x", on = "hold""#), [r#"2 MM0105 "hold""#]);
    assert_eq!(action(r#"type = "Keystroke", keys = "ctrl+spce""#), [r#"2 MM0206 "ctrl+spce""#]);
    assert_eq!(
        action(r#"type = "Keystroke", keys = "a", modifiers = ["x", "cmd", "y"]"#),
        [r#"2 MM0206 "x""#, r#"2 MM0206 "y""#]
    );
    assert_eq!(action(r#"type = "Text", text = """#), [r#"2 MM0108 """#]);
    assert_eq!(action(r#"type = "Shell", command = "a", argv = ["a"]"#), [r#"2 MM0106 ["a"]"#]);
    assert_eq!(action(r#"type = "Shell", argv = []"#), ["2 MM0108 []"]);
    assert_eq!(action(r#"type = "Shell", argv = ["nosuch"]"#), [r#"2 MM0213 ["nosuch"]"#]);
    assert_eq!(action(r#"type = "Launch", app = "nosuch --flag""#), [r#"2 MM0213 "nosuch --flag""#]);
    assert_eq!(action(r#"type = "Launch", app = "firefox nosuch""#), [""; 0]);
    assert_eq!(action(r#"type = "ModeChange", mode = "defualt""#), [r#"2 MM0201 "defualt""#]);
    assert_eq!(
        action(r#"type = "Sequence", actions = [{ type = "Delay", ms = 0 }, { type = "Log" }]"#),
        ["2 MM0104 0", r#"2 MM0101 { type = "Log" }"#]
    );
    assert_eq!(action(r#"type = "Sequence", actions = [{ type = "Delay", ms = 5 }]"#)[0][..8], *"2 MM0212");
    assert_eq!(action(r#"type = "Delay", ms = 3600001"#), ["2 MM0104 3600001"]);
    assert_eq!(
        action(r#"type = "SendMidi", port = "p", message_type = "PitchBend", channel = 0, pitch = 8192"#),
        ["2 MM0104 8192"]
    );
    assert_eq!(
        action(r#"type = "SendMidi", port = "p", message_type = "CC", channel = 0, note = 1"#),
        ["2 MM0103 note"]
    );
    assert_eq!(action(r#"type = "MouseClick", button = "left""#), [r#"2 MM0107 "MouseClick""#]);
}

#[test]
fn tables_say_what_is_wrong_with_them() {
    assert_eq!(shown("[divice]\nname = \"x\"\n"), ["1 MM0103 divice"]);
    assert_eq!(shown("[[modes]]\nname = \"A\"\n[[modes]]\nname = \"A\"\n")[0], "4 MM0202 \"A\"");
    assert_eq!(shown("[[modes]]\n[[modes]]\nname = \"B\"\n")[0], "1 MM0101 [[modes]]");
    assert_eq!(shown("[[modes]]\nname = \"A\"\n[[modes]]\nname = \"B\"\n"), ["4 MM0204 \"B\""]);
    assert_eq!(shown("modes = 5\n"), ["1 MM0102 5"]);
    assert_eq!(shown("[plugins]\ndri = \"x\"\n"), ["2 MM0103 dri"]);
    assert_eq!(shown("[plugins.A]\n"), ["1 MM0205 A"]);
    assert_eq!(shown("[plugins.a-b]\n[plugins.a_b]\n"), ["2 MM0202 a_b"]);
    assert_eq!(shown("[plugins.echo]\nqueue_depth = 0\ntimeout_ms = 600001\n"), ["2 MM0104 0", "3 MM0104 600001"]);
    assert_eq!(shown("[plugins.echo]\ngrants = [\"net\", \"filesystem\"]\n"), ["2 MM0209 \"net\""]);
    assert_eq!(shown("[plugins.echo]\nbackoff_min_ms = 9\nbackoff_max_ms = 8\n"), ["2 MM0110 9"]);
    assert_eq!(shown("[logging]\nlevel = \"loud\"\n"), ["2 MM0105 \"loud\""]);
    assert_eq!(shown("[advanced_settings]\nchord_timeout_ms = 50\n"), ["2 MM0211 50"]);
    assert_eq!(shown("schema = 2\nfoo = 1\n"), ["1 MM0005 2"]);
    assert_eq!(shown("schema = 0\n"), ["1 MM0104 0"]);
}

#[test]
fn a_mapping_behind_one_that_takes_all_it_would_is_shown_with_both_places() {
    let toml = "[[global_mappings]]\ntrigger = { type = \"Note\", note = 1 }\naction = { type = \"Panic\" }\n\
                [[global_mappings]]\ntrigger = { type = \"Note\", note = 1, velocity_min = 5 }\naction = { type = \"Panic\" }\n";
    let diagnostics = diagnostics(toml);
    let found = diagnostics.iter().next().unwrap();
    assert_eq!((found.code, found.severity), (Code::Shadowed, Severity::Warning));
    assert_eq!(diagnostics.position(found.span.start).0, 5);
    assert_eq!(diagnostics.position(found.related.as_ref().unwrap().0.start).0, 2);
}

#[test]
fn only_notes_are_released() {
    let toml = "[[global_mappings]]\ntrigger = { type = \"CC\", cc = 1 }\n\
                action = { type = \"Sequence\", actions = [{ type = \"Panic\", on = \"release\" }] }\n";
    assert_eq!(shown(toml), ["3 MM0208 \"release\""]);
}

#[test]
fn five_mistakes_are_five_diagnostics() {
    let toml = "schema = 1\n[[modes]]\nname = \"A\"\ncolour = \"blue\"\n[[modes.mappings]]\n\
        trigger = { type = \"Note\", note = 128, channel = 0 }\naction = { type = \"ModeChange\", mode = \"B\" }\n\
        [[global_mappings]]\ntrigger = { type = \"CC\", cc = 1 }\naction = { type = \"Keystroke\", keys = \"nokey\" }\n";
    assert_eq!(shown(toml), ["4 MM0103 colour", "6 MM0104 128", "6 MM0109 0", "7 MM0201 \"B\"", "10 MM0206 \"nokey\""]);
    let diagnostics = load(toml).unwrap_err();
    assert_eq!(diagnostics.count(Severity::Error), 5);
    assert!(diagnostics.to_string().starts_with("config.toml:4:1: "), "{diagnostics}");
    assert!(diagnostics.to_string().ends_with("(5 errors in all)"), "{diagnostics}");
}

#[test]
fn a_syntax_error_does_not_hide_other_mistakes_nor_invent_any() {
    let toml = "[[global_mappings]]\ntrigger = { type = \"Note\", note = }\naction = { type = \"Panic\", foo = 1 }\n[logging]\nlevel = \"info\n";
    assert_eq!(
        shown(toml).iter().map(|shown| &shown[..shown.find(' ').unwrap() + 7]).collect::<Vec<_>>(),
        ["2 MM0004", "3 MM0103", "5 MM0004"]
    );
}

#[test]
fn columns_count_characters() {
    let toml = "[[modes]]\nname = \"a\"\n\"ä€😀\" = 1\nmappings = [{ \"ä€😀\" = 1, trigger = 5 }]\n";
    let diagnostics = diagnostics(toml);
    let places: Vec<_> = diagnostics.iter().map(|found| diagnostics.position(found.span.start)).collect();
    assert_eq!(places, [(3, 1), (4, 13), (4, 15), (4, 36)]);
}

#[test]
fn json_has_file_line_column_code_severity_message_and_help() {
    let json = serde_json::to_value(diagnostics("schema = 1\n[divice]\n")).unwrap();
    assert_eq!(
        json,
        serde_json::json!([{
            "file": "config.toml", "line": 2, "column": 2, "code": "MM0103", "severity": "error",
            "message": "the file has no key `divice`", "help": "did you mean `device`?"
        }])
    );
}

#[test]
fn control_characters_of_the_file_never_reach_the_terminal() {
    let toml = "schema = 1\n\"a\\u001b[31m\" = 1\n[[modes]]\nname = \"x\\u001b[2J\"\n[plugins.\"\\u001b\"]\n";
    let diagnostics = diagnostics(toml);
    assert_eq!(diagnostics.iter().count(), 3);
    assert!(!diagnostics.render(false).contains('\x1b'));
    assert!(diagnostics.render(true).contains("\x1b["), "colours do");
}

#[test]
fn every_code_but_those_of_whole_files_and_of_limits_has_a_case_here() {
    let source = include_str!("diagnostics.rs");
    let cases: HashSet<&str> =
        source.split(|c: char| !c.is_alphanumeric()).filter(|word| word.starts_with("MM")).collect();
    let elsewhere =
        [Code::Unreadable, Code::TooLarge, Code::NotUtf8, Code::TooMany, Code::TooDeep, Code::TooLong, Code::Shadowed];
    let of_plugins = [Code::UnknownPlugin, Code::UnknownAction, Code::BadParams];
    let elsewhere: Vec<Code> = elsewhere.into_iter().chain(of_plugins).collect();
    for code in Code::ALL.iter().filter(|code| !elsewhere.contains(code)) {
        assert!(cases.contains(code.as_str()), "{}", code.as_str());
    }
}

#[test]
fn an_event_needs_its_plugin_and_its_name_and_takes_no_device() {
    let right = r#"type = "Plugin", plugin = "obs", event = "scene_changed", value = """#;
    assert_eq!(trigger(right), [""; 0]);
    assert_eq!(trigger(r#"type = "Plugin""#), [r#"2 MM0101 { type = "Plugin" }"#; 2]);
    assert_eq!(trigger(&format!("{right}, channel = 1")), ["2 MM0103 channel"]);
    assert_eq!(trigger(&format!("{right}, device = \"default\"")), ["2 MM0103 device"]);
    assert_eq!(trigger(r#"type = "Plugin", plugin = "OBS", event = "e""#), ["2 MM0205 \"OBS\""]);
    let long = "x".repeat(65);
    let found = trigger(&format!(r#"type = "Plugin", plugin = "obs", event = "{long}", value = 5"#));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains(&long) && found[1].ends_with(" 5"), "{found:?}");
    let text = diagnostics(
        "[[global_mappings]]\ntrigger = { type = \"Plugin\", plugin = \"obs\", evnt = \"e\" }\n\
        action = { type = \"Panic\", on = \"both\" }\n",
    );
    assert!(text.render(false).contains("did you mean `event`?"), "{}", text.render(false));
    let on = shown(
        "[[global_mappings]]\ntrigger = { type = \"Plugin\", plugin = \"obs\", event = \"e\" }\n\
        action = { type = \"Panic\", on = \"both\" }\n",
    );
    assert_eq!(on, ["3 MM0208 \"both\""]);
}

#[test]
fn an_event_that_an_earlier_mapping_takes_whatever_its_value_never_fires() {
    let mapping = |more: &str| {
        format!(
            "[[global_mappings]]\ntrigger = {{ type = \"Plugin\", plugin = \"obs\", event = \"e\"{more} }}\n\
            action = {{ type = \"Panic\" }}\n"
        )
    };
    let (any, live) = (mapping(""), mapping(", value = \"Live\""));
    assert_eq!(shown(&(live.clone() + &any)), [""; 0]);
    assert_eq!(shown(&(any.clone() + &live)).len(), 1);
    assert_eq!(shown(&(live.clone() + &live)).len(), 1);
    assert_eq!(shown(&(live + &mapping(", value = \"live\""))), [""; 0]);
}

#[test]
fn more_events_than_a_table_holds_are_refused() {
    let config = |count: usize| -> String {
        let one = |number| {
            format!(
                "[[global_mappings]]\ntrigger = {{ type = \"Plugin\", plugin = \"obs\", event = \"e{number}\" }}\n\
                action = {{ type = \"Panic\" }}\n"
            )
        };
        (0..count).map(one).collect()
    };
    assert!(load(&config(crate::mapping::events::MAX_EVENTS)).is_ok());
    let refused = load(&config(crate::mapping::events::MAX_EVENTS + 1)).unwrap_err();
    assert_eq!(refused.iter().filter(|found| found.code == Code::TooMany).count(), 1);
}
