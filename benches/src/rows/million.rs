//! What the supervisor keeps in memory after a million triggers for ten plugins:
//! the real daemon, fed over its standard input.

use crate::report::{Bar, Reach};
use crate::{Effort, Result};
use midimon_tests::{Bed, Config, Daemon};
use std::time::{Duration, Instant};

const PLUGINS: u8 = 10;
/// Triggers for each plugin at once; well within its queue.
const EACH: usize = 10;
const BURST_EVERY: Duration = Duration::from_millis(1);
/// What is still called flat, in KiB: the allocator's own page or so.
const FLAT: f64 = 256.0;

pub fn measure(effort: Effort) -> Result<Vec<Bar>> {
    let bed = Bed::new();
    let mut config = Config::new();
    for number in 0..PLUGINS {
        let id = format!("plugin-{number}");
        bed.install_as(if number % 2 == 0 { "echo" } else { "echo-wasm" }, &id);
        let action = format!(r#"type = "Plugin", plugin = "{id}", action = "quiet""#);
        config = config.mapping(&format!(r#"type = "CC", cc = {}"#, number + 1), &action);
    }
    bed.configure(&config);
    let mut daemon = bed.start();
    for number in 0..PLUGINS {
        daemon.wait_ready(&format!("plugin-{number}"));
    }

    let total = effort.of(1_000_000);
    play(&mut daemon, total / 10);
    let early = resident(&daemon)?;
    play(&mut daemon, total - total / 10);
    let late = resident(&daemon)?;
    let calls: Vec<_> = daemon.status().workers.into_iter().map(|worker| worker.calls).collect();
    daemon.stop();
    let done: u64 = calls.iter().map(|calls| calls.done).sum();
    let dropped: u64 = calls.iter().map(|calls| calls.dropped.total()).sum();
    if done + dropped != total as u64 {
        return Err(format!("{done} done and {dropped} dropped of {total}").into());
    }
    let name = format!("supervisor with {PLUGINS} plugins after {total} triggers");
    Ok(vec![
        Bar::new(format!("{name}, RSS"), late / 1024.0, "MiB", Reach::AtMost(12.0))
            .note(format!("{done} done, {dropped} dropped for a full queue")),
        Bar::new(format!("{name}, growth since a tenth"), late - early, "KiB", Reach::AtMost(FLAT)),
    ])
}

/// Plays about so many triggers, for all plugins in turn, and waits for their answers.
fn play(daemon: &mut Daemon, triggers: usize) {
    let burst: Vec<u8> = (0..EACH).flat_map(|_| (1..=PLUGINS).flat_map(|cc| [0xB0, cc, 64])).collect();
    let mut next = Instant::now();
    for _ in 0..triggers / (EACH * usize::from(PLUGINS)) {
        daemon.send(&burst);
        next += BURST_EVERY;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let mut before = 0;
    daemon.wait_status("every trigger answered", |status| {
        let at_rest =
            status.engine.messages == before && status.workers.iter().all(|worker| worker.calls.in_flight == 0);
        before = status.engine.messages;
        at_rest
    });
}

fn resident(daemon: &Daemon) -> Result<f64> {
    let kib = daemon.process().status_field("VmRSS").ok_or("the daemon's memory cannot be read")?;
    Ok(kib as f64)
}
