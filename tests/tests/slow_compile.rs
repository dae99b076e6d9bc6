//! A module that keeps the compiler busy keeps nobody else waiting.

use midimon_tests::compiler::COMPILING;
use midimon_tests::wait::within;
use midimon_tests::{Bed, Config, Daemon, Guest, HeldCompiler, Process, eventually};
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Few enough that it compiles, many enough that it takes its time.
const BLOCKS: usize = 20_000;

/// A loop of so many blocks that each of 200 variables depends on all the others.
fn slow() -> String {
    let variables = "(local i32)".repeat(200);
    let block = |n: usize| {
        let (a, b, c) = (n % 200, (n + 7) % 200, (n + 3) % 200);
        format!("(block (br_if 0 (local.get {a})) (local.set {b} (i32.add (local.get {c}) (i32.const {n}))))")
    };
    let blocks: String = (0..BLOCKS).map(block).collect();
    let more =
        format!("(func $big (result i32) {variables} (loop $again {blocks} (br_if $again (local.get 5))) local.get 1)");
    Guest { more, ..Guest::executing("call $big") }.text()
}

/// Compiled code that is kept, each file as it was written: a compiler that ends writes another.
fn kept(bed: &Bed) -> Vec<(PathBuf, u64)> {
    let Ok(entries) = fs::read_dir(bed.home().join("compiled")) else { return Vec::new() };
    let files = entries.map(|entry| entry.expect("an entry").path());
    files.map(|path| (path.clone(), fs::metadata(path).expect("a file").ino())).collect()
}

/// Waits until a plugin has a worker, and does something again and again meanwhile.
fn wait_compiled(daemon: &mut Daemon, id: &str, mut meanwhile: impl FnMut(&mut Daemon)) {
    within(COMPILING, &format!("{id} is compiled"), || {
        meanwhile(daemon);
        let status = daemon.status();
        let is_there = status.workers.iter().any(|worker| worker.id.as_str() == id);
        if is_there { Ok(()) } else { Err(format!("{:?}\n{}", status.problems, daemon.log_text())) }
    });
}

mod hostile {
    use super::*;

    #[test]
    fn a_module_that_takes_long_to_compile_delays_neither_start_nor_others_nor_reload_nor_stop() {
        let bed = Bed::new();
        bed.install("echo");
        bed.write_guest("a-slow-one", &slow());
        let config = Config::new().note(1, "echo", "quiet");
        bed.configure(&config);
        // an input without an end, as a device is; whoever waits for the compiler waits for ever
        let (daemon, held) = HeldCompiler::start(&bed, &["--input", "demo"], "a-slow-one");
        daemon.wait_ready("echo");
        daemon.wait_status("messages come in", |status| status.engine.messages > 0);
        assert!(held.is_awaited(&daemon.status()), "{}", daemon.log_text());
        let refused = daemon.restart_worker("a-slow-one").unwrap_err();
        assert!(refused.contains("not ready yet"), "{refused}");
        // a save and a SIGHUP are taken meanwhile
        let config = config.note(2, "echo", "quiet");
        bed.configure(&config);
        daemon.wait_status("the saved configuration counts", |status| status.config.mappings == 2);
        bed.configure(&config.note(3, "echo", "quiet"));
        daemon.signal(Signal::SIGHUP);
        daemon.wait_status("the configuration counts", |status| status.config.mappings == 3);
        assert!(held.is_awaited(&daemon.status()), "{}", daemon.log_text());
        let jobs: Vec<Process> = daemon.workers();
        daemon.stop();
        assert_eq!(kept(&bed), [], "the stop has waited for the compiler");
        eventually("the compiler is gone", || {
            if jobs.iter().any(Process::is_alive) { Err(format!("{jobs:?}")) } else { Ok(()) }
        });

        // and when it is given its time, it runs; a file would wait for it
        let started = Instant::now();
        let mut daemon = bed.start();
        wait_compiled(&mut daemon, "a-slow-one", |_| ());
        daemon.wait_ready("a-slow-one");
        println!("compiled and ready after {:.1?}", started.elapsed());
        assert_eq!(daemon.status().problems, [""; 0]);
        daemon.stop();
        let once = kept(&bed);
        assert_eq!(once.len(), 1, "{once:?}");
        // the next time it is there at once
        let started = Instant::now();
        let daemon = bed.start();
        daemon.wait_ready("a-slow-one");
        println!("from the cache: {:.1?}", started.elapsed());
        daemon.stop();
        assert_eq!(kept(&bed), once, "it was compiled again");
    }

    #[test]
    fn a_stop_and_a_reload_of_the_very_first_second_are_not_lost() {
        let bed = Bed::new();
        bed.write_guest("a-slow-one", &slow());
        bed.configure(&Config::new());
        // SIGHUP and SIGTERM while nothing else happens than compiling
        let (daemon, _held) = HeldCompiler::start(&bed, &["--input", "stdin"], "a-slow-one");
        daemon.signal(Signal::SIGHUP);
        daemon.stop();
        assert_eq!(kept(&bed), [], "the stop has waited for the compiler");
    }
}

/// What becomes of a plugin that the user disables meanwhile, and what `reload` tells.
#[test]
fn a_reload_tells_what_is_still_compiled_and_a_plugin_disabled_meanwhile_is_not_started() {
    let bed = Bed::new();
    bed.write_guest("a-slow-one", &slow());
    bed.configure(&Config::new());
    let (daemon, held) = HeldCompiler::start(&bed, &["--input", "stdin"], "a-slow-one");
    bed.configure(&Config::new().plugin("a-slow-one", "enabled = false"));
    let reloading = Instant::now();
    let output = bed.run(&["reload"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    // it has waited for the compiler for a while
    println!("told after {:.1?}: {text}", reloading.elapsed());
    assert!(text.contains("still compiling a-slow-one"), "{text}");
    assert!(held.is_awaited(&daemon.status()), "{}", daemon.log_text());
    held.resume();
    within(COMPILING, "it is compiled", || match daemon.status().problems {
        problems if problems.is_empty() => Ok(()),
        problems => Err(format!("{problems:?}\n{}", daemon.log_text())),
    });
    let workers = daemon.status().workers;
    assert!(workers.is_empty(), "{workers:?}");
    daemon.stop();
}

/// A component of a thousand functions, each of so many blocks, and each of which is called.
fn thousand(blocks: usize) -> String {
    let body = |n: usize| {
        let block = |k: usize| {
            let (a, b, c) = (k % 20, (k + 7) % 20, (k + n) % 20);
            format!("(block (br_if 0 (local.get {a})) (local.set {b} (i32.add (local.get {c}) (i32.const {k}))))")
        };
        let blocks: String = (0..blocks).map(block).collect();
        format!("(func $f{n} (result i32) {} {blocks} local.get 1)", "(local i32)".repeat(20))
    };
    let functions: String = (0..1000).map(body).collect();
    let calls: String = (0..1000).map(|n| format!("(drop (call $f{n}))")).collect();
    midimon_tests::guest::component(&functions, &calls)
}

#[test]
fn a_component_of_a_thousand_functions_is_compiled_while_every_pad_is_answered() {
    let bed = Bed::new();
    bed.install("echo");
    let config = Config::new().note(1, "echo", "quiet");
    bed.configure(&config);
    // notes from standard input wait until every plugin there is at the start is ready: it comes later
    let mut daemon = bed.start();
    daemon.answers("echo", 1);
    let held = HeldCompiler::add(&daemon, "a-slow-one", |id, number| {
        bed.write_guest(id, &thousand(60 + number));
    });
    // whoever waits for the compiler waits for ever
    for _ in 0..5 {
        daemon.answers("echo", 1);
        assert!(held.is_awaited(&daemon.status()), "{}", daemon.log_text());
    }
    let id = held.id().to_owned();
    bed.configure(&config.note(2, &id, "act"));
    daemon.wait_status("the saved configuration counts", |status| status.config.mappings == 2);
    held.resume();
    // and while it works
    let (resumed, mut longest) = (Instant::now(), Duration::ZERO);
    wait_compiled(&mut daemon, &id, |daemon| longest = longest.max(daemon.answers("echo", 1)));
    println!("compiled after {:.1?}, the slowest answer took {longest:.1?}", resumed.elapsed());
    daemon.wait_ready(&id);
    daemon.answers(&id, 2);
    assert_eq!(daemon.worker(&id).calls.failed, 0);
    daemon.stop();
}
