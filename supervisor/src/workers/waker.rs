//! Wakes the thread that reads workers' events, only when it would sleep too long.

use super::lane::Flushed;
use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// An eventfd, and whether its reader sleeps without a near deadline.
///
/// While calls come in, the reader wakes often enough by itself to see their
/// deadlines, so a trigger costs no wake-up; only the first one after a pause does.
#[derive(Debug)]
pub struct Waker {
    event: EventFd,
    parked: AtomicBool,
}

impl Waker {
    /// A waker nobody sleeps on.
    ///
    /// # Errors
    /// The system call's.
    pub fn new() -> Result<Self, Errno> {
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { event, parked: AtomicBool::new(false) })
    }

    /// Wakes the reader.
    pub fn wake(&self) {
        // fails only when 2^64 wake-ups are pending; one is enough
        let _ = self.event.write(1);
    }

    /// After writing to a worker: wakes the reader when it must watch a deadline,
    /// or write what was not written yet.
    pub(super) fn written(&self, flushed: Flushed) {
        if flushed == Flushed::Blocked
            || (self.parked.load(Ordering::SeqCst) && self.parked.swap(false, Ordering::SeqCst))
        {
            self.wake();
        }
    }

    /// The reader is about to sleep for long; it must look for calls once more after this.
    pub(super) fn park(&self) {
        self.parked.store(true, Ordering::SeqCst);
    }

    /// The reader is awake.
    pub(super) fn unpark(&self) {
        self.parked.store(false, Ordering::SeqCst);
    }

    /// Takes all wake-ups.
    pub(super) fn clear(&self) {
        // WouldBlock: somebody else took them
        let _ = self.event.read();
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
