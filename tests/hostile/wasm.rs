//! WASM guests: entries 17, 18 and 56 to 64 of the catalogue. Beside each stands the same guest
//! with a number it may use.

use midimon::workers::status::{WorkerState, WorkerStatus};
use midimon_shared::sandbox::{Layer, LayerState};
use midimon_tests::compiler::COMPILING;
use midimon_tests::wait::within;
use midimon_tests::watch::Answer;
use midimon_tests::{Bed, Config, Guest, HeldCompiler, Trio};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

const ASKS: &str = "\n[[capabilities]]\ncapability = \"filesystem\"\nreason = \"to keep notes\"\n";
const GRANTED: &str = "grants = [\"filesystem\"]";

/// One call of a guest; its worker must live on as it was.
fn call(guest: &Guest, settings: &str) -> (Answer, WorkerStatus) {
    let bed = Bed::new();
    let code = wat::parse_str(guest.text()).unwrap_or_else(|error| panic!("{error}\n{}", guest.text()));
    bed.write_plugin("guest", "guest.wasm", &code, ASKS);
    let mut trio = Trio::start_in(bed, "guest", settings, &[("act", "params = {}")]);
    let before = trio.bad();
    trio.misbehave(0);
    let answer = trio.watch.answer("guest");
    println!("{answer:?}");
    let after = trio.until("its answer is counted", |guest| guest.calls.in_flight == 0);
    assert_eq!((after.pid, after.restarts), (before.pid, 0), "{after:#?}");
    trio.finish();
    (answer, after)
}

/// The guest's call is stopped, and what stopped it contains this.
fn stopped(guest: &Guest, settings: &str, by: &str) {
    let (answer, _) = call(guest, settings);
    assert!(answer.failed && answer.outcome.contains(by), "{answer:?}, not '{by}'");
}

fn works(guest: &Guest) {
    let (answer, _) = call(guest, "");
    assert!(!answer.failed, "{answer:?}");
}

/// Opens a path from its first directory, to read; its code is WASI's error number.
fn opener(path: &str) -> Guest {
    Guest {
        imports: r#"(import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"#
            .into(),
        more: format!(r#"(data (i32.const 4096) "{path}")"#),
        ..Guest::executing(format!(
            "(call $open (i32.const 3) (i32.const 1) (i32.const 4096) (i32.const {}) (i32.const 0)
                (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 2048))",
            path.len()
        ))
    }
}

#[test]
fn hostile_017_and_018_no_path_leads_out_of_the_data_directory() {
    let bed = Bed::new();
    let secret = bed.path("secret");
    fs::write(&secret, "the user's").expect("a file");
    let paths = [
        "own",
        "../../../secret",
        "/etc/passwd",
        "sub/../../other/own",
        "link",
        "linked/passwd",
        "own/../../../secret",
    ];
    let mut config = Config::new();
    for (note, path) in (1..).zip(paths) {
        let id = format!("guest-{note}");
        bed.write_plugin(&id, "guest.wasm", &wat::parse_str(opener(path).text()).expect("a guest"), ASKS);
        config = config.plugin(&id, GRANTED).note(note, &id, "act");
    }
    bed.configure(&config);
    let mut daemon = bed.start();
    let watch = daemon.watch();
    for (note, path) in (1..).zip(paths) {
        let id = format!("guest-{note}");
        daemon.wait_ready(&id);
        let data = bed.home().join("plugin-data").join(&id);
        fs::write(data.join("own"), "its own").expect("a file");
        fs::create_dir(data.join("sub")).expect("a folder");
        // planted from outside: it could not do it itself
        symlink(&secret, data.join("link")).expect("a symlink");
        symlink("/etc", data.join("linked")).expect("a symlink");
        daemon.send(&midimon_tests::midi::tap(note));
        let answer = watch.answer(&id);
        assert_eq!(answer.failed, path != "own", "{path}: {answer:?}");
    }
    daemon.stop();
}

#[test]
fn hostile_056_memory_ends_at_the_limit_and_tables_too() {
    let grow = |pages: i32| Guest::executing(format!("(i32.eq (memory.grow (i32.const {pages})) (i32.const -1))"));
    let table = |elements: i32| Guest {
        more: "(table $t 1 funcref)".into(),
        ..Guest::executing(format!("(i32.eq (table.grow $t (ref.null func) (i32.const {elements})) (i32.const -1))"))
    };
    works(&grow(16));
    stopped(&grow(65_000), "", "error 1");
    works(&table(1000));
    stopped(&table(100_000_000), "fuel = 0", "error 1");
}

#[test]
fn hostile_057_recursion_ends_at_the_stacks_limit() {
    let recurse = |depth: i32| Guest {
        more: "(func $down (param i32) (result i32)
            (if (result i32) (local.get 0)
                (then (i32.mul (call $down (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
                (else (i32.const 0))))"
            .into(),
        ..Guest::executing(format!("(call $down (i32.const {depth}))"))
    };
    works(&recurse(100));
    stopped(&recurse(50_000_000), "fuel = 0", "stack");
}

/// Modules that are small to write and large to compile: other plugins run meanwhile, and it ends.
#[test]
fn hostile_058_a_compile_bomb_ends_and_holds_up_nobody() {
    let body = |steps: usize| {
        let step =
            "(local.set $x (i64.add (i64.mul (local.get $x) (i64.const 31)) (i64.rotl (local.get $x) (i64.const 7))))";
        Guest {
            more: format!("(func $work (result i64) (local $x i64) {} (local.get $x))", step.repeat(steps)),
            ..Guest::executing("(drop (call $work)) i32.const 0")
        }
    };
    works(&body(10));
    let bed = Bed::new();
    bed.install("echo");
    bed.configure(&Config::new().note(1, "echo", "quiet"));
    // notes from standard input wait until every plugin there is at the start is ready: it comes later
    let mut daemon = bed.start();
    daemon.answers("echo", 1);
    let held = HeldCompiler::add(&daemon, "bomb", |id, number| {
        bed.write_guest(id, &body(200_000 + number).text());
    });
    // it would never end, and they are answered
    for _ in 0..5 {
        daemon.answers("echo", 1);
        assert!(held.is_awaited(&daemon.status()), "{}", daemon.log_text());
    }
    let id = held.id().to_owned();
    held.resume();
    // and while it works
    let (resumed, mut slowest) = (Instant::now(), Duration::ZERO);
    let end = within(COMPILING, "it is compiled or refused", || {
        slowest = slowest.max(daemon.answers("echo", 1));
        let status = daemon.status();
        let refused = status.problems.into_iter().find(|problem| problem.starts_with(&format!("plugin {id}: ")));
        let bomb = status.workers.into_iter().find(|worker| worker.id.as_str() == id);
        let bomb = bomb.filter(|bomb| matches!(bomb.state, WorkerState::Ready | WorkerState::Failed));
        refused.or(bomb.map(|bomb| format!("{:?} {:?}", bomb.state, bomb.reason))).ok_or_else(|| daemon.log_text())
    });
    println!("after {:.1?}: {end}; echo's slowest answer took {slowest:.1?}", resumed.elapsed());
    daemon.stop();
}

#[test]
fn hostile_059_a_start_function_that_never_ends_is_stopped() {
    let start = |body: &str| Guest { more: format!("(func $start {body}) (start $start)"), ..Guest::default() };
    works(&start("nop"));
    let bed = Bed::new();
    bed.install("echo");
    bed.write_guest("guest", &start("(loop $again (br $again))").text());
    bed.configure(&Config::new().plugin("guest", "fuel = 0\ntimeout_ms = 100").note(1, "echo", "quiet"));
    let mut daemon = bed.start();
    daemon.wait_ready("echo");
    let guest = daemon.wait_worker("guest", "refused", |guest| guest.state == WorkerState::Failed);
    assert!(guest.reason.is_some_and(|reason| reason.contains("deadline")));
    daemon.answers("echo", 1);
    daemon.stop();
}

#[test]
fn hostile_060_a_wait_inside_the_host_ends_at_the_deadline() {
    let sleep = |nanoseconds: i64| Guest {
        imports: r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))"#
            .into(),
        ..Guest::executing(format!(
            "(i32.store (i32.const 1040) (i32.const 1)) (i64.store (i32.const 1048) (i64.const {nanoseconds}))
            (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 3000))"
        ))
    };
    works(&sleep(1_000_000));
    stopped(&sleep(3_600_000_000_000), "timeout_ms = 200", "deadline");
}

/// A hole in the runtime would lead into the same sandbox as a native plugin's.
#[test]
fn hostile_061_a_guests_process_is_as_closed_as_a_native_plugins() {
    let bed = Bed::new();
    bed.install("echo");
    bed.write_guest("guest", &Guest::default().text());
    bed.configure(&Config::new().note(1, "guest", "act"));
    let daemon = bed.start();
    for id in ["echo", "guest"] {
        let worker = daemon.wait_ready(id);
        for layer in Layer::ALL.into_iter().filter(|layer| layer.is_baseline()) {
            let report = worker.layers.iter().find(|report| report.layer == layer);
            assert!(report.is_some_and(|report| report.state != LayerState::Unavailable), "{id}: {layer}: {report:?}");
        }
        let status =
            fs::read_to_string(format!("/proc/{}/status", worker.pid.expect("its process"))).expect("its status");
        let filters = status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:")).map(str::trim);
        assert_eq!(filters, Some("2"), "{id}: {status}");
    }
    daemon.stop();
}

#[test]
fn hostile_061_damaged_modules_are_refused_or_run_and_the_daemon_lives() {
    let good = wat::parse_str(Guest::default().text()).expect("a guest");
    let bed = Bed::new();
    bed.install("echo");
    let mut config = Config::new().note(1, "echo", "quiet");
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    for n in 0..24 {
        let mut code = good.clone();
        for _ in 0..=n % 4 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // behind the magic number, which decides what the file is taken for
            let place = 8 + usize::try_from(random >> 8).expect("64 bits") % (code.len() - 8);
            code[place] = random.to_le_bytes()[0];
        }
        let id = format!("damaged-{n}");
        bed.write_plugin(&id, "guest.wasm", &code, "");
        config = config.plugin(&id, "timeout_ms = 500\nrestart = \"never\"");
    }
    bed.configure(&config);
    let mut daemon = bed.start();
    daemon.wait_ready("echo");
    let status = daemon.wait_status("each is settled", |status| {
        let settled = |worker: &WorkerStatus| matches!(worker.state, WorkerState::Ready | WorkerState::Failed);
        // what cannot be compiled is a complaint and no worker
        status.workers.len() + status.problems.len() == 25 && status.workers.iter().all(settled)
    });
    println!("{} of 24 were refused", status.problems.len());
    assert!(!status.problems.is_empty());
    daemon.answers("echo", 1);
    daemon.stop();
}

#[test]
fn hostile_062_a_poisoned_cache_is_not_believed() {
    let bed = Bed::new();
    bed.write_guest("guest", &Guest::default().text());
    bed.write_guest("other", &Guest::executing("i32.const 7").text());
    bed.configure(&Config::new().note(1, "guest", "act").note(2, "other", "act"));
    let files = || {
        let mut found = Vec::new();
        let mut rest = vec![bed.home().join("compiled")];
        while let Some(path) = rest.pop() {
            let meta = fs::symlink_metadata(&path).expect("its metadata");
            assert_eq!(meta.permissions().mode() & 0o077, 0, "{} is open to others", path.display());
            if meta.is_dir() {
                rest.extend(fs::read_dir(&path).expect("a folder").flatten().map(|entry| entry.path()));
            } else if meta.len() > 1000 {
                found.push(path);
            }
        }
        found.sort();
        found
    };
    let daemon = bed.start();
    daemon.wait_ready("guest");
    daemon.wait_ready("other");
    daemon.stop();
    let cached = files();
    assert_eq!(cached.len(), 2, "{cached:?}");
    // the control: what was not touched is used as it is
    let stamp = |path: &std::path::PathBuf| fs::read(path).expect("an artifact");
    let (first, second) = (stamp(&cached[0]), stamp(&cached[1]));
    let mut daemon = bed.start();
    daemon.wait_ready("guest");
    daemon.answers("guest", 1);
    daemon.stop();
    assert_eq!((stamp(&cached[0]), stamp(&cached[1])), (first.clone(), second.clone()));
    // one is another's, the other is its own with a byte changed
    let mut changed = second.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 0x55;
    fs::write(&cached[0], &second).expect("the cache");
    fs::write(&cached[1], &changed).expect("the cache");
    let mut daemon = bed.start();
    daemon.wait_ready("guest");
    daemon.wait_ready("other");
    let watch = daemon.watch();
    daemon.send(&midimon_tests::midi::tap(1));
    assert!(!watch.answer("guest").failed);
    daemon.send(&midimon_tests::midi::tap(2));
    assert!(watch.answer("other").outcome.contains("error 7"));
    daemon.stop();
    assert_ne!(stamp(&cached[1]), changed, "the poisoned artifact is still there");
}

#[test]
fn hostile_063_pointers_out_of_memory_are_refused_by_every_host_function() {
    let write = |pointer: i64| Guest {
        imports: r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))"#
            .into(),
        ..Guest::executing(format!(
            "(i32.store (i32.const 1024) (i32.const {pointer})) (i32.store (i32.const 1028) (i32.const 16))
            (i32.or (i32.or (call $write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 2048))
                (call $random (i32.const {pointer}) (i32.const 16)))
                (call $clock (i32.const 1) (i64.const 0) (i32.const {pointer})))"
        ))
    };
    works(&write(4096));
    for pointer in [131_064, 0x7FFF_FFF0, 0xFFFF_FFF8_u32.into(), -1] {
        let (answer, _) = call(&write(pointer), "");
        assert!(answer.failed, "{pointer:#x}: {answer:?}");
    }
}

#[test]
fn hostile_063_a_length_of_four_gigabytes_costs_nothing() {
    let random = |length: i64| Guest {
        imports: r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#.into(),
        ..Guest::executing(format!("(call $random (i32.const 4096) (i32.const {length}))"))
    };
    works(&random(64));
    let (answer, after) = call(&random(-1), "");
    assert!(answer.failed, "{answer:?}");
    assert!(after.memory_kib.is_some_and(|kib| kib < 64 * 1024), "{:?}", after.memory_kib);
}

#[test]
fn hostile_064_an_exit_fails_its_call_alone_and_floods_end() {
    let exit = Guest {
        imports: r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#.into(),
        ..Guest::executing("(call $exit (i32.const 0)) i32.const 0")
    };
    stopped(&exit, "", "");
    let flood = |times: i64| Guest {
        imports: r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))"#
            .into(),
        ..Guest::executing(format!(
            "(local $n i64) (local.set $n (i64.const {times}))
            (loop $again (drop (call $random (i32.const 8192) (i32.const 65536)))
                (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 3000)))
                (local.set $n (i64.sub (local.get $n) (i64.const 1)))
                (br_if $again (i64.ne (local.get $n) (i64.const 0)))) i32.const 0"
        ))
    };
    works(&flood(10));
    stopped(&flood(1_000_000_000), "timeout_ms = 300\nfuel = 0", "deadline");
}
