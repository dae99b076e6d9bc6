//! A handle on a child process that can never come to mean another one.

#![allow(unsafe_code)] // the two system calls libc has no wrapper for

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// An open pidfd.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Opens a child that has not been waited for yet, so its number is still its own.
    ///
    /// # Errors
    /// The system call's; needs Linux 5.3.
    pub fn open(child: Pid) -> Result<Self, Errno> {
        // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.as_raw(), 0) };
        let fd = Errno::result(fd)?;
        // SAFETY: the kernel just returned this descriptor, nobody else owns it; it fits an i32.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// Sends a signal to the process, or nothing when it has ended.
    ///
    /// # Errors
    /// The system call's, except `ESRCH`: a process that has ended needs no signal.
    pub fn signal(&self, signal: Signal) -> Result<(), Errno> {
        let null = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open as long as self lives; a null siginfo asks for the default.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal as i32, null, 0) };
        match Errno::result(result) {
            Ok(_) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How the process ended; `None` while it runs. The process is reaped by this.
    ///
    /// # Errors
    /// The system call's; `ECHILD` when it was reaped already.
    pub fn reap(&self) -> Result<Option<WaitStatus>, Errno> {
        match waitid(Id::PIDFd(self.0.as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG)? {
            WaitStatus::StillAlive => Ok(None),
            status => Ok(Some(status)),
        }
    }

    /// Waits until the process has ended and reaps it.
    ///
    /// # Errors
    /// The system call's.
    pub fn wait(&self) -> Result<WaitStatus, Errno> {
        loop {
            match waitid(Id::PIDFd(self.0.as_fd()), WaitPidFlag::WEXITED) {
                Err(Errno::EINTR) => {}
                result => return result,
            }
        }
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
