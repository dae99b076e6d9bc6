//! What a guest sees of the world: WASI preview 1 without arguments, environment, sockets or
//! standard input; clocks and random numbers are real, the data directory is `/` when granted.

use super::deadline::DeadlinePassed;
use super::log_stream::GuestLog;
use super::meter::Meter;
use super::poll::{monotonic_ns, poll_oneoff};
use std::io;
use std::time::Instant;
use wasmtime::{Engine, Linker, Result, Store, UpdateDeadline};
use wasmtime_wasi::p1::{WasiP1Ctx, add_to_linker_sync};
use wasmtime_wasi::{FsPerms, HostMonotonicClock, WasiCtxBuilder};

const WASI: &str = "wasi_snapshot_preview1";

/// What belongs to one instance.
pub struct Guest {
    wasi: WasiP1Ctx,
    pub meter: Meter,
    deadline: Instant,
}

impl Guest {
    /// When the call under way must end.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// The functions a guest can import.
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

/// Room for one instance, which must have ended what it does by `deadline`.
///
/// # Errors
/// The data directory cannot be opened.
pub fn store(engine: &Engine, meter: Meter, data_dir: Option<&str>, deadline: Instant) -> Result<Store<Guest>> {
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(GuestLog)
        .stderr(GuestLog)
        .monotonic_clock(Monotonic)
        // guests run on the one thread there is: nothing else waits for it
        .allow_blocking_current_thread(true)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    if let Some(directory) = data_dir {
        wasi.preopened_dir(directory, "/", FsPerms::ReadWrite)?;
    }
    let mut store = Store::new(engine, Guest { wasi: wasi.build_p1(), meter, deadline });
    store.limiter(|guest| &mut guest.meter);
    store.epoch_deadline_callback(|guest| {
        if Instant::now() < guest.data().deadline {
            Ok(UpdateDeadline::Continue(1))
        } else {
            Err(DeadlinePassed.into())
        }
    });
    Ok(store)
}

/// Gives a store its budget for what it does next.
///
/// # Errors
/// Never: the engine counts fuel.
pub fn budget(store: &mut Store<Guest>, fuel: u64, deadline: Instant) -> Result<()> {
    let guest = store.data_mut();
    guest.deadline = deadline;
    guest.meter.forget_refusals();
    store.set_epoch_deadline(1);
    store.set_fuel(if fuel == 0 { u64::MAX } else { fuel })
}

/// wasmtime-wasi runs its file functions inside tokio, and starts a runtime with a thread for each
/// processor when there is none. They never wait here, so one without threads and drivers will do.
///
/// # Errors
/// The runtime cannot be built.
pub fn enter_runtime() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    // both stay until the process ends
    std::mem::forget(Box::leak(Box::new(runtime)).enter());
    Ok(())
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
