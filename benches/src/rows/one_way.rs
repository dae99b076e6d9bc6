//! From MIDI bytes to the plugin's handler, with a millisecond between events:
//! the way of a single pad hit, both processes asleep before it.
//!
//! Whoever plays waits in `read`, as a thread that receives MIDI does. One that
//! slept for a time would set a timer after each event, and where the scheduler
//! wakes the worker on the same processor, that would be measured too: in a
//! virtual machine it takes longer than the whole way.
//!
//! Where the worker wakes is the scheduler's choice, and makes the pipe alone take
//! 2 or 40 µs. So there are two sets of rows: left to run free, and with a processor
//! for each end.

use super::{KINDS, Kind, config};
use crate::floor::Floor;
use crate::machine::Pinned;
use crate::report::{Bar, Reach};
use crate::rig::{Plan, Reader, Rig};
use crate::stats::{median, quantile};
use crate::{Effort, Result};
use midimon::workers::manager::CallError;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::time::Duration;

const GAP: Duration = Duration::from_millis(1);
/// Events of one party before the next one's turn.
const BLOCK: usize = 100;
/// What a probe answers: the last bits of a time.
const MASK: u64 = 0x7FFF_FFFF;

/// What each party reached in one run, in nanoseconds.
struct Run {
    p50: f64,
    p99: f64,
}

pub fn measure(effort: Effort) -> Result<Vec<Bar>> {
    let text = config(|kind| kind.probe, "mark");
    let plugins: Vec<&str> = KINDS.iter().map(|kind| kind.probe).collect();
    let plan = Plan { plugins: &plugins, config: &text, policies: Default::default() };
    let mut rig = Rig::new(Reader::OwnThread, &plan)?;
    let mut floor = Floor::start()?;
    let mut bars = placed("", effort, &mut rig, &mut floor)?;
    let mut pids = vec![floor.pid()];
    for plugin in plugins {
        pids.push(rig.pid(plugin)?);
    }
    if let Some(_apart) = Pinned::apart(pids)? {
        bars.extend(placed(" on two processors,", effort, &mut rig, &mut floor)?);
    }
    Ok(bars)
}

/// The rows of one placement.
fn placed(placement: &str, effort: Effort, rig: &mut Rig, floor: &mut Floor) -> Result<Vec<Bar>> {
    let beat = beat()?;
    let mut floors = Vec::new();
    let mut ours: Vec<Vec<Run>> = KINDS.iter().map(|_| Vec::new()).collect();
    for _ in 0..effort.runs() {
        let mut raw = Vec::new();
        let mut samples: Vec<Vec<u64>> = KINDS.iter().map(|_| Vec::new()).collect();
        for _ in 0..effort.of(4) {
            for _ in 0..BLOCK {
                beat.wait()?;
                raw.push(floor.one_way()?);
            }
            for (kind, samples) in KINDS.iter().zip(&mut samples) {
                block(rig, &beat, kind, samples)?;
            }
        }
        floors.push(run(raw));
        for (ours, samples) in ours.iter_mut().zip(samples) {
            ours.push(run(samples));
        }
    }
    let reach = [1.3, 1.5, 2.2];
    let rows = KINDS.iter().zip(ours).zip(reach);
    Ok(rows.map(|((kind, runs), reach)| bar(placement, kind, &runs, &floors, reach)).collect())
}

fn run(mut samples: Vec<u64>) -> Run {
    Run { p50: quantile(&mut samples, 0.5), p99: quantile(&mut samples, 0.99) }
}

fn bar(placement: &str, kind: &Kind, runs: &[Run], floors: &[Run], reach: f64) -> Bar {
    let ratio = median(runs.iter().zip(floors).map(|(run, floor)| run.p50 / floor.p50));
    let micros = |of: fn(&Run) -> f64, runs: &[Run]| median(runs.iter().map(of)) / 1000.0;
    let name = format!("MIDI bytes in to handler entered, 1 ms gaps,{placement} p50, {}", kind.name);
    Bar::new(name, ratio, "x pipe", Reach::AtMost(reach)).note(format!(
        "{:.1} µs, pipe {:.1}; p99 {:.0}, pipe {:.0}",
        micros(|run| run.p50, runs),
        micros(|run| run.p50, floors),
        micros(|run| run.p99, runs),
        micros(|run| run.p99, floors),
    ))
}

/// Lets a waiting thread go on every [`GAP`].
fn beat() -> Result<TimerFd> {
    let beat = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
    beat.set(Expiration::Interval(GAP.into()), TimerSetTimeFlags::empty())?;
    Ok(beat)
}

/// Plays one block, then asks the probe when it was called.
fn block(rig: &mut Rig, beat: &TimerFd, kind: &Kind, samples: &mut Vec<u64>) -> Result<()> {
    let mut played = Vec::with_capacity(BLOCK);
    for value in (0..=127).cycle().take(BLOCK) {
        beat.wait()?;
        played.push(rig.play(&kind.turn(value)).as_nanos());
    }
    for played in played {
        let entered = pop(rig, kind.probe)?;
        samples.push(entered.wrapping_sub(played) & MASK);
    }
    Ok(())
}

fn pop(rig: &mut Rig, probe: &str) -> Result<u64> {
    match rig.manager().execute_plugin(probe, serde_json::json!({ "action": "pop" }), None) {
        Err(CallError::Failed { code, .. }) => Ok(u64::from(u32::try_from(code)?)),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(0), // the one time in 2^31 that ends in zeros
    }
}
