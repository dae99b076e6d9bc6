//! Resource limits of the process. Behind them stand the runtime's own limits (WASM) and, where
//! the system delegates it, a cgroup.
//!
//! Not for WASM: RLIMIT_AS, which no runtime survives (it reserves address space without using it). RLIMIT_NPROC counts
//! every process and thread of the user's desktop, so it stands above all there are.

use crate::stop::Stop;
use midimon_shared::WorkerExit;
use midimon_shared::sandbox::{Layer, LayerReport};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::geteuid;
use std::fs::File;
use std::io::Read;

/// Bytes the main thread's stack can take.
pub const STACK: u64 = 8 * 1024 * 1024;

/// Address space of a native worker beyond what it has at its start and its memory, in bytes: for libraries that it
/// loads, and guard pages. RLIMIT_DATA does not count what can only be read, whatever lies there, nor page tables, nor a
/// stack; with this their sum is bounded too.
pub const ADDRESS_SLACK: u64 = 256 * 1024 * 1024;

/// Threads and processes beyond all that the system has when the worker starts: nobody honest meets that, and a bomb
/// ends before the numbers for processes do.
pub const TASKS_MORE: u64 = 4096;

/// What may be used, soft and hard limit alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Private writable memory, in bytes.
    pub data_bytes: u64,
    /// Open descriptors.
    pub nofile: u64,
    /// Largest file that can be written, in bytes.
    pub fsize_bytes: u64,
    /// Processor time, in seconds; `None` for a process that serves for days.
    pub cpu_seconds: Option<u64>,
}

/// Bounds the address space to what is in use now, `data_bytes`, and [`ADDRESS_SLACK`]: for native workers, last.
///
/// # Errors
/// It cannot be set, or `/proc` does not say what is in use.
pub fn bound_address_space(data_bytes: u64) -> Result<(), Stop> {
    // else the C library reserves 128 MiB of it for each thread that allocates
    #[cfg(target_env = "gnu")]
    // SAFETY: takes numbers only.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1)
    };
    // SAFETY: takes a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.unsigned_abs();
    let pages = number_in("/proc/self/statm", |line| line.split(' ').next())?;
    lower(Resource::RLIMIT_AS, pages.saturating_mul(page).saturating_add(data_bytes).saturating_add(ADDRESS_SLACK))
}

/// How many threads the whole system has.
fn tasks() -> Result<u64, Stop> {
    number_in("/proc/loadavg", |line| line.split(' ').nth(3)?.split('/').nth(1))
}

/// A number in the one line of a file of `/proc`.
fn number_in(path: &'static str, find: impl FnOnce(&str) -> Option<&str>) -> Result<u64, Stop> {
    let mut line = [0; 128];
    // not `read_to_string`, which asks for the size by statx: see `surroundings::single_thread`
    let length =
        File::open(path).and_then(|mut file| file.read(&mut line)).map_err(Stop::during(WorkerExit::Limits, path))?;
    let number = std::str::from_utf8(&line[..length]).ok().and_then(find).and_then(|text| text.parse().ok());
    number.ok_or_else(|| Stop::new(WorkerExit::Limits, format!("{path} is in no known form")))
}

fn lower(resource: Resource, value: u64) -> Result<(), Stop> {
    getrlimit(resource)
        .and_then(|(_, hard)| setrlimit(resource, value.min(hard), value.min(hard)))
        .map_err(|error| Stop::new(WorkerExit::Limits, format!("{resource:?} to {value}: {error}")))
}

/// Sets them (a lower limit in force stays), and what is the same for everyone: no core dump, no locked memory, no queues, no
/// real-time priority.
///
/// # Errors
/// One cannot be set.
pub fn set(limits: ProcessLimits) -> Result<LayerReport, Stop> {
    let tasks = tasks()?.saturating_add(TASKS_MORE);
    let fixed = [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_MEMLOCK, 0),
        (Resource::RLIMIT_MSGQUEUE, 0),
        (Resource::RLIMIT_RTPRIO, 0),
        (Resource::RLIMIT_STACK, STACK),
        (Resource::RLIMIT_NPROC, tasks),
        (Resource::RLIMIT_DATA, limits.data_bytes),
        (Resource::RLIMIT_NOFILE, limits.nofile),
        (Resource::RLIMIT_FSIZE, limits.fsize_bytes),
    ];
    let cpu = limits.cpu_seconds.map(|seconds| (Resource::RLIMIT_CPU, seconds));
    for (resource, value) in fixed.into_iter().chain(cpu) {
        lower(resource, value)?;
    }
    let ProcessLimits { data_bytes, nofile, fsize_bytes, .. } = limits;
    let (memory, file) = (data_bytes >> 20, fsize_bytes >> 20);
    let tasks = match geteuid().is_root() {
        true => "threads without limit, for it is root's".to_owned(),
        false => format!("threads up to {tasks} on the system"),
    };
    let detail = format!("{memory} MiB of memory, {nofile} descriptors, {file} MiB a file, {tasks}, no core dump");
    Ok(LayerReport::active(Layer::Limits, detail))
}
