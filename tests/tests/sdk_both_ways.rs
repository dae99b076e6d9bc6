//! One plugin in Rust, built as a native library and as a component, is one plugin.

use midimon::workers::manager::{ManagerOptions, PluginManager};
use midimon::workers::status::PluginKind;
use midimon_shared::context::TriggerKind;
use midimon_shared::{ChannelMessage, TriggerContext};
use midimon_tests::Bed;
use midimon_tests::binaries::Binaries;
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
    let clock = (0_u64..1 << 48, 1_u64..1 << 60);
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
