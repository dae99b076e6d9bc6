//! What holds after any sequence of inputs.

use super::compiled;
use crate::clock::Time;
use crate::mapping::types::Output;
use crate::mapping::{Compiled, Engine, Input};
use midimon_shared::ChannelMessage;
use midimon_shared::context::TriggerKind;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;

/// Few notes and two modes, so that inputs meet.
fn config(variant: u8) -> String {
    let mut text = String::from("schema = 1\n");
    for value in ["1", "x"].iter().take(usize::from(variant)) {
        let action =
            r#"{ type = "Sequence", actions = [{ type = "Delay", ms = 20 }, { type = "ModeChange", mode = "B" }] }"#;
        text += &format!(
            "[[global_mappings]]\ntrigger = {{ type = \"Plugin\", plugin = \"pp\", event = \"e\", value = \"{value}\" }}\naction = {action}\n"
        );
    }
    for mode in ["A", "B"] {
        text += &format!("[[modes]]\nname = \"{mode}\"\n");
        for note in 0..4 {
            let action = match (note + variant) % 4 {
                0 => r#"{ type = "Plugin", plugin = "pp", action = "x", on = "both" }"#.to_owned(),
                1 => r#"{ type = "Sequence", on = "both", actions = [
                    { type = "Plugin", plugin = "pp", action = "y" }, { type = "Delay", ms = 30 }, { type = "Log", text = "z" }] }"#
                    .to_owned(),
                2 => r#"{ type = "ModeChange", mode = "B" }"#.to_owned(),
                _ => r#"{ type = "Plugin", plugin = "qq", action = "only", on = "release" }"#.to_owned(),
            };
            text += &format!("[[modes.mappings]]\ntrigger = {{ type = \"Note\", note = {note} }}\naction = {action}\n");
        }
    }
    text += "[[global_mappings]]\ntrigger = { type = \"CC\", cc = 1 }\naction = { type = \"Panic\" }\n";
    text + "[[global_mappings]]\ntrigger = { type = \"Note\", note = 4 }\naction = { type = \"ModeChange\", mode = \"A\" }\n"
}

#[derive(Clone, Debug)]
enum Act {
    Message([u8; 3]),
    Wait(u64),
    Mode(u16),
    Event(&'static str),
    Gone,
    Panic,
    Swap(u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0u8..2, 0u8..5, 1u8..128).prop_map(|(channel, note, velocity)| Act::Message([0x90 | channel, note, velocity])),
        8 => (0u8..2, 0u8..5).prop_map(|(channel, note)| Act::Message([0x80 | channel, note, 64])),
        1 => (0u8..2, prop_oneof![Just(1u8), Just(123), Just(121), Just(64)]).prop_map(|(channel, cc)| Act::Message([0xB0 | channel, cc, 0])),
        4 => (0u64..60).prop_map(Act::Wait),
        2 => (0u16..3).prop_map(Act::Mode),
        2 => prop::sample::select(&["1", "x", "other"][..]).prop_map(Act::Event),
        1 => Just(Act::Gone),
        1 => Just(Act::Panic),
        1 => (0u8..4).prop_map(Act::Swap),
    ]
}

/// Presses minus releases of each plugin action with `on = "both"`.
fn count(outputs: &[Output], compiled: &Compiled, open: &mut HashMap<String, i64>) {
    for output in outputs {
        let Output::Plugin { binding, stamp, .. } = output else { continue };
        let action = compiled.bindings[*binding as usize].action.to_string();
        let Some(message) = stamp.message.filter(|_| action != "only") else { continue };
        let [status, note, _] = message.to_bytes();
        let pad = format!("{action} {} {note}", status & 15);
        let change = match stamp.kind {
            TriggerKind::NotePress => 1,
            TriggerKind::NoteRelease => -1,
            other => panic!("{other:?}"),
        };
        let open = open.entry(pad.clone()).or_default();
        *open += change;
        assert!((0..=1).contains(open), "{pad}: {open} presses without a release");
    }
}

proptest! {
    #[test]
    fn every_press_has_one_release_at_most_and_none_is_left_when_nothing_is_held(acts in proptest::collection::vec(act(), 0..120)) {
        let configs: Vec<_> = (0..4).map(|variant| compiled(&config(variant))).collect();
        let mut engine = Engine::new(Arc::clone(&configs[0]));
        let (mut now, mut open, mut outputs) = (Time::default(), HashMap::new(), Vec::new());
        for act in acts.into_iter().chain([Act::Panic]) {
            outputs.clear();
            let input = match act {
                Act::Message(bytes) => Input::Message { source: 0, device: 0, message: ChannelMessage::from_bytes(bytes).unwrap(), unix_ms: 0 },
                Act::Wait(ms) => {
                    now = now + std::time::Duration::from_millis(ms);
                    Input::Timer
                }
                Act::Mode(mode) => Input::SetMode(mode),
                Act::Event(value) => match engine.compiled().events.find(&"pp".parse().unwrap(), "e", value) {
                    Some(event) => Input::PluginEvent { event, velocity: None, unix_ms: 0 },
                    None => Input::Timer,
                },
                Act::Gone => Input::SourceGone(0),
                Act::Panic => Input::ReleaseAll,
                Act::Swap(variant) => {
                    let old = engine.swap(now, Arc::clone(&configs[usize::from(variant)]), &mut outputs);
                    count(&outputs, &old, &mut open);
                    continue;
                }
            };
            engine.step(now, input, &mut outputs);
            count(&outputs, engine.compiled(), &mut open);
            prop_assert!(usize::from(engine.mode()) < engine.compiled().modes.len());
        }
        prop_assert_eq!(engine.held(), 0);
        prop_assert_eq!(engine.next_timer(), None);
        prop_assert!(open.values().all(|&open| open == 0), "{open:?}");
    }

    #[test]
    fn any_text_is_a_configuration_or_has_diagnostics(text in "\\PC{0,200}") {
        if let Err(diagnostics) = super::load(&text) {
            prop_assert!(!diagnostics.is_empty());
            prop_assert!(!diagnostics.render(false).is_empty());
        }
    }

    #[test]
    fn any_tables_of_known_words_are_a_configuration_or_have_diagnostics(
        words in proptest::collection::vec(proptest::sample::select(WORDS), 0..40)
    ) {
        let text = words.concat();
        if let Err(diagnostics) = super::load(&text) {
            prop_assert!(diagnostics.count(crate::mapping::config::Severity::Error) > 0);
            prop_assert!(diagnostics.iter().all(|diagnostic| diagnostic.span.end <= text.len()));
            prop_assert!(!diagnostics.render(true).is_empty());
        }
    }
}

const WORDS: &[&str] = &[
    "[[modes]]\n",
    "name = \"A\"\n",
    "[[modes.mappings]]\n",
    "[[global_mappings]]\n",
    "trigger = ",
    "action = ",
    "{ ",
    " }\n",
    "type = ",
    "\"Note\"",
    "\"CC\"",
    "\"Plugin\"",
    "\"Sequence\"",
    "\"Repeat\"",
    "note = 60",
    "channel = 0",
    "cc = 120",
    ", ",
    "velocity = \"9..=1\"",
    "actions = [",
    "]",
    "count = 3",
    "schema = 1\n",
    "[plugins]\n",
    "dir = 5\n",
    "[plugins.echo]\n",
    "queue_depth = 0\n",
    "keys = \"ctrl+ä\"",
    "\n",
    "\"",
    "[",
    "ä",
    "[device]\n",
    "on = \"both\"",
    "ms = 5",
    "\"Delay\"",
    "= ",
];
