//! The limits of a running process.

#![allow(unsafe_code)] // prlimit has no safe wrapper

use super::pidfd::PidFd;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

/// Sets how long a file of a child may become, in bytes; never over its hard limit.
/// `pid` is the number of the process that `pidfd` holds: there is no such call for
/// a pidfd, so it is looked whether the process still runs right before.
///
/// # Errors
/// It has ended, or the system call's.
pub fn set_file_limit(pid: i32, pidfd: &PidFd, bytes: u64) -> Result<(), Errno> {
    let mut ended = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    if poll(&mut ended, PollTimeout::ZERO)? > 0 {
        return Err(Errno::ESRCH);
    }
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: no new limit is given, and the old one is written to a struct of ours.
    Errno::result(unsafe { libc::prlimit(pid, libc::RLIMIT_FSIZE, std::ptr::null(), &raw mut limit) })?;
    limit.rlim_cur = bytes.min(limit.rlim_max);
    // SAFETY: the new limit is read from a struct of ours, the old one is not wanted.
    Errno::result(unsafe { libc::prlimit(pid, libc::RLIMIT_FSIZE, &raw const limit, std::ptr::null_mut()) })?;
    Ok(())
}
