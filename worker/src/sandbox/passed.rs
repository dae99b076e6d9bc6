//! One message of a socket, with the descriptors that come with it.

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

/// What came.
#[derive(Debug)]
pub struct Passed {
    /// Bytes of the message; 0 when the socket is closed.
    pub bytes: usize,
    /// The descriptors that came with it, close-on-exec.
    pub descriptors: Vec<OwnedFd>,
    /// The message, or its descriptors, did not fit.
    pub cut: bool,
}

/// Waits for a message and takes it into `buffer`.
///
/// # Errors
/// The system call's.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<Passed, Errno> {
    let mut space = cmsg_space!([RawFd; 4]);
    let mut slices = [IoSliceMut::new(buffer)];
    let socket = socket.as_fd().as_raw_fd();
    let received = loop {
        match recvmsg::<UnixAddr>(socket, &mut slices, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(Errno::EINTR) => {}
            result => break result?,
        }
    };
    let mut descriptors = Vec::new();
    for message in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = message {
            // SAFETY: the kernel has just made these descriptors for this process; nothing else knows them.
            descriptors.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    let cut = received.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC);
    Ok(Passed { bytes: received.bytes, descriptors, cut })
}
