//! Reading, writing and waiting for the hot path, without the C library's cancellation points.
//!
//! In a process with threads each of its `read`, `write` and `epoll_wait` changes the thread's state twice,
//! atomically, for `pthread_cancel`, which nothing here uses: 25 ns a call.
#![allow(unsafe_code)] // the system calls themselves

use nix::sys::epoll::{Epoll, EpollEvent};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `write(2)`.
///
/// # Errors
/// The system call's.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the bytes can be read for the length, and the kernel only reads them.
    result(unsafe { libc::syscall(libc::SYS_write, fd.as_raw_fd(), bytes.as_ptr(), bytes.len()) })
}

/// `read(2)`.
///
/// # Errors
/// The system call's.
pub fn read(fd: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the bytes can be written to for the length.
    result(unsafe { libc::syscall(libc::SYS_read, fd.as_raw_fd(), bytes.as_mut_ptr(), bytes.len()) })
}

/// `epoll_wait(2)`, by the call that every architecture has; -1 waits for ever.
///
/// # Errors
/// The system call's.
pub fn wait(epoll: &Epoll, events: &mut [EpollEvent], timeout_ms: i32) -> io::Result<usize> {
    let room = i32::try_from(events.len()).unwrap_or(i32::MAX);
    let (fd, no_mask) = (epoll.0.as_raw_fd(), std::ptr::null::<libc::sigset_t>());
    // SAFETY: an `EpollEvent` is the kernel's `epoll_event`, and there is room for so many; no signal mask is read.
    result(unsafe { libc::syscall(libc::SYS_epoll_pwait, fd, events.as_mut_ptr(), room, timeout_ms, no_mask, 8usize) })
}

fn result(returned: libc::c_long) -> io::Result<usize> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::epoll::{EpollCreateFlags, EpollFlags};
    use std::os::fd::AsFd;

    #[test]
    fn what_is_written_is_waited_for_and_read_and_errors_are_the_kernels() {
        let (reader, writer) = io::pipe().unwrap();
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        epoll.add(&reader, EpollEvent::new(EpollFlags::EPOLLIN, 7)).unwrap();
        let mut events = [EpollEvent::empty(); 2];
        assert_eq!(wait(&epoll, &mut events, 0).unwrap(), 0);
        assert_eq!(write(writer.as_fd(), b"abc").unwrap(), 3);
        assert_eq!((wait(&epoll, &mut events, -1).unwrap(), events[0].data()), (1, 7));
        let mut bytes = [0; 8];
        assert_eq!((read(reader.as_fd(), &mut bytes).unwrap(), &bytes[..3]), (3, &b"abc"[..]));
        drop(writer);
        assert_eq!(read(reader.as_fd(), &mut bytes).unwrap(), 0);
        let (_, writer) = io::pipe().unwrap();
        assert_eq!(write(writer.as_fd(), b"abc").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(read(writer.as_fd(), &mut bytes).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }
}
