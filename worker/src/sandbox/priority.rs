//! A worker yields to the daemon's MIDI thread, and dies first when memory runs out.
//!
//! Set by the process itself: once it is non-dumpable nobody else of the same user can.

use crate::stop::Stop;
use midimon_shared::WorkerExit;
use midimon_shared::sandbox::{Layer, LayerReport};
use std::io;

const NICE: i32 = 5;
const OOM_SCORE: &str = "500";

/// Lowers the priority by 5 and raises the OOM score to 500 (of 1000).
///
/// # Errors
/// The system refuses.
pub fn lower() -> Result<LayerReport, Stop> {
    // SAFETY: takes numbers only; 0 is the calling process, which exists.
    let inherited = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    // SAFETY: as above.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, (inherited + NICE).min(19)) } != 0 {
        return Err(Stop::during(WorkerExit::Priority, "nice")(io::Error::last_os_error()));
    }
    match std::fs::write("/proc/self/oom_score_adj", OOM_SCORE) {
        // whoever started the daemon set a higher one already, and only root may lower it again
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        result => result.map_err(Stop::during(WorkerExit::Priority, "oom_score_adj"))?,
    }
    Ok(LayerReport::active(Layer::Priority, format!("nice +{NICE}, OOM score at least {OOM_SCORE}")))
}
