//! WASM guests that mean harm: each is stopped by the limit meant for it, in a
//! worker that lives on, beside plugins that do not notice.

use midimon::workers::status::WorkerStatus;
use midimon_tests::{Bed, Guest, Trio};
use std::time::Instant;

const LOOP: &str = "(loop $again (br $again))";
const IMPORT_POLL: &str =
    r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))"#;
/// An hour on the monotonic clock.
const SLEEP: &str = "(i32.store (i32.const 1040) (i32.const 1)) (i64.store (i32.const 1048) (i64.const 3600000000000))
    (drop (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 3000)))";

/// Calls the guest three times. Each call must end in an outcome that contains
/// `stopped_by`, in one and the same worker.
fn stopped(guest: &Guest, settings: &str, stopped_by: &str) -> WorkerStatus {
    let bed = Bed::new();
    bed.write_guest("guest", &guest.text());
    let mut trio = Trio::start_in(bed, "guest", settings, &[("act", "params = {}")]);
    let before = trio.bad();
    for call in 1..=3 {
        let started = Instant::now();
        trio.misbehave(0);
        let answer = trio.watch.answer("guest");
        println!("stopped after {:.1?}: {}", started.elapsed(), answer.outcome);
        assert!(answer.failed && answer.outcome.contains(stopped_by), "{answer:?}, not '{stopped_by}'");
        let bad = trio.until("the call is counted", |bad| bad.calls.failed + bad.calls.timed_out == call);
        assert_eq!((bad.pid, bad.restarts), (before.pid, 0), "{bad:#?}");
    }
    let after = trio.bad();
    trio.finish();
    after
}

/// The guest never becomes a plugin; the reason must contain all of `because`.
fn refused(guest: &Guest, settings: &str, because: &[&str]) {
    let bed = Bed::new();
    bed.write_guest("guest", &guest.text());
    bed.install("echo");
    bed.configure(&midimon_tests::Config::new().plugin("guest", settings).note(1, "echo", "quiet"));
    let mut daemon = bed.start();
    daemon.wait_ready("echo");
    let started = Instant::now();
    let refused =
        daemon.wait_worker("guest", "refused", |worker| worker.state == midimon::workers::status::WorkerState::Failed);
    let reason = refused.reason.unwrap_or_default();
    println!("refused after {:.1?}: {reason}", started.elapsed());
    assert!(because.iter().all(|part| reason.contains(part)), "'{reason}' does not contain all of {because:?}");
    daemon.answers("echo", 1);
    daemon.stop();
}

mod hostile {
    use super::*;
    use midimon_tests::{Config, midi};

    #[test]
    fn an_endless_loop_is_stopped_by_its_deadline_when_fuel_is_without_limit() {
        let guest = Guest::executing(format!("{LOOP} i32.const 0"));
        let after = stopped(&guest, "timeout_ms = 50\nfuel = 0", "deadline");
        assert_eq!((after.calls.timed_out, after.calls.failed), (3, 0));
    }

    #[test]
    fn an_endless_loop_is_stopped_by_its_deadline_when_fuel_would_last_longer() {
        let guest = Guest::executing(format!("{LOOP} i32.const 0"));
        stopped(&guest, "timeout_ms = 1\nfuel = 20000000000", "deadline");
    }

    #[test]
    fn an_endless_loop_is_stopped_by_its_fuel_when_the_deadline_is_far() {
        let guest = Guest::executing(format!("{LOOP} i32.const 0"));
        let after = stopped(&guest, "timeout_ms = 600000\nfuel = 1000000", "fuel");
        assert_eq!((after.calls.timed_out, after.calls.failed), (0, 3));
    }

    #[test]
    fn an_endless_loop_in_alloc_is_stopped_like_one_in_execute() {
        let guest = Guest { alloc: format!("{LOOP} i32.const 0"), ..Guest::default() };
        stopped(&guest, "timeout_ms = 50\nfuel = 0", "deadline");
    }

    #[test]
    fn filling_memory_again_and_again_is_stopped_by_its_fuel_and_without_that_by_its_deadline() {
        // 124 MB with one instruction
        let guest = Guest {
            memory: r#"(memory (export "memory") 1985)"#.into(),
            ..Guest::executing(
                "(loop $again (memory.fill (i32.const 65536) (i32.const 7) (i32.const 130023424)) (br $again)) i32.const 0",
            )
        };
        stopped(&guest, "timeout_ms = 600000", "fuel");
        stopped(&guest, "timeout_ms = 100\nfuel = 0", "deadline");
    }

    #[test]
    fn sleeping_an_hour_in_execute_is_stopped_by_the_deadline() {
        let guest = Guest { imports: IMPORT_POLL.into(), ..Guest::executing(format!("{SLEEP} i32.const 0")) };
        stopped(&guest, "timeout_ms = 100", "deadline");
    }

    #[test]
    fn sleeping_an_hour_in_alloc_is_stopped_by_the_deadline() {
        let guest = Guest { imports: IMPORT_POLL.into(), alloc: format!("{SLEEP} i32.const 0"), ..Guest::default() };
        stopped(&guest, "timeout_ms = 100", "deadline");
    }

    #[test]
    fn endless_recursion_is_stopped_by_the_stack() {
        let guest = Guest {
            more: "(func $down (param i32) (result i32) (i32.add (call $down (local.get 0)) (i32.const 1)))".into(),
            ..Guest::executing("(call $down (i32.const 1))")
        };
        stopped(&guest, "fuel = 0", "stack");
    }

    #[test]
    fn a_pointer_out_of_its_memory_fails_the_call_alone() {
        let guest = Guest { alloc: "i32.const -8".into(), ..Guest::default() };
        stopped(&guest, "", "abi");
    }

    #[test]
    fn growing_memory_over_the_limit_is_denied_and_costs_nothing() {
        // 0 when 1 GiB is denied
        let guest = Guest::executing("(i32.ne (memory.grow (i32.const 16384)) (i32.const -1))");
        let bed = Bed::new();
        bed.write_guest("guest", &guest.text());
        let mut trio = Trio::start_in(bed, "guest", "", &[("act", "params = {}")]);
        trio.misbehave(0);
        assert!(!trio.watch.answer("guest").failed, "1 GiB was given");
        let memory = trio.bad().memory_kib.unwrap_or(u64::MAX);
        println!("private memory after asking for 1 GiB: {memory} KiB");
        assert!(memory < 64 * 1024, "{memory} KiB");
        trio.finish();
    }

    #[test]
    fn many_memories_share_one_limit() {
        let memories = (1..12).map(|n| format!("(memory $m{n} 1904)")).collect::<String>();
        let guest = Guest { memory: format!(r#"(memory (export "memory") 1904) {memories}"#), ..Guest::default() };
        refused(&guest, "", &["guest.wasm", "bytes of memory asked for", "the limit is 134217728"]);
    }

    #[test]
    fn an_endless_loop_in_init_is_stopped_by_its_fuel() {
        let guest = Guest { init: LOOP.into(), ..Guest::default() };
        refused(&guest, "", &["guest.wasm", "its start was stopped", "fuel"]);
    }

    #[test]
    fn an_endless_loop_in_the_start_function_is_stopped_by_its_deadline() {
        let guest = Guest { more: format!("(func $start {LOOP}) (start $start)"), ..Guest::default() };
        refused(&guest, "fuel = 0\ntimeout_ms = 100", &["guest.wasm", "its start was stopped", "deadline"]);
    }

    #[test]
    fn sleeping_an_hour_in_init_is_stopped_by_the_deadline() {
        let guest = Guest { imports: IMPORT_POLL.into(), init: SLEEP.into(), ..Guest::default() };
        refused(&guest, "timeout_ms = 100", &["guest.wasm", "its start was stopped", "deadline"]);
    }

    #[test]
    fn metadata_of_four_gigabytes_are_refused_before_they_are_read() {
        let guest = Guest { init: "(return (i64.const 0x10FFFFFFFF))".into(), ..Guest::default() };
        refused(&guest, "", &["guest.wasm", "metadata"]);
    }

    #[test]
    fn what_a_guest_prints_goes_to_its_log_alone_and_it_is_given_no_arguments() {
        let guest = Guest {
            imports: r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))"#
                .into(),
            more: r#"(data (i32.const 4096) "forged line\n\1b[2J")"#.into(),
            init: "(i32.store (i32.const 1024) (i32.const 4096)) (i32.store (i32.const 1028) (i32.const 16))
                (drop (call $write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 2048)))
                (drop (call $write (i32.const 2) (i32.const 1024) (i32.const 1) (i32.const 2048)))"
                .into(),
            // the sum of what there is: arguments, variables
            ..Guest::executing(
                "(drop (call $args (i32.const 2048) (i32.const 2052))) (drop (call $env (i32.const 2056) (i32.const 2060)))
                (i32.add (i32.load (i32.const 2048)) (i32.load (i32.const 2056)))",
            )
        };
        let bed = Bed::new();
        bed.write_guest("guest", &guest.text());
        let mut trio = Trio::start_in(bed, "guest", "", &[("act", "params = {}")]);
        trio.misbehave(0);
        assert!(!trio.watch.answer("guest").failed, "it was given arguments or variables");
        let tail = trio.bad().log_tail;
        assert!(tail.iter().any(|line| line.contains("forged line")), "{tail:?}");
        assert!(tail.iter().all(|line| !line.contains('\x1b')), "{tail:?}");
        assert!(!trio.daemon.output_text().contains("forged line"));
        assert!(!trio.daemon.log_text().contains("forged line"));
        trio.finish();
    }

    /// Opens `path` in its data directory, makes it when `make`; its code is the error's number.
    fn opener(path: &str, make: bool) -> Guest {
        let (flags, rights) = if make { (1, 0x40) } else { (0, 0x2) };
        Guest {
            imports: r#"(import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"#
                .into(),
            more: format!(r#"(data (i32.const 4096) "{path}")"#),
            ..Guest::executing(format!(
                "(call $open (i32.const 3) (i32.const 0) (i32.const 4096) (i32.const {}) (i32.const {flags})
                    (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 2048))",
                path.len()
            ))
        }
    }

    #[test]
    fn one_guest_cannot_reach_the_files_of_another() {
        const ASKS: &str = "\n[[capabilities]]\ncapability = \"filesystem\"\nreason = \"to keep notes\"\n";
        let guests = [
            ("writer", opener("secret", true)),
            ("own", opener("secret", false)),
            ("same-name", opener("secret", false)),
            ("above", opener("../writer/secret", false)),
            ("absolute", opener("/writer/secret", false)),
            ("ungranted", opener("secret", true)),
        ];
        let bed = Bed::new();
        let mut config = Config::new();
        for (note, (id, guest)) in (0..).zip(&guests) {
            let code = wat::parse_str(guest.text()).expect("a guest");
            bed.write_plugin(id, "guest.wasm", &code, ASKS);
            let grants = if *id == "ungranted" { "grants = []" } else { "grants = [\"filesystem\"]" };
            config = config.plugin(id, grants).note(note, id, "act");
        }
        bed.configure(&config);
        let mut daemon = bed.start();
        guests.iter().for_each(|(id, _)| drop(daemon.wait_ready(id)));
        let watch = daemon.watch();
        let mut act = |note: u8, id: &str| {
            daemon.send(&midi::tap(note));
            watch.answer(id)
        };
        assert!(!act(0, "writer").failed, "it may write in its own directory");
        let data = bed.home().join("plugin-data");
        assert!(data.join("writer/secret").is_file());
        // positive control: what `own` finds at the same name is what lies in its own directory
        assert!(act(1, "own").failed);
        std::fs::write(data.join("own/secret"), "").expect("a file in its directory");
        assert!(!act(1, "own").failed);
        for (note, id) in [(2, "same-name"), (3, "above"), (4, "absolute"), (5, "ungranted")] {
            let answer = act(note, id);
            println!("{id}: {}", answer.outcome);
            assert!(answer.failed, "{id} opened it");
        }
        daemon.stop();
    }
}
