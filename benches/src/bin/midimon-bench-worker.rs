//! A worker without Landlock and without a system-call filter, to compare the real ones with. Only the benchmark
//! starts it: the supervisor refuses such a worker.
#![forbid(unsafe_code)]

use midimon_shared::protocol::CodeKind;
use midimon_shared::spawn::{SpawnArgs, WASM_OVERHEAD};
use midimon_shared::{Event, WorkerExit};
use midimon_worker::channel::Channel;
use midimon_worker::sandbox::limits::ProcessLimits;
use midimon_worker::sandbox::{
    capabilities, descriptors, footprint, leave, lifeline, limits, priority, privileges, signals, surroundings,
};
use midimon_worker::stop::Stop;
use midimon_worker::{native, serve, wasm};

fn main() {
    leave::leave(run())
}

fn run() -> Result<(), Stop> {
    let mut argv = std::env::args().skip(1);
    let kind = match argv.next().as_deref() {
        Some("native") => CodeKind::Native,
        Some("wasm") => CodeKind::WasmCore,
        _ => return Err(Stop::new(WorkerExit::Arguments, "the first argument is native or wasm")),
    };
    let args = SpawnArgs::from_argv(argv).map_err(|error| Stop::new(WorkerExit::Arguments, error))?;
    surroundings::single_thread()?;
    surroundings::empty()?;
    let (descriptors, _) = descriptors::six()?;
    let mut channel = Channel::new(descriptors);
    signals::reset()?;
    limits::set(ProcessLimits {
        data_bytes: args.memory_bytes.saturating_add(WASM_OVERHEAD),
        nofile: args.nofile,
        fsize_bytes: args.fsize_bytes,
        cpu_seconds: None,
    })?;
    priority::lower()?;
    capabilities::drop_all()?;
    lifeline::tie_to(args.parent_pid)?;
    privileges::forbid_dumping()?;
    privileges::forbid_new()?;
    channel.hello(Vec::new())?;
    let Some((load, code)) = channel.receive_load(&args.plugin, kind)? else {
        return Ok(());
    };
    let limits = load.limits;
    let failed = |error: String| Stop::new(WorkerExit::Load, error);
    match kind {
        CodeKind::Native => {
            let (plugin, ready) = native::load(load, code).map_err(|error| failed(error.to_string()))?;
            channel.send(&Event::Ready(ready))?;
            footprint::shrink();
            serve::serve(channel, limits, plugin)
        }
        CodeKind::WasmCore => {
            let host = wasm::Host::new().map_err(|error| failed(error.to_string()))?;
            signals::die_of_sent_faults()?;
            let (plugin, ready) = wasm::load(host, load, code).map_err(|error| failed(error.to_string()))?;
            channel.send(&Event::Ready(ready))?;
            footprint::shrink();
            serve::serve(channel, limits, plugin)
        }
    }
}
