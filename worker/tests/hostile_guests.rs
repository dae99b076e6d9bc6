//! Guests that mean harm: each is stopped by the limit meant for it, is named by it, and the next
//! call finds a fresh instance.

mod support;

use midimon_shared::limits::WorkerLimits;
use midimon_shared::protocol::*;
use std::time::{Duration, Instant};
use support::guests::Guest;
use support::*;

const POLL: &str =
    r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))"#;
/// Sleeps an hour on the monotonic clock.
const SLEEP: &str = r#"(i32.store (i32.const 1040) (i32.const 1)) (i64.store (i32.const 1048) (i64.const 3600000000000))
    (drop (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 3000)))"#;
const LOOP: &str = "(loop $again (br $again))";
/// A busy machine runs a test when it likes; what never ends takes longer.
const SOON: Duration = Duration::from_secs(10);

fn no_fuel_limit() -> WorkerLimits {
    WorkerLimits { fuel: 0, ..limits() }
}

fn short_start() -> WorkerLimits {
    WorkerLimits { timeout_ms: 50, ..no_fuel_limit() }
}

/// How a call ended that must not return, and how long it took; the call after it ends the same way.
fn trapped(guest: &Guest, limits: WorkerLimits, timeout_ms: u32) -> (TrapCause, String, Duration) {
    let mut worker = guest.ready(limits, timeout_ms);
    let started = Instant::now();
    let outcome = worker.call(stamp());
    let took = started.elapsed();
    match outcome {
        Outcome::Trapped { cause, message } => {
            // the worker lives on, and so does the plugin, in a fresh instance
            worker.send(&midimon_shared::Command::Ping { nonce: 1 });
            assert_eq!(worker.next(), Some(midimon_shared::Event::Pong { nonce: 1 }));
            assert!(matches!(worker.call(stamp()), Outcome::Trapped { cause: again, .. } if again == cause));
            (cause, message, took)
        }
        other => panic!("{other:?} instead of Trapped"),
    }
}

fn leak(text: String) -> &'static str {
    text.leak()
}

#[test]
fn an_endless_loop_ends_at_its_deadline_or_its_fuel() {
    for (alloc, execute) in
        [("i32.const 4096", leak(format!("{LOOP} i32.const 0"))), (leak(format!("{LOOP} i32.const 0")), "i32.const 0")]
    {
        let guest = Guest { alloc, execute, ..Guest::default() };
        let (cause, message, took) = trapped(&guest, no_fuel_limit(), 30);
        assert_eq!((cause, message.as_str()), (TrapCause::Deadline, "its deadline passed"));
        assert!(took < Duration::from_millis(30) + SOON, "{took:?}");
        let (cause, message, _) = trapped(&guest, WorkerLimits { fuel: 1_000_000, ..limits() }, 10_000);
        assert_eq!((cause, message.as_str()), (TrapCause::Fuel, "it used up its fuel"));
    }
}

#[test]
fn fuel_is_for_each_call_and_not_for_a_life() {
    let guest = Guest {
        execute: "(local $n i32) (loop $again (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 50000)))) i32.const 0",
        ..Guest::default()
    };
    let mut worker = guest.ready(WorkerLimits { fuel: 1_000_000, ..limits() }, 10_000);
    for _ in 0..100 {
        assert_eq!(worker.call(stamp()), Outcome::Ok);
    }
}

#[test]
fn filling_memory_again_and_again_costs_fuel_by_the_byte_and_ends_at_the_deadline() {
    let guest = Guest {
        memories: "(memory (export \"memory\") 1900)".into(),
        execute: "(loop $again (memory.fill (i32.const 65536) (i32.const 1) (i32.const 16000000)) (br $again)) i32.const 0",
        ..Guest::default()
    };
    let (cause, _, took) = trapped(&guest, no_fuel_limit(), 50);
    assert_eq!(cause, TrapCause::Deadline);
    assert!(took < Duration::from_millis(50) + SOON, "{took:?}");
    assert_eq!(trapped(&guest, limits(), 10_000).0, TrapCause::Fuel);
}

#[test]
fn a_sleep_of_an_hour_ends_at_the_deadline_wherever_it_is() {
    for (alloc, execute) in [
        ("i32.const 4096", leak(format!("{SLEEP} i32.const 0"))),
        (leak(format!("{SLEEP} i32.const 4096")), "i32.const 0"),
    ] {
        let guest = Guest { imports: POLL, alloc, execute, ..Guest::default() };
        let (cause, _, took) = trapped(&guest, limits(), 30);
        assert_eq!(cause, TrapCause::Deadline);
        assert!(took < Duration::from_millis(30) + SOON, "{took:?}");
    }
    let guest = Guest { imports: POLL, init: SLEEP, ..Guest::default() };
    assert_eq!(guest.load_error(short_start()), "its start was stopped: its deadline passed");
}

#[test]
fn the_start_function_initialize_and_init_are_under_the_deadline_too() {
    let start = leak(format!("(func $start {LOOP}) (start $start)"));
    let initialize = leak(format!("(func (export \"_initialize\") {LOOP})"));
    for guest in [
        Guest { functions: start, ..Guest::default() },
        Guest { functions: initialize, ..Guest::default() },
        Guest { init: LOOP, ..Guest::default() },
    ] {
        assert_eq!(guest.load_error(short_start()), "its start was stopped: its deadline passed");
        let fuel = WorkerLimits { fuel: 100_000, ..limits() };
        assert_eq!(guest.load_error(fuel), "its start was stopped: it used up its fuel");
    }
}

#[test]
fn all_memories_together_meet_the_limit() {
    let many: String = (0..11).map(|_| "(memory 1900)").collect();
    let guest = Guest { memories: format!("(memory (export \"memory\") 1900) {many}"), ..Guest::default() };
    let error = guest.load_error(limits());
    assert!(error.contains("bytes of memory asked for, the limit is 134217728"), "{error}");
    // and grown one by one
    let many: String = (1..12).map(|index| format!("(memory $m{index} 0)")).collect();
    let grow: String = (1..12).map(|index| format!("(drop (memory.grow $m{index} (i32.const 1900)))")).collect();
    let execute = leak(format!("{grow} (i32.eq (memory.grow $m11 (i32.const 1900)) (i32.const -1))"));
    let guest = Guest { memories: format!("(memory (export \"memory\") 2) {many}"), execute, ..Guest::default() };
    let mut worker = guest.ready(limits(), 1000);
    assert!(matches!(worker.call(stamp()), Outcome::Failed { code: 1, .. }), "the last one was refused");
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.pid)).unwrap();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let rss_kib: u64 = rss.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(rss_kib < 160 * 1024, "{rss_kib} KiB");
}

#[test]
fn growing_over_the_limit_is_refused_and_a_trap_after_it_is_named_so() {
    let grow = "(i32.eq (memory.grow (i32.const 16384)) (i32.const -1))";
    let guest = Guest { execute: grow, ..Guest::default() };
    assert!(matches!(guest.ready(limits(), 1000).call(stamp()), Outcome::Failed { code: 1, .. }), "-1 to the guest");
    let guest = Guest { execute: leak(format!("(if {grow} (then unreachable)) i32.const 0")), ..Guest::default() };
    let (cause, message, _) = trapped(&guest, limits(), 1000);
    assert_eq!(cause, TrapCause::Memory);
    assert!(message.contains("the limit is 134217728"), "{message}");
    let table = Guest {
        functions: "(table $t 1 funcref)",
        execute: "(if (i32.eq (table.grow $t (ref.null func) (i32.const 20000)) (i32.const -1)) (then unreachable)) i32.const 0",
        ..Guest::default()
    };
    let (cause, message, _) = trapped(&table, limits(), 1000);
    assert!(cause == TrapCause::Memory && message.contains("20001 table elements"), "{message}");
}

#[test]
fn recursion_ends_at_the_limit_of_the_stack() {
    let guest = Guest {
        functions: "(func $deeper (param i32) (result i32) (i32.add (call $deeper (local.get 0)) (i32.const 1)))",
        execute: "(call $deeper (i32.const 0))",
        ..Guest::default()
    };
    let (cause, message, _) = trapped(&guest, limits(), 5000);
    assert_eq!((cause, message.as_str()), (TrapCause::Stack, "it used up its stack"));
}

#[test]
fn pointers_outside_memory_break_the_interface_and_nothing_else() {
    for alloc in ["i32.const -1", "i32.const 131072", "i32.const 131071"] {
        let (cause, message, _) = trapped(&Guest { alloc, ..Guest::default() }, limits(), 1000);
        assert_eq!(cause, TrapCause::Abi);
        assert!(message.contains("outside its memory of 131072 bytes"), "{message}");
    }
}

#[test]
fn a_trap_and_an_exit_say_what_they_were() {
    let guest = Guest { execute: "unreachable", ..Guest::default() };
    let (cause, message, _) = trapped(&guest, limits(), 1000);
    assert!(cause == TrapCause::Trap && message.contains("unreachable"), "{message}");
    let guest = Guest {
        imports: r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#,
        execute: "(call $exit (i32.const 0)) i32.const 0",
        ..Guest::default()
    };
    let (cause, message, _) = trapped(&guest, limits(), 1000);
    assert_eq!((cause, message.as_str()), (TrapCause::Trap, "it ended itself with exit code 0"));
}

#[test]
fn a_guest_sees_no_arguments_no_environment_no_input_and_no_daemons_output() {
    let imports = r#"
        (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))"#;
    let guest = Guest {
        imports,
        execute: r#"
            (if (call $args (i32.const 1024) (i32.const 1028)) (then (return (i32.const 10))))
            (if (call $environ (i32.const 1032) (i32.const 1036)) (then (return (i32.const 11))))
            (if (i32.or (i32.load (i32.const 1024)) (i32.load (i32.const 1032))) (then (return (i32.const 12))))
            (i32.store (i32.const 1040) (i32.const 16)) (i32.store (i32.const 1044) (i32.const 10))
            (if (call $read (i32.const 0) (i32.const 1040) (i32.const 1) (i32.const 1048)) (then (return (i32.const 13))))
            (if (i32.load (i32.const 1048)) (then (return (i32.const 14))))
            (if (call $write (i32.const 1) (i32.const 1040) (i32.const 1) (i32.const 1048)) (then (return (i32.const 15))))
            (if (call $write (i32.const 2) (i32.const 1040) (i32.const 1) (i32.const 1048)) (then (return (i32.const 16))))
            i32.const 0"#,
        metadata: "{\"name\":\"x\"}",
        ..Guest::default()
    };
    let mut worker = guest.ready(limits(), 1000);
    assert_eq!(worker.call(stamp()), Outcome::Ok);
    worker.send(&midimon_shared::Command::Shutdown);
    assert_eq!(worker.end().1, "{\"name\":\"x\n{\"name\":\"x\n", "both streams are lines of the plugin's log");
}
