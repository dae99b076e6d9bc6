//! Resource limits of the process. Behind them stand the runtime's own limits (WASM) and, where
//! the system delegates it, a cgroup.
//!
//! Not for WASM: RLIMIT_AS, which no runtime survives (it reserves address space without using it). Not
//! here: RLIMIT_NPROC, which counts every process of the user's desktop.

use crate::stop::Stop;
use midimon_shared::WorkerExit;
use midimon_shared::sandbox::{Layer, LayerReport};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Bytes the main thread's stack can take.
pub const STACK: u64 = 8 * 1024 * 1024;

/// Address space of a native worker, in bytes. Memory that is only read is not RLIMIT_DATA's, but its page tables are
/// real: this much has 32 MiB of them. The C library reserves 128 MiB of it for each thread that allocates.
pub const ADDRESS_SPACE: u64 = 16 * 1024 * 1024 * 1024;

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

/// Bounds the address space to [`ADDRESS_SPACE`]: for native workers.
///
/// # Errors
/// It cannot be set.
pub fn bound_address_space() -> Result<(), Stop> {
    lower(Resource::RLIMIT_AS, ADDRESS_SPACE)
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
    let fixed = [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_MEMLOCK, 0),
        (Resource::RLIMIT_MSGQUEUE, 0),
        (Resource::RLIMIT_RTPRIO, 0),
        (Resource::RLIMIT_STACK, STACK),
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
    let detail = format!("{memory} MiB of memory, {nofile} descriptors, {file} MiB a file, no core dump");
    Ok(LayerReport::active(Layer::Limits, detail))
}
