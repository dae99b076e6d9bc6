//! What programs we start do not inherit.

#![allow(unsafe_code)] // one system call libc has no safe wrapper for

/// Marks every descriptor but 0, 1 and 2 to be closed when a program is started.
///
/// Ours are so already; libraries may have forgotten theirs. Does nothing before
/// Linux 5.11, where such a descriptor is inherited.
pub fn close_others_on_exec() {
    // SAFETY: close_range with CLOEXEC takes three integers and closes nothing.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    use std::os::fd::OwnedFd;

    #[test]
    fn a_descriptor_that_would_be_inherited_is_not_any_more() {
        let is_closed = |fd: &OwnedFd| {
            let flags = FdFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFD).unwrap());
            flags.contains(FdFlag::FD_CLOEXEC)
        };
        // other tests, at the same time, start programs too
        let pipes = (0..1000).map(|_| nix::unistd::pipe().unwrap().0);
        let reader = pipes.into_iter().find(|reader| !is_closed(reader)).unwrap();
        close_others_on_exec();
        assert!(is_closed(&reader));
    }
}
