//! `midimon-compile`: turns one WASM module into code for this machine, then ends.
//!
//! The module comes as a sealed memfd on 3, the artifact goes to 4, and what went wrong is the
//! exit code and one line on stderr. `midimon-compile --print-key` prints on stdout what compiled
//! code depends on besides the module, for whoever keeps a cache.
#![forbid(unsafe_code)]

use midimon_shared::WorkerExit;
use midimon_shared::limits::MAX_CODE;
use midimon_shared::spawn::{CompileArgs, MissingLayers, Violations};
use midimon_worker::compile::{CompileError, compatibility_key, compile};
use midimon_worker::log;
use midimon_worker::sandbox::landlock::Libraries;
use midimon_worker::sandbox::limits::ProcessLimits;
use midimon_worker::sandbox::seccomp::Stage;
use midimon_worker::sandbox::seccomp::policy::Filter;
use midimon_worker::sandbox::{
    capabilities, code, descriptors, landlock, leave, lifeline, limits, priority, privileges, seccomp, signals,
    surroundings,
};
use midimon_worker::stop::Stop;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

fn main() {
    leave::leave(if std::env::args().nth(1).as_deref() == Some("--print-key") { print_key() } else { run() })
}

fn print_key() -> Result<(), Stop> {
    let key = compatibility_key().map_err(stop)?;
    writeln!(std::io::stdout(), "{key}").map_err(|error| Stop::new(WorkerExit::CompileOutput, error))
}

fn run() -> Result<(), Stop> {
    // 1. Know what to do; say how it ends.
    let args =
        CompileArgs::from_argv(std::env::args().skip(1)).map_err(|error| Stop::new(WorkerExit::Arguments, error))?;
    log::abort_on_panic();
    // 2. Nothing comes along: one thread, no environment, five descriptors, fresh signals.
    surroundings::single_thread()?;
    surroundings::empty()?;
    let (module, artifact) = descriptors::five()?;
    signals::reset()?;
    // 3. Bounds: a module made to keep a compiler busy ends here.
    limits::set(ProcessLimits {
        data_bytes: args.memory_bytes,
        nofile: 16,
        fsize_bytes: 4 * MAX_CODE,
        cpu_seconds: Some(args.cpu_seconds),
    })?;
    priority::lower()?;
    // 4. No power of root's, no life beyond the supervisor's, nobody looks in, no exec gains anything.
    capabilities::drop_all()?;
    lifeline::tie_to(args.parent_pid)?;
    privileges::forbid_dumping()?;
    privileges::forbid_new()?;
    // 5. No files at all, no system calls but a compiler's.
    landlock::enter(None, Libraries::Closed, MissingLayers::Refuse)?;
    let (_, Stage::Last) = seccomp::enter(Filter::Compile, Violations::End, MissingLayers::Refuse)? else {
        return Err(Stop::new(WorkerExit::Seccomp, "its filter is not the last one"));
    };
    // 6. Strangers' bytes from here on.
    let compiled = compile(&read(&code::sealed(module)?)?).map_err(stop)?;
    File::from(artifact).write_all(&compiled).map_err(|error| Stop::new(WorkerExit::CompileOutput, error))
}

/// From its start, wherever whoever wrote it left its offset. What is over the limit is cut one byte after it.
fn read(module: &File) -> Result<Vec<u8>, Stop> {
    let failed = |error| Stop::new(WorkerExit::CompileInput, error);
    let size = module.metadata().map_err(failed)?.len().min(MAX_CODE + 1);
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    module.read_exact_at(&mut bytes, 0).map_err(failed)?;
    Ok(bytes)
}

fn stop(error: CompileError) -> Stop {
    let exit = match error {
        CompileError::Engine(_) => WorkerExit::CompileEngine,
        _ => WorkerExit::CompileInput,
    };
    Stop::new(exit, error)
}
