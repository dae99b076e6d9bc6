//! Ten hostile plugins at once, each flat out in its own way, beside an honest one that is played
//! all the while: it is never restarted, and no trigger of anybody is lost without being counted.

use crate::support::Libraries;
use midimon_tests::trio::assert_counts;
use midimon_tests::{Bed, Config, eventually, midi};
use std::time::{Duration, Instant};

/// Triggers of the honest plugin, and of each hostile one.
const TRIGGERS: u64 = 300;
const HONEST: u8 = 100;

#[test]
fn hostile_070_ten_flat_out_at_once_and_an_honest_plugin_loses_nothing() {
    let asks = "\n[[capabilities]]\ncapability = \"filesystem\"\nreason = \"to fill it\"\n";
    // two of each: processor, memory, log, events, disk; and what ends again and again
    let crowd: [(&str, u8, &str); 10] = [
        ("spin_idle", b'h', ""),
        ("hang", b'h', "spin"),
        ("take_memory", b'h', "mmap"),
        ("take_memory", b'h', "malloc"),
        ("log_flood", b'h', ""),
        ("write_fd", b'h', "4 1 ffffffff"),
        ("write_fd", b'h', "5 50 ffffffff"),
        ("fill_disk", b'h', ""),
        ("exit_at_load", b'c', "3"),
        ("signal", b'h', "parent 0"),
    ];
    let bed = Bed::new();
    bed.install("echo");
    let mut config =
        Config::new().plugin("echo", "queue_depth = 512\nmax_age_ms = 60000").note(HONEST, "echo", "quiet");
    let ids: Vec<String> =
        (0..).zip(&crowd).map(|(n, (name, ..))| format!("bad-{n}-{}", name.replace('_', "-"))).collect();
    for ((note, (name, mode, input)), id) in (0..).zip(&crowd).zip(&ids) {
        bed.write_plugin(id, "case.so", &Libraries::get().patched(name, *mode, input), asks);
        // quick deadlines and restarts, so that they come back to do it again
        let settings =
            "grants = [\"filesystem\"]\ntimeout_ms = 200\nbackoff_min_ms = 1\nbackoff_max_ms = 20\ncrash_limit = 1000";
        config = config.plugin(id, settings).note(note, id, "act");
    }
    bed.configure(&config);
    let mut daemon = bed.start();
    let honest = daemon.wait_ready("echo");
    let mut slowest = Duration::ZERO;
    for round in 1..=TRIGGERS {
        (0..10_u8).for_each(|note| daemon.send(&midi::tap(note)));
        let started = Instant::now();
        daemon.send(&midi::tap(HONEST));
        // one in ten is waited for, the others come as fast as the daemon takes them
        if round % 10 == 0 {
            daemon.wait_worker("echo", "its answers", |echo| echo.calls.done == round);
            slowest = slowest.max(started.elapsed());
        }
    }
    let echo = daemon.wait_worker("echo", "all its answers", |echo| echo.calls.done == TRIGGERS);
    assert_eq!((echo.pid, echo.restarts), (honest.pid, 0), "{echo:#?}");
    assert_eq!((echo.calls.received, echo.calls.dropped.total()), (TRIGGERS, 0), "{:?}", echo.calls);
    let (mut ends, mut received) = (0, 0);
    for id in &ids {
        let worker = eventually("every trigger is accounted for", || {
            let worker = daemon.worker(id);
            if worker.calls.received == TRIGGERS { Ok(worker) } else { Err(format!("{worker:#?}")) }
        });
        assert_counts(&worker);
        received += worker.calls.received;
        ends += worker.restarts;
    }
    println!("{received} hostile triggers, {ends} restarts of hostile plugins; echo's slowest answer {slowest:.1?}");
    assert!(ends > 10, "they did no harm: {ends} restarts");
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    daemon.stop(); // looks that no process is left
}
