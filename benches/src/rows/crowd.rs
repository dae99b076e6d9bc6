//! An honest plugin beside ten hostile ones that do harm as fast as they can: the real daemon, fed over its
//! standard input.

use crate::report::Bar;
use crate::{Effort, Result};
use midimon::workers::status::WorkerStatus;
use midimon_tests::{Bed, Config, midi};
use std::time::{Duration, Instant};

/// Taps of the honest plugin, from one to the next.
const GAP: Duration = Duration::from_millis(2);
const TAPS: usize = 4000;
/// After so many of those, every hostile plugin is called again: by then it was ended for the last call.
const CALLED_EVERY: usize = 100;
const HONEST: u8 = 100;
const WAYS: [&str; 10] = ["spin", "spin", "memory", "memory", "log", "log", "events", "events", "disk", "crash"];

pub fn measure(effort: Effort) -> Result<Vec<Bar>> {
    let alone = play(effort.of(TAPS), &[])?;
    let beside = play(effort.of(TAPS), &WAYS)?;
    let name = "an honest plugin beside ten hostile ones, MIDI bytes in to acknowledged, p99";
    let note = format!(
        "alone {} µs; p50 {} µs beside, {} alone; {} dropped and counted, never restarted",
        alone.latency.p99_us,
        beside.latency.p50_us,
        alone.latency.p50_us,
        beside.calls.dropped.total()
    );
    Ok(vec![Bar::comparison(name, beside.latency.p99_us as f64, "µs").note(note)])
}

/// Plays the honest plugin beside these, and tells how it did.
fn play(taps: usize, ways: &[&str]) -> Result<WorkerStatus> {
    let bed = Bed::new();
    bed.install("echo");
    let settings = "queue_depth = 1024\nmax_age_ms = 60000\ncpu_percent = 0";
    let mut config = Config::new().plugin("echo", settings).note(HONEST, "echo", "quiet");
    for (note, way) in (1..).zip(ways) {
        let id = format!("bad-{note}");
        bed.install_as("flat-out", &id);
        let settings = "grants = [\"filesystem\"]\ncpu_percent = 0\ntimeout_ms = 150\nbackoff_min_ms = 1\n\
                        backoff_max_ms = 20\ncrash_limit = 100000";
        config = config.plugin(&id, settings).note(note, &id, way);
    }
    bed.configure(&config);
    let mut daemon = bed.start();
    let before = daemon.wait_ready("echo");
    let mut next = Instant::now();
    for tap in 0..taps {
        if tap % CALLED_EVERY == 0 {
            (1..).zip(ways).for_each(|(note, _)| daemon.send(&midi::tap(note)));
        }
        daemon.send(&midi::tap(HONEST));
        next += GAP;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let honest = daemon.wait_worker("echo", "its answers", |echo| echo.calls.in_flight == 0);
    let harm: u64 = daemon.status().workers.iter().map(|worker| worker.restarts).sum();
    daemon.stop();
    if honest.pid != before.pid || honest.restarts > 0 {
        return Err("the honest plugin was restarted".into());
    }
    let counts = honest.calls;
    if counts.received != taps as u64 || counts.done + counts.dropped.total() != counts.received {
        return Err(format!("triggers were lost uncounted: {counts:?}").into());
    }
    if !ways.is_empty() && harm == 0 {
        return Err("the hostile plugins did no harm".into());
    }
    Ok(honest)
}
