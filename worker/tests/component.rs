//! `midimon-worker-wasm` with components, compiled by `midimon-compile`.

mod support;

use midimon_shared::context::{TriggerKind, TriggerStamp};
use midimon_shared::limits::{InstanceMode, WorkerLimits};
use midimon_shared::midi::ChannelMessage;
use midimon_shared::protocol::*;
use midimon_shared::{Command, Event, WorkerExit};
use midimon_worker::compile::shortcut::{HANDLE, shortened};
use std::path::Path;
use support::components::*;
use support::guests::compile_text;
use support::*;
use wasmparser::Validator;

#[test]
fn a_component_is_described_started_called_and_stopped() {
    let guest = Component {
        start: "(call $write (i32.const 2) (local.get $at) (local.get $length))",
        stop: "(call $write (i32.const 1) (i32.const 64) (i32.const 5))",
        // the action's name is the answer
        core: logging().core + "(global $name (mut i32) (i32.const 0)) (global $length (mut i32) (i32.const 0))",
        bind: "(global.set $name (local.get $action)) (global.set $length (local.get $action_length))",
        handle: "(i32.store8 (i32.const 36) (i32.const 1)) (i32.store (i32.const 40) (global.get $name))
            (i32.store (i32.const 44) (global.get $length))",
        ..logging()
    };
    let mut worker = Worker::spawn(WASM);
    let expected = Ready { name: "guest".into(), version: "1.0.0".into(), description: "d".into() };
    assert_eq!(worker.load(component(limits()), &guest.compiled()), Event::Ready(expected));
    worker.bind(0, "play", "{}", 1000);
    for _ in 0..3 {
        assert_eq!(worker.call(stamp()), Outcome::Answer("play".into()));
    }
    worker.send(&Command::Shutdown);
    assert_eq!(worker.end(), (Some(WorkerExit::Done), "[info] {\"a\":1}\n[warn] guest\n".into()));
}

#[test]
fn an_instance_is_told_a_binding_once_before_its_first_call_and_again_when_it_has_changed() {
    let guest = Component {
        core: "(global $told (mut i32) (i32.const 0)) (global $name (mut i32) (i32.const 0))
            (global $length (mut i32) (i32.const 0))"
            .into(),
        bind: "(global.set $told (i32.add (global.get $told) (i32.const 1))) (i32.store8 (i32.const 32) (i32.const 0))
            (global.set $name (local.get $action)) (global.set $length (local.get $action_length))",
        // fails with how often it was told and the binding, as two digits, and the action it was told last
        handle: "(if (i32.eq (local.get $binding) (i32.const 9)) (then unreachable))
            (i32.store8 (i32.const 32) (i32.const 1)) (i32.store (i32.const 36) (i32.add (local.get $binding)
            (i32.mul (global.get $told) (i32.const 10)))) (i32.store (i32.const 40) (global.get $name))
            (i32.store (i32.const 44) (global.get $length))",
        ..Component::default()
    };
    let expect = |worker: &mut Worker, calls: &[(u32, i32, &str)]| {
        for &(binding, code, message) in calls {
            assert_eq!(worker.call_of(binding, stamp()), Outcome::Failed { code, message: message.into() });
        }
    };
    let mut worker = guest.ready(limits(), 1000);
    worker.bind(2, "two", "{}", 1000);
    expect(&mut worker, &[(0, 10, "act"), (0, 10, "act"), (2, 22, "two"), (0, 20, "two"), (2, 22, "two")]);
    worker.bind(2, "another", "{}", 1000);
    expect(&mut worker, &[(0, 20, "two"), (2, 32, "another"), (2, 32, "another")]);
    // a fresh instance is told what it is called with, and nothing else
    worker.bind(9, "trap", "{}", 1000);
    assert!(matches!(worker.call_of(9, stamp()), Outcome::Trapped { .. }));
    expect(&mut worker, &[(2, 12, "another"), (2, 12, "another"), (0, 20, "act")]);
    let mut worker = guest.ready(WorkerLimits { instance: InstanceMode::PerCall, ..limits() }, 1000);
    worker.bind(2, "two", "{}", 1000);
    expect(&mut worker, &[(0, 10, "act"), (2, 12, "two"), (0, 10, "act")]);
}

#[test]
fn a_binding_that_is_refused_fails_its_call_and_is_asked_for_again_by_the_next() {
    let guest = Component {
        core: logging().core + "(global $told (mut i32) (i32.const 0))",
        // refuses the first two and every `wrong` with the number of the time, and the action as its reason
        bind: "(global.set $told (i32.add (global.get $told) (i32.const 1)))
            (i32.store8 (i32.const 32) (i32.or (i32.lt_u (global.get $told) (i32.const 3))
            (i32.eq (local.get $action_length) (i32.const 5))))
            (i32.store (i32.const 36) (global.get $told)) (i32.store (i32.const 40) (local.get $action))
            (i32.store (i32.const 44) (local.get $action_length))",
        // does well unless it must not be called, which is how `bind` has left it
        handle: "(if (i32.load8_u (i32.const 32)) (then unreachable)) (i32.store8 (i32.const 36) (i32.const 0))",
        stop: "(call $write (i32.const 1) (i32.const 64) (i32.const 5))",
        ..logging()
    };
    let refused = |code, message: &str| Outcome::Failed { code, message: message.into() };
    let mut worker = guest.ready(limits(), 1000);
    assert_eq!([worker.call(stamp()), worker.call(stamp())], [refused(1, "act"), refused(2, "act")]);
    assert_eq!([worker.call(stamp()), worker.call(stamp())], [Outcome::Ok, Outcome::Ok]);
    worker.bind(0, "wrong", "{}", 1000);
    assert_eq!([worker.call(stamp()), worker.call(stamp())], [refused(4, "wrong"), refused(5, "wrong")]);
    worker.bind(0, "act", "{}", 1000);
    assert_eq!([worker.call(stamp()), worker.call(stamp())], [Outcome::Ok, Outcome::Ok]);
    // an instance for one call is stopped all the same
    let mut worker = guest.ready(WorkerLimits { instance: InstanceMode::PerCall, ..limits() }, 1000);
    assert_eq!([worker.call(stamp()), worker.call(stamp())], [refused(1, "act"), refused(1, "act")]);
    worker.send(&Command::Shutdown);
    assert_eq!(worker.end(), (Some(WorkerExit::Done), "[warn] guest\n".repeat(2)));
}

/// Answers with the context, in 32 bytes: no text has room for a message's status, which is not answered.
const CONTEXT: &str = "(i32.store8 (i32.const 1024) (local.get $trigger))
    (i32.store8 (i32.const 1025) (local.get $has_velocity)) (i32.store8 (i32.const 1026) (local.get $velocity))
    (i32.store8 (i32.const 1027) (local.get $has_mode)) (i32.store16 (i32.const 1028) (local.get $mode))
    (i32.store8 (i32.const 1030) (local.get $has_device)) (i32.store16 (i32.const 1032) (local.get $device))
    (i64.store (i32.const 1040) (local.get $timestamp_ms)) (i64.store (i32.const 1048) (local.get $monotonic_ns))
    (i32.store8 (i32.const 36) (i32.const 1)) (i32.store (i32.const 40) (i32.const 1024))
    (i32.store (i32.const 44) (i32.const 32))";

#[test]
fn a_call_carries_the_event_as_it_was() {
    // every byte must be text
    let monotonic_ns = monotonic_ns() & !0x8080_8080_8080_8080;
    let event = TriggerStamp {
        velocity: Some(100),
        mode: Some(3),
        device: Some(0x0102),
        unix_ms: 0x0102_0304_0506_0708,
        monotonic_ns,
        kind: TriggerKind::NoteRelease,
        message: None,
    };
    let expected = |mut context: Vec<u8>| {
        context.extend_from_slice(&[0; 6]);
        context.extend_from_slice(&event.unix_ms.to_le_bytes());
        context.extend_from_slice(&monotonic_ns.to_le_bytes());
        Outcome::Answer(String::from_utf8(context).unwrap())
    };
    let any_age = WorkerLimits { max_age_ms: u32::MAX, ..limits() };
    let mut worker = Component { handle: CONTEXT, ..Component::default() }.ready(any_age, 1000);
    assert_eq!(worker.call(event), expected(vec![2, 1, 100, 1, 3, 0, 1, 0, 2, 1]));
    let bare = TriggerStamp { velocity: None, mode: None, device: None, ..event };
    assert_eq!(worker.call(bare), expected(vec![2, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
}

#[test]
fn a_call_carries_the_message_where_there_is_one() {
    let guest = Component {
        handle: "(i32.store8 (i32.const 32) (i32.const 1)) (i32.store8 (i32.const 36) (i32.add (i32.const 1)
            (local.get $has_message))) (i32.store8 (i32.const 37) (local.get $status))
            (i32.store8 (i32.const 38) (local.get $first)) (i32.store8 (i32.const 39) (local.get $second))",
        ..Component::default()
    };
    let mut worker = guest.ready(limits(), 1000);
    for (has, bytes) in [(1, [0x82, 60, 100]), (1, [0xC0, 5, 0]), (0, [0, 0, 0])] {
        let outcome = worker.call(TriggerStamp { message: ChannelMessage::from_bytes(bytes), ..stamp() });
        let code = i32::from_le_bytes([1 + has, bytes[0], bytes[1], bytes[2]]);
        assert_eq!(outcome, Outcome::Failed { code, message: String::new() });
    }
}

#[test]
fn a_failure_has_its_own_code_and_words_and_never_code_0() {
    for (code, expected) in [(7, 7), (0, 1), (-3, -3)] {
        let handle = format!(
            "(i32.store8 (i32.const 32) (i32.const 1)) (i32.store (i32.const 36) (i32.const {code}))
             (i32.store (i32.const 40) (i32.const 64)) (i32.store (i32.const 44) (i32.const 5))"
        );
        let guest = Component { handle: handle.leak(), ..Component::default() };
        let outcome = guest.ready(limits(), 1000).call(stamp());
        assert_eq!(outcome, Outcome::Failed { code: expected, message: "guest".into() });
        let guest = Component { start: guest.handle, ..Component::default() };
        assert_eq!(guest.load_error(limits()), format!("its start failed with code {expected}: guest"));
    }
}

#[test]
fn state_lives_between_calls_and_not_in_an_instance_for_each() {
    let guest = Component {
        core: "(global $calls (mut i32) (i32.const 0))".into(),
        handle: "(i32.store8 (i32.const 32) (i32.const 1))
            (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (i32.store (i32.const 36) (global.get $calls))",
        ..Component::default()
    };
    let mut worker = guest.ready(limits(), 1000);
    for call in 1..4 {
        assert!(matches!(worker.call(stamp()), Outcome::Failed { code, .. } if code == call));
    }
    let mut worker = guest.ready(WorkerLimits { instance: InstanceMode::PerCall, ..limits() }, 1000);
    for _ in 0..3 {
        assert!(matches!(worker.call(stamp()), Outcome::Failed { code: 1, .. }));
    }
}

#[test]
fn an_instance_for_one_call_is_stopped_after_it() {
    let guest = Component { stop: "(call $write (i32.const 1) (i32.const 64) (i32.const 5))", ..logging() };
    let mut worker = guest.ready(WorkerLimits { instance: InstanceMode::PerCall, ..limits() }, 1000);
    for _ in 0..3 {
        assert_eq!(worker.call(stamp()), Outcome::Ok);
    }
    worker.send(&Command::Shutdown);
    assert_eq!(worker.end(), (Some(WorkerExit::Done), "[warn] guest\n".repeat(3)));
    // one that does not return costs its call the rest of its time, and nothing else
    let guest = Component { stop: "(loop $again (br $again))", ..Component::default() };
    let mut worker = guest.ready(WorkerLimits { instance: InstanceMode::PerCall, fuel: 0, ..limits() }, 30);
    assert_eq!(worker.call(stamp()), Outcome::Ok);
    worker.send(&Command::Shutdown);
    let (exit, log) = worker.end();
    assert_eq!(exit, Some(WorkerExit::Done));
    assert!(log.ends_with("[error] its stop was stopped: its deadline passed\n"), "{log}");
}

#[test]
fn components_that_are_no_plugin_are_named_by_cause() {
    let error = component_error("(component)");
    assert!(error.starts_with("it is a component, but not of the world"), "{error}");
    let error =
        component_error(r#"(component (import "midimon:plugin/secrets@1.0.0" (instance (export "all" (func)))))"#);
    assert!(error.starts_with("it wants what midimon does not offer") && error.contains("secrets"), "{error}");
    let other = Component::default().text().replace("(param \"settings\" string)", "(param \"settings\" (list u8))");
    let error = component_error(&other);
    assert!(
        error.starts_with("it is a component, but not of the world")
            && error.contains("its `start`: ")
            && error.contains("expected `string` found `list`"),
        "{error}"
    );
    for (function, next) in [("bind", "action"), ("handle", "context")] {
        let parameters = |kind: &str| format!("(param \"binding\" {kind}) (param \"{next}\"");
        let other = Component::default().text().replace(&parameters("u32"), &parameters("s32"));
        let error = component_error(&other);
        let found = error.contains(&format!("its `{function}`: ")) && error.contains("expected `u32` found `s32`");
        assert!(found, "{error}");
    }
}

#[test]
fn code_of_the_other_kind_is_refused() {
    let module = compile_text("(module)");
    let error = support::guests::load_error(component(limits()), &module);
    assert!(error.starts_with("its compiled code does not fit this program"), "{error}");
    let code = Component::default().compiled();
    let error = support::guests::load_error(load(CodeKind::WasmCore, limits()), &code);
    assert!(error.starts_with("its compiled code does not fit this program"), "{error}");
}

#[test]
fn what_a_compiler_makes_of_an_example_gets_the_shorter_way_to_handle() {
    let built = Path::new(WASM).ancestors().nth(2).unwrap().join("plugins/echo-component/echo_component.wasm");
    let code = std::fs::read(&built).unwrap_or_else(|error| panic!("{}: {error}; run make plugins", built.display()));
    Validator::new().validate_all(&shortened(&code).unwrap()).unwrap();
}

#[test]
fn a_component_that_is_not_valid_with_the_shorter_way_is_compiled_as_it_is() {
    // its handle has another name, and what has that name is another function
    let guest = Component {
        core: format!(r#"(func (export "{HANDLE}") (param f64))"#),
        handle: "(i32.store8 (i32.const 36) (i32.const 1)) (i32.store (i32.const 40) (i32.const 64))
            (i32.store (i32.const 44) (i32.const 5))",
        ..Component::default()
    };
    let taken = format!(r#"(alias core export $main "{HANDLE}" (core func))"#);
    let text = guest
        .text()
        .replace(&format!(r#"(export "{HANDLE}") (param $binding"#), r#"(export "handle") (param $binding"#);
    let text = text.replace(&format!(r#"(core func $main "{HANDLE}")"#), r#"(core func $main "handle")"#);
    let text = text.replace("(func $describe (result", &format!("{taken} (func $describe (result"));
    let shorter = shortened(&wat::parse_str(&text).unwrap()).unwrap();
    assert!(Validator::new().validate_all(&shorter).is_err());
    let mut worker = Worker::ready(WASM, component(limits()), &compile_text(&text));
    worker.bind(0, "act", "{}", 1000);
    assert_eq!(worker.call(stamp()), Outcome::Answer("guest".into()));
}

#[test]
fn names_of_modes_and_devices_are_told_by_index() {
    let guest = Component {
        imports: r#"
            (import "midimon:plugin/names@1.0.0" (instance $names
                (export "mode" (func (param "index" u16) (result (option string))))
                (export "device" (func (param "index" u16) (result (option string))))))
            (core func $mode (canon lower (func $names "mode") (memory $memory) (realloc $realloc)))
            (core func $device (canon lower (func $names "device") (memory $memory) (realloc $realloc)))"#
            .into(),
        with: r#"(export "mode" (func $mode)) (export "device" (func $device))"#,
        core: r#"(import "host" "mode" (func $mode (param i32 i32))) (import "host" "device" (func $device (param i32 i32)))"#
            .into(),
        // what it gets is laid out as the answer is
        handle: "(i32.store8 (i32.const 32) (i32.const 0)) (call $mode (i32.const 1) (i32.const 36))
            (if (i32.load8_u (i32.const 36)) (then (return (i32.const 32))))
            (call $device (i32.const 0) (i32.const 36))",
        ..Component::default()
    };
    let mut worker = guest.ready(limits(), 1000);
    assert_eq!(worker.call(stamp()), Outcome::Ok);
    let names = |kind, first, names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Command::Names(Names { kind, first, names })
    };
    worker.send(&names(NameKind::Device, 0, &["pads"]));
    assert_eq!(worker.call(stamp()), Outcome::Answer("pads".into()));
    worker.send(&names(NameKind::Mode, 0, &["zero", "one"]));
    assert_eq!(worker.call(stamp()), Outcome::Answer("one".into()));
    worker.send(&names(NameKind::Mode, 0, &["only"]));
    assert_eq!(worker.call(stamp()), Outcome::Answer("pads".into()));
}
