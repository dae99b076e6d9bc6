//! Connections to servers of these tests. TLS is shown end to end, where there are certificates.

use super::super::broker::Broker;
use super::super::{MAX_CONNECTIONS, Net};
use super::*;
use rustls::pki_types::CertificateDer;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// Long enough for anything that is to happen, and for a guest to ask for.
const LONG_MS: u32 = 20_000;

/// Connects to wherever it is told.
struct Anywhere;

impl Broker for Anywhere {
    fn connect(&self, target: &str, _until: Instant) -> Result<OwnedFd, HostRefusal> {
        TcpStream::connect(target).map(OwnedFd::from).map_err(|error| failed(error.to_string()))
    }

    fn roots(&self, _until: Instant) -> Result<Vec<CertificateDer<'static>>, HostRefusal> {
        Ok(Vec::new())
    }
}

struct Bed {
    net: Arc<Net>,
    listener: TcpListener,
}

impl Bed {
    fn new() -> Self {
        Self { net: Net::new(Arc::new(Anywhere)), listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    fn connect(&self) -> Result<Connection, HostRefusal> {
        Connection::connect(&self.net, &self.listener.local_addr().unwrap().to_string(), LONG_MS, later())
    }

    /// A connection, and what the other side does with its end.
    fn pair<T: Send + 'static>(
        &self,
        serve: impl FnOnce(TcpStream) -> T + Send + 'static,
    ) -> (Connection, JoinHandle<T>) {
        let connection = self.connect().unwrap();
        let (stream, _) = self.listener.accept().unwrap();
        (connection, thread::spawn(move || serve(stream)))
    }
}

/// The end of a call that has time.
fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[test]
fn bytes_go_both_ways_and_both_sides_can_finish() {
    let (mut connection, server) = Bed::new().pair(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(b"answer").unwrap();
        all
    });
    connection.write(b"ques", LONG_MS, later()).unwrap();
    connection.write(b"tion", LONG_MS, later()).unwrap();
    connection.finish().unwrap();
    connection.finish().unwrap();
    let mut all = Vec::new();
    loop {
        match connection.read(4, LONG_MS, later()).unwrap() {
            piece if piece.is_empty() => break,
            piece => {
                assert!(piece.len() <= 4);
                all.extend(piece);
            }
        }
    }
    assert_eq!((all.as_slice(), server.join().unwrap().as_slice()), (&b"answer"[..], &b"question"[..]));
    assert_eq!(connection.write(b"more", 0, later()).unwrap_err().kind, RefusalKind::Invalid);
}

#[test]
fn waiting_ends_with_the_guests_limit_and_with_its_call() {
    let (mut connection, server) = Bed::new().pair(|stream| stream);
    let mut late = |timeout_ms, call| connection.read(1, timeout_ms, call).unwrap_err();
    assert_eq!(late(0, later()).kind, RefusalKind::TimedOut);
    assert!(late(10, later()).message.contains("nothing happened in time"));
    let started = Instant::now();
    assert!(late(LONG_MS, started + Duration::from_millis(50)).message.contains("the call's time is used up"));
    assert!(started.elapsed() < Duration::from_secs(10));
    // nobody was hurt by that
    server.join().unwrap().write_all(b"a").unwrap();
    assert_eq!(connection.read(1, LONG_MS, later()).unwrap(), b"a");
}

#[test]
fn a_write_that_is_cut_off_is_the_last_one() {
    let (mut connection, server) = Bed::new().pair(|stream| stream);
    let piece = [0; MAX_BYTES];
    let error = loop {
        match connection.write(&piece, 50, later()) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind, RefusalKind::TimedOut);
    drop(server);
    let error = connection.write(b"a", LONG_MS, later()).unwrap_err();
    assert!(error.message.contains("cut off"), "{}", error.message);
}

#[test]
fn sizes_and_times_beyond_the_bounds_are_refused() {
    let (mut connection, _server) = Bed::new().pair(|mut stream| stream.write_all(&[1; 2 * MAX_BYTES]));
    assert_eq!(connection.read(0, 0, later()).unwrap_err().kind, RefusalKind::Invalid);
    assert!(connection.read(u32::MAX, LONG_MS, later()).unwrap().len() <= MAX_BYTES);
    assert_eq!(connection.read(1, MAX_WAIT_MS + 1, later()).unwrap_err().kind, RefusalKind::Invalid);
    assert_eq!(connection.write(&[0; MAX_BYTES + 1], 0, later()).unwrap_err().kind, RefusalKind::Invalid);
    let long = "a".repeat(MAX_TARGET + 1);
    let error = Connection::connect(&Bed::new().net, &long, 0, later()).unwrap_err();
    assert_eq!(error.kind, RefusalKind::Invalid);
}

#[test]
fn one_connection_too_many_is_refused_and_a_dropped_one_is_closed_and_makes_room() {
    let bed = Bed::new();
    let mut held: Vec<_> = (0..MAX_CONNECTIONS).map(|_| bed.connect().unwrap()).collect();
    assert_eq!(bed.connect().unwrap_err().kind, RefusalKind::TooMany);
    let (mut first, _) = bed.listener.accept().unwrap();
    held.remove(0);
    assert_eq!(first.read(&mut [0]).unwrap(), 0);
    bed.connect().unwrap();
}

#[test]
fn without_any_authority_nobody_is_trusted_with_tls() {
    let bed = Bed::new();
    let tls = |target: &str| Connection::connect_tls(&bed.net, target, LONG_MS, later()).unwrap_err();
    let error = tls(&bed.listener.local_addr().unwrap().to_string());
    assert!(error.message.contains("no certificate authority is known"), "{}", error.message);
    for bad in ["user@example.org:443", "exa mple.org:443"] {
        assert_eq!(tls(bad).kind, RefusalKind::Invalid, "{bad}");
    }
}
