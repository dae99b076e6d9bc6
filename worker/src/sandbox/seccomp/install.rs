//! Installing filters. Both stages for every thread at once.

use super::filters;
use super::policy::{Filter, SECOND, SECOND_END};
use super::self_test;
use crate::sandbox::violation;
use crate::stop::Stop;
use libc::{sock_filter, sock_fprog};
use midimon_shared::WorkerExit;
use midimon_shared::sandbox::{Layer, LayerReport, LayerState};
use midimon_shared::spawn::{MissingLayers, Violations};
use nix::errno::Errno;
use std::ffi::c_void;

/// Why a filter is not in force.
#[derive(Debug, thiserror::Error)]
enum NotInstalled {
    #[error(transparent)]
    Kernel(Errno),
    #[error("thread {0} has a filter of its own")]
    Thread(i64),
}

/// What the first filter left to do.
#[derive(Debug)]
#[must_use]
pub enum Stage {
    /// Enter this one on top of it, with [`lock_down`].
    Then(Filter),
    /// Nothing: a compile job's filter is the only one.
    Last,
    /// Nothing: this kernel has no filters, and the user accepted that.
    Unfiltered,
}

/// Puts the handler for violations in place, installs the first filter, and sees that it refuses.
///
/// # Errors
/// It cannot be installed or does not hold, or the kernel has no filters and that is not accepted.
pub fn enter(filter: Filter, violations: Violations, missing: MissingLayers) -> Result<(LayerReport, Stage), Stop> {
    violation::install(violations)?;
    let failed = |why: String| Stop::new(WorkerExit::Seccomp, why);
    if let Some(second) = filter.second() {
        place(second).map_err(failed)?;
    }
    let mut code = program(filter).map_err(failed)?;
    let instructions = code.len();
    let program = sock_fprog { len: length(&code).map_err(failed)?, filter: code.as_mut_ptr() };
    // SAFETY: the program and its code outlive the call.
    match (unsafe { install(&raw const program) }, missing) {
        (Ok(()), _) => {
            self_test::first(filter).map_err(failed)?;
            let detail = format!("what is not listed ends the plugin ({}, {instructions} instructions)", filter.name());
            let stage = filter.second().map_or(Stage::Last, Stage::Then);
            Ok((LayerReport::active(Layer::Seccomp, detail), stage))
        }
        (Err(NotInstalled::Kernel(Errno::ENOSYS | Errno::EINVAL)), missing) => {
            let detail = "this kernel has no system-call filters (CONFIG_SECCOMP_FILTER)".to_owned();
            match missing {
                MissingLayers::Refuse => Err(failed(detail)),
                MissingLayers::Accept => {
                    let report = LayerReport { layer: Layer::Seccomp, state: LayerState::Unavailable, detail };
                    Ok((report, Stage::Unfiltered))
                }
            }
        }
        (Err(error), _) => Err(failed(error.to_string())),
    }
}

/// Installs the second filter over the first one, and sees that it refuses.
///
/// # Errors
/// It cannot be installed, or does not hold.
pub fn lock_down(stage: Stage) -> Result<(), Stop> {
    let failed = |why: String| Stop::new(WorkerExit::Lockdown, why);
    match stage {
        Stage::Then(second) => {
            // SAFETY: `enter` has put the program there, and nothing can have changed it since.
            unsafe { install(SECOND as *const sock_fprog) }.map_err(|error| failed(error.to_string()))?;
            self_test::second(second).map_err(failed)
        }
        Stage::Last | Stage::Unfiltered => Ok(()),
    }
}

fn program(filter: Filter) -> Result<Vec<sock_filter>, String> {
    filters::program(filter, std::process::id())
        .ok_or_else(|| format!("the filter {} is not what was built", filter.name()))
}

fn length(code: &[sock_filter]) -> Result<u16, String> {
    u16::try_from(code.len()).map_err(|error| error.to_string())
}

/// Puts a filter where the first one lets the kernel take it from, to be read only. What a plugin does
/// until it is installed, to memory or with filters of its own, is nothing to it.
fn place(filter: Filter) -> Result<(), String> {
    let failed = |what: &str| format!("{what} the second filter: {}", Errno::last());
    let code = program(filter)?;
    let size = size_of::<sock_fprog>() + size_of_val(code.as_slice());
    if size as u64 > SECOND_END - SECOND {
        return Err(format!("no room for the {size} bytes of the second filter"));
    }
    let wanted = SECOND as *mut c_void;
    // SAFETY: new memory, at an address where nothing is.
    let place = unsafe {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        libc::mmap(wanted, size, protection, flags | libc::MAP_FIXED_NOREPLACE, -1, 0)
    };
    if place != wanted {
        return Err(failed("no place for"));
    }
    let head = place.cast::<sock_fprog>();
    // SAFETY: the code lies behind the head, and both are in the new memory, which is aligned to pages.
    unsafe {
        let start = head.add(1).cast::<sock_filter>();
        start.copy_from_nonoverlapping(code.as_ptr(), code.len());
        head.write(sock_fprog { len: length(&code)?, filter: start });
    }
    // SAFETY: the memory of above, which nothing refers to.
    match unsafe { libc::mprotect(place, size, libc::PROT_READ) } {
        0 => Ok(()),
        _ => Err(failed("protecting")),
    }
}

/// # Safety
/// The program is valid, and its code.
unsafe fn install(program: *const sock_fprog) -> Result<(), NotInstalled> {
    let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_TSYNC);
    // SAFETY: as the caller promises.
    match unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, program) } {
        0 => Ok(()),
        thread if thread > 0 => Err(NotInstalled::Thread(thread)),
        _ => Err(NotInstalled::Kernel(Errno::last())),
    }
}
