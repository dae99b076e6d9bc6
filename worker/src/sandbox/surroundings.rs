//! What a process has around it when it starts: threads, environment, directory, umask.

use crate::stop::Stop;
use midimon_shared::WorkerExit;
use nix::sys::stat::{Mode, stat, umask};

/// Makes sure that there is one thread: several layers hold for the calling thread only.
///
/// # Errors
/// More than one, or no way to tell.
pub fn single_thread() -> Result<(), Stop> {
    // not std's metadata: having seen statx work once, it would insist on it under the filter, which has none
    let task = stat("/proc/self/task").map_err(Stop::during(WorkerExit::Threads, "/proc/self/task"))?;
    // a directory's links are itself, its parent's entry, and one for each subdirectory
    match task.st_nlink.saturating_sub(2) {
        1 => Ok(()),
        count => Err(Stop::new(WorkerExit::Threads, format!("{count} threads"))),
    }
}

/// Makes sure that nothing came by environment, and leaves the daemon's directory and umask.
///
/// # Errors
/// There are variables, or `/` cannot be entered.
pub fn empty() -> Result<(), Stop> {
    if let Some((name, _)) = std::env::vars_os().next() {
        return Err(Stop::new(WorkerExit::Environment, format!("it has {}", name.display())));
    }
    std::env::set_current_dir("/").map_err(Stop::during(WorkerExit::Environment, "chdir /"))?;
    umask(Mode::from_bits_truncate(0o077));
    Ok(())
}

/// Lets the C library read the system's time zone while it can, and keep it: with `TZ` set it does not look again.
/// While there is one thread.
pub fn keep_time_zone() {
    // SAFETY: nothing else reads the environment: this is the one thread.
    unsafe { std::env::set_var("TZ", ":/etc/localtime") };
    let epoch = 0;
    // SAFETY: all zeroes is a valid `tm`; both outlive the call.
    unsafe {
        let mut time = std::mem::zeroed();
        libc::localtime_r(&raw const epoch, &raw mut time);
    }
}
