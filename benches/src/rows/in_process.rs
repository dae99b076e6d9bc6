//! The same WASM module called in this process by the worker's own code: what a
//! design without workers would pay, beside what a call through one costs.

use crate::report::Bar;
use crate::rig::kept;
use crate::stats::median;
use crate::{Effort, Result};
use midimon::plugins::SealedCode;
use midimon::plugins::compile::{Cache, Compiler};
use midimon::workers::spawner::Spawner;
use midimon::workers::status::PluginKind;
use midimon_shared::Limits;
use midimon_shared::context::TriggerStamp;
use midimon_shared::protocol::{BindingId, CodeKind, Load, Outcome};
use midimon_tests::binaries::Binaries;
use midimon_worker::names::NameTable;
use midimon_worker::params::Params;
use midimon_worker::serve::Runtime;
use midimon_worker::wasm;
use std::fs::File;
use std::time::{Duration, Instant};

const CALLS: u32 = 10_000;

pub fn measure(effort: Effort) -> Result<Vec<Bar>> {
    let binaries = Binaries::get();
    let module = SealedCode::from_file(&binaries.plugin("echo-wasm"), "echo_wasm.wasm", PluginKind::Wasm)?;
    let (compiled, state) = kept()?;
    let cache = Cache::open(&compiled, &state)?;
    let code = Compiler::new(&binaries.programs, Spawner::start()?, Some(cache))?.compile(&module)?;
    let load = Load {
        plugin: "echo-wasm".parse()?,
        kind: CodeKind::WasmCore,
        data_dir: None,
        settings: String::new(),
        limits: (&Limits::default()).into(),
    };
    // a thread of its own: the runtime it enters stays entered
    let micros = std::thread::spawn(move || calls(load, File::from(code.duplicate()?), effort).map_err(to_io));
    let micros = micros.join().map_err(|_| "the calls panicked")??;
    Ok(vec![Bar::comparison("the old-ABI echo called in-process, without a worker", micros, "µs")])
}

fn to_io(error: Box<dyn std::error::Error>) -> std::io::Error {
    std::io::Error::other(error.to_string())
}

/// Microseconds a call.
fn calls(load: Load, code: File, effort: Effort) -> Result<f64> {
    let (mut plugin, _) = wasm::open_module(wasm::Host::new()?, load, code)?.start()?;
    let action = "quiet".to_owned();
    let binding = plugin.bind(BindingId(0), action, Params::parse(String::new())?, Duration::from_secs(5));
    let (stamp, names) = (TriggerStamp { velocity: Some(100), ..TriggerStamp::default() }, NameTable::default());
    let mut micros = Vec::new();
    for _ in 0..effort.runs() {
        let started = Instant::now();
        for _ in 0..CALLS {
            match plugin.call(&binding, &stamp, &names) {
                Outcome::Ok => {}
                other => return Err(format!("{other:?}").into()),
            }
        }
        micros.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS));
    }
    Ok(median(micros))
}
