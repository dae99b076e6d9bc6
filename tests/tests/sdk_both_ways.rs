//! One plugin in Rust, built as a native library and as a component, is one plugin.

use midimon::monitor::MonitorEvent;
use midimon::workers::manager::{ManagerOptions, PluginManager};
use midimon::workers::status::PluginKind;
use midimon_shared::context::TriggerKind;
use midimon_shared::{ChannelMessage, TriggerContext};
use midimon_tests::binaries::Binaries;
use midimon_tests::{Bed, Daemon, Watch, midi};
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Number, Value, json};
use std::cell::Cell;

/// The same source, built both ways.
const BOTH: [&str; 2] = ["twofold", "twofold-wasm"];

const TRIGGERS: u32 = 1000;

fn manager(bed: &Bed) -> PluginManager {
    for id in BOTH {
        bed.install(id);
    }
    // a test is not where the workers are
    let programs = Some(Binaries::get().programs.clone());
    PluginManager::new(ManagerOptions { programs, ..ManagerOptions::new(bed.plugin_dir(), bed.path("plugin-data")) })
        .expect("a manager")
}

/// Any JSON, small numbers and known names more often than others.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (-20_i64..300).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("a number JSON has", |float| Number::from_f64(float).map(Value::Number)),
        any::<bool>().prop_map(Value::from),
        "toggle|fade|scene|\\PC{0,20}".prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let key = "seconds|fade|scene|toggle|\\PC{0,8}";
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            hash_map(key, inner, 0..4).prop_map(|table| Value::Object(table.into_iter().collect())),
        ]
    })
}

/// Parameters as the plugin wants them, some left out.
fn fitting() -> impl Strategy<Value = Map<String, Value>> {
    let choice = prop_oneof![
        Just(json!("toggle")),
        any::<u16>().prop_map(|seconds| json!({ "fade": { "seconds": f64::from(seconds) / 8.0 } })),
        "\\PC{0,12}".prop_map(|name| json!({ "scene": name })),
    ];
    let numbers = (-5_i64..=100, any::<i32>(), any::<f64>());
    let others = (any::<bool>(), "\\PC{0,20}", vec(any::<u16>(), 0..4), choice, any::<u8>());
    (numbers, others).prop_map(|((number, signed, float), (flag, text, list, choice, left_out))| {
        let values = [
            ("number", json!(number)),
            ("text", json!(text)),
            ("signed", json!(signed)),
            ("float", json!(float)),
            ("flag", json!(flag)),
            ("list", json!(list)),
            ("table", json!({ "a": [text, null] })),
            ("choice", choice),
        ];
        let is_there = |index: usize| left_out & (1 << index) == 0 || index < 2;
        values
            .into_iter()
            .enumerate()
            .filter(|(index, _)| is_there(*index))
            .map(|(_, (name, value))| (name.into(), value))
            .collect()
    })
}

/// Parameters under the names the plugin knows, and others.
fn random() -> impl Strategy<Value = Map<String, Value>> {
    let name = "number|signed|float|flag|text|list|table|choice|number|text|[a-z]{1,6}";
    hash_map(name, value(), 0..6).prop_map(|table| table.into_iter().filter(|(name, _)| name != "action").collect())
}

fn kind() -> impl Strategy<Value = TriggerKind> {
    use TriggerKind::*;
    proptest::sample::select(vec![
        Manual,
        NotePress,
        NoteRelease,
        ControlChange,
        PitchBend,
        ChannelPressure,
        PolyPressure,
        ProgramChange,
        Timer,
        PluginEvent,
    ])
}

fn context() -> impl Strategy<Value = TriggerContext> {
    let message = (0x80_u8..=0xEF, 0_u8..128, 0_u8..128);
    let message = message.prop_map(|(status, first, second)| ChannelMessage::from_bytes([status, first, second]));
    // years ahead of any machine that runs: what is older than its clock is dropped for its age
    let clock = (0_u64..1 << 48, 1_u64 << 59..1 << 60);
    let places = (proptest::option::of(0_u8..128), proptest::option::of(0_usize..40));
    (places, proptest::option::of(message), kind(), clock).prop_map(
        |((velocity, current_mode), message, kind, (timestamp, monotonic_ns))| {
            let message = message.flatten();
            TriggerContext { velocity, current_mode, message, kind, timestamp, monotonic_ns, ..TriggerContext::new() }
        },
    )
}

fn action() -> impl Strategy<Value = String> {
    "everything|within|get|tell|fail|quiet|\\PC{1,10}"
}

#[test]
fn both_give_the_same_answers_to_the_same_thousand_random_triggers() {
    let bed = Bed::new();
    let manager = manager(&bed);
    for id in BOTH {
        manager.load_plugin(id).unwrap_or_else(|error| panic!("{id}: {error}"));
    }
    let kinds = manager.status().into_iter().map(|worker| worker.kind).collect::<Vec<_>>();
    assert_eq!(kinds, [PluginKind::Native, PluginKind::Wasm]);
    // how many were answered with words, with none, and with an error
    let seen = Cell::new([0_u32; 3]);
    let config = Config { cases: TRIGGERS, failure_persistence: None, ..Config::default() };
    let tested = TestRunner::new(config).run(
        &(action(), prop_oneof![fitting(), random()], context()),
        |(action, mut params, context)| {
            params.insert("action".to_owned(), action.into());
            let [native, component] = BOTH.map(|id| {
                manager
                    .execute_plugin(id, Value::Object(params.clone()), Some(context.clone()))
                    .map(|answer| answer.text)
                    .map_err(|error| error.to_string().replace(id, "ID"))
            });
            let mut counts = seen.get();
            counts[match &native {
                Ok(text) if text.is_empty() => 1,
                Ok(_) => 0,
                Err(_) => 2,
            }] += 1;
            seen.set(counts);
            prop_assert_eq!(native, component);
            Ok(())
        },
    );
    tested.unwrap_or_else(|error| panic!("{error}"));
    // the comparison means something only where all three are there
    let [words, none, errors] = seen.get();
    assert!(words > 200 && none > 50 && errors > 200, "{words} answers, {none} without words, {errors} errors");
    for worker in manager.status() {
        let calls = worker.calls;
        assert_eq!((worker.restarts, calls.received), (0, u64::from(TRIGGERS)), "{worker:#?}");
        assert_eq!(calls.done + calls.failed, calls.received, "{worker:#?}");
    }
    manager.shutdown();
}

#[test]
fn a_context_has_a_mode_and_a_device_by_name_both_ways() {
    let bed = Bed::new();
    for id in BOTH {
        bed.install(id);
    }
    let mapped = |id: &str, note: u8| {
        format!(
            "[[modes.mappings]]\ntrigger = {{ type = \"Note\", note = {note} }}\naction = {{ type = \"Plugin\", plugin = \"{id}\", action = \"get\", params = {{ text = \"x\" }} }}\n"
        )
    };
    let dir = bed.plugin_dir();
    let mappings = mapped("twofold", 1) + &mapped("twofold-wasm", 2);
    bed.configure_text(&format!(
        "schema = 1\n[plugins]\ndir = {:?}\n[[modes]]\nname = \"Größe\"\n{mappings}",
        dir.to_string_lossy()
    ));
    let mut daemon = bed.start();
    for id in BOTH {
        daemon.wait_ready(id);
    }
    let watch = daemon.watch();
    for (note, id) in (1..).zip(BOTH) {
        daemon.send(&[0x95, note, 99]);
        let said = watch.answer(id).outcome;
        assert!(said.contains(r#"NotePress Some(99) Some(0) Some("Größe") Some("#), "{said}");
        assert!(said.contains(&format!("[149, {note}, 99] Some({note}) Some(6)")), "{said}");
    }
    daemon.stop();
}

/// A daemon with one of the two, its effects on note 1 and `echo` waiting for its events.
fn stage(id: &str, grants: &[&str]) -> (Bed, Daemon, Watch) {
    let bed = Bed::new();
    bed.install(id);
    bed.install("echo");
    let heard = |event: &str| {
        format!(
            "[[global_mappings]]\ntrigger = {{ type = \"Plugin\", plugin = \"{id}\", event = \"{event}\" }}\n\
             action = {{ type = \"Plugin\", plugin = \"echo\", action = \"{event}\" }}\n"
        )
    };
    let (dir, begun, ended) = (bed.plugin_dir(), heard("begun"), heard("ended"));
    bed.configure_text(&format!(
        "schema = 1\n[plugins]\ndir = {dir:?}\n[plugins.{id}]\ngrants = {grants:?}\n\
         [[devices]]\nalias = \"lamps\"\nmatch = {{ name = \"Lamps\" }}\n\
         [[modes]]\nname = \"Default\"\n[[modes]]\nname = \"Live\"\n\
         [[global_mappings]]\ntrigger = {{ type = \"Note\", note = 1 }}\n\
         action = {{ type = \"Plugin\", plugin = \"{id}\", action = \"effects\" }}\n{begun}{ended}"
    ));
    let mut daemon = bed.start();
    for id in [id, "echo"] {
        daemon.wait_ready(id);
    }
    let watch = daemon.watch();
    daemon.send(&midi::tap(1));
    (bed, daemon, watch)
}

/// What the audit log has of a plugin's effects: what, with whom, and whether it was done.
fn effects(bed: &Bed, id: &str) -> Vec<(String, String, bool)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let uses = bed.audit(id).into_iter().filter(|entry| entry["allowed"].is_boolean());
    uses.map(|entry| (text(&entry["what"]), text(&entry["target"]), entry["allowed"] == true)).collect()
}

#[test]
fn the_effects_of_an_outcome_are_done_in_order_both_ways() {
    for id in BOTH {
        let (bed, daemon, watch) = stage(id, &["midi:Lamps", "mode"]);
        let mut answers: Vec<String> = (0..3).map(|_| next_answer(&watch)).collect();
        answers.sort();
        assert_eq!(answers, ["echo: begun {}".to_owned(), "echo: ended {}".to_owned(), format!("{id}: all done")]);
        let status = daemon.status();
        assert_eq!((status.mode.as_deref(), status.outputs[0].name.as_str()), (Some("Live"), "Lamps"), "{id}");
        let services = daemon.worker(id).services;
        assert_eq!((services.events, services.lights, services.modes), (2, 1, 1), "{id}: {services:?}");
        daemon.stop();
        let done = |what: &str, target: &str| (what.to_owned(), target.to_owned(), true);
        assert_eq!(
            effects(&bed, id),
            [
                done("emit", "begun"),
                done("midi-send", "Lamps"),
                done("set-light", "lamps"),
                done("notify", "lit"),
                done("set-mode", "Live"),
                done("emit", "ended")
            ],
            "{id}"
        );
    }
}

#[test]
fn an_effect_without_its_grant_fails_the_call_with_the_reason_both_ways() {
    for id in BOTH {
        let (bed, daemon, watch) = stage(id, &["midi:Lamps"]);
        let answer = watch.answer(id);
        let reason = "mode \"Live\": 'mode' is not granted";
        assert!(answer.failed && answer.outcome.contains(reason), "{id}: {answer:?}");
        assert_eq!(daemon.status().mode.as_deref(), Some("Default"), "{id}");
        let worker = daemon.worker(id);
        assert_eq!((worker.calls.failed, worker.restarts, worker.services.events), (1, 0, 1), "{id}: {worker:#?}");
        daemon.stop();
        let last = effects(&bed, id).pop();
        assert_eq!(last, Some(("set-mode".to_owned(), "Live".to_owned(), false)), "{id}: nothing comes after it");
    }
}

fn next_answer(watch: &Watch) -> String {
    watch.next("an answer", |event| match event {
        MonitorEvent::Answer { plugin, outcome, .. } => Some(format!("{plugin}: {outcome}")),
        _ => None,
    })
}
