//! TCP connections, made by the supervisor and handed over.
//!
//! A granted name is resolved once, here; each address it leads to is checked, and
//! the connection goes to the address that was checked.

use super::endpoint::{Endpoint, Host};
use super::jobs::Resolvers;
use super::{Outcome, address, refusal};
use midimon_shared::host::{HostRefusal, HostReply, RefusalKind};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Addresses of a name that are looked at.
const MAX_ADDRESSES: usize = 8;

/// Connects, within this time all in all.
pub fn connect(endpoint: &Endpoint, limit: Duration, resolvers: &Resolvers) -> Outcome {
    let deadline = Instant::now() + limit;
    match allowed(endpoint, deadline, resolvers).and_then(|all| first(&all, deadline)) {
        Ok(socket) => Outcome { result: Ok(HostReply::Connected), descriptor: Some(socket) },
        Err(refusal) => Err(refusal).into(),
    }
}

/// The addresses behind an endpoint that may be used, at least one.
pub fn allowed(endpoint: &Endpoint, deadline: Instant, resolvers: &Resolvers) -> Result<Vec<SocketAddr>, HostRefusal> {
    let found = match &endpoint.host {
        Host::Ip(ip) => vec![*ip],
        // whatever a resolver may make of it
        Host::Name(name) if name == "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        Host::Name(name) => resolve(name, deadline, resolvers)?,
    };
    usable(endpoint, found)
}

/// Those of the addresses found that the grant lets the endpoint lead to.
fn usable(endpoint: &Endpoint, found: Vec<IpAddr>) -> Result<Vec<SocketAddr>, HostRefusal> {
    let mut forbidden = None;
    let mut usable = Vec::new();
    for ip in found {
        match address::check(&endpoint.host, ip) {
            Ok(()) => usable.push(SocketAddr::new(ip, endpoint.port)),
            Err(why) => forbidden = Some(why),
        }
    }
    match forbidden {
        Some(why) if usable.is_empty() => Err(refusal(RefusalKind::NotGranted, format!("{endpoint}: {why}"))),
        _ if usable.is_empty() => Err(refusal(RefusalKind::Failed, format!("{endpoint}: the name has no address"))),
        _ => Ok(usable),
    }
}

/// Asks the system's resolver, which knows no deadline: when it is late its thread
/// is left to end by itself, and there are only so many of them.
fn resolve(name: &str, deadline: Instant, resolvers: &Resolvers) -> Result<Vec<IpAddr>, HostRefusal> {
    let failed = |why: String| refusal(RefusalKind::Failed, format!("{name} cannot be resolved: {why}"));
    let places = resolvers.take().ok_or_else(|| refusal(RefusalKind::TooMany, "too many names are being resolved"))?;
    let (sender, receiver) = sync_channel(1);
    let asked = name.to_owned();
    let ask = move || {
        let found = (asked.as_str(), 0).to_socket_addrs();
        let found = found.map(|all| all.map(|address| address.ip()).take(MAX_ADDRESSES).collect::<Vec<_>>());
        drop(places);
        let _ = sender.send(found); // nobody may wait any more
    };
    std::thread::Builder::new().name("resolver".into()).spawn(ask).map_err(|error| failed(error.to_string()))?;
    match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(Ok(mut found)) => {
            let mut seen = std::collections::HashSet::new();
            found.retain(|ip| seen.insert(*ip));
            Ok(found)
        }
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(RecvTimeoutError::Timeout) => {
            Err(refusal(RefusalKind::TimedOut, format!("{name} was not resolved in time")))
        }
        Err(RecvTimeoutError::Disconnected) => Err(failed("the resolver gave up".into())),
    }
}

/// The first that can be connected to; each gets an equal share of the time that is left.
fn first(addresses: &[SocketAddr], deadline: Instant) -> Result<OwnedFd, HostRefusal> {
    let mut last = refusal(RefusalKind::TimedOut, "no time is left to connect");
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - index).unwrap_or(1);
        if share.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(address, share) {
            Ok(stream) => return Ok(stream.into()),
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                last = refusal(RefusalKind::TimedOut, format!("no connection to {address} in time"));
            }
            Err(error) => last = refusal(RefusalKind::Failed, format!("no connection to {address}: {error}")),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{self, Backlog};
    use std::io::{Read, Write};
    use std::net::TcpListener;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap()
    }

    fn connect_to(text: &str, limit: Duration) -> Result<TcpStream, HostRefusal> {
        let outcome = connect(&endpoint(text), limit, &Resolvers::of(1));
        outcome.result.map(|reply| {
            assert_eq!(reply, HostReply::Connected);
            outcome.descriptor.unwrap().into()
        })
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_granted_address_is_connected_to_and_the_descriptor_waits_when_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for target in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
            let mut stream = connect_to(&target, LONG).unwrap();
            let (mut served, _) = listener.accept().unwrap();
            let reader = std::thread::spawn(move || {
                let mut text = String::new();
                stream.read_to_string(&mut text).map(|_| text)
            });
            served.write_all(b"hello").unwrap();
            drop(served);
            assert_eq!(reader.join().unwrap().unwrap(), "hello", "{target}");
        }
    }

    #[test]
    fn of_what_a_name_leads_to_only_public_addresses_are_used() {
        let found = |texts: &[&str]| {
            let found = texts.iter().map(|text| text.parse().unwrap()).collect();
            usable(&endpoint("example.org:80"), found)
        };
        let public: SocketAddr = "1.1.1.1:80".parse().unwrap();
        assert_eq!(found(&["127.0.0.1", "1.1.1.1", "::1"]), Ok(vec![public]));
        let inside = found(&["10.0.0.1", "127.0.0.1"]).unwrap_err();
        assert_eq!(inside.kind, RefusalKind::NotGranted);
        assert!(inside.message.contains("127.0.0.1 is a loopback address"), "{}", inside.message);
        assert_eq!(found(&[]).unwrap_err().kind, RefusalKind::Failed);
    }

    #[test]
    fn nobody_listening_is_told_and_a_silent_address_ends_at_the_deadline() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let refused = connect_to(&format!("127.0.0.1:{port}"), LONG).unwrap_err();
        assert_eq!(refused.kind, RefusalKind::Failed);
        assert!(refused.message.contains("Connection refused"), "{}", refused.message);
        // a queue that is full answers nothing
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        socket::listen(&listener, Backlog::new(0).unwrap()).unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let mut held = Vec::new();
        let late = loop {
            assert!(held.len() < 64, "the queue never fills");
            match connect_to(&target, Duration::from_millis(100)) {
                Ok(stream) => held.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(late.kind, RefusalKind::TimedOut, "{late:?}");
    }

    #[test]
    fn no_more_names_are_resolved_at_once_than_there_are_places() {
        let full = Resolvers::of(0);
        let error = allowed(&endpoint("example.org:80"), Instant::now() + LONG, &full).unwrap_err();
        assert_eq!(error.kind, RefusalKind::TooMany);
        assert!(allowed(&endpoint("localhost:80"), Instant::now(), &full).is_ok(), "localhost needs no resolver");
    }
}
