//! `midimon-worker`: runs one native plugin.
#![forbid(unsafe_code)]

use midimon_shared::Event;
use midimon_shared::exit::WorkerExit;
use midimon_shared::protocol::CodeKind;
use midimon_shared::spawn::SpawnArgs;
use midimon_worker::channel::Channel;
use midimon_worker::sandbox::footprint::Code;
use midimon_worker::sandbox::landlock::Libraries;
use midimon_worker::sandbox::limits::ProcessLimits;
use midimon_worker::sandbox::seccomp::policy::Filter;
use midimon_worker::sandbox::{
    capabilities, descriptors, footprint, landlock, leave, lifeline, limits, priority, privileges, seccomp, signals,
    surroundings,
};
use midimon_worker::stop::Stop;
use midimon_worker::{log, native, serve};

fn main() {
    leave::leave(run())
}

fn run() -> Result<(), Stop> {
    // 1. Know what to be; say how it ends.
    let args =
        SpawnArgs::from_argv(std::env::args().skip(1)).map_err(|error| Stop::new(WorkerExit::Arguments, error))?;
    log::abort_on_panic();
    // 2. Nothing comes along: one thread, no environment, six descriptors, fresh signals.
    surroundings::single_thread()?;
    surroundings::empty()?;
    let (descriptors, report) = descriptors::six()?;
    let mut layers = vec![report, signals::reset()?];
    // 3. Bounds on what the process can take.
    layers.push(limits::set(ProcessLimits {
        data_bytes: args.memory_bytes,
        nofile: args.nofile,
        fsize_bytes: args.fsize_bytes,
        cpu_seconds: None,
    })?);
    layers.push(priority::lower()?);
    // 4. No power of root's, no life beyond the supervisor's, nobody looks in, no exec gains anything.
    layers.push(capabilities::drop_all()?);
    layers.push(lifeline::tie_to(args.parent_pid)?);
    layers.push(privileges::forbid_dumping()?);
    layers.push(privileges::forbid_new()?);
    surroundings::keep_time_zone();
    limits::bound_address_space(args.memory_bytes)?;
    // 5. No files but its own, no system calls but a plugin's ordinary ones.
    let filter = if args.data_dir.is_some() { Filter::NativeData } else { Filter::Native };
    let missing = args.missing_layers;
    layers.push(landlock::enter(args.data_dir.as_deref(), Libraries::Readable, missing)?);
    let (report, stage) = seccomp::enter(filter, args.violations, missing)?;
    layers.push(report);
    // 6. Only now is there anything to talk about.
    let mut channel = Channel::new(descriptors);
    channel.hello(layers)?;
    let Some((load, code)) = channel.receive_load(&args.plugin, &[CodeKind::Native])? else {
        return Ok(());
    };
    // 7. The plugin's code runs from here on: its constructors.
    let limits = load.limits;
    let opened = native::open(load, code).or_else(|error| refused(&channel, error))?;
    // 8. No new executable memory, no calls only the loader needs.
    seccomp::lock_down(stage)?;
    let (plugin, ready) = opened.start(channel.host()).or_else(|error| refused(&channel, error))?;
    channel.send(&Event::Ready(ready))?;
    footprint::shrink(if filter == Filter::NativeData { Code::Copied } else { Code::Mapped });
    footprint::shrink_stack();
    // 9. Calls, until the end.
    serve::serve(channel, limits, plugin)
}

/// Tells the supervisor why the plugin does not run here.
fn refused<T>(channel: &Channel, error: native::LoadError) -> Result<T, Stop> {
    channel.send(&Event::LoadFailed { message: error.to_string() })?;
    Err(Stop::new(WorkerExit::Load, error))
}
