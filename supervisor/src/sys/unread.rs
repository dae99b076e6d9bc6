//! What was sent over a socket and has not been read yet.

#![allow(unsafe_code)] // one ioctl libc has no safe wrapper for

use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

/// How much memory messages take that the other end of a local socket has not read;
/// 0 from the moment it has read all of them.
///
/// # Errors
/// It is no such socket.
pub fn unread(socket: BorrowedFd<'_>) -> Result<usize, Errno> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: TIOCOUTQ (SIOCOUTQ of sockets) writes one int to where the pointer leads.
    Errno::result(unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) })?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
    use std::os::fd::AsFd;

    #[test]
    fn a_message_counts_until_it_is_read_and_no_longer() {
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
        assert_eq!(unread(ours.as_fd()), Ok(0));
        for _ in 0..2 {
            send(ours.as_raw_fd(), b"answer", MsgFlags::empty()).unwrap();
        }
        let mut bytes = [0; 16];
        recv(theirs.as_raw_fd(), &mut bytes, MsgFlags::empty()).unwrap();
        assert!(unread(ours.as_fd()).unwrap() > 0);
        assert_eq!(recv(theirs.as_raw_fd(), &mut bytes, MsgFlags::empty()), Ok(6));
        assert_eq!(unread(ours.as_fd()), Ok(0));
        assert!(unread(std::fs::File::open("/dev/null").unwrap().as_fd()).is_err());
    }
}
