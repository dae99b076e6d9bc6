//! From MIDI bytes to the answer counted, back to back: both ends on one
//! processor, played by the thread that reads the answers.

use super::{KINDS, config};
use crate::floor::Floor;
use crate::machine::Pinned;
use crate::report::{Bar, Reach};
use crate::rig::{Plan, Reader, Rig};
use crate::stats::{median, quantile};
use crate::{Effort, Result, counting};

const TRIPS: usize = 4000;

pub fn measure(effort: Effort) -> Result<Vec<Bar>> {
    let text = config(|kind| kind.echo, "quiet");
    let plugins: Vec<&str> = KINDS.iter().map(|kind| kind.echo).collect();
    let plan = Plan { plugins: &plugins, config: &text, policies: Default::default() };
    let mut rig = Rig::new(Reader::Player, &plan)?;
    let mut floor = Floor::start()?;
    let mut pids = vec![floor.pid()];
    for plugin in plugins {
        pids.push(rig.pid(plugin)?);
    }
    let _pinned = Pinned::new(pids)?;

    // what a thread sets up with its first message is no trigger's
    for kind in &KINDS {
        let lane = rig.lane(kind.echo)?;
        rig.play_and_wait(&kind.press(), &lane);
        rig.play(&kind.release());
    }
    let mut ratios: Vec<Vec<f64>> = KINDS.iter().map(|_| Vec::new()).collect();
    let mut micros: Vec<Vec<f64>> = KINDS.iter().map(|_| Vec::new()).collect();
    let mut floors = Vec::new();
    let mut allocations = 0;
    let trips = effort.of(TRIPS);
    for _ in 0..effort.runs() {
        let mut raw = (0..trips).map(|_| floor.round_trip()).collect::<Result<Vec<u64>>>()?;
        let raw = quantile(&mut raw, 0.5);
        floors.push(raw / 1000.0);
        for (index, kind) in KINDS.iter().enumerate() {
            let lane = rig.lane(kind.echo)?;
            let mut samples = Vec::with_capacity(trips);
            let before = counting::allocations();
            for _ in 0..trips {
                samples.push(rig.play_and_wait(&kind.press(), &lane));
                rig.play(&kind.release());
            }
            allocations += counting::allocations() - before;
            let p50 = quantile(&mut samples, 0.5);
            ratios[index].push(p50 / raw);
            micros[index].push(p50 / 1000.0);
        }
    }
    let floor = median(floors);
    let mut bars = Vec::new();
    for (((kind, ratios), micros), reach) in KINDS.iter().zip(ratios).zip(micros).zip([1.4, 1.7, 2.0]) {
        let name = format!("MIDI bytes in to acknowledged, back to back, p50, {}", kind.name);
        let bar = Bar::new(name, median(ratios), "x floor", Reach::AtMost(reach));
        bars.push(bar.note(format!("{:.2} µs, floor {floor:.2}", median(micros))));
    }
    let per_trigger = allocations as f64 / (effort.runs() * trips * KINDS.len()) as f64;
    bars.push(Bar::new("allocations a trigger, MIDI bytes to acknowledged", per_trigger, "", Reach::AtMost(0.0)));
    Ok(bars)
}
