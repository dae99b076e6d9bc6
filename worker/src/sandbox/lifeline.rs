//! No worker outlives its supervisor.

use crate::stop::Stop;
use midimon_shared::WorkerExit;
use midimon_shared::sandbox::{Layer, LayerReport};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;

/// SIGKILL when the supervisor's spawning thread dies. After the capabilities: changing
/// credentials clears it.
///
/// # Errors
/// It cannot be set, or the supervisor died before it was.
pub fn tie_to(parent_pid: i32) -> Result<LayerReport, Stop> {
    set_pdeathsig(Signal::SIGKILL).map_err(|error| Stop::new(WorkerExit::Parent, error))?;
    match getppid().as_raw() {
        parent if parent == parent_pid => Ok(LayerReport::active(Layer::Lifeline, "SIGKILL when the supervisor dies")),
        parent => Err(Stop::new(WorkerExit::Parent, format!("the parent is {parent}, not {parent_pid}"))),
    }
}
