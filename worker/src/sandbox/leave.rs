//! The way out.

use crate::log::{self, Level};
use crate::stop::Stop;
use midimon_shared::WorkerExit;

/// Ends the process at once: no destructor and no `atexit` handler of a plugin can hold it up.
pub fn leave(result: Result<(), Stop>) -> ! {
    let exit = match result {
        Ok(()) => WorkerExit::Done,
        Err(stop) => {
            log::write(Level::Error, &stop.to_string());
            stop.exit
        }
    };
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(exit as i32) }
}
