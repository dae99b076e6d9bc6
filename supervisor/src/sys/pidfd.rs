//! A handle on a child process that can never come to mean another one.

#![allow(unsafe_code)] // the two system calls libc has no wrapper for, and waitid's raw answer

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEnd {
    /// With this exit code.
    Exited(i32),
    /// By this signal.
    Signaled(Signal),
    /// By a signal without a name: a real-time one, by its number.
    RealTimeSignal(i32),
}

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
    pub fn reap(&self) -> Result<Option<ProcessEnd>, Errno> {
        self.wait_with(libc::WEXITED | libc::WNOHANG)
    }

    /// Waits until the process has ended and reaps it.
    ///
    /// # Errors
    /// The system call's.
    pub fn wait(&self) -> Result<ProcessEnd, Errno> {
        loop {
            match self.wait_with(libc::WEXITED) {
                Err(Errno::EINTR) | Ok(None) => {}
                Ok(Some(end)) => return Ok(end),
                Err(error) => return Err(error),
            }
        }
    }

    /// Another handle on the same process.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// Whether all threads of the process have stopped since the last time this
    /// said so, or it has ended.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        !matches!(self.wait_with(libc::WSTOPPED | libc::WNOHANG), Ok(None))
    }

    /// nix's own reaps the process and then loses how it ended when it knows no name for the signal.
    fn wait_with(&self, options: i32) -> Result<Option<ProcessEnd>, Errno> {
        let id = self.0.as_raw_fd() as libc::id_t;
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: the descriptor is open as long as self lives; info is ours, and waitid writes nothing but it.
        Errno::result(unsafe { libc::waitid(libc::P_PIDFD, id, info.as_mut_ptr(), options) })?;
        // SAFETY: all bits zero are a valid siginfo_t, and waitid has left it so or written one.
        let info = unsafe { info.assume_init() };
        // SAFETY: waitid fills in the fields of SIGCHLD, or leaves zeros, which say that it still runs.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        Ok((pid != 0).then(|| match (info.si_code, Signal::try_from(status)) {
            (libc::CLD_EXITED, _) => ProcessEnd::Exited(status),
            (_, Ok(signal)) => ProcessEnd::Signaled(signal),
            (_, Err(_)) => ProcessEnd::RealTimeSignal(status),
        }))
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
