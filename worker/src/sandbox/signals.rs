//! Signals as a fresh process has them, whatever the daemon had blocked or ignored.

use crate::stop::Stop;
use midimon_shared::WorkerExit;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};

/// Every signal at its default and unblocked, but for two that are ignored, so that the plugin
/// gets an error instead of dying: SIGPIPE, and SIGXFSZ for a file over its limit.
///
/// # Errors
/// A signal cannot be reset.
pub fn reset() -> Result<(), Stop> {
    let failed = |error| Stop::new(WorkerExit::Signals, error);
    // std's handlers for SIGSEGV and SIGBUS go too: they swallow the first one that comes from outside
    let keep = [Signal::SIGKILL, Signal::SIGSTOP];
    for number in Signal::iterator().filter(|number| !keep.contains(number)) {
        let handler = match number {
            Signal::SIGPIPE | Signal::SIGXFSZ => SigHandler::SigIgn,
            _ => SigHandler::SigDfl,
        };
        // SAFETY: neither disposition runs code of this process.
        unsafe { signal(number, handler) }.map_err(failed)?;
    }
    SigSet::empty().thread_set_mask().map_err(failed)
}
