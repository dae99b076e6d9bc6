//! The process of one WASM plugin, from its start to its end.

use super::{Host, LinkNetwork, LoadError, Opened, open};
use crate::channel::Channel;
use crate::sandbox::footprint::Code;
use crate::sandbox::landlock::Libraries;
use crate::sandbox::limits::ProcessLimits;
use crate::sandbox::seccomp::policy::Filter;
use crate::sandbox::{
    capabilities, descriptors, footprint, landlock, lifeline, limits, priority, privileges, seccomp, signals,
    surroundings,
};
use crate::serve::Runtime;
use crate::stop::Stop;
use crate::{log, serve};
use midimon_shared::limits::WorkerLimits;
use midimon_shared::protocol::{CodeKind, Ready};
use midimon_shared::spawn::{SpawnArgs, WASM_OVERHEAD};
use midimon_shared::{Event, WorkerExit};

/// Enters the sandbox, then runs what the supervisor sends. A component can import what `network` defines, if anything.
///
/// # Errors
/// What the process ends with.
pub fn run(network: Option<LinkNetwork>) -> Result<(), Stop> {
    // 1. Know what to be; say how it ends.
    let args =
        SpawnArgs::from_argv(std::env::args().skip(1)).map_err(|error| Stop::new(WorkerExit::Arguments, error))?;
    log::abort_on_panic();
    // 2. Nothing comes along: one thread, no environment, six descriptors, fresh signals.
    surroundings::single_thread()?;
    surroundings::empty()?;
    let (descriptors, report) = descriptors::six()?;
    let mut layers = vec![report, signals::reset()?];
    // 3. Bounds on what the process can take, wide enough for the guest to meet its own first.
    layers.push(limits::set(ProcessLimits {
        data_bytes: args.memory_bytes.saturating_add(WASM_OVERHEAD),
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
    // 5. No files but its own, no system calls but a plugin's ordinary ones.
    let filter = if args.data_dir.is_some() { Filter::WasmData } else { Filter::Wasm };
    let missing = args.missing_layers;
    layers.push(landlock::enter(args.data_dir.as_deref(), Libraries::Closed, missing)?);
    let (report, stage) = seccomp::enter(filter, args.violations, missing)?;
    layers.push(report);
    // 6. Only now is there anything to talk about. The runtime is set up while the supervisor looks at us.
    let mut channel = Channel::new(descriptors);
    channel.hello(layers)?;
    let host = Host::new();
    signals::die_of_sent_faults()?; // the runtime has put its own handlers in place
    let Some((load, artifact)) = channel.receive_load(&args.plugin, &[CodeKind::WasmCore, CodeKind::WasmComponent])?
    else {
        return Ok(());
    };
    // 7. What the supervisor had compiled; nothing of the plugin's runs yet.
    let limits = load.limits;
    let client = channel.host();
    let opened =
        host.and_then(|host| open(host, load, artifact, client, network)).or_else(|error| refused(&channel, error))?;
    // 8. No new executable memory, no calls only the loader needs. Then the plugin's code.
    seccomp::lock_down(stage)?;
    match opened {
        Opened::Core(opened) => go(channel, limits, opened.start()),
        Opened::Component(opened) => go(channel, limits, opened.start()),
    }
}

/// 9. Calls, until the end.
fn go<R: Runtime>(channel: Channel, limits: WorkerLimits, started: Result<(R, Ready), LoadError>) -> Result<(), Stop> {
    let (plugin, ready) = started.or_else(|error| refused(&channel, error))?;
    channel.send(&Event::Ready(ready))?;
    footprint::shrink(Code::Mapped);
    footprint::shrink_stack();
    serve::serve(channel, limits, plugin)
}

/// Tells the supervisor why the plugin does not run here.
fn refused<T>(channel: &Channel, error: LoadError) -> Result<T, Stop> {
    channel.send(&Event::LoadFailed { message: error.to_string() })?;
    Err(Stop::new(WorkerExit::Load, error))
}
