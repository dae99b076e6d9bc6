//! A signal at a steady pace while one is wanted: a clock without a thread.
//!
//! With a second thread the kernel counts the users of a descriptor at each call on it, and the C library makes each
//! read and write one that can be cancelled. A trigger is one read and one write.

use std::ffi::c_int;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

/// What the signal does.
static BEAT: OnceLock<fn()> = OnceLock::new();

/// Makes SIGALRM call `beat`, and stops a clock that runs. System calls that it interrupts go on, where the kernel can
/// go on with them.
///
/// # Errors
/// There is one already, or the system refuses.
///
/// # Safety
/// `beat` is async-signal-safe: it takes no lock, no memory, and calls nothing that does.
pub unsafe fn install(beat: fn()) -> io::Result<()> {
    BEAT.set(beat).map_err(|_| io::Error::other("there is one clock in a process, and it is taken"))?;
    // SAFETY: all zeroes is a valid sigaction (the default action, no signal blocked).
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_alarm as *const () as usize;
    // a plugin may have used up its stack
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: `action` is a sigaction, and its handler has the type of one without SA_SIGINFO.
    if unsafe { libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    set(Duration::ZERO)
}

/// Starts the clock: a beat every `period`, the first one after it.
pub fn start(period: Duration) {
    if set(period).is_err() {
        // what was to be bounded by it would not be
        std::process::abort();
    }
}

/// Stops the clock.
pub fn stop() {
    let _ = set(Duration::ZERO); // it would go on, which costs wake-ups and does no harm
}

fn set(period: Duration) -> io::Result<()> {
    let period = libc::timeval {
        tv_sec: libc::time_t::try_from(period.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_usec: period.subsec_micros().into(),
    };
    let timer = libc::itimerval { it_interval: period, it_value: period };
    // SAFETY: `timer` is a valid itimerval, and nothing is asked for; the call is async-signal-safe.
    match unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

extern "C" fn on_alarm(_: c_int) {
    // SAFETY: the address of this thread's own `errno`, which what was interrupted may be about to read.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    if let Some(beat) = BEAT.get() {
        beat();
    }
    // SAFETY: as above.
    unsafe { *errno = before };
}
