//! `midimon-worker-wasm` with guests of the MIDIMon 2.x interface, compiled by `midimon-compile`.

mod support;

use midimon_shared::context::TriggerStamp;
use midimon_shared::limits::InstanceMode;
use midimon_shared::protocol::*;
use midimon_shared::{Command, Event, WorkerExit};
use support::guests::{Guest, load_error, text_error};
use support::*;

/// Prints its request on standard output, with a newline.
const PRINT: &str = r#"
    (i32.store (i32.const 0) (local.get $ptr)) (i32.store (i32.const 4) (local.get $len))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.store (i32.const 0) (i32.const 12)) (i32.store (i32.const 4) (i32.const 1))
    (i32.store8 (i32.const 12) (i32.const 10))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    i32.const 0"#;
const FD_WRITE: &str =
    r#"(import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))"#;

#[test]
fn a_guest_is_described_and_called_with_the_request_of_its_interface() {
    let guest = Guest { imports: FD_WRITE, execute: PRINT, ..Guest::default() };
    let mut worker = Worker::spawn(WASM);
    let expected = Ready { name: "guest".into(), version: "1.0.0".into(), description: "d".into() };
    assert_eq!(worker.load(load(CodeKind::WasmCore, limits()), &guest.compiled()), Event::Ready(expected));
    worker.bind(0, "play", r#"{"playlist":"Coding","n":2}"#, 1000);
    let stamp = TriggerStamp { velocity: Some(99), mode: Some(1), unix_ms: 1_700_000_000_123, ..stamp() };
    assert_eq!(worker.call(stamp), Outcome::Ok);
    worker.send(&Command::Shutdown);
    let (exit, log) = worker.end();
    assert_eq!(exit, Some(WorkerExit::Done));
    assert_eq!(
        log,
        "{\"action\":\"play\",\"context\":{\"velocity\":99,\"current_mode\":1,\"timestamp\":1700000000123,\"metadata\":{}},\
         \"parameters\":[\"Coding\",\"2\"],\"params\":{\"playlist\":\"Coding\",\"n\":2}}\n"
    );
}

#[test]
fn a_guests_code_is_its_answer_and_its_state_lives_between_calls() {
    let guest = Guest {
        functions: "(global $calls (mut i32) (i32.const 0))",
        execute: "(global.set $calls (i32.add (global.get $calls) (i32.const 1))) global.get $calls",
        ..Guest::default()
    };
    let mut worker = guest.ready(limits(), 1000);
    let messages = ["bad memory or UTF-8", "could not parse", "action failed", "", ""];
    for (code, expected) in (1..).zip(messages) {
        match worker.call(stamp()) {
            Outcome::Failed { code: found, message } if found == code => assert!(message.contains(expected)),
            other => panic!("{other:?}"),
        }
    }
    let per_call = midimon_shared::limits::WorkerLimits { instance: InstanceMode::PerCall, ..limits() };
    let mut worker = guest.ready(per_call, 1000);
    for _ in 0..3 {
        assert!(matches!(worker.call(stamp()), Outcome::Failed { code: 1, .. }));
    }
}

#[test]
fn initialize_runs_before_init() {
    let guest = Guest {
        functions: r#"(global $ready (mut i32) (i32.const 0)) (func (export "_initialize") (global.set $ready (i32.const 1)))"#,
        init: "(if (i32.eqz (global.get $ready)) (then unreachable))",
        execute: "(i32.eqz (global.get $ready))",
        ..Guest::default()
    };
    assert_eq!(guest.ready(limits(), 1000).call(stamp()), Outcome::Ok);
}

#[test]
fn modules_that_are_no_plugin_are_named_by_cause() {
    let module = |exports: &str| text_error(&format!("(module {exports})"));
    let memory = r#"(memory (export "memory") 1)"#;
    let init = r#"(func (export "init") (result i64) i64.const 0)"#;
    let alloc = r#"(func (export "alloc") (param i32) (result i32) i32.const 0)"#;
    assert!(module("").contains("does not export `memory`, a 32-bit memory"));
    assert!(module(memory).contains("does not export `init`, a function () -> i64"));
    assert!(module(&[memory, init].concat()).contains("does not export `alloc`"));
    assert!(module(&[memory, init, alloc].concat()).contains("does not export `execute`"));
    let wrong = r#"(func (export "init") (result i32) i32.const 0)"#;
    assert!(module(&[memory, wrong].concat()).contains("its export `init` is not a function () -> i64"));
    let import = Guest { imports: r#"(import "env" "host_call" (func))"#, ..Guest::default() };
    let error = import.load_error(limits());
    assert!(error.contains("`env::host_call`") && error.contains("wasi_snapshot_preview1"), "{error}");
}

#[test]
fn metadata_that_cannot_be_used_are_named() {
    let guest = Guest { metadata: "name = guest", ..Guest::default() };
    let error = guest.load_error(limits());
    assert!(error.starts_with("its metadata is not the JSON object init must return"), "{error}");
    let guest = Guest { init: "(return (i64.const 0xFFFFFFFF))", ..Guest::default() };
    let error = guest.load_error(limits());
    assert!(error.contains("outside its memory") && error.contains("4294967295 bytes at 0 of 131072"), "{error}");
}

#[test]
fn files_that_are_no_module_stop_at_the_compile_job() {
    let error = |bytes: &[u8]| {
        let (exit, log) = compile(bytes).unwrap_err();
        assert_eq!(exit, Some(WorkerExit::CompileInput));
        assert_eq!(log.lines().count(), 1, "{log}");
        log
    };
    assert!(error(b"").contains("it is empty"));
    assert!(error(b"hello, world").contains("neither a WebAssembly module nor a component"));
    assert!(error(b"\0asm\x0c\0\x01\0").contains("it is a component of another version"));
    assert!(error(b"\0asm\x0d\0\x01\0\xFF").contains("not valid WebAssembly"));
    let good = wat::parse_str(Guest::default().text()).unwrap();
    assert!(error(&good[..good.len() / 2]).contains("not valid WebAssembly"));
}

#[test]
fn code_that_was_not_compiled_for_this_program_is_refused() {
    let wanted = load(CodeKind::WasmCore, limits());
    let module = sealed_memfd(&wat::parse_str(Guest::default().text()).unwrap());
    let error = load_error(wanted.clone(), &module);
    assert!(error.starts_with("its compiled code does not fit this program"), "{error}");
    let error = load_error(wanted.clone(), &sealed_memfd(b""));
    assert!(error.starts_with("its compiled code does not fit this program"), "{error}");
    let elf = std::fs::read(NATIVE).unwrap();
    assert!(load_error(wanted, &sealed_memfd(&elf)).starts_with("its compiled code does not fit this program"));
}

#[test]
fn the_compatibility_key_is_one_line_and_stays_the_same() {
    let key = || {
        let output = std::process::Command::new(program("midimon-compile")).arg("--print-key").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let first = key();
    assert!(first.starts_with(concat!(env!("CARGO_PKG_VERSION"), "-")) && first.trim().len() > 16, "{first}");
    assert_eq!(first.lines().count(), 1);
    assert_eq!(first, key());
}

#[test]
fn a_guest_has_its_data_directory_as_root_and_no_other() {
    let open = r#"(import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"#;
    // creates the file named by its metadata and returns the errno
    let guest = Guest {
        imports: open,
        metadata: "{\"name\":\"kept.txt\"}",
        execute: r#"(call $open (i32.const 3) (i32.const 0) (i32.const 25) (i32.const 8)
            (i32.const 1) (i64.const 0x40) (i64.const 0) (i32.const 0) (i32.const 1024))"#,
        ..Guest::default()
    };
    let directory = tempfile::tempdir().unwrap();
    let wasm = || load(CodeKind::WasmCore, limits());
    let mut worker = Worker::ready_with_data(WASM, directory.path(), wasm(), &guest.compiled());
    worker.bind(0, "a", "", 1000);
    assert_eq!(worker.call(stamp()), Outcome::Ok);
    assert!(directory.path().join("kept.txt").exists());
    let threads = std::fs::read_dir(format!("/proc/{}/task", worker.pid)).unwrap().count();
    assert_eq!(threads, 1, "a second one would cost every call");

    let escape = Guest { metadata: "{\"name\":\"../x.txt\"}", ..guest };
    let mut worker = Worker::ready_with_data(WASM, directory.path(), wasm(), &escape.compiled());
    worker.bind(0, "a", "", 1000);
    assert!(matches!(worker.call(stamp()), Outcome::Failed { code: 63 | 76, .. }));

    let mut worker = escape.ready(limits(), 1000);
    assert!(matches!(worker.call(stamp()), Outcome::Failed { code: 8, .. }), "nothing is open");
    let missing = Load { data_dir: Some("/nonexistent".into()), ..load(CodeKind::WasmCore, limits()) };
    assert!(load_error(missing, &escape.compiled()).contains("data directory cannot be opened"));
}

#[test]
fn a_guest_that_leaks_is_replaced_before_it_meets_its_limit() {
    // each request takes new memory for ever, as old guests do
    let guest = Guest {
        functions: "(global $next (mut i32) (i32.const 65536))",
        alloc: r#"(local $at i32) (local.set $at (global.get $next))
            (global.set $next (i32.add (local.get $at) (i32.const 65536)))
            (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
            local.get $at"#,
        ..Guest::default()
    };
    let limits = midimon_shared::limits::WorkerLimits { memory_bytes: 8 << 20, ..limits() };
    let mut worker = guest.ready(limits, 1000);
    for _ in 0..2_000 {
        assert_eq!(worker.call(stamp()), Outcome::Ok);
    }
}
