//! Every trigger ends in exactly one count, whatever happens to it.

use midimon::workers::status::{CallCounts, DropCounts, WorkerState};
use midimon_tests::trio::assert_counts;
use midimon_tests::{Bed, Config, Daemon, midi};
use std::fs;
use std::time::Duration;

fn bed(plugins: &[&str], config: &Config) -> Bed {
    let bed = Bed::new();
    for id in plugins {
        bed.install(id);
    }
    bed.configure(config);
    bed
}

fn settled(daemon: &Daemon, id: &str, received: u64) -> CallCounts {
    let settled = |counts: &CallCounts| counts.received == received && counts.in_flight == 0;
    daemon.wait_worker(id, "every trigger has an end", |worker| settled(&worker.calls)).calls
}

#[test]
fn a_full_queue_drops_and_counts_what_does_not_fit() {
    let config = Config::new().plugin("crashy", "queue_depth = 4\nmax_age_ms = 60000").note_with(
        60,
        "crashy",
        "slow",
        "params = { ms = 300 }",
    );
    let bed = bed(&["crashy"], &config);
    let mut daemon = bed.start();
    daemon.wait_ready("crashy");
    daemon.send(&midi::tap(60).repeat(10));
    let counts = settled(&daemon, "crashy", 10);
    let dropped = DropCounts { queue_full: 6, ..DropCounts::default() };
    assert_eq!(counts, CallCounts { received: 10, done: 4, dropped, ..CallCounts::default() });
    daemon.stop();
}

#[test]
fn what_waited_too_long_is_dropped_and_counted_not_played_late() {
    let config =
        Config::new().plugin("crashy", "max_age_ms = 200").note_with(60, "crashy", "slow", "params = { ms = 600 }");
    let bed = bed(&["crashy"], &config);
    let mut daemon = bed.start();
    daemon.wait_ready("crashy");
    daemon.send(&midi::tap(60).repeat(5));
    let counts = settled(&daemon, "crashy", 5);
    let dropped = DropCounts { too_old: 4, ..DropCounts::default() };
    assert_eq!(counts, CallCounts { received: 5, done: 1, dropped, ..CallCounts::default() });
    daemon.stop();
}

#[test]
fn a_release_too_old_or_over_the_queue_still_comes_when_its_press_did_and_not_otherwise() {
    let slow = "params = { ms = 600 }, on = \"both\"";
    for (settings, dropped) in [
        ("max_age_ms = 200", DropCounts { too_old: 2, ..DropCounts::default() }),
        ("max_age_ms = 60000\nqueue_depth = 1", DropCounts { queue_full: 2, ..DropCounts::default() }),
    ] {
        let config = Config::new()
            .plugin("crashy", settings)
            .note_with(60, "crashy", "slow", slow)
            .note_with(61, "crashy", "slow", slow);
        let bed = bed(&["crashy"], &config);
        let mut daemon = bed.start();
        daemon.wait_ready("crashy");
        daemon.send(&[midi::press(60), midi::press(61), midi::release(60), midi::release(61)].concat());
        let counts = settled(&daemon, "crashy", 4);
        assert_eq!(counts, CallCounts { received: 4, done: 2, dropped, ..CallCounts::default() }, "{settings}");
        daemon.stop();
    }
}

#[test]
fn after_a_crash_the_young_ones_that_waited_are_made_and_the_crashed_one_is_not_made_again() {
    let config =
        Config::new().plugin("crashy", "max_age_ms = 60000").note(60, "crashy", "segfault").note(61, "crashy", "ok");
    let bed = bed(&["crashy"], &config);
    let mut daemon = bed.start();
    daemon.wait_ready("crashy");
    daemon.send(&[&midi::tap(60)[..], &midi::tap(61).repeat(10)].concat());
    let counts = settled(&daemon, "crashy", 11);
    assert_eq!(counts, CallCounts { received: 11, done: 10, failed: 1, ..CallCounts::default() });
    assert_eq!(daemon.worker("crashy").restarts, 1);
    daemon.stop();
}

#[test]
fn a_mapping_that_goes_away_takes_its_waiting_calls_with_it_counted() {
    let settings = "max_age_ms = 600000\nbackoff_min_ms = 600000\nbackoff_max_ms = 600000";
    let config = Config::new().plugin("crashy", settings).note(60, "crashy", "segfault");
    let bed = bed(&["crashy"], &config.clone().note(61, "crashy", "ok"));
    let mut daemon = bed.start();
    let first = daemon.wait_ready("crashy");
    daemon.send(&midi::tap(60));
    daemon.wait_worker("crashy", "back", |worker| worker.state == WorkerState::Ready && worker.pid != first.pid);
    daemon.send(&midi::tap(60));
    daemon.wait_worker("crashy", "backing off", |worker| worker.state == WorkerState::Backoff);
    // nobody is there to write these to
    daemon.send(&midi::tap(61).repeat(3));
    daemon.wait_worker("crashy", "calls wait", |worker| worker.calls.in_flight == 3);
    bed.configure(&config);
    assert!(bed.run(&["reload"]).status.success());
    let counts = settled(&daemon, "crashy", 5);
    let dropped = DropCounts { config_changed: 3, ..DropCounts::default() };
    assert_eq!(counts, CallCounts { received: 5, failed: 2, dropped, ..CallCounts::default() });
    daemon.stop();
}

#[test]
fn at_full_speed_the_sum_holds_every_time_it_is_read() {
    const READS: u32 = 300;
    const CRASHES: u64 = 5;
    let both = "params = {}, on = \"both\"";
    let config = Config::new()
        .plugin("crashy", "crash_limit = 1000000\nbackoff_min_ms = 1\nbackoff_max_ms = 20")
        .note_with(1, "echo", "quiet", both)
        .note_with(2, "echo-wasm", "quiet", both)
        .note_with(3, "crashy", "ok", both)
        .note(4, "crashy", "segfault");
    let bed = bed(&["echo", "echo-wasm", "crashy"], &config);
    // mostly calls, and now and then a crash in the middle of them
    let notes = (0..2000_u32).map(|n| if n % 100 == 99 { 4 } else { u8::try_from(n % 3 + 1).expect("a note") });
    let events = notes.flat_map(|note| [(1, midi::press(note)), (0, midi::release(note))]);
    fs::write(bed.path("load.mid"), midi::file(events)).expect("a MIDI file");
    let file = format!("replay:{}", bed.path("load.mid").display());
    let daemon = bed.start_with(&["--input", &file, "--speed", "max", "--loop", "--log-level", "off"]);
    let (mut reads, mut in_flight) = (0, 0);
    let status = daemon.wait_status("read often enough, crashes included", |status| {
        status.workers.iter().for_each(assert_counts);
        reads += 1;
        in_flight += u32::from(status.workers.iter().any(|worker| worker.calls.in_flight > 0));
        reads >= READS && status.workers.iter().any(|worker| worker.restarts >= CRASHES)
    });
    let received = status.workers.iter().map(|worker| worker.calls.received).sum::<u64>();
    println!("read {reads} times, {in_flight} of them with calls in flight; {received} triggers in");
    for worker in &status.workers {
        println!("{}: {:?}, {} restarts", worker.id, worker.calls, worker.restarts);
        assert!(worker.calls.done > 0 && worker.calls.received > 1000, "{worker:?}");
    }
    assert!(in_flight > 0, "never read while something was under way");
    daemon.stop();
}

/// As `midimon replay` sees it: recorded speed, real workers, nothing lost.
fn recorded(id: &str) {
    const EVENTS: u32 = 10_000;
    // a machine that stalls for seconds loses nothing with the longest queue
    let config = Config::new()
        .plugin(id, "queue_depth = 4096\nmax_age_ms = 60000")
        .mapping("type = \"CC\", cc = 7", &format!("type = \"Plugin\", plugin = \"{id}\", action = \"quiet\""));
    let bed = bed(&[id], &config);
    let events = (0..EVENTS).map(|n| (10, midi::control(7, u8::try_from(n % 128).expect("a value"))));
    fs::write(bed.path("song.mid"), midi::file(events)).expect("a MIDI file");
    let file = bed.path("song.mid");
    let started = std::time::Instant::now();
    let replayed = bed.run(&["replay", file.to_str().expect("a path"), "--json", "--log-level", "warn"]);
    let took = started.elapsed();
    assert!(replayed.status.success(), "{replayed:?}");
    let status: midimon::control::model::Status = serde_json::from_slice(&replayed.stdout).expect("a status");
    let worker = status.workers.iter().find(|worker| worker.id.as_str() == id).expect("the plugin");
    println!("{id}: {:?} in {took:.1?}, latency {:?}", worker.calls, worker.latency);
    let all = u64::from(EVENTS);
    assert_eq!(worker.calls, CallCounts { received: all, done: all, ..CallCounts::default() });
    assert_eq!(status.engine.messages, all);
    assert!(took >= Duration::from_secs(10), "that was not the recorded speed: {took:?}");
}

#[test]
fn ten_thousand_events_at_recorded_speed_are_all_done_by_a_native_plugin() {
    recorded("echo");
}

#[test]
fn ten_thousand_events_at_recorded_speed_are_all_done_by_a_wasm_plugin() {
    recorded("echo-wasm");
}
