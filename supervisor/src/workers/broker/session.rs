//! What belongs to one process while it lives, and ends with it.

use super::endpoint::Endpoint;
use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// Targets that datagrams can be sent to at once.
pub const MAX_SOCKETS: usize = 4;

/// See the module. Its end ends whatever waits on the process's behalf.
#[derive(Debug)]
pub struct Session {
    ended: EventFd,
    sockets: Mutex<Vec<(Endpoint, Arc<UdpSocket>)>>,
}

impl Session {
    /// Of a process that has just made its first request.
    ///
    /// # Errors
    /// No descriptor can be had.
    pub fn new() -> Result<Self, Errno> {
        let ended = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { ended, sockets: Mutex::default() })
    }

    /// The process has ended: nobody waits for an answer any more.
    pub fn end(&self) {
        let _ = self.ended.write(1); // cannot be full
    }

    /// Readable from the process's end on.
    #[must_use]
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// The socket to this target, where there is one already.
    #[must_use]
    pub fn socket(&self, endpoint: &Endpoint) -> Option<Arc<UdpSocket>> {
        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.iter().find(|(known, _)| known == endpoint).map(|(_, socket)| socket.clone())
    }

    /// Keeps a socket; false when there are [`MAX_SOCKETS`] already.
    #[must_use]
    pub fn keep(&self, endpoint: Endpoint, socket: Arc<UdpSocket>) -> bool {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = sockets.len() < MAX_SOCKETS;
        if has_room {
            sockets.push((endpoint, socket));
        }
        has_room
    }

    /// Whether another socket can be kept.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).len() < MAX_SOCKETS
    }
}
