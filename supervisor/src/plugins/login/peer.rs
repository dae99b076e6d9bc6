//! Whose program is at the other end of a connection over loopback.
//!
//! Both ends are sockets of this computer, so the kernel's table of them (`/proc/net/tcp`, or
//! `tcp6` where the other end speaks IPv6 to an IPv4 address) has a line for the other end,
//! with the user who opened it.

use nix::unistd::geteuid;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Most that is read of a table, in bytes: a line has 150, or 180 of IPv6, so these are some 90,000 sockets.
const MAX_TABLE: u64 = 16 * 1024 * 1024;
/// So often a table is read: a line can be passed over while others before it go.
const TRIES: usize = 2;
/// Most looks in a second; a browser comes with some six connections at once.
pub(super) const MOST_LOOKS: usize = 32;
/// How long a look counts.
const WINDOW: Duration = Duration::from_secs(1);
/// All the numbers a user can have: the last of 32 bits is none (user_namespaces(7)).
const ALL_USERS: u64 = 0xFFFF_FFFF;
/// The kernel's own choice of a number for those who have none (`DEFAULT_OVERFLOWUID`).
const OVERFLOW: u32 = 65534;

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// This user's, or root's, who can read all this user has.
    Ours,
    /// Another user's.
    Other,
    /// Nobody can tell: it is closed already, or the table cannot be read.
    Unknown,
}

/// The looks of the last second: each can cost the reading of large tables, and anybody may connect.
#[derive(Debug, Default)]
pub(super) struct Looks(VecDeque<Instant>);

impl Looks {
    /// Whether there may be one now, which counts then.
    pub(super) fn may(&mut self, now: Instant) -> bool {
        while self.0.front().is_some_and(|at| now.saturating_duration_since(*at) >= WINDOW) {
            self.0.pop_front();
        }
        let may = self.0.len() < MOST_LOOKS;
        if may {
            self.0.push_back(now);
        }
        may
    }
}

/// Whose program is at the other end.
#[must_use]
pub fn peer(stream: &TcpStream) -> Peer {
    let (Ok(ours), Ok(theirs)) = (stream.local_addr(), stream.peer_addr()) else { return Peer::Unknown };
    for _ in 0..TRIES {
        for (table, name) in [("/proc/net/tcp", v4 as fn(SocketAddr) -> Option<String>), ("/proc/net/tcp6", v6)] {
            let (Some(theirs), Some(ours)) = (name(theirs), name(ours)) else { return Peer::Unknown };
            // without IPv6 there is no such table
            let Ok(file) = File::open(table) else { continue };
            match owner(BufReader::new(file.take(MAX_TABLE)), &theirs, &ours) {
                Ok(Line::Missing) | Err(_) => {}
                Ok(line) => return whose(&line, geteuid().as_raw(), shared_here()),
            }
        }
    }
    Peer::Unknown
}

/// What a table says of a socket.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Missing,
    /// No process has it any more. Whoever it was, user 0 stands there then.
    Nobodys,
    Of(u32),
}

/// To this user, where `shared` is the number of several.
fn whose(line: &Line, me: u32, shared: Option<u32>) -> Peer {
    match *line {
        Line::Of(uid) if Some(uid) == shared => Peer::Unknown,
        Line::Of(uid) if uid == me || uid == 0 => Peer::Ours,
        Line::Of(_) => Peer::Other,
        Line::Nobodys | Line::Missing => Peer::Unknown,
    }
}

/// What [`shared`] says of this process. What cannot be read maps nobody.
fn shared_here() -> Option<u32> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    shared(&read("/proc/self/uid_map"), &read("/proc/sys/kernel/overflowuid"))
}

/// The number that a table has for everybody to whom the user namespace gives none of their own;
/// `None` where it gives one to all. Another user can have that number by right, too: no table tells
/// them apart.
fn shared(uid_map: &str, overflow: &str) -> Option<u32> {
    let length = |line: &str| line.split_ascii_whitespace().nth(2)?.parse::<u32>().ok();
    // the kernel lets no two lines overlap
    let mapped: u64 = uid_map.lines().filter_map(length).map(u64::from).sum();
    (mapped < ALL_USERS).then(|| overflow.trim().parse().unwrap_or(OVERFLOW))
}

/// Looks for the socket at `local` that is connected to `remote` (proc_net_tcp.rst of the kernel).
fn owner(mut table: impl BufRead, local: &str, remote: &str) -> io::Result<Line> {
    let mut line = String::new();
    while table.read_line(&mut line)? > 0 {
        let mut words = line.split_ascii_whitespace().skip(1);
        if words.next() == Some(local) && words.next() == Some(remote) {
            // state, queues, timer, retransmissions; then the user, a time-out, the inode
            let (uid, inode) = (words.nth(4), words.nth(1));
            return Ok(match (uid.and_then(|uid| uid.parse().ok()), inode.and_then(|inode| inode.parse().ok())) {
                (Some(uid), Some(1_u64..)) => Line::Of(uid),
                _ => Line::Nobodys,
            });
        }
        line.clear();
    }
    Ok(Line::Missing)
}

fn ip(address: SocketAddr) -> Option<Ipv4Addr> {
    match address.ip() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(ip) => ip.to_ipv4_mapped(),
    }
}

/// As the kernel writes it: each four bytes as one number of this machine.
fn hex(bytes: &[u8], port: u16) -> String {
    let word = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_ne_bytes);
    let words: String = bytes.chunks_exact(4).map(|bytes| format!("{:08X}", word(bytes))).collect();
    format!("{words}:{port:04X}")
}

fn v4(address: SocketAddr) -> Option<String> {
    Some(hex(&ip(address)?.octets(), address.port()))
}

/// The IPv4 address as IPv6 has it.
fn v6(address: SocketAddr) -> Option<String> {
    Some(hex(&ip(address)?.to_ipv6_mapped().octets(), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::until;
    use std::net::{Ipv6Addr, TcpListener};

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0\n   \
        1: 0100007F:C001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 4712 1 0 20 4 30 10 -1\n   \
        2: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000  1000        0 4713 1 0 20 4 30 10 -1\n   \
        3: 0100007F:C002 0100007F:1F90 05 00000000:00000000 03:000016E6 00000000     0        0 0 3 0\n   \
        4: 0100007F:C003 0100007F:1F90 01 00000000:00000000\n";

    fn found(local: &str) -> Line {
        owner(TABLE.as_bytes(), local, "0100007F:1F90").unwrap()
    }

    #[test]
    fn the_line_of_the_other_end_says_whose_it_is() {
        assert_eq!(found("0100007F:C001"), Line::Of(1001));
        assert_eq!(found("0100007F:C004"), Line::Missing);
        assert_eq!(owner(TABLE.as_bytes(), "0100007F:1F90", "0100007F:C001").unwrap(), Line::Of(1000));
    }

    #[test]
    fn this_user_and_root_are_ours_and_everybody_else_is_not() {
        let to = |me| [0, 1000, 1001].map(|uid| whose(&Line::Of(uid), me, None));
        assert_eq!(to(1000), [Peer::Ours, Peer::Ours, Peer::Other]);
        assert_eq!(to(0), [Peer::Ours, Peer::Other, Peer::Other]);
    }

    #[test]
    fn a_socket_that_was_closed_is_nobodys_though_root_stands_there() {
        assert_eq!(found("0100007F:C002"), Line::Nobodys);
        assert_eq!([0, 1000].map(|me| whose(&Line::Nobodys, me, None)), [Peer::Unknown; 2]);
        assert_eq!(found("0100007F:C003"), Line::Nobodys, "half a line");
    }

    #[test]
    fn a_number_that_stands_for_everybody_without_one_is_nobodys() {
        let whole = "         0          0 4294967295\n";
        let in_parts = "0 100000 1000\n1000 0 4294966295\n";
        for map in [whole, in_parts] {
            assert_eq!(shared(map, "65534\n"), None, "{map}");
        }
        // one user; a container's 65536, of whom one has the number that others are shown with; nothing readable
        for map in ["0 1000 1\n", "65534 1000 1\n", "0 1000 1\n1 100000 65536\n", "", "0 0\n", "0 0 -1\n"] {
            assert_eq!((shared(map, "65534\n"), shared(map, "99\n")), (Some(65534), Some(99)), "{map}");
            assert_eq!(shared(map, ""), Some(OVERFLOW), "{map}");
        }
        let line = Line::Of(65534);
        assert_eq!([None, Some(65534)].map(|shared| whose(&line, 65534, shared)), [Peer::Ours, Peer::Unknown]);
        assert_eq!([None, Some(65534)].map(|shared| whose(&line, 1000, shared)), [Peer::Other, Peer::Unknown]);
        assert_eq!(whose(&Line::Of(1000), 1000, Some(65534)), Peer::Ours);
    }

    #[test]
    fn no_second_has_more_looks_than_it_may() {
        let (start, mut looks) = (Instant::now(), Looks::default());
        let at = |millis| start + Duration::from_millis(millis);
        assert!((0..MOST_LOOKS).all(|_| looks.may(at(900))));
        // those that are refused do not count
        assert!((0..1000).all(|_| !looks.may(at(1899))));
        assert!(looks.may(at(1900)) && looks.0.len() == 1);
        let mut granted = Vec::new();
        for millis in (1900..12_000).step_by(3) {
            if looks.may(at(millis)) {
                granted.push(millis);
            }
        }
        let most =
            granted.iter().map(|from| granted.iter().filter(|at| (*from..from + 1000).contains(*at)).count()).max();
        assert!(most == Some(MOST_LOOKS) && granted.len() > 9 * MOST_LOOKS, "{most:?} of {}", granted.len());
    }

    #[test]
    fn our_own_program_is_known_over_either_family_and_nobody_once_it_has_closed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mapped = SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port));
        let has_v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        let addresses = [Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))), Some(mapped).filter(|_| has_v6)];
        for address in addresses.into_iter().flatten() {
            let theirs = TcpStream::connect(address).unwrap();
            let (ours, _) = listener.accept().unwrap();
            assert_eq!(peer(&ours), Peer::Ours, "{address}");
            drop(theirs);
            // a program that another test starts has it too, until it begins
            until("it is nobody's any more", || peer(&ours) == Peer::Unknown);
        }
    }
}
