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

    /// How the process ended, with its peak resident memory in KiB; `None` while
    /// it runs. The process is reaped by this.
    ///
    /// # Errors
    /// The system call's; `ECHILD` when it was reaped already.
    pub fn reap(&self) -> Result<Option<(WaitStatus, u64)>, Errno> {
        // the zombie stays until its usage is read
        let keep = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let status = match waitid(Id::PIDFd(self.0.as_fd()), keep)? {
            WaitStatus::StillAlive => return Ok(None),
            status => status,
        };
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        let null = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the kernel writes at most one rusage to the valid pointer; a null siginfo is allowed.
        let result = unsafe {
            libc::syscall(libc::SYS_waitid, libc::P_PIDFD, self.0.as_raw_fd(), null, libc::WEXITED, usage.as_mut_ptr())
        };
        Errno::result(result)?;
        // SAFETY: zeroed is a valid rusage, and the kernel has filled it.
        let usage = unsafe { usage.assume_init() };
        Ok(Some((status, u64::try_from(usage.ru_maxrss).unwrap_or(0))))
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
