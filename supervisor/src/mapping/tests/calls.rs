//! What mappings ask of plugins, compared with plugins that are made up here.

use super::load;
use crate::mapping::config::{CallFault, CallPart, Diagnostics, KnownPlugins, Severity};
use midimon_shared::PluginId;
use serde_json::{Map, Value};

/// One plugin, `lamp`, with one action, `dim`, and one parameter, `percent`, a number.
struct Lamp;

fn fault(at: CallPart, message: String, known: &'static str) -> CallFault<'static> {
    CallFault { at, message, known: known.split_terminator(' ').collect() }
}

impl KnownPlugins for Lamp {
    fn plugin(&self, plugin: &PluginId) -> Option<CallFault<'_>> {
        (plugin.as_str() != "lamp").then(|| fault(CallPart::Plugin, format!("no {plugin}"), "lamp"))
    }

    fn call(&self, plugin: &PluginId, action: &str, params: &Map<String, Value>) -> Vec<CallFault<'_>> {
        if plugin.as_str() != "lamp" {
            return Vec::new();
        }
        if action != "dim" {
            return vec![fault(CallPart::Action, format!("no {action}"), "dim")];
        }
        if params.is_empty() {
            return vec![fault(CallPart::Params, "no percent".to_owned(), "")];
        }
        let wrong = params.iter().filter_map(|(name, value)| match name.as_str() {
            "percent" if value.is_number() => None,
            "percent" => Some(fault(CallPart::Value(name.clone()), "no number".to_owned(), "")),
            _ => Some(fault(CallPart::Key(name.clone()), format!("no {name}; it has: percent"), "percent")),
        });
        wrong.collect()
    }
}

fn compared(toml: &str) -> Diagnostics {
    let mut loaded = load(toml).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings.render(false));
    loaded.calls.compare(&Lamp, &mut loaded.warnings);
    assert!(loaded.warnings.iter().all(|found| found.severity == Severity::Warning));
    loaded.warnings
}

/// The line, the code, the text underlined and the help, for each.
fn shown(toml: &str) -> Vec<String> {
    let found = compared(toml);
    let one = |one: &crate::mapping::config::Diagnostic| {
        let (line, _) = found.position(one.span.start);
        let help = one.help.as_deref().unwrap_or("-");
        format!("{line} {} {} {help}", one.code.as_str(), &toml[one.span.clone()])
    };
    found.iter().map(one).collect()
}

/// A mapping of a note to an action, in three lines.
fn mapping(note: u8, action: &str) -> String {
    format!("[[global_mappings]]\ntrigger = {{ type = \"Note\", note = {note} }}\naction = {{ {action} }}\n")
}

fn call(keys: &str) -> String {
    mapping(1, &format!(r#"type = "Plugin", {keys}"#))
}

#[test]
fn what_fits_is_passed_over_in_silence() {
    assert_eq!(shown(&call(r#"plugin = "lamp", action = "dim", params = { percent = 5 }"#)), [""; 0]);
    assert_eq!(shown(&mapping(1, r#"type = "Panic""#)), [""; 0]);
    assert!(load(&mapping(1, r#"type = "Panic""#)).unwrap().calls.is_empty());
    assert!(!load(&call(r#"plugin = "lamp", action = "dim""#)).unwrap().calls.is_empty());
}

#[test]
fn each_fault_is_underlined_where_it_stands_and_says_what_was_meant() {
    let lamp = |keys: &str| shown(&call(&format!(r#"plugin = "lamp", {keys}"#)));
    assert_eq!(lamp(r#"action = "dimm""#), [r#"3 MM0215 "dimm" did you mean `dim`?"#]);
    assert_eq!(lamp(r#"action = "blink""#), [r#"3 MM0215 "blink" it has: dim"#]);
    assert_eq!(lamp(r#"action = "dim", params = { percnt = 5 }"#), ["3 MM0216 percnt did you mean `percent`?"]);
    assert_eq!(lamp(r#"action = "dim", params = { colour = 5 }"#), ["3 MM0216 colour -"]);
    assert_eq!(lamp(r#"action = "dim", params = { percent = "x" }"#), [r#"3 MM0216 "x" -"#]);
    assert_eq!(lamp(r#"action = "dim", params = {}"#), ["3 MM0216 {} -"]);
    let whole = r#"{ type = "Plugin", plugin = "lamp", action = "dim" }"#;
    assert_eq!(lamp(r#"action = "dim""#), [format!("3 MM0216 {whole} -")]);
    assert_eq!(shown(&call(r#"plugin = "lmap", action = "anything""#)), [r#"3 MM0214 "lmap" did you mean `lamp`?"#]);
}

#[test]
fn what_was_meant_is_shown_as_it_is_to_be_written() {
    let text = compared(&call(r#"plugin = "lamp", action = "dim", params = { percnt = 5 }"#)).render(false);
    assert!(text.contains("config.toml:3:") && text.contains("warning[MM0216]: no percnt"), "{text}");
    assert!(text.contains("{ percent = 5 }"), "{text}");
    let text = compared(&call(r#"plugin = "lamp", action = 'dimm'"#)).render(false);
    assert!(text.contains(r#"action = "dim""#), "{text}");
}

#[test]
fn calls_deep_in_other_actions_and_parameters_under_headers_are_found() {
    let inner = r#"{ type = "Plugin", plugin = "lamp", action = "off" }"#;
    let nested = format!(r#"type = "Sequence", actions = [{{ type = "Repeat", count = 3, action = {inner} }}]"#);
    assert_eq!(shown(&mapping(1, &nested)), [r#"3 MM0215 "off" it has: dim"#]);
    let headers = "[[global_mappings]]\ntrigger = { type = \"Note\", note = 1 }\n[global_mappings.action]\n\
                   type = \"Plugin\"\nplugin = \"lamp\"\naction = \"dim\"\n[global_mappings.action.params]\n\
                   percnt = 5\npercent = true\n";
    assert_eq!(shown(headers), ["8 MM0216 percnt did you mean `percent`?", "9 MM0216 true -"]);
}

#[test]
fn a_plugin_that_is_not_there_is_told_of_once_in_triggers_as_in_actions() {
    let one = |note| mapping(note, r#"type = "Plugin", plugin = "horn", action = "blow", params = { loud = 1 }"#);
    let event = "[[global_mappings]]\ntrigger = { type = \"Plugin\", plugin = \"horn\", event = \"blown\" }\n\
                 action = { type = \"Panic\" }\n";
    let help = "install it, or correct the name; until then what is mapped to it does nothing";
    let all = format!("{event}{}{}", one(1), one(2));
    assert_eq!(shown(&all), [format!("2 MM0214 \"horn\" {help}")]);
    assert!(compared(&all).render(false).contains("and in 2 more places"));
    assert!(compared(&format!("{event}{}", one(1))).render(false).contains("and in 1 more place\n"));
    assert!(!compared(event).render(false).contains("more place"));
}

#[test]
fn what_is_found_later_stands_in_the_order_of_the_file_and_only_so_much_is_kept() {
    let wrong = |note| mapping(note, r#"type = "Plugin", plugin = "lamp", action = "off""#);
    let does_nothing = mapping(60, r#"type = "Delay", ms = 5"#);
    let toml = format!("{}{does_nothing}{}", wrong(1), wrong(2));
    let mut loaded = load(&toml).unwrap();
    assert_eq!(loaded.warnings.iter().count(), 1);
    loaded.calls.compare(&Lamp, &mut loaded.warnings);
    let codes: Vec<&str> = loaded.warnings.iter().map(|found| found.code.as_str()).collect();
    assert_eq!(codes, ["MM0215", "MM0212", "MM0215"]);

    let many: String =
        (0..=127).map(wrong).chain((0..=127).map(|note| wrong(note).replace("Note\", note", "CC\", cc"))).collect();
    let many = many.replace("cc = 12", "cc = 10"); // controllers end at 119
    let mut loaded = load(&many).unwrap();
    let before = loaded.warnings.iter().count();
    loaded.calls.compare(&Lamp, &mut loaded.warnings);
    assert_eq!(loaded.warnings.iter().count(), Diagnostics::KEPT);
    assert_eq!(loaded.warnings.omitted(), before + 256 - Diagnostics::KEPT);
}

#[test]
fn names_from_the_file_reach_the_terminal_escaped_and_cut() {
    let keys =
        format!(r#"plugin = "lamp", action = "dim", params = {{ "\u001b[2J" = 1, "{}" = 2 }}"#, "x".repeat(5000));
    let found = compared(&call(&keys));
    assert_eq!(found.iter().count(), 2);
    assert!(found.iter().all(|one| one.message.chars().count() < 450), "{found:?}");
    let text = found.render(false);
    assert!(!text.contains('\x1b') && text.contains("no \\u{1b}[2J"), "{text}");
}
