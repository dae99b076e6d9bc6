//! `midimon-worker`: runs one native plugin.
#![forbid(unsafe_code)]

use midimon_shared::Event;
use midimon_shared::exit::WorkerExit;
use midimon_shared::protocol::CodeKind;
use midimon_shared::spawn::SpawnArgs;
use midimon_worker::channel::Channel;
use midimon_worker::sandbox::limits::ProcessLimits;
use midimon_worker::sandbox::{
    capabilities, descriptors, footprint, leave, lifeline, limits, priority, privileges, signals, surroundings,
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
    let descriptors = descriptors::six()?;
    signals::reset()?;
    // 3. Bounds on what the process can take.
    limits::set(ProcessLimits {
        data_bytes: args.memory_bytes,
        nofile: args.nofile,
        fsize_bytes: args.fsize_bytes,
        cpu_seconds: None,
    })?;
    priority::lower()?;
    // 4. No power of root's, no life beyond the supervisor's, nobody looks in, no exec gains anything.
    capabilities::drop_all()?;
    lifeline::tie_to(args.parent_pid)?;
    privileges::forbid_dumping()?;
    privileges::forbid_new()?;
    // 5. Landlock, then seccomp stage A, go here.
    // 6. Only now is there anything to talk about.
    let mut channel = Channel::new(descriptors);
    channel.hello(Vec::new())?;
    let Some((load, code)) = channel.receive_load(&args.plugin, CodeKind::Native)? else {
        return Ok(());
    };
    // 7. The plugin's code runs from here on.
    let limits = load.limits;
    let (plugin, ready) = match native::load(load, code) {
        Ok(loaded) => loaded,
        Err(error) => {
            channel.send(&Event::LoadFailed { message: error.to_string() })?;
            return Err(Stop::new(WorkerExit::Load, error));
        }
    };
    // 8. seccomp stage B goes here.
    channel.send(&Event::Ready(ready))?;
    footprint::shrink();
    // 9. Calls, until the end.
    serve::serve(channel, limits, plugin)
}
