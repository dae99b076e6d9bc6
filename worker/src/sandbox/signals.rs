//! Signals as a fresh process has them, whatever the daemon had blocked or ignored.

use crate::stop::Stop;
use midimon_shared::WorkerExit;
use midimon_shared::sandbox::{Layer, LayerReport};
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

/// Every signal at its default and unblocked, but for two that are ignored, so that the plugin
/// gets an error instead of dying: SIGPIPE, and SIGXFSZ for a file over its limit.
///
/// # Errors
/// A signal cannot be reset.
pub fn reset() -> Result<LayerReport, Stop> {
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
    SigSet::empty().thread_set_mask().map_err(failed)?;
    Ok(LayerReport::active(Layer::Signals, "default and unblocked; SIGPIPE and SIGXFSZ are ignored"))
}

/// Faults, and the handlers that were there before [`die_of_sent_faults`].
static BEFORE: [(c_int, OnceLock<libc::sigaction>); 2] =
    [(libc::SIGSEGV, OnceLock::new()), (libc::SIGBUS, OnceLock::new())];

/// Makes a SIGSEGV or SIGBUS that somebody sent end the process, whose WASM runtime has put its
/// handlers in place: they know faults alone, look where it happened, find nothing, and go on.
/// Real faults still go to them.
///
/// # Errors
/// A handler cannot be installed.
pub fn die_of_sent_faults() -> Result<(), Stop> {
    for (number, before) in &BEFORE {
        // SAFETY: all zeroes is a valid sigaction (the default action).
        let (mut ours, mut old): (libc::sigaction, libc::sigaction) = unsafe { std::mem::zeroed() };
        ours.sa_sigaction = fault as *const () as usize;
        // as theirs: faults can come on a used-up stack, and within a handler
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        // SAFETY: both point to a sigaction.
        if unsafe { libc::sigaction(*number, std::ptr::null(), &raw mut old) } == 0 {
            let _ = before.set(old); // set already: by an earlier call, and that one counts
        }
        // SAFETY: the handler has the type that SA_SIGINFO asks for and calls what is async-signal-safe.
        if unsafe { libc::sigaction(*number, &raw const ours, std::ptr::null_mut()) } != 0 {
            return Err(Stop::new(WorkerExit::Signals, std::io::Error::last_os_error()));
        }
    }
    Ok(())
}

extern "C" fn fault(number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
    // SAFETY: the kernel gives a valid siginfo.
    let sent = unsafe { (*info).si_code } <= 0;
    let before = BEFORE.iter().find(|(signal, _)| *signal == number).and_then(|(_, before)| before.get());
    match before {
        Some(before) if !sent && before.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: the flag says that the address is that of such a function.
            let handler: Handler = unsafe { std::mem::transmute(before.sa_sigaction) };
            handler(number, info, context);
        }
        _ => {
            // SAFETY: both are async-signal-safe and have no memory to get wrong.
            unsafe {
                libc::signal(number, libc::SIG_DFL);
                libc::raise(number);
            }
        }
    }
}
