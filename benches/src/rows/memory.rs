//! What a worker costs in memory, alone and a hundred at once, and how soon a
//! hundred are there.

use super::{KINDS, Kind, config};
use crate::machine::memory;
use crate::report::{Bar, Reach};
use crate::rig::{Plan, Reader, Rig};
use crate::stats::median;
use crate::{Effort, Result};
use midimon::clock::{Time, now};
use midimon::monitor::MonitorEvent;
use midimon::workers::manager::{PluginManager, Policies};
use midimon_tests::Bed;
use std::time::Duration;

/// Until a worker that was used is at rest.
const REST: Duration = Duration::from_millis(1500);
const CROWD: usize = 100;
const MIB: f64 = 1024.0;

pub fn measure(effort: Effort) -> Result<Vec<Bar>> {
    let mut bars = Vec::new();
    for (kind, reach) in KINDS.iter().zip([0.75, 3.5, 3.5]) {
        let (idle, used) = alone(kind)?;
        let name = format!("private memory of a lone idle worker, {}", kind.name);
        let bar = Bar::new(name, idle, "MiB", Reach::AtMost(reach));
        bars.push(bar.note(format!("{used:.2} MiB once it has been called")));
    }
    for (kind, (memory, time)) in KINDS.iter().zip([(25.0, 0.3), (45.0, 0.6), (45.0, 0.6)]) {
        let crowds = (0..effort.runs().min(5)).map(|_| crowd(kind)).collect::<Result<Vec<Crowd>>>()?;
        let of = |value: fn(&Crowd) -> f64| median(crowds.iter().map(value));
        let name = |what: &str| format!("{CROWD} workers, {what}, {}", kind.name);
        bars.push(Bar::new(name("total PSS"), of(|crowd| crowd.mib), "MiB", Reach::AtMost(memory)));
        let bar = Bar::new(name("time to have all ready"), of(|crowd| crowd.starting_s), "s", Reach::AtMost(time));
        bars.push(bar.note(format!("{:.2} s with reading and sealing their code", of(|crowd| crowd.all_s))));
    }
    Ok(bars)
}

/// Memory of one worker of its kind, in MiB: before its first call, and at rest after some.
fn alone(kind: &Kind) -> Result<(f64, f64)> {
    let text = config(|kind| kind.echo, "quiet");
    let plan = Plan { plugins: &[kind.echo], config: &text, policies: Policies::new() };
    let mut rig = Rig::new(Reader::OwnThread, &plan)?;
    let pid = rig.pid(kind.echo)?;
    std::thread::sleep(REST);
    let idle = memory(pid)?.unique;
    for _ in 0..10 {
        rig.play(&kind.press());
        rig.play(&kind.release());
    }
    std::thread::sleep(REST);
    Ok((idle as f64 / MIB, memory(pid)?.unique as f64 / MIB))
}

struct Crowd {
    mib: f64,
    /// From the first worker's start to the last one's readiness.
    starting_s: f64,
    /// That, and preparing their code.
    all_s: f64,
}

fn crowd(kind: &Kind) -> Result<Crowd> {
    let bed = Bed::new();
    for number in 0..CROWD {
        bed.install_as(kind.echo, &format!("crowd-{number}"));
    }
    let mut rig = Rig::unloaded(Reader::OwnThread, bed, "", Policies::new())?;
    let watched = rig.watch();
    let asked = now();
    rig.served(PluginManager::sync);
    let (mut first, mut last, mut ready) = (None, Time::default(), 0);
    while ready < CROWD {
        if let MonitorEvent::Worker { at, state, plugin, detail } = watched.recv_timeout(Duration::from_secs(30))? {
            match state.as_str() {
                "starting" => first = first.or(Some(at)),
                "sandboxed" => {}
                "ready" => (ready, last) = (ready + 1, at),
                _ => return Err(format!("{plugin}: {state}: {detail}").into()),
            }
        }
    }
    let mut kib = 0;
    for worker in rig.served(PluginManager::status) {
        kib += memory(worker.pid.ok_or("a worker without a process")?)?.proportional;
    }
    Ok(Crowd {
        mib: kib as f64 / MIB,
        starting_s: last.since(first.unwrap_or(asked)).as_secs_f64(),
        all_s: last.since(asked).as_secs_f64(),
    })
}
