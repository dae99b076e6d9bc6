//! Datagrams: the socket is the supervisor's, connected to the one address that was
//! checked. A worker never has it: it could send from it to anyone.

use super::connect::allowed;
use super::endpoint::Endpoint;
use super::jobs::Resolvers;
use super::refusal;
use super::session::{MAX_SOCKETS, Session};
use super::wait::{Woken, wait};
use midimon_shared::host::{HostRefusal, HostReply, MAX_DATAGRAM, RefusalKind};
use nix::poll::PollFlags;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the name may take to be resolved.
const RESOLVE: Duration = Duration::from_secs(5);

/// Sends to a target that has been sent to before, which takes no time; `None` when it has not.
pub fn send_at_once(session: &Session, endpoint: &Endpoint, payload: &[u8]) -> Option<Result<HostReply, HostRefusal>> {
    session.socket(endpoint).map(|socket| send_on(&socket, payload))
}

/// Sends to a target, resolving its name first where need be.
pub fn send(
    session: &Session,
    endpoint: &Endpoint,
    payload: &[u8],
    resolvers: &Resolvers,
) -> Result<HostReply, HostRefusal> {
    let full = || refusal(RefusalKind::TooMany, format!("{MAX_SOCKETS} targets of datagrams are the most"));
    if !session.has_room() {
        return Err(full());
    }
    let addresses = allowed(endpoint, Instant::now() + RESOLVE, resolvers)?;
    let socket = addresses.iter().find_map(|address| open(*address).ok());
    let socket = socket.ok_or_else(|| failed(&format!("{endpoint} cannot be reached")))?;
    let socket = Arc::new(socket);
    if !session.keep(endpoint.clone(), socket.clone()) {
        return Err(full());
    }
    send_on(&socket, payload)
}

/// Waits for a datagram from a target that was sent to.
pub fn receive(session: &Session, endpoint: &Endpoint, limit: Duration) -> Result<HostReply, HostRefusal> {
    let Some(socket) = session.socket(endpoint) else {
        return Err(refusal(
            RefusalKind::Invalid,
            format!("nothing was sent to {endpoint} yet, so nothing comes back"),
        ));
    };
    let deadline = Instant::now() + limit;
    loop {
        match wait(session, &[(socket.as_fd(), PollFlags::POLLIN)], deadline) {
            Ok(Woken::Ready) => {}
            Ok(Woken::Late) => return Err(refusal(RefusalKind::TimedOut, "no datagram came in time")),
            Ok(Woken::Ended) => return Err(failed("the process has ended")),
            Err(error) => return Err(failed(error.desc())),
        }
        let mut bytes = vec![0; MAX_DATAGRAM + 1];
        match socket.recv_from(&mut bytes) {
            // it came before the socket was connected
            Ok((_, from)) if socket.peer_addr().is_ok_and(|peer| peer != from) => {}
            Ok((length, _)) if length > MAX_DATAGRAM => {
                return Err(failed(&format!("a datagram of over {MAX_DATAGRAM} bytes came")));
            }
            Ok((length, _)) => {
                bytes.truncate(length);
                return Ok(HostReply::Datagram(bytes));
            }
            // a checksum was wrong: it was none
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(failed(&error.to_string())),
        }
    }
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let any = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.set_nonblocking(true)?;
    socket.connect(address)?;
    Ok(socket)
}

fn send_on(socket: &UdpSocket, payload: &[u8]) -> Result<HostReply, HostRefusal> {
    match socket.send(payload) {
        Ok(_) => Ok(HostReply::Done),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(refusal(RefusalKind::TooMany, "the network takes no more right now"))
        }
        Err(error) => Err(failed(&error.to_string())),
    }
}

fn failed(why: &str) -> HostRefusal {
    refusal(RefusalKind::Failed, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(socket: &UdpSocket) -> Endpoint {
        Endpoint::parse(&format!("udp:{}", socket.local_addr().unwrap())).unwrap()
    }

    fn peer() -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn what_is_sent_arrives_and_the_answer_comes_back_from_there_alone() {
        let (session, peer, stranger) = (Session::new().unwrap(), peer(), peer());
        let target = endpoint(&peer);
        assert!(send_at_once(&session, &target, b"x").is_none());
        assert_eq!(send(&session, &target, b"ping", &Resolvers::of(1)), Ok(HostReply::Done));
        let mut bytes = [0; 16];
        let (length, from) = peer.recv_from(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"ping");
        stranger.send_to(b"forged", from).unwrap();
        peer.send_to(b"pong", from).unwrap();
        assert_eq!(receive(&session, &target, LONG), Ok(HostReply::Datagram(b"pong".to_vec())));
        assert_eq!(send_at_once(&session, &target, b"again"), Some(Ok(HostReply::Done)));
        assert_eq!(peer.recv(&mut bytes).unwrap(), 5);
    }

    #[test]
    fn a_wait_has_its_deadline_and_ends_with_the_process() {
        let (session, peer) = (Session::new().unwrap(), peer());
        let target = endpoint(&peer);
        assert_eq!(receive(&session, &target, LONG).unwrap_err().kind, RefusalKind::Invalid);
        send(&session, &target, b"", &Resolvers::of(1)).unwrap();
        assert_eq!(receive(&session, &target, Duration::ZERO).unwrap_err().kind, RefusalKind::TimedOut);
        session.end();
        assert_eq!(receive(&session, &target, LONG).unwrap_err().kind, RefusalKind::Failed);
    }

    #[test]
    fn a_process_has_so_many_targets_and_no_more() {
        let session = Session::new().unwrap();
        let peers: Vec<UdpSocket> = (0..=MAX_SOCKETS).map(|_| peer()).collect();
        let results: Vec<_> =
            peers.iter().map(|peer| send(&session, &endpoint(peer), b"x", &Resolvers::of(1)).is_ok()).collect();
        assert_eq!(results, [true, true, true, true, false]);
    }

    #[test]
    fn a_datagram_that_is_too_long_is_none() {
        let (session, peer) = (Session::new().unwrap(), peer());
        send(&session, &endpoint(&peer), b"x", &Resolvers::of(1)).unwrap();
        let (_, from) = peer.recv_from(&mut [0; 16]).unwrap();
        peer.send_to(&vec![0; MAX_DATAGRAM + 1], from).unwrap();
        assert_eq!(receive(&session, &endpoint(&peer), LONG).unwrap_err().kind, RefusalKind::Failed);
    }
}
