//! Back, back off, or stay away: what happens after a worker's end.

use midimon::workers::status::{WorkerState, WorkerStatus};
use midimon_tests::{Bed, Config, Daemon, midi};
use std::time::{Duration, Instant};

const CRASH: u8 = 60;
const OK: u8 = 61;

fn bed(settings: &str) -> Bed {
    let bed = Bed::new();
    bed.install("crashy");
    bed.install("echo");
    let config = Config::new().plugin("crashy", settings).note(CRASH, "crashy", "segfault").note(OK, "crashy", "ok");
    bed.configure(&config.note(70, "echo", "quiet"));
    bed
}

fn started(bed: &Bed) -> Daemon {
    let daemon = bed.start();
    daemon.wait_ready("crashy");
    daemon
}

/// Crashes it and waits until its end is known; how it was before.
fn crash(daemon: &mut Daemon) -> WorkerStatus {
    let before = daemon.worker("crashy");
    daemon.send(&midi::tap(CRASH));
    daemon.wait_worker("crashy", "it crashed", |worker| worker.calls.failed > before.calls.failed);
    before
}

#[test]
fn the_first_crash_restarts_at_once_and_the_second_waits_out_its_back_off() {
    // with a back-off longer than the test, waiting is seen and not guessed
    let bed = bed("backoff_min_ms = 600000\nbackoff_max_ms = 3600000");
    let mut daemon = started(&bed);
    let crashed = Instant::now();
    let before = crash(&mut daemon);
    let back = daemon.wait_restarted(&before);
    println!("first crash to ready again, as seen by status: {:.1?}", crashed.elapsed());
    assert_eq!(back.restarts, 1);
    daemon.answers("crashy", OK);

    crash(&mut daemon);
    let waiting = daemon.wait_worker("crashy", "backing off", |worker| worker.state == WorkerState::Backoff);
    assert!(waiting.reason.is_some_and(|reason| reason.contains("SIGSEGV")));
    assert_eq!((waiting.pid, waiting.restarts), (None, 1));
    // it does not answer, and what it is asked does not pile up
    daemon.send(&midi::tap(OK));
    daemon.wait_worker("crashy", "the call is given up", |worker| worker.calls.dropped.too_old == 1);

    let restarted = daemon.restart_worker("crashy").expect("a restart by hand ends the wait");
    assert_eq!(restarted.state, WorkerState::Ready);
    daemon.answers("crashy", OK);
    daemon.stop();
}

#[test]
fn too_many_crashes_quarantine_a_plugin_until_it_is_restarted_by_hand_even_over_daemons() {
    let bed = bed("backoff_min_ms = 1\nbackoff_max_ms = 2\ncrash_limit = 3");
    let mut daemon = started(&bed);
    for _ in 0..3 {
        let before = crash(&mut daemon);
        daemon.wait_restarted(&before);
    }
    crash(&mut daemon);
    let quarantined = daemon.wait_worker("crashy", "quarantined", |worker| worker.state == WorkerState::Quarantined);
    let reason = quarantined.reason.clone().unwrap_or_default();
    assert!(reason.contains("4 crashes in 60 s") && reason.contains("SIGSEGV"), "{reason}");
    assert_eq!((quarantined.pid, quarantined.restarts), (None, 3));
    daemon.send(&midi::tap(OK));
    daemon.wait_worker("crashy", "calls are refused", |worker| worker.calls.dropped.not_running == 1);
    // the others never noticed
    daemon.answers("echo", 70);
    daemon.stop();

    // another daemon remembers; so does a reload
    let mut daemon = bed.start();
    daemon.wait_ready("echo");
    for _ in 0..2 {
        let still = daemon.worker("crashy");
        assert_eq!((still.state, still.reason), (WorkerState::Quarantined, Some(reason.clone())));
        let reload = bed.run(&["reload"]);
        assert!(reload.status.success(), "{reload:?}");
    }
    let listed = bed.run(&["worker", "list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("quarantined"), "{listed:?}");

    let restart = bed.run(&["worker", "restart", "crashy"]);
    assert!(restart.status.success(), "{restart:?}");
    daemon.answers("crashy", OK);
    daemon.stop();

    // and lifted is lifted
    let mut daemon = started(&bed);
    daemon.answers("crashy", OK);
    daemon.stop();
}

#[test]
fn a_plugin_that_must_not_be_restarted_fails_at_its_first_crash() {
    let bed = bed("restart = \"never\"");
    let mut daemon = started(&bed);
    crash(&mut daemon);
    let failed = daemon.wait_worker("crashy", "failed", |worker| worker.state == WorkerState::Failed);
    assert!(failed.reason.is_some_and(|reason| reason.contains("killed by SIGSEGV")));
    assert_eq!(failed.restarts, 0);
    daemon.answers("echo", 70);
    daemon.stop();
}

#[test]
fn back_off_doubles_with_each_crash_in_a_row() {
    let bed = bed("backoff_min_ms = 100\nbackoff_max_ms = 400\ncrash_limit = 100");
    let mut daemon = started(&bed);
    let mut waits = Vec::new();
    for _ in 0..5 {
        // before the crash, so that a late look makes it no shorter
        let asked = Instant::now();
        let before = crash(&mut daemon);
        daemon.wait_restarted(&before);
        waits.push(asked.elapsed());
    }
    println!("from the note that crashes it to ready again: {waits:.0?}");
    // jitter takes a quarter at most; the upper ends are the machine's business
    let at_least = [0, 75, 150, 300, 300].map(Duration::from_millis);
    for (crash, (wait, least)) in waits.iter().zip(at_least).enumerate() {
        assert!(*wait >= least, "crash {crash}: {waits:?}");
    }
    assert_eq!(daemon.worker("crashy").restarts, 5);
    daemon.stop();
}
