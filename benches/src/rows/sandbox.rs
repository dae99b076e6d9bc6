//! What the sandbox costs a call: the real worker beside one without Landlock and system-call filters, in turns.

use super::KINDS;
use crate::direct::{Program, Worker};
use crate::machine::Pinned;
use crate::report::{Bar, Reach};
use crate::stats::{median, quantile};
use crate::{Effort, Result};
use midimon::plugins::SealedCode;
use midimon::plugins::compile::Compiler;
use midimon::workers::spawner::Spawner;
use midimon::workers::status::PluginKind;
use midimon_shared::protocol::CodeKind;
use midimon_tests::binaries::Binaries;
use std::sync::Arc;

const TRIPS: usize = 20_000;

/// The program that is a worker without a sandbox.
const UNCONFINED: &str = "midimon-bench-worker";

pub fn measure(effort: Effort) -> Result<Vec<Bar>> {
    let mut bars = Vec::new();
    for (kind, code_kind) in KINDS.iter().zip([CodeKind::Native, CodeKind::WasmCore]) {
        let code = code(kind.echo, code_kind)?;
        let [mut on, mut off] =
            [confined(code_kind), unconfined(code_kind)].map(|program| Worker::start(&program, &code));
        let (on, off) = (on.as_mut().map_err(|error| error.to_string())?, off.as_mut().map_err(|e| e.to_string())?);
        let _pinned = Pinned::new([on.pid(), off.pid()])?;
        let (mut ratios, mut micros) = (Vec::new(), Vec::new());
        let trips = effort.of(TRIPS);
        for _ in 0..effort.runs() {
            let (mut with, mut without) = (Vec::with_capacity(trips), Vec::with_capacity(trips));
            for _ in 0..trips {
                with.push(on.round_trip()?);
                without.push(off.round_trip()?);
            }
            let (with, without) = (quantile(&mut with, 0.5), quantile(&mut without, 0.5));
            ratios.push(with / without);
            micros.push((with / 1000.0, without / 1000.0));
        }
        let name = format!("sandbox on against off, round trip, p50, {}", kind.name);
        let (with, without) = micros.into_iter().unzip::<f64, f64, Vec<f64>, Vec<f64>>();
        let bar = Bar::new(name, median(ratios), "x off", Reach::AtMost(1.05));
        bars.push(bar.note(format!("{:.2} µs on, {:.2} off", median(with), median(without))));
    }
    Ok(bars)
}

fn confined(kind: CodeKind) -> Program {
    let program = match kind {
        CodeKind::Native => "midimon-worker",
        CodeKind::WasmCore => "midimon-worker-wasm",
    };
    Program { path: Binaries::get().programs.join(program), arguments: Vec::new(), kind }
}

fn unconfined(kind: CodeKind) -> Program {
    let word = match kind {
        CodeKind::Native => "native",
        CodeKind::WasmCore => "wasm",
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
        CodeKind::WasmCore => {
            let compiler = Compiler::new(&Binaries::get().programs, Spawner::start()?, None);
            compiler.compile(&sealed(PluginKind::Wasm)?)?
        }
    })
}
