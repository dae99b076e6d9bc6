//! Exchanges with servers of these tests, over connections that a broker of theirs makes.

use super::super::{MAX_EXCHANGES, Net, broker::Broker};
use super::exchange::begin;
use super::{MAX_BODY, MAX_HEAD};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use midimon_shared::host::{HostRefusal, RefusalKind};
use rustls::pki_types::CertificateDer;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody};

/// Long enough for anything that is to happen.
const LONG: Duration = Duration::from_secs(60);

/// Connects to one server, whatever is asked for, and counts.
#[derive(Default)]
struct Local {
    server: Mutex<Option<std::net::SocketAddr>>,
    /// Until the other end is dropped, one who asks for `late.test` waits.
    late: Mutex<Option<Receiver<()>>>,
    connections: AtomicUsize,
}

impl Broker for Local {
    fn connect(&self, target: &str, _until: Instant) -> std::result::Result<OwnedFd, HostRefusal> {
        let refuse = |kind, message: &str| Err(HostRefusal { kind, message: message.into() });
        match target {
            "granted.test:80" => {}
            "late.test:80" => {
                let late = self.late.lock().unwrap().take().unwrap();
                let _ = late.recv();
                return refuse(RefusalKind::Failed, "too late for anybody");
            }
            "slow.test:80" => return refuse(RefusalKind::TimedOut, "too slow"),
            "nobody.test:80" => return refuse(RefusalKind::Failed, "nobody there"),
            _ => return refuse(RefusalKind::NotGranted, "not granted"),
        }
        self.connections.fetch_add(1, Ordering::SeqCst);
        Ok(TcpStream::connect(self.server.lock().unwrap().unwrap()).unwrap().into())
    }

    fn roots(&self, _until: Instant) -> std::result::Result<Vec<CertificateDer<'static>>, HostRefusal> {
        Ok(Vec::new())
    }
}

/// A net, and the server it leads to, which gets each connection.
struct Bed {
    net: Arc<Net>,
    broker: Arc<Local>,
}

impl Bed {
    fn new(serve: impl Fn(BufReader<TcpStream>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let broker = Arc::new(Local { server: Mutex::new(listener.local_addr().ok()), ..Local::default() });
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serve = serve.clone();
                thread::spawn(move || serve(BufReader::new(stream.unwrap())));
            }
        });
        Self { net: Net::new(broker.clone()), broker }
    }

    /// Answers each request on a connection with these bytes.
    fn answering(answer: &'static str) -> Self {
        Self::new(move |mut stream| {
            while head(&mut stream).is_some() {
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        })
    }

    fn send(&self, request: Request<WasiBody>, options: RequestOptions, limit: Duration) -> Result<Response<WasiBody>> {
        let begun = begin(&self.net, request, options, Instant::now() + limit)?;
        self.block_on(begun)
    }

    fn get(&self, uri: &str) -> Result<Response<WasiBody>> {
        self.send(get(uri), RequestOptions::default(), LONG)
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.net.reactor.threads().unwrap().tasks.block_on(work)
    }

    fn read(&self, response: Response<WasiBody>) -> Result<String> {
        let all = self.block_on(response.into_body().collect())?;
        Ok(String::from_utf8(all.to_bytes().to_vec()).unwrap())
    }

    fn connections(&self) -> usize {
        self.broker.connections.load(Ordering::SeqCst)
    }
}

/// A request's head; `None` when the other side has closed.
fn head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

fn with_body(method: &str, uri: &str, body: WasiBody) -> Request<WasiBody> {
    Request::builder().method(method).uri(uri).body(body).unwrap()
}

fn whole(bytes: &'static [u8]) -> WasiBody {
    Full::new(Bytes::from_static(bytes)).map_err(|never| match never {}).boxed_unsync()
}

fn get(uri: &str) -> Request<WasiBody> {
    with_body("GET", uri, whole(b""))
}

const ADDRESS: &str = "http://granted.test/path?query";

#[test]
fn a_request_is_sent_and_its_answer_read() {
    let (seen, requests) = channel();
    let seen = Mutex::new(seen);
    let bed = Bed::new(move |mut stream| {
        let head = head(&mut stream).unwrap();
        let mut body = [0; 3];
        stream.read_exact(&mut body).unwrap();
        seen.lock().unwrap().send((head, body)).unwrap();
        stream.get_mut().write_all(b"HTTP/1.1 201 Created\r\nx-a: b\r\nconnection: close\r\n\r\nanswer").unwrap();
    });
    let response = bed.send(with_body("POST", ADDRESS, whole(b"abc")), RequestOptions::default(), LONG).unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["x-a"]), (201, &"b".parse().unwrap()));
    assert_eq!(bed.read(response).unwrap(), "answer");
    let (head, body): (String, _) = requests.recv().unwrap();
    assert!(head.starts_with("POST /path?query HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("host: granted.test\r\n") && head.contains("content-length: 3\r\n"), "{head}");
    assert_eq!(&body, b"abc");
}

#[test]
fn refusals_have_names_a_guest_can_read() {
    let bed = Bed::answering("");
    let refused = |uri: &str| bed.get(uri).map(drop).unwrap_err();
    assert!(matches!(refused("http://other.test/"), Error::HttpRequestDenied));
    assert!(matches!(refused("http://slow.test/"), Error::ConnectionTimeout));
    assert!(matches!(refused("http://nobody.test/"), Error::DestinationUnavailable));
    assert!(matches!(refused("http://user@granted.test/"), Error::HttpRequestDenied));
    assert!(matches!(refused("http://granted.test:443/"), Error::HttpRequestDenied));
    assert!(matches!(refused("http://granted.test:080/"), Error::HttpRequestUriInvalid));
    assert_eq!(bed.connections(), 0);
}

#[test]
fn a_redirect_is_the_guests_to_follow() {
    let bed = Bed::answering("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n");
    let response = bed.get(ADDRESS).unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["location"]),
        (302, &"http://127.0.0.1/".parse().unwrap())
    );
    assert_eq!(bed.connections(), 1);
}

#[test]
fn a_connection_serves_the_next_request_and_one_that_was_closed_meanwhile_is_replaced() {
    let bed = Bed::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    for _ in 0..3 {
        assert_eq!(bed.read(bed.get(ADDRESS).unwrap()).unwrap(), "ok");
    }
    assert_eq!(bed.connections(), 1);
    // this one closes after each answer, without having said so
    let closing = Bed::new(|mut stream| {
        if head(&mut stream).is_some() {
            stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        }
    });
    for _ in 0..20 {
        assert_eq!(closing.read(closing.get(ADDRESS).unwrap()).unwrap(), "ok");
    }
    assert_eq!(closing.connections(), 20);
}

#[test]
fn an_answer_that_is_not_read_to_its_end_costs_its_connection() {
    let bed = Bed::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    drop(bed.get(ADDRESS).unwrap());
    assert_eq!(bed.read(bed.get(ADDRESS).unwrap()).unwrap(), "ok");
    assert_eq!(bed.connections(), 2);
}

#[test]
fn a_head_over_the_limit_and_bodies_over_theirs_are_cut() {
    let large = Bed::new(|mut stream| {
        head(&mut stream);
        let line = format!("HTTP/1.1 200 OK\r\nx-a: {}\r\n\r\n", "a".repeat(MAX_HEAD));
        let _ = stream.get_mut().write_all(line.as_bytes());
    });
    let error = large.get(ADDRESS).map(drop).unwrap_err();
    assert!(matches!(error, Error::HttpResponseHeaderSectionSize(Some(_))), "{error}");
    let declared = Bed::answering("HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n");
    assert!(matches!(declared.get(ADDRESS).unwrap_err(), Error::HttpResponseBodySize(Some(10_737_418_240))));
    let endless = Bed::new(|mut stream| {
        head(&mut stream);
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let piece = vec![b'a'; 1 << 20];
        let sent = (0..10_240).take_while(|_| stream.get_mut().write_all(&piece).is_ok()).count();
        assert!(sent < 128, "{sent} MiB were taken");
    });
    let mut body = endless.get(ADDRESS).unwrap().into_body();
    let mut taken = 0;
    let error = endless.block_on(async {
        loop {
            match body.frame().await.unwrap() {
                Ok(frame) => taken += frame.data_ref().unwrap().len() as u64,
                Err(error) => break error,
            }
        }
    });
    assert!(matches!(error, Error::HttpResponseBodySize(Some(MAX_BODY))), "{error}");
    assert!((MAX_BODY - MAX_HEAD as u64..=MAX_BODY).contains(&taken), "{taken}");
}

#[test]
fn a_request_body_over_the_limit_is_cut_where_it_goes_over() {
    let (seen, taken) = channel();
    let seen = Mutex::new(seen);
    let bed = Bed::new(move |mut stream| {
        head(&mut stream);
        let count = std::io::copy(&mut stream, &mut std::io::sink());
        seen.lock().unwrap().send(count.unwrap_or(u64::MAX)).unwrap();
    });
    let body = Pieces(80).boxed_unsync();
    let error = bed.send(with_body("POST", ADDRESS, body), RequestOptions::default(), LONG).unwrap_err();
    assert!(matches!(error, Error::HttpRequestBodySize(Some(MAX_BODY))), "{error}");
    let taken: u64 = taken.recv().unwrap();
    assert!(taken < MAX_BODY + (1 << 20), "{taken}");
}

/// So many MiB that are all there.
struct Pieces(u32);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        Poll::Ready(left.map(|_| Ok(Frame::data(Bytes::from(vec![0; 1 << 20])))))
    }
}

/// A server that sends a byte now and then until nobody takes them.
fn dripping() -> (Bed, Receiver<Duration>) {
    let (seen, ended) = channel();
    let seen = Mutex::new(seen);
    let bed = Bed::new(move |mut stream| {
        head(&mut stream);
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let started = Instant::now();
        while stream.get_mut().write_all(b"a").is_ok() {
            thread::sleep(Duration::from_millis(5)); // each byte comes in time, and all of them never
        }
        let _ = seen.lock().unwrap().send(started.elapsed());
    });
    (bed, ended)
}

#[test]
fn a_dripping_body_is_cut_at_the_end_of_its_exchange() {
    let (bed, ended) = dripping();
    let response = bed.send(get(ADDRESS), RequestOptions::default(), Duration::from_secs(2)).unwrap();
    assert!(matches!(bed.read(response).unwrap_err(), Error::HttpResponseTimeout));
    let taken = ended.recv().unwrap();
    assert!(taken < LONG / 2, "{taken:?}");
}

#[test]
fn each_of_the_three_timeouts_cuts_what_it_is_for() {
    let silent = |after: &'static str| {
        Bed::new(move |mut stream| {
            head(&mut stream);
            stream.get_mut().write_all(after.as_bytes()).unwrap();
            let _ = stream.read(&mut [0]); // until the other side closes
        })
    };
    let short = Some(Duration::from_millis(50));
    let connect = RequestOptions { connect_timeout: short, ..RequestOptions::default() };
    let (bed, started) = (silent(""), Instant::now());
    let (answering, late) = channel();
    *bed.broker.late.lock().unwrap() = Some(late);
    let error = bed.send(get("http://late.test/"), connect, LONG).unwrap_err();
    assert!(matches!(error, Error::ConnectionTimeout), "{error}");
    assert!(started.elapsed() < LONG / 2, "{:?}", started.elapsed());
    drop(answering);
    let first = RequestOptions { first_byte_timeout: short, ..RequestOptions::default() };
    let error = silent("").send(get(ADDRESS), first, LONG).unwrap_err();
    assert!(matches!(error, Error::ConnectionReadTimeout), "{error}");
    let between = RequestOptions { between_bytes_timeout: short, ..RequestOptions::default() };
    let stops = silent("HTTP/1.1 200 OK\r\n\r\nabc");
    let response = stops.send(get(ADDRESS), between, LONG).unwrap();
    let error = stops.read(response).unwrap_err();
    assert!(matches!(error, Error::ConnectionReadTimeout), "{error}");
    // and the exchange's own, where the guest gives none
    let error = silent("").send(get(ADDRESS), RequestOptions::default(), Duration::from_secs(2)).unwrap_err();
    assert!(matches!(error, Error::HttpResponseTimeout), "{error}");
}

#[test]
fn a_server_that_never_stops_talking_without_an_answer_is_left_in_time() {
    let (seen, ended) = channel();
    let seen = Mutex::new(seen);
    let talkative = Bed::new(move |mut stream| {
        head(&mut stream);
        let piece = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
        while stream.get_mut().write_all(&piece).is_ok() {}
        let _ = seen.lock().unwrap().send(());
    });
    let error = talkative.send(get(ADDRESS), RequestOptions::default(), Duration::from_secs(2)).unwrap_err();
    assert!(matches!(error, Error::HttpResponseTimeout), "{error}");
    ended.recv_timeout(LONG).expect("the connection is closed");
}

#[test]
fn what_is_no_answer_is_named() {
    let error = |answer: &'static str| {
        let bed = Bed::new(move |mut stream| {
            head(&mut stream);
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        });
        bed.get(ADDRESS).and_then(|response| bed.read(response)).map(drop).unwrap_err()
    };
    assert!(matches!(error("SSH-2.0-OpenSSH\r\n"), Error::HttpProtocolError));
    assert!(matches!(error("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"), Error::HttpResponseIncomplete));
    assert!(matches!(error("HTTP/1.1 2"), Error::HttpResponseIncomplete));
    assert!(matches!(
        error("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
        Error::HttpUpgradeFailed
    ));
}

#[test]
fn requests_at_once_are_bounded_and_places_come_back() {
    let bed = Bed::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let held: Vec<_> = (0..MAX_EXCHANGES).map(|_| bed.get(ADDRESS).unwrap()).collect();
    assert!(matches!(bed.get(ADDRESS).unwrap_err(), Error::ConnectionLimitReached));
    assert_eq!(bed.connections(), MAX_EXCHANGES);
    drop(held);
    assert_eq!(bed.read(bed.get(ADDRESS).unwrap()).unwrap(), "ok");
}
