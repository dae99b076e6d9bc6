//! A guest of the old interface leaks what its `alloc` gave, on every call, for ever.

use midimon::workers::status::CallCounts;
use midimon_tests::{Bed, Config, midi};
use std::time::Instant;

const TRIGGERS: u64 = 1_000_000;
/// Never more unanswered than the queue holds.
const WINDOW: u64 = 4_000;

#[test]
fn a_million_triggers_through_a_leaking_guest_all_succeed_in_bounded_memory() {
    let bed = Bed::new();
    bed.install("leaky-wasm");
    let config = Config::new()
        .plugin("leaky-wasm", "queue_depth = 4096\nmax_age_ms = 600000\ncpu_percent = 0")
        .mapping("type = \"CC\", cc = 7", "type = \"Plugin\", plugin = \"leaky-wasm\", action = \"leak\"");
    bed.configure(&config);
    let mut daemon = bed.start();
    daemon.wait_ready("leaky-wasm");
    let window: Vec<u8> = (0..WINDOW).flat_map(|n| midi::control(7, (n % 128) as u8)).collect();
    let (started, mut peak_kib, mut daemon_kib) = (Instant::now(), 0, Vec::new());
    for round in 1..=TRIGGERS / WINDOW {
        daemon.send(&window);
        let worker = daemon.wait_worker("leaky-wasm", "the window is answered", |worker| {
            worker.calls.received == round * WINDOW && worker.calls.in_flight == 0
        });
        peak_kib = worker.memory_kib.unwrap_or(0).max(peak_kib);
        daemon_kib.push(daemon.process().private_kib());
    }
    let took = started.elapsed();
    let worker = daemon.worker("leaky-wasm");
    println!(
        "{TRIGGERS} triggers in {took:.1?} ({:.0}/s), worker's private memory at most {peak_kib} KiB, daemon's {} KiB then {} KiB",
        TRIGGERS as f64 / took.as_secs_f64(),
        daemon_kib[daemon_kib.len() / 10],
        daemon_kib[daemon_kib.len() - 1],
    );
    assert_eq!(worker.calls, CallCounts { received: TRIGGERS, done: TRIGGERS, ..CallCounts::default() });
    assert_eq!(worker.restarts, 0);
    // each request has about 100 bytes: 100 MB are leaked, 4 MiB at a time
    assert!(peak_kib < 32 * 1024, "{peak_kib} KiB");
    let flat = daemon_kib[daemon_kib.len() - 1].saturating_sub(daemon_kib[daemon_kib.len() / 10]);
    assert!(flat < 512, "the daemon took {flat} KiB more: {daemon_kib:?}");
    daemon.stop();
}
