//! What a guest sees of the world: WASI without arguments, environment, sockets or standard
//! input; clocks and random numbers are real, the data directory is `/` when granted.

use super::bounds::{Bounded, Bounds};
use super::log_stream::GuestLog;
use super::poll::{monotonic_ns, poll_oneoff};
use std::io;
use std::time::Instant;
use tokio::runtime::{Builder, Runtime};
use wasmtime::{Engine, Linker, Result};
use wasmtime_wasi::p1::{WasiP1Ctx, add_to_linker_sync};
use wasmtime_wasi::{FsPerms, HostMonotonicClock, WasiCtxBuilder};

/// Most random bytes at once; more is a trap. They are made in memory that no limit of the guest's counts.
const MAX_RANDOM: u64 = 1024 * 1024;

const WASI: &str = "wasi_snapshot_preview1";

/// What belongs to one instance of a core module.
pub struct Guest {
    wasi: WasiP1Ctx,
    bounds: Bounds,
}

impl Guest {
    /// With this data directory, under these bounds.
    ///
    /// # Errors
    /// The data directory cannot be opened.
    pub fn new(data_dir: Option<&str>, bounds: Bounds) -> Result<Self> {
        Ok(Self { wasi: context(data_dir)?.build_p1(), bounds })
    }

    /// When the call under way must end.
    pub fn deadline(&self) -> Instant {
        self.bounds.deadline
    }
}

impl Bounded for Guest {
    fn bounds(&mut self) -> &mut Bounds {
        &mut self.bounds
    }
}

/// The functions a core module can import.
///
/// # Errors
/// Only when a function is defined twice.
pub fn linker(engine: &Engine) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    add_to_linker_sync(&mut linker, |guest: &mut Guest| &mut guest.wasi)?;
    linker.allow_shadowing(true);
    linker.func_wrap(WASI, "poll_oneoff", poll_oneoff)?;
    Ok(linker)
}

/// What every guest sees, of whichever WASI.
///
/// # Errors
/// The data directory cannot be opened.
pub fn context(data_dir: Option<&str>) -> Result<WasiCtxBuilder> {
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(GuestLog)
        .stderr(GuestLog)
        .monotonic_clock(Monotonic)
        .max_random_size(MAX_RANDOM)
        // guests run on the one thread there is: nothing else waits for it
        .allow_blocking_current_thread(true)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    if let Some(directory) = data_dir {
        wasi.preopened_dir(directory, "/", FsPerms::ReadWrite)?;
    }
    Ok(wasi)
}

/// wasmtime-wasi runs its file functions inside tokio, and starts a runtime with a thread for each
/// processor when there is none. This one has no thread, and of the drivers only the one of the clock.
///
/// # Errors
/// The runtime cannot be built.
pub fn enter_runtime() -> io::Result<&'static Runtime> {
    let runtime = Box::leak(Box::new(Builder::new_current_thread().enable_time().build()?));
    // both stay until the process ends
    std::mem::forget(runtime.enter());
    Ok(runtime)
}

/// The system's monotonic clock, as in a trigger's `monotonic_ns`.
struct Monotonic;

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        monotonic_ns()
    }
}
