//! How soon a worker is there, the first time and again after it was killed.

use super::{KINDS, Kind, config, never_quarantined};
use crate::report::{Bar, Reach};
use crate::rig::{Plan, Reader, Rig};
use crate::stats::{median, quantile};
use crate::{Effort, Result};
use midimon::clock::{Time, now};
use midimon::monitor::MonitorEvent;
use midimon::workers::manager::{Policies, Policy};
use midimon_shared::PluginId;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Starts of one kind in a run.
const STARTS: usize = 20;
/// How long anything may take before it counts as broken.
const PATIENCE: Duration = Duration::from_secs(10);

fn rig(reader: Reader) -> Result<Rig> {
    let text = config(|kind| kind.echo, "quiet");
    let plugins: Vec<&str> = KINDS.iter().map(|kind| kind.echo).collect();
    let mut policies = Policies::new();
    for plugin in &plugins {
        policies.insert(plugin.parse()?, Policy { limits: never_quarantined(), ..Policy::default() });
    }
    Rig::new(reader, &Plan { plugins: &plugins, config: &text, policies })
}

/// Runs `once` in turns for each kind, and makes a row of the medians.
fn in_turns(
    effort: Effort,
    name: &str,
    reach: [f64; 3],
    mut once: impl FnMut(&Kind) -> Result<u64>,
) -> Result<Vec<Bar>> {
    let mut medians: Vec<Vec<f64>> = KINDS.iter().map(|_| Vec::new()).collect();
    let mut all: Vec<Vec<u64>> = KINDS.iter().map(|_| Vec::new()).collect();
    for _ in 0..effort.runs() {
        for (index, kind) in KINDS.iter().enumerate() {
            let mut samples = (0..effort.of(STARTS)).map(|_| once(kind)).collect::<Result<Vec<u64>>>()?;
            medians[index].push(quantile(&mut samples, 0.5) / 1e6);
            all[index].append(&mut samples);
        }
    }
    let rows = KINDS.iter().zip(medians).zip(all).zip(reach).map(|(((kind, medians), mut all), reach)| {
        let bar = Bar::new(format!("{name}, p50, {}", kind.name), median(medians), "ms", Reach::AtMost(reach));
        bar.note(format!("p99 {:.1} ms", quantile(&mut all, 0.99) / 1e6))
    });
    Ok(rows.collect())
}

/// From the decision to start a worker to its `Ready`, by the supervisor's own account.
pub fn spawn(effort: Effort) -> Result<Vec<Bar>> {
    let mut rig = rig(Reader::OwnThread)?;
    let watched = rig.watch();
    in_turns(effort, "spawn to ready", [2.0, 3.0, 3.0], |kind| {
        let id: PluginId = kind.echo.parse()?;
        rig.served(|manager| manager.restart(&id))?;
        let started = entered(&watched, &id, "starting")?;
        Ok(entered(&watched, &id, "ready")?.as_nanos() - started.as_nanos())
    })
}

/// When the worker next came into a state.
fn entered(watched: &Receiver<MonitorEvent>, id: &PluginId, wanted: &str) -> Result<Time> {
    loop {
        match watched.recv_timeout(PATIENCE)? {
            MonitorEvent::Worker { at, plugin, state, .. } if plugin == *id && state == wanted => return Ok(at),
            _ => {}
        }
    }
}

/// From SIGKILL to the answer of the next trigger: the death seen, a new worker
/// started, the trigger that waited for it carried out.
pub fn restart(effort: Effort) -> Result<Vec<Bar>> {
    let mut rig = rig(Reader::Player)?;
    in_turns(effort, "killed to next trigger answered", [2.5, 4.0, 4.0], |kind| {
        let (pid, lane) = (rig.pid(kind.echo)?, rig.lane(kind.echo)?);
        // one call first: a worker that was never used would die as easily, but wake up slower
        rig.play_and_wait(&kind.turn(1), &lane);
        let before = lane.counts().done;
        let killed = now();
        kill(Pid::from_raw(pid), Signal::SIGKILL)?;
        while lane.counts().done == before {
            if now().since(killed) > PATIENCE {
                return Err(format!("{}: no answer after a kill: {:?}", kind.echo, lane.counts()).into());
            }
            // the first one may die with the worker; the next one waits
            if lane.counts().in_flight == 0 {
                rig.play(&kind.turn(2));
            }
            rig.run_once();
        }
        Ok(now().as_nanos() - killed.as_nanos())
    })
}
