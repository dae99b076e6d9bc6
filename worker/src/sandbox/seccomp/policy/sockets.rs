//! The sockets a worker was handed: the request socket, on which it only receives, and granted
//! connections. They go where they were connected to, and nowhere else.

use super::errno::{ENOPROTOOPT, EPERM};
use super::{Table, allow, free, int, null, only, trap, unless};

const SOL_SOCKET: u64 = 1;
const IPPROTO_TCP: u64 = 6;

/// MSG_DONTWAIT, MSG_NOSIGNAL, MSG_MORE.
const SEND_FLAGS: u64 = 0x40 | 0x4000 | 0x8000;

/// For every processor.
pub const SOCKETS: Table = Table {
    arch: None,
    rules: &[
        free(&["recvfrom", "recvmsg", "shutdown", "getsockname", "getpeername"]),
        // an address would send to anyone from a datagram socket; sendmsg hides it from filters and is no rule's
        trap(&["sendto"], &[allow(&[only(3, SEND_FLAGS), null(4)])]),
        unless(
            &["setsockopt"],
            &[
                allow(&[int(1, SOL_SOCKET), int(2, 9)]),   // SO_KEEPALIVE
                allow(&[int(1, SOL_SOCKET), int(2, 20)]),  // SO_RCVTIMEO
                allow(&[int(1, SOL_SOCKET), int(2, 21)]),  // SO_SNDTIMEO
                allow(&[int(1, IPPROTO_TCP), int(2, 1)]),  // TCP_NODELAY
                allow(&[int(1, IPPROTO_TCP), int(2, 4)]),  // TCP_KEEPIDLE
                allow(&[int(1, IPPROTO_TCP), int(2, 5)]),  // TCP_KEEPINTVL
                allow(&[int(1, IPPROTO_TCP), int(2, 6)]),  // TCP_KEEPCNT
                allow(&[int(1, IPPROTO_TCP), int(2, 18)]), // TCP_USER_TIMEOUT
            ],
            EPERM,
        ),
        // what they are and how they are; not who the peer is (SO_PEERPIDFD), no mapping (TCP_ZEROCOPY_RECEIVE)
        unless(
            &["getsockopt"],
            &[
                allow(&[int(1, SOL_SOCKET), int(2, 3)]),  // SO_TYPE
                allow(&[int(1, SOL_SOCKET), int(2, 4)]),  // SO_ERROR
                allow(&[int(1, SOL_SOCKET), int(2, 7)]),  // SO_SNDBUF
                allow(&[int(1, SOL_SOCKET), int(2, 8)]),  // SO_RCVBUF
                allow(&[int(1, SOL_SOCKET), int(2, 9)]),  // SO_KEEPALIVE
                allow(&[int(1, SOL_SOCKET), int(2, 20)]), // SO_RCVTIMEO
                allow(&[int(1, SOL_SOCKET), int(2, 21)]), // SO_SNDTIMEO
                allow(&[int(1, SOL_SOCKET), int(2, 38)]), // SO_PROTOCOL
                allow(&[int(1, SOL_SOCKET), int(2, 39)]), // SO_DOMAIN
                allow(&[int(1, IPPROTO_TCP), int(2, 1)]), // TCP_NODELAY
                allow(&[int(1, IPPROTO_TCP), int(2, 4)]), // TCP_KEEPIDLE
                allow(&[int(1, IPPROTO_TCP), int(2, 5)]), // TCP_KEEPINTVL
                allow(&[int(1, IPPROTO_TCP), int(2, 6)]), // TCP_KEEPCNT
            ],
            ENOPROTOOPT,
        ),
    ],
};
