//! What a request through a component costs, beside a client without any sandbox on the same server
//! (`--nocapture` shows the figures).

use midimon_tests::Bed;
use midimon_tests::net_guest::NetGuest;
use midimon_tests::web::{Authority, Server, Stream};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::json;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

/// Requests with a connection each: a plugin has twenty connections at once, and ten a second.
const CLOSING: usize = 8;
/// Requests on one connection.
const KEEPING: usize = 200;

/// Answers, and closes the connection where the request's path says so.
fn serve(stream: &mut dyn Stream, head: &str) -> io::Result<()> {
    if head.starts_with("GET /close ") {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")?;
        stream.flush()?;
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
}

fn open(target: &str, tls: Option<&Arc<ClientConfig>>) -> Box<dyn Stream> {
    let socket = TcpStream::connect(target).unwrap();
    socket.set_nodelay(true).unwrap();
    let Some(config) = tls else { return Box::new(socket) };
    let name = "localhost".try_into().unwrap();
    Box::new(StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), socket))
}

/// The same requests by hand; microseconds of each.
fn by_hand(target: &str, tls: Option<&Arc<ClientConfig>>, path: &str, times: usize) -> Vec<u64> {
    let mut kept: Option<Box<dyn Stream>> = None;
    let taken = (0..times).map(|_| {
        let started = Instant::now();
        let stream = kept.get_or_insert_with(|| open(target, tls));
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {target}\r\n\r\n").as_bytes()).unwrap();
        stream.flush().unwrap();
        let (mut answer, mut piece) = (Vec::new(), [0; 1000]);
        while !answer.ends_with(b"\r\n\r\nhello") {
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "cut off after {answer:?}");
            answer.extend_from_slice(&piece[..count]);
        }
        if path == "/close" {
            kept = None;
        }
        u64::try_from(started.elapsed().as_micros()).unwrap()
    });
    taken.collect()
}

/// The first, and the median of the others.
fn figures(mut times: Vec<u64>) -> (u64, u64) {
    let first = times.remove(0);
    times.sort_unstable();
    (first, times[times.len() / 2])
}

#[test]
fn a_connection_that_is_kept_saves_making_one() {
    let authority = Authority::new();
    let start = |tls| Server::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), tls, Arc::new(serve));
    let (plain, secure) = (start(None), start(Some(authority.server("localhost"))));
    let targets = [plain.at("localhost"), secure.at("localhost")];
    let granted = targets.each_ref().map(String::as_str);
    let guest = NetGuest::with(Bed::new().trusting(&authority), &granted, &granted, "timeout_ms = 20000\nfuel = 0");
    let client = authority.client();
    for (what, target, scheme, tls, server) in
        [("http", &targets[0], "http", None, &plain), ("https", &targets[1], "https", Some(&client), &secure)]
    {
        for (path, times, expected) in [("/close", CLOSING, CLOSING), ("/keep", KEEPING, 1)] {
            let before = server.connections();
            let request = json!({ "scheme": scheme, "authority": target, "path": path });
            let answer = guest.call("race", json!({ "request": request, "times": times, "wide": 1 })).unwrap();
            let guests = figures(answer.split(' ').map(|time| time.parse().unwrap()).collect());
            let connections = server.connections() - before;
            assert_eq!(connections, expected, "{what} {path}");
            let hands = figures(by_hand(target, tls, path, times));
            let ratio = guests.1 as f64 / hands.1.max(1) as f64;
            println!(
                "{what} {path}: component first {} µs, then {} µs; by hand first {} µs, then {} µs; {ratio:.2} x",
                guests.0, guests.1, hands.0, hands.1
            );
        }
    }
}
