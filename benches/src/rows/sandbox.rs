//! What the sandbox costs: each call and each start of the real worker beside one without Landlock and
//! system-call filters, in turns; and each layer by itself.

use super::KINDS;
use crate::direct::{Program, Worker, last_words};
use crate::machine::Pinned;
use crate::report::{Bar, Reach};
use crate::stats::{median, quantile};
use crate::{Effort, Result};
use midimon::clock::now;
use midimon::plugins::SealedCode;
use midimon::plugins::compile::Compiler;
use midimon::workers::program::WorkerProgram;
use midimon::workers::spawner::Spawner;
use midimon::workers::status::PluginKind;
use midimon_shared::protocol::CodeKind;
use midimon_tests::binaries::Binaries;
use std::sync::Arc;

const TRIPS: usize = 20_000;
/// Starts of each in a run.
const STARTS: usize = 20;

/// The program that is a worker without a sandbox.
const UNCONFINED: &str = "midimon-bench-worker";

pub fn measure(effort: Effort) -> Result<Vec<Bar>> {
    let mut bars = Vec::new();
    for (kind, code_kind) in KINDS.iter().zip([CodeKind::Native, CodeKind::WasmComponent, CodeKind::WasmCore]) {
        let code = code(kind.echo, code_kind)?;
        let programs = [confined(code_kind), unconfined(code_kind)];
        bars.push(calls(effort, kind.name, &programs, &code)?);
        bars.push(starts(effort, kind.name, &programs, &code)?);
    }
    bars.extend(layers(effort)?);
    Ok(bars)
}

/// Calls of both, in turns.
fn calls(effort: Effort, name: &str, [on, off]: &[Program; 2], code: &SealedCode) -> Result<Bar> {
    let (mut on, mut off) = (Worker::start(on, code)?, Worker::start(off, code)?);
    let _pinned = Pinned::new([on.pid(), off.pid()])?;
    let (mut ratios, mut withs, mut withouts) = (Vec::new(), Vec::new(), Vec::new());
    let trips = effort.of(TRIPS);
    for _ in 0..effort.runs() {
        let (mut with, mut without) = (Vec::with_capacity(trips), Vec::with_capacity(trips));
        for _ in 0..trips {
            with.push(on.round_trip()?);
            without.push(off.round_trip()?);
        }
        let (with, without) = (quantile(&mut with, 0.5), quantile(&mut without, 0.5));
        ratios.push(with / without);
        withs.push(with / 1000.0);
        withouts.push(without / 1000.0);
    }
    let name = format!("sandbox on against off, round trip, p50, {name}");
    let bar = Bar::new(name, median(ratios), "x off", Reach::AtMost(1.05));
    Ok(bar.note(format!("{:.2} µs on, {:.2} off", median(withs), median(withouts))))
}

/// Starts of both to a loaded plugin, in turns.
fn starts(effort: Effort, name: &str, programs: &[Program; 2], code: &SealedCode) -> Result<Bar> {
    let mut taken = [Vec::new(), Vec::new()];
    for _ in 0..effort.runs() * effort.of(STARTS) {
        for (program, taken) in programs.iter().zip(&mut taken) {
            let started = now();
            let worker = Worker::start(program, code)?;
            taken.push(now().as_nanos() - started.as_nanos());
            drop(worker);
        }
    }
    let [with, without] = taken.map(|mut taken| quantile(&mut taken, 0.5) / 1e6);
    let bar = Bar::comparison(format!("sandbox on against off, start to ready, p50, {name}"), with / without, "x off");
    Ok(bar.note(format!("{with:.2} ms on, {without:.2} off")))
}

/// What entering each layer takes.
fn layers(effort: Effort) -> Result<Vec<Bar>> {
    let program = Program { arguments: vec!["layers".to_owned()], ..unconfined(CodeKind::Native) };
    let mut samples: Vec<(String, Vec<u64>)> = Vec::new();
    for _ in 0..effort.runs() * effort.of(STARTS) {
        let text = last_words(&program)?;
        for line in text.lines() {
            let parsed = line.split_once(' ').and_then(|(nanos, name)| Some((nanos.parse().ok()?, name)));
            let (nanos, name) = parsed.ok_or_else(|| format!("the layers' times: {text}"))?;
            match samples.iter_mut().find(|(known, _)| known == name) {
                Some((_, taken)) => taken.push(nanos),
                None => samples.push((name.to_owned(), vec![nanos])),
            }
        }
    }
    let row = |(name, mut taken): (String, Vec<u64>)| {
        Bar::comparison(format!("start-up cost of a layer, p50, {name}"), quantile(&mut taken, 0.5) / 1000.0, "µs")
    };
    Ok(samples.into_iter().map(row).collect())
}

fn confined(kind: CodeKind) -> Program {
    let program = match kind {
        CodeKind::Native => WorkerProgram::Native,
        CodeKind::WasmCore | CodeKind::WasmComponent => WorkerProgram::Wasm,
    };
    Program { path: Binaries::get().programs.join(program.file_name()), arguments: Vec::new(), kind }
}

fn unconfined(kind: CodeKind) -> Program {
    let word = match kind {
        CodeKind::Native => "native",
        CodeKind::WasmCore | CodeKind::WasmComponent => "wasm",
    };
    Program { path: Binaries::get().programs.join(UNCONFINED), arguments: vec![word.to_owned()], kind }
}

/// An example's code, as its worker takes it.
fn code(id: &str, kind: CodeKind) -> Result<Arc<SealedCode>> {
    let found = midimon::plugins::discover::scan(&Binaries::get().plugins)?;
    let found = found.plugins.iter().find(|found| found.manifest.id.as_str() == id);
    let found = found.ok_or_else(|| format!("no plugin '{id}'"))?;
    let sealed = |kind| SealedCode::from_file(&found.dir, &found.manifest.entry, kind);
    Ok(match kind {
        CodeKind::Native => Arc::new(sealed(PluginKind::Native)?),
        CodeKind::WasmCore | CodeKind::WasmComponent => {
            let compiler = Compiler::new(&Binaries::get().programs, Spawner::start()?, None)?;
            compiler.compile(&sealed(PluginKind::Wasm)?)?
        }
    })
}
