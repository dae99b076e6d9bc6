//! What many crashes, and the daemon's own death, leave behind: nothing.

use midimon::workers::status::WorkerState;
use midimon_tests::trio::assert_counts;
use midimon_tests::{Bed, Config, Daemon, Process, eventually, midi};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Ways to go, in turn; one of them fills the log first.
const WAYS: [(&str, &str); 6] = [
    ("segfault", "params = {}"),
    ("exit", "params = { code = 1 }"),
    ("garbage", "params = {}"),
    ("abort", "params = {}"),
    ("answer-twice", "params = {}"),
    ("sleep", "timeout_ms = 20"),
];
const WARM_UP: usize = 24;
const CRASHES: usize = 200;
/// Memory that the daemon may take meanwhile: allocators keep some, leaks of 200 crashes are more.
const MARGIN_KIB: u64 = 512;

fn crash(daemon: &mut Daemon, way: usize) {
    let before = daemon.wait_ready("crashy");
    daemon.send(&midi::tap(u8::try_from(way % WAYS.len()).expect("a note")));
    daemon.wait_worker("crashy", "it was replaced", |now| now.state == WorkerState::Ready && now.pid != before.pid);
}

#[test]
fn hundreds_of_crashes_in_a_row_leave_the_daemons_memory_and_descriptors_where_they_were() {
    let bed = Bed::new();
    bed.install("crashy");
    bed.install("echo");
    let settings = "crash_limit = 1000000\nbackoff_min_ms = 1\nbackoff_max_ms = 1";
    let mut config = Config::new().plugin("crashy", settings).note(100, "echo", "quiet");
    for (note, (action, keys)) in (0..).zip(WAYS) {
        config = config.note_with(note, "crashy", action, keys);
    }
    bed.configure(&config);
    let mut daemon = bed.start();
    (0..WARM_UP).for_each(|way| crash(&mut daemon, way));
    let (descriptors, memory) = (daemon.settled_descriptors(), daemon.process().private_kib());
    let threads = daemon.process().status_field("Threads");

    (0..CRASHES).for_each(|way| crash(&mut daemon, way));

    daemon.wait_descriptors(&descriptors);
    let after = daemon.process().private_kib();
    println!(
        "{CRASHES} crashes: daemon's private memory {memory} KiB, then {after} KiB; {} descriptors",
        descriptors.len()
    );
    assert!(after <= memory + MARGIN_KIB, "{memory} KiB, then {after} KiB");
    // those that answered questions wait for another one for a while
    eventually("no thread is left", || {
        let now = daemon.process().status_field("Threads");
        if now <= threads { Ok(()) } else { Err(format!("{now:?} instead of {threads:?}")) }
    });
    let worker = daemon.worker("crashy");
    assert_eq!(worker.restarts, (WARM_UP + CRASHES) as u64);
    assert_counts(&worker);
    let children = daemon.workers();
    assert!(children.len() == 2 && !children.iter().any(Process::is_zombie), "{children:?}");
    daemon.answers("echo", 100);
    daemon.stop();
}

#[test]
fn no_worker_outlives_a_killed_daemon_whatever_it_is_doing() {
    let bed = Bed::new();
    for id in ["echo", "echo-wasm", "crashy", "crashy-wasm"] {
        bed.install(id);
    }
    bed.install_as("echo", "stopped");
    let settings = "timeout_ms = 600000\nfuel = 0";
    let config = Config::new().plugin("crashy", settings).plugin("crashy-wasm", settings);
    bed.configure(&config.note(1, "crashy", "spin").note(2, "crashy-wasm", "sleep").note(3, "echo", "quiet"));
    let mut daemon = bed.start();
    for id in ["echo", "echo-wasm", "crashy", "crashy-wasm", "stopped"] {
        daemon.wait_ready(id);
    }
    daemon.send(&midi::tap(1));
    daemon.send(&midi::tap(2));
    for id in ["crashy", "crashy-wasm"] {
        daemon.wait_worker(id, "in its call", |worker| worker.state == WorkerState::Busy);
    }
    let stopped = daemon.worker("stopped").pid.expect("a worker");
    kill(Pid::from_raw(stopped), Signal::SIGSTOP).expect("a worker that runs");
    assert_eq!(daemon.workers().len(), 5);
    daemon.kill(); // looks for each of them

    // its socket and lock are in nobody's way
    let mut daemon = bed.start();
    daemon.wait_ready("echo");
    daemon.answers("echo", 3);
    daemon.stop();
}

#[test]
fn a_stop_ends_workers_that_do_not_want_to() {
    let bed = Bed::new();
    bed.install("echo");
    bed.install("crashy");
    bed.configure(&Config::new().plugin("crashy", "timeout_ms = 600000").note(1, "crashy", "spin"));
    let mut daemon = bed.start();
    daemon.wait_ready("crashy");
    daemon.wait_ready("echo");
    daemon.send(&midi::tap(1));
    daemon.wait_worker("crashy", "in its call", |worker| worker.state == WorkerState::Busy);
    daemon.stop(); // looks for each of them
}
