//! Nobody looks in, and no exec gains anything.

use crate::stop::Stop;
use midimon_shared::WorkerExit;
use midimon_shared::sandbox::{Layer, LayerReport};
use nix::sys::prctl::{set_dumpable, set_no_new_privs};

/// Closes the process's memory to others of the same user. Exec resets it, so it is done here.
///
/// # Errors
/// The kernel refuses.
pub fn forbid_dumping() -> Result<LayerReport, Stop> {
    set_dumpable(false).map_err(|error| Stop::new(WorkerExit::Dumpable, error))?;
    Ok(LayerReport::active(Layer::Dumpable, "nobody of the same user can look in"))
}

/// Sets no_new_privs, which cannot be taken back; seccomp and Landlock need it.
///
/// # Errors
/// The kernel refuses.
pub fn forbid_new() -> Result<LayerReport, Stop> {
    set_no_new_privs().map_err(|error| Stop::new(WorkerExit::NoNewPrivs, error))?;
    Ok(LayerReport::active(Layer::NoNewPrivs, "no exec gains anything"))
}
