//! What the real workers are compared with: one without Landlock and system-call filters, which the supervisor
//! would refuse, and one that enters the whole sandbox, says how long each layer took, and ends.
#![forbid(unsafe_code)]

use midimon_shared::limits::WorkerLimits;
use midimon_shared::protocol::{CodeKind, Ready};
use midimon_shared::spawn::{SpawnArgs, WASM_OVERHEAD};
use midimon_shared::{Event, WorkerExit};
use midimon_worker::channel::Channel;
use midimon_worker::sandbox::descriptors::Descriptors;
use midimon_worker::sandbox::landlock::Libraries;
use midimon_worker::sandbox::limits::ProcessLimits;
use midimon_worker::sandbox::seccomp::policy::Filter;
use midimon_worker::sandbox::{
    capabilities, descriptors, footprint, landlock, leave, lifeline, limits, priority, privileges, seccomp, signals,
    surroundings,
};
use midimon_worker::serve::Runtime;
use midimon_worker::stop::Stop;
use midimon_worker::{native, serve, wasm};
use std::io::Write;
use std::time::Instant;

fn main() {
    leave::leave(run())
}

fn run() -> Result<(), Stop> {
    let mut argv = std::env::args().skip(1);
    let mode = argv.next();
    let args = SpawnArgs::from_argv(argv).map_err(|error| Stop::new(WorkerExit::Arguments, error))?;
    match mode.as_deref() {
        Some("native") => serve(&args, &[CodeKind::Native]),
        Some("wasm") => serve(&args, &[CodeKind::WasmCore, CodeKind::WasmComponent]),
        Some("layers") => time_layers(&args),
        _ => Err(Stop::new(WorkerExit::Arguments, "the first argument is native, wasm or layers")),
    }
}

/// Every layer but the two that weigh on a call.
fn baseline(args: &SpawnArgs, lap: &mut impl FnMut(&'static str)) -> Result<Descriptors, Stop> {
    surroundings::single_thread()?;
    surroundings::empty()?;
    let (descriptors, _) = descriptors::six()?;
    lap("descriptors");
    signals::reset()?;
    lap("signals");
    limits::set(ProcessLimits {
        data_bytes: args.memory_bytes.saturating_add(WASM_OVERHEAD),
        nofile: args.nofile,
        fsize_bytes: args.fsize_bytes,
        cpu_seconds: None,
    })?;
    lap("limits");
    priority::lower()?;
    lap("priority");
    capabilities::drop_all()?;
    lap("capabilities");
    lifeline::tie_to(args.parent_pid)?;
    privileges::forbid_dumping()?;
    privileges::forbid_new()?;
    lap("lifeline, dumpable, no-new-privs");
    Ok(descriptors)
}

fn serve(args: &SpawnArgs, kinds: &[CodeKind]) -> Result<(), Stop> {
    let mut channel = Channel::new(baseline(args, &mut |_| {})?);
    channel.hello(Vec::new())?;
    let Some((load, code)) = channel.receive_load(&args.plugin, kinds)? else {
        return Ok(());
    };
    let limits = load.limits;
    let failed = |error: String| Stop::new(WorkerExit::Load, error);
    let client = channel.host();
    match load.kind {
        CodeKind::Native => {
            let started = native::open(load, code).and_then(|opened| opened.start(client));
            go(channel, limits, started.map_err(|error| failed(error.to_string()))?)
        }
        CodeKind::WasmCore | CodeKind::WasmComponent => {
            let host = wasm::Host::new().map_err(|error| failed(error.to_string()))?;
            signals::die_of_sent_faults()?;
            let failed = |error: wasm::LoadError| failed(error.to_string());
            match wasm::open(host, load, code, client, None).map_err(failed)? {
                wasm::Opened::Core(opened) => go(channel, limits, opened.start().map_err(failed)?),
                wasm::Opened::Component(opened) => go(channel, limits, opened.start().map_err(failed)?),
            }
        }
    }
}

fn go<R: Runtime>(channel: Channel, limits: WorkerLimits, (plugin, ready): (R, Ready)) -> Result<(), Stop> {
    channel.send(&Event::Ready(ready))?;
    footprint::shrink(footprint::Code::Mapped);
    footprint::shrink_stack();
    serve::serve(channel, limits, plugin)
}

/// Enters all of it, then writes a line `NANOSECONDS NAME` for each layer to the log pipe.
fn time_layers(args: &SpawnArgs) -> Result<(), Stop> {
    let mut laps: Vec<(&'static str, u128)> = Vec::with_capacity(16);
    let mut started = Instant::now();
    let mut lap = |name| {
        laps.push((name, started.elapsed().as_nanos()));
        started = Instant::now();
    };
    baseline(args, &mut lap)?;
    landlock::enter(args.data_dir.as_deref(), Libraries::Readable, args.missing_layers)?;
    lap("landlock");
    let (_, stage) = seccomp::enter(Filter::Native, args.violations, args.missing_layers)?;
    lap("seccomp");
    seccomp::lock_down(stage)?;
    lap("lockdown");
    let text: String = laps.iter().map(|(name, nanos)| format!("{nanos} {name}\n")).collect();
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| Stop::new(WorkerExit::Events, error))
}
