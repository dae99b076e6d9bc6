//! What goes through one worker for as long as one likes, in a closed loop: as
//! many triggers under way as the queue has room for, each written by itself.

use super::{KINDS, Kind, config};
use crate::report::{Bar, Reach};
use crate::rig::{Plan, Reader, Rig};
use crate::stats::median;
use crate::{Effort, Result};
use midimon_shared::Limits;
use std::time::{Duration, Instant};

pub fn measure(effort: Effort) -> Result<Vec<Bar>> {
    let text = config(|kind| kind.echo, "quiet");
    let plugins: Vec<&str> = KINDS.iter().map(|kind| kind.echo).collect();
    let plan = Plan { plugins: &plugins, config: &text, policies: Default::default() };
    let mut rig = Rig::new(Reader::Player, &plan)?;
    let mut rates: Vec<Vec<f64>> = KINDS.iter().map(|_| Vec::new()).collect();
    for _ in 0..effort.runs() {
        for (kind, rates) in KINDS.iter().zip(&mut rates) {
            rates.push(rate(&mut rig, kind, Duration::from_millis(effort.of(400) as u64))?);
        }
    }
    let bars = KINDS.iter().zip(rates).zip([250_000.0, 150_000.0, 100_000.0]).map(|((kind, rates), reach)| {
        let name = format!("sustained through one worker, none dropped, {}", kind.name);
        Bar::new(name, median(rates), "triggers/s", Reach::AtLeast(reach))
    });
    Ok(bars.collect())
}

/// Triggers a second, each of them answered.
fn rate(rig: &mut Rig, kind: &Kind, time: Duration) -> Result<f64> {
    let lane = rig.lane(kind.echo)?;
    let depth = u64::from(Limits::default().queue_depth);
    let before = lane.counts();
    let started = Instant::now();
    let mut value = 0;
    while started.elapsed() < time {
        for _ in lane.counts().in_flight..depth {
            value = (value + 1) % 128;
            rig.play(&kind.turn(value));
        }
        rig.run_once();
    }
    while lane.is_busy() && rig.run_once() {}
    let (taken, after) = (started.elapsed(), lane.counts());
    let done = after.done - before.done;
    if done != after.received - before.received {
        return Err(format!("{}: {done} of {} triggers done: {after:?}", kind.name, after.received).into());
    }
    Ok(done as f64 / taken.as_secs_f64())
}
