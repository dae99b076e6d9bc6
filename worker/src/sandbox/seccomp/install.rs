//! Installing filters. Both stages for every thread at once.

use super::filters;
use super::policy::Filter;
use super::self_test;
use crate::sandbox::violation;
use crate::stop::Stop;
use midimon_shared::WorkerExit;
use midimon_shared::sandbox::{Layer, LayerReport, LayerState};
use midimon_shared::spawn::{MissingLayers, Violations};
use nix::errno::Errno;

/// What became of a filter.
enum Installed {
    Yes {
        instructions: usize,
    },
    /// The kernel has none.
    NoSuchThing,
}

/// Puts the handler for violations in place, installs the first filter, and sees that it refuses.
///
/// # Errors
/// It cannot be installed or does not hold, or the kernel has no filters and that is not accepted.
pub fn enter(filter: Filter, violations: Violations, missing: MissingLayers) -> Result<LayerReport, Stop> {
    violation::install(violations)?;
    let failed = |why: String| Stop::new(WorkerExit::Seccomp, why);
    match install(filter).map_err(failed)? {
        Installed::Yes { instructions } => {
            self_test::first(filter).map_err(failed)?;
            let detail = format!("what is not listed ends the plugin ({}, {instructions} instructions)", filter.name());
            Ok(LayerReport::active(Layer::Seccomp, detail))
        }
        Installed::NoSuchThing => {
            let detail = "this kernel has no system-call filters (CONFIG_SECCOMP_FILTER)";
            match missing {
                MissingLayers::Refuse => Err(failed(detail.to_owned())),
                MissingLayers::Accept => {
                    Ok(LayerReport { layer: Layer::Seccomp, state: LayerState::Unavailable, detail: detail.to_owned() })
                }
            }
        }
    }
}

/// Installs the second filter over the first one, and sees that it refuses. Does nothing where the first one is
/// missing and that was accepted.
///
/// # Errors
/// It cannot be installed, not for every thread, or does not hold.
pub fn lock_down(first: Filter, missing: MissingLayers) -> Result<(), Stop> {
    let failed = |why: String| Stop::new(WorkerExit::Lockdown, why);
    let second = match first {
        Filter::Data => Filter::LockdownData,
        _ => Filter::Lockdown,
    };
    match (install(second).map_err(failed)?, missing) {
        (Installed::Yes { .. }, _) => self_test::second(second).map_err(failed),
        (Installed::NoSuchThing, MissingLayers::Accept) => Ok(()),
        (Installed::NoSuchThing, MissingLayers::Refuse) => Err(failed("the kernel refuses a second filter".to_owned())),
    }
}

fn install(filter: Filter) -> Result<Installed, String> {
    let mut code = filters::program(filter, std::process::id())
        .ok_or_else(|| format!("the filter {} is not what was built", filter.name()))?;
    let instructions = code.len();
    let length = u16::try_from(instructions).map_err(|error| error.to_string())?;
    let program = libc::sock_fprog { len: length, filter: code.as_mut_ptr() };
    // SAFETY: the program and its code are read by the kernel during the call and outlive it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        )
    };
    match result {
        0 => Ok(Installed::Yes { instructions }),
        thread if thread > 0 => Err(format!("thread {thread} has a filter of its own")),
        _ => match Errno::last() {
            Errno::ENOSYS | Errno::EINVAL => Ok(Installed::NoSuchThing),
            error => Err(error.to_string()),
        },
    }
}
