//! Waiting for a descriptor, a deadline or the end of the process that asked.

use super::session::Session;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// One of the descriptors, or several.
    Ready,
    /// The deadline.
    Late,
    /// The process that asked has ended.
    Ended,
}

/// Waits for one of these.
///
/// # Errors
/// The system call's.
pub fn wait(session: &Session, wanted: &[(BorrowedFd<'_>, PollFlags)], deadline: Instant) -> Result<Woken, Errno> {
    loop {
        let mut fds = vec![PollFd::new(session.ended(), PollFlags::POLLIN)];
        fds.extend(wanted.iter().map(|&(fd, flags)| PollFd::new(fd, flags)));
        let left = deadline.saturating_duration_since(Instant::now());
        // rounded up, so that the deadline has passed when it ends
        let timeout = PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(0) if left.is_zero() => return Ok(Woken::Late),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) if fds[0].any() == Some(true) => return Ok(Woken::Ended),
            Ok(_) => return Ok(Woken::Ready),
            Err(error) => return Err(error),
        }
    }
}
