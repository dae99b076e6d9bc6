//! A configuration of 1,000 mappings replaced while 1,000 events a second come in:
//! the real daemon, asked over its control socket, fed over its standard input.

use crate::report::{Bar, Reach};
use crate::stats::{median, quantile};
use crate::{Effort, Result};
use midimon::control::client::Client;
use midimon::control::model::ReloadReport;
use midimon::control::protocol::Request;
use midimon::home::Home;
use midimon_tests::Bed;
use std::time::{Duration, Instant};

const EVENT_EVERY: Duration = Duration::from_millis(1);
/// Between reloads; the watched file's own reload falls into it.
const RELOAD_EVERY: Duration = Duration::from_millis(600);
const MAPPINGS: usize = 1000;

pub fn measure(effort: Effort) -> Result<Vec<Bar>> {
    let bed = Bed::new();
    bed.install("echo");
    bed.configure_text(&config(&bed, 0));
    let mut daemon = bed.start();
    daemon.wait_ready("echo");

    let reloads = effort.of(5 * effort.runs());
    let (sent, mut taken) = std::thread::scope(|scope| -> Result<(u64, Vec<u64>)> {
        let reloading = scope.spawn(|| reload(&bed, reloads).map_err(|error| error.to_string()));
        let (mut sent, mut next) = (0, Instant::now());
        while !reloading.is_finished() {
            daemon.send(&[0xB0, 1, (sent % 128) as u8]);
            sent += 1;
            next += EVENT_EVERY;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        Ok((sent, reloading.join().map_err(|_| "reloading panicked")??))
    })?;
    let status = daemon.wait_status("every event answered", |status| {
        status.engine.messages == sent && status.workers.iter().all(|worker| worker.calls.in_flight == 0)
    });
    let calls = status.workers[0].calls;
    daemon.stop();

    let lost = sent - calls.done;
    let p99 = quantile(&mut taken, 0.99) / 1e6;
    let runs = taken.chunks(taken.len().div_ceil(effort.runs()));
    let p50 = median(runs.map(|run| quantile(&mut run.to_vec(), 0.5) / 1e6));
    let name = format!("reload of {MAPPINGS} mappings under 1,000 events/s");
    Ok(vec![
        Bar::new(format!("{name}, p50"), p50, "ms", Reach::AtMost(10.0))
            .note(format!("p99 {p99:.1} ms, every mapping changed each time")),
        Bar::new(format!("{name}, events lost"), lost as f64, "", Reach::AtMost(0.0))
            .note(format!("of {sent}, over {reloads} reloads: {:?}", calls.dropped)),
    ])
}

/// Reloads again and again; how long each took, in nanoseconds.
fn reload(bed: &Bed, reloads: usize) -> Result<Vec<u64>> {
    let mut client = Client::connect(&Home::at(&bed.home())?)?;
    let mut taken = Vec::new();
    for generation in 1..=reloads {
        std::thread::sleep(RELOAD_EVERY);
        bed.configure_text(&config(bed, generation));
        let started = Instant::now();
        let report: ReloadReport = client.call(&Request::Reload)?;
        taken.push(started.elapsed().as_nanos() as u64);
        if report.mappings != MAPPINGS {
            return Err(format!("{} mappings instead of {MAPPINGS}", report.mappings).into());
        }
    }
    Ok(taken)
}

/// Every mapping's parameters name the generation, so that each reload changes all of them.
fn config(bed: &Bed, generation: usize) -> String {
    let mut text = format!("schema = 1\n[plugins]\ndir = \"{}\"\n", bed.plugin_dir().display());
    let plugin = |number: usize| {
        format!(
            "action = {{ type = \"Plugin\", plugin = \"echo\", action = \"quiet\", \
             params = {{ number = {number}, generation = {generation} }} }}\n"
        )
    };
    text += &format!("[[global_mappings]]\ntrigger = {{ type = \"CC\", cc = 1 }}\n{}", plugin(0));
    for mode in 0..10 {
        text += &format!("[[modes]]\nname = \"mode {mode}\"\n");
        for number in usize::from(mode == 0)..100 {
            let next = (mode + 1) % 10;
            let action = match number {
                99 => format!("action = {{ type = \"ModeChange\", mode = \"mode {next}\" }}\n"),
                _ => plugin(mode * 100 + number),
            };
            text += &format!("[[modes.mappings]]\ntrigger = {{ type = \"Note\", note = {number} }}\n{action}");
        }
    }
    text
}
