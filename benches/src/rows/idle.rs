//! The daemon when nobody plays: the real one, with ten workers.

use crate::machine::{Activity, activity};
use crate::report::{Bar, Reach};
use crate::{Effort, Result};
use midimon_tests::{Bed, Config, Process};
use std::time::{Duration, Instant};

/// Until everything that was used is at rest.
const REST: Duration = Duration::from_secs(4);

pub fn measure(effort: Effort) -> Result<Vec<Bar>> {
    let bed = Bed::new();
    let mut config = Config::new();
    let ids: Vec<String> = (0..10).map(|number| format!("idle-{number}")).collect();
    for (id, note) in ids.iter().zip(60..) {
        let kind = if note % 2 == 0 { "echo" } else { "echo-wasm" };
        bed.install_as(kind, id);
        config = config.note(note, id, "quiet");
    }
    bed.configure(&config);
    let mut daemon = bed.start();
    for (id, note) in ids.iter().zip(60..) {
        daemon.wait_ready(id);
        daemon.answers(id, note);
    }
    std::thread::sleep(REST);

    let processes: Vec<Process> = [daemon.process()].into_iter().chain(daemon.workers()).collect();
    let look = || processes.iter().map(|process| activity(process.pid)).collect::<Result<Vec<Activity>>>();
    let (started, before) = (Instant::now(), look()?);
    // a whole round of pings
    std::thread::sleep(Duration::from_secs(effort.of(20) as u64));
    let (seconds, after) = (started.elapsed().as_secs_f64(), look()?);
    daemon.stop();

    let spent: Vec<(f64, f64)> = before
        .iter()
        .zip(&after)
        .map(|(before, after)| {
            let busy = (after.busy_ns - before.busy_ns) as f64 / 1e9 / seconds;
            (busy * 100.0, (after.wakeups - before.wakeups) as f64 / seconds)
        })
        .collect();
    let (processor, most) =
        spent.iter().fold((0.0, 0.0_f64), |(sum, most), (busy, woken)| (sum + busy, most.max(*woken)));
    let note = format!("the daemon alone {:.4} %, {:.2} wake-ups/s", spent[0].0, spent[0].1);
    Ok(vec![
        Bar::new("idle daemon and its 10 workers, processor", processor, "% of a core", Reach::AtMost(0.1)).note(note),
        Bar::new("idle daemon and its 10 workers, the one that wakes most", most, "/s", Reach::AtMost(1.0)),
    ])
}
