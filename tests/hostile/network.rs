//! The network: entries 78 and 79 here, 80 to 83 through the broker.

use crate::support::{Case, Expected, cases};
use nix::errno::Errno;

fn socket(domain: i32, kind: i32, protocol: i32) -> Case {
    Case::of("socket").on(&format!("{domain} {kind} {protocol}"))
}

fn on_five(word: &str) -> Case {
    Case::of("socket_calls").on(word)
}

const SOCKET: Expected = Expected::Refused("socket");
/// From a kernel that has no such sockets.
const NO_FAMILY: &[Errno] = &[Errno::EAFNOSUPPORT];

cases! {
    hostile_078_no_tcp: socket(2, 1, 0) => SOCKET;
    hostile_078_no_tcp_over_ipv6: socket(10, 1, 0).absent(NO_FAMILY) => SOCKET;
    hostile_078_no_udp: socket(2, 2, 0) => SOCKET;
    // the kernel's own EPERM for users is the filter's; root, and the filter's rule for every socket, tell them apart
    hostile_078_no_raw_packets: socket(2, 3, 1).privileged().alike() => SOCKET;
    hostile_078_no_netlink: socket(16, 3, 0) => SOCKET;
    hostile_078_no_packets_below_ip: socket(17, 3, 0).privileged().alike() => SOCKET;
    hostile_078_no_kernel_cryptography: socket(38, 5, 0).absent(NO_FAMILY) => SOCKET;
    hostile_078_no_virtual_machine_sockets: socket(40, 1, 0).absent(NO_FAMILY) => SOCKET;
    hostile_079_no_unix_socket: socket(1, 1, 0) => SOCKET;
    hostile_079_no_unix_datagrams: socket(1, 2, 0) => SOCKET;
    hostile_079_no_pair_of_sockets: Case::of("socket").on("pair 1") => Expected::Refused("socketpair");
    hostile_079_its_one_socket_cannot_be_connected: on_five("connect") => Expected::Refused("connect");
    hostile_079_its_one_socket_cannot_be_bound: on_five("bind") => Expected::Refused("bind");
    hostile_079_its_one_socket_cannot_listen: on_five("listen") => Expected::Refused("listen");
    hostile_079_its_one_socket_cannot_accept: on_five("accept") => Expected::Refused("accept");
    hostile_079_nothing_is_sent_to_an_address: on_five("sendto") => Expected::Refused("sendto");
    hostile_079_no_credentials_are_asked_for: on_five("passcred") => Expected::Refused("setsockopt");
    hostile_079_no_buffer_is_grown: on_five("buffer") => Expected::Refused("setsockopt");
}
