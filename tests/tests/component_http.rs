//! `wasi:http` of a component in a real worker: what is granted works, and no way around the grants does.

use midimon_tests::net_guest::{self, NetGuest, names};
use midimon_tests::web::{Authority, Server};
use midimon_tests::{Bed, eventually};
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// A server that nobody may reach, and that says if somebody did.
struct Forbidden(TcpListener);

impl Forbidden {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn target(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }
}

impl Drop for Forbidden {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.0.accept().map(drop).unwrap_err().kind(), ErrorKind::WouldBlock, "somebody connected");
        }
    }
}

#[test]
fn a_granted_server_is_spoken_to_and_the_connection_is_recorded() {
    let server = Server::answering(OK);
    let guest = NetGuest::granted(&[&server.target()]);
    let request = json!({
        "method": "POST", "authority": server.target(), "path": "/a?b=c", "headers": [["x-a", "b"]], "body": 0,
    });
    assert_eq!(guest.call("fetch", request).as_deref(), Ok("200 hello"));
    let head = &server.heads()[0];
    assert!(head.starts_with("POST /a?b=c HTTP/1.1\r\n") && head.contains("x-a: b\r\n"), "{head}");
    assert!(head.contains(&format!("host: {}\r\n", server.target())), "{head}");
    let uses = eventually("it is recorded", || match guest.uses() {
        uses if uses.is_empty() => Err("nothing".into()),
        uses => Ok(uses),
    });
    assert_eq!((&uses[0]["what"], &uses[0]["target"]), (&json!("connect"), &json!(server.target())));
    assert_eq!(uses[0]["allowed"], json!(true));
}

#[test]
fn without_the_grant_there_is_no_request_and_both_the_guest_and_the_audit_log_are_told() {
    let (server, forbidden) = (Server::answering(OK), Forbidden::new());
    let asked = [server.target(), forbidden.target()];
    let asked = asked.each_ref().map(String::as_str);
    let guest = NetGuest::with(Bed::new(), &asked, &asked[..1], "");
    names(&guest.get(asked[1]).unwrap_err(), "HttpRequestDenied");
    assert_eq!(guest.get(asked[0]).as_deref(), Ok("200 hello"));
    let refused = eventually("it is recorded", || {
        let uses = guest.uses();
        uses.iter().find(|used| used["allowed"] == json!(false)).cloned().ok_or(format!("{uses:?}"))
    });
    assert_eq!(refused["target"], json!(asked[1]));
    let status = guest.daemon().worker(net_guest::ID);
    assert_eq!((status.requests.allowed, status.requests.refused), (1, 1));
}

#[test]
fn a_redirect_is_a_new_request_and_checked_like_one() {
    let forbidden = Forbidden::new();
    let inside = format!("HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", forbidden.target());
    let (redirecting, arrived) = (Server::answering(&inside), Server::answering(OK));
    let there = format!("HTTP/1.1 302 Found\r\nlocation: http://{}/b\r\ncontent-length: 0\r\n\r\n", arrived.target());
    let honest = Server::answering(&there);
    let granted = [redirecting.target(), honest.target(), arrived.target()];
    let guest = NetGuest::granted(&granted.each_ref().map(String::as_str));
    let follow = |server: &Server| guest.call("fetch", json!({ "authority": server.target(), "follow": 3 }));
    names(&follow(&redirecting).unwrap_err(), "HttpRequestDenied");
    assert_eq!(redirecting.heads().len(), 1);
    assert_eq!(follow(&honest).as_deref(), Ok("200 hello"));
    // nobody follows it for the guest
    assert_eq!(guest.get(&honest.target()).as_deref(), Ok("302 "));
}

#[test]
fn no_other_spelling_reaches_what_is_not_granted() {
    let (server, forbidden) = (Server::answering(OK), Forbidden::new());
    let port = forbidden.0.local_addr().unwrap().port();
    let guest = NetGuest::granted(&[&server.target()]);
    for (host, error) in [
        ("127.0.0.1", "HttpRequestDenied"),
        ("localhost", "HttpRequestDenied"),
        ("0.0.0.0", "HttpRequestDenied"),
        ("127.0.0.2", "HttpRequestDenied"),
        ("[::1]", "HttpRequestDenied"),
        ("[::ffff:127.0.0.1]", "HttpRequestDenied"),
        ("[0:0:0:0:0:ffff:7f00:1]", "HttpRequestDenied"),
        ("[::127.0.0.1]", "HttpRequestDenied"),
        ("2130706433", "HttpRequestUriInvalid"),
        ("0x7f000001", "HttpRequestUriInvalid"),
        ("0x7f.1", "HttpRequestUriInvalid"),
        ("0177.0.0.1", "HttpRequestUriInvalid"),
        ("127.1", "HttpRequestUriInvalid"),
        ("127.0.0.1.", "HttpRequestDenied"),
    ] {
        names(&guest.refusal(json!({ "authority": format!("{host}:{port}") })), error);
    }
    // the granted server in front, another one behind
    let granted = server.target();
    for authority in [
        format!("{granted}@{}", forbidden.target()),
        format!("user:password@{}", forbidden.target()),
        format!("user@{granted}"),
    ] {
        names(&guest.refusal(json!({ "authority": authority })), "HttpRequestDenied");
    }
    for (part, value) in [
        ("path", format!("http://{}/", forbidden.target())),
        ("path", "/ HTTP/1.1\r\nhost: intranet\r\n\r\n".into()),
        ("authority", format!("{granted}\r\nhost: intranet")),
        ("authority", format!("{granted}/@{}", forbidden.target())),
        ("authority", format!("{granted}#@{}", forbidden.target())),
        ("authority", format!("{granted}\\@{}", forbidden.target())),
    ] {
        let mut request = json!({ "authority": granted.clone() });
        request[part] = json!(value);
        let refused = guest.refusal(request);
        assert!(refused.contains("is refused") || refused.contains("HttpRequest"), "{value}: {refused}");
    }
    assert_eq!(server.connections(), 0);
    // and as it is granted
    assert_eq!(guest.get(&granted).as_deref(), Ok("200 hello"));
}

#[test]
fn another_port_another_scheme_and_another_host_header_are_refused_or_harmless() {
    let (server, forbidden) = (Server::answering(OK), Forbidden::new());
    let guest = NetGuest::granted(&[&server.target(), "127.0.0.1:443"]);
    let granted = server.target();
    names(&guest.refusal(json!({ "authority": forbidden.target() })), "HttpRequestDenied");
    names(&guest.refusal(json!({ "authority": "127.0.0.1:443" })), "HttpRequestDenied");
    names(&guest.refusal(json!({ "authority": "127.0.0.1" })), "HttpRequestDenied");
    for odd in ["127.0.0.1:0", "127.0.0.1:", "127.0.0.1:65536"] {
        let refused = guest.refusal(json!({ "authority": odd }));
        assert!(refused.contains("refused") || refused.contains("HttpRequestUriInvalid"), "{odd}: {refused}");
    }
    names(&guest.refusal(json!({ "authority": granted, "scheme": "ftp" })), "HttpProtocolError");
    names(&guest.refusal(json!({ "authority": granted, "method": "CONNECT" })), "HttpRequestMethodInvalid");
    // a plain server is no TLS server
    names(&guest.refusal(json!({ "authority": granted, "scheme": "https" })), "Tls");
    for header in ["host", "connection", "upgrade", "transfer-encoding", "proxy-authorization"] {
        names(&guest.refusal(json!({ "authority": granted, "headers": [[header, "x"]] })), "Forbidden");
    }
    assert_eq!(guest.get(&granted).as_deref(), Ok("200 hello"));
}

#[test]
fn an_upgrade_that_nobody_asked_for_is_refused() {
    let server =
        Server::answering("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhello");
    let guest = NetGuest::granted(&[&server.target()]);
    names(&guest.get(&server.target()).unwrap_err(), "HttpUpgradeFailed");
}

#[test]
fn a_dripping_body_is_cut_before_its_call_ends_and_the_guest_lives_to_tell() {
    let dripping = Server::start(|stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        loop {
            stream.write_all(b"a")?;
            std::thread::sleep(Duration::from_millis(10)); // as slow as the test's name says
        }
    });
    let server = Server::answering(OK);
    let targets = [dripping.target(), server.target()];
    let targets = targets.each_ref().map(String::as_str);
    let guest = NetGuest::with(Bed::new(), &targets, &targets, "timeout_ms = 3000");
    let pid = guest.daemon().worker(net_guest::ID).pid;
    let started = Instant::now();
    names(&guest.get(targets[0]).unwrap_err(), "HttpResponseTimeout");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(guest.get(targets[1]).as_deref(), Ok("200 hello"));
    assert_eq!(guest.daemon().worker(net_guest::ID).pid, pid, "the same process");
    // the guest's own patience
    let impatient = json!({ "authority": targets[0], "between": 1 });
    names(&guest.refusal(impatient), "ConnectionReadTimeout");
}

#[test]
fn a_server_that_says_nothing_is_waited_for_no_longer_than_the_guest_says() {
    let silent = Server::silent();
    let guest = NetGuest::granted(&[&silent.target()]);
    names(&guest.refusal(json!({ "authority": silent.target(), "first": 50 })), "ConnectionReadTimeout");
}

#[test]
fn ten_gigabytes_are_cut_at_the_limit_announced_or_not() {
    let announced = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n");
    let endless = |chunked: bool| {
        Server::start(move |stream, _| {
            let coding = if chunked { "transfer-encoding: chunked" } else { "connection: close" };
            write!(stream, "HTTP/1.1 200 OK\r\n{coding}\r\n\r\n")?;
            let piece = vec![b'a'; 1 << 20];
            for _ in 0..10 << 10 {
                if chunked {
                    stream.write_all(b"100000\r\n")?;
                }
                stream.write_all(&piece)?;
                if chunked {
                    stream.write_all(b"\r\n")?;
                }
            }
            Ok(())
        })
    };
    let large = Server::start(|stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10485760\r\n\r\n")?;
        stream.write_all(&vec![b'a'; 10 << 20])
    });
    let servers = [announced, endless(false), endless(true), large];
    let targets = servers.each_ref().map(Server::target);
    let targets = targets.each_ref().map(String::as_str);
    let settings = "timeout_ms = 25000\nmemory_mib = 400\nfuel = 0";
    let guest = NetGuest::with(Bed::new(), &targets, &targets, settings);
    for target in &targets[..3] {
        names(&guest.get(target).unwrap_err(), "HttpResponseBodySize");
    }
    assert_eq!(guest.get(targets[3]).as_deref(), Ok("200 10485760 bytes"));
}

#[test]
fn a_head_without_an_end_is_cut_and_a_body_of_the_guests_over_the_limit_too() {
    let talkative = Server::start(|stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            stream.write_all(b"x-more: of the same\r\n")?;
        }
    });
    let taking = Server::start(|stream, head| {
        let mut left: usize = head
            .split("content-length: ")
            .nth(1)
            .map_or(usize::MAX, |rest| rest.split("\r\n").next().and_then(|text| text.parse().ok()).expect("a length"));
        let mut piece = vec![0; 1 << 16];
        while left > 0 {
            let most = left.min(piece.len());
            let count = stream.read(&mut piece[..most])?;
            left -= if count == 0 { return Err(ErrorKind::UnexpectedEof.into()) } else { count };
        }
        stream.write_all(OK.as_bytes())
    });
    let targets = [talkative.target(), taking.target()];
    let targets = targets.each_ref().map(String::as_str);
    let settings = "timeout_ms = 25000\nfuel = 0";
    let guest = NetGuest::with(Bed::new(), &targets, &targets, settings);
    names(&guest.get(targets[0]).unwrap_err(), "HttpResponseHeaderSectionSize");
    let sent = |bytes: u64, length: u64| {
        let headers = json!([["content-length", length.to_string()]]);
        guest.call("fetch", json!({ "method": "POST", "authority": targets[1], "body": bytes, "headers": headers }))
    };
    names(&sent(0, (64 << 20) + 1).unwrap_err(), "HttpRequestBodySize");
    assert_eq!(sent(1 << 20, 1 << 20).as_deref(), Ok("200 hello"));
    let undeclared = json!({ "method": "POST", "authority": targets[1], "body": (64 << 20) + 4096 });
    names(&guest.refusal(undeclared), "HttpRequestBodySize");
}

/// A guest under a daemon whose system knows this authority alone.
fn trusting(authority: &Authority, targets: &[&str]) -> NetGuest {
    NetGuest::with(Bed::new().trusting(authority), targets, targets, "timeout_ms = 20000")
}

#[test]
fn tls_is_spoken_with_whom_the_system_trusts_under_their_own_name_only() {
    let (known, unknown) = (Authority::new(), Authority::new());
    let local = Server::answering_with_tls(OK, known.server("localhost"));
    let address = Server::answering_with_tls(OK, known.server("127.0.0.1"));
    let stranger = Server::answering_with_tls(OK, unknown.server("localhost"));
    let targets = [local.at("localhost"), local.target(), address.target(), stranger.at("localhost")];
    let guest = trusting(&known, &targets.each_ref().map(String::as_str));
    let get = |target: &str| guest.call("fetch", json!({ "scheme": "https", "authority": target }));
    assert_eq!(get(&targets[0]).as_deref(), Ok("200 hello"));
    assert_eq!(get(&targets[2]).as_deref(), Ok("200 hello"));
    names(&get(&targets[1]).unwrap_err(), "TlsCertificateError");
    names(&get(&targets[3]).unwrap_err(), "TlsCertificateError");
    assert_eq!((local.heads().len(), stranger.heads().len()), (1, 0), "not a word before it is known who listens");
}

#[test]
fn a_connection_serves_many_requests_and_one_that_was_closed_is_made_again() {
    let keeping = Server::answering(OK);
    let closing = Server::start(|stream, _| {
        stream.write_all(OK.as_bytes())?;
        Err(ErrorKind::ConnectionAborted.into())
    });
    let guest = NetGuest::granted(&[&keeping.target(), &closing.target()]);
    for server in [&keeping, &closing] {
        for _ in 0..5 {
            assert_eq!(guest.get(&server.target()).as_deref(), Ok("200 hello"));
        }
    }
    assert_eq!((keeping.connections(), closing.connections()), (1, 5));
}

#[test]
fn a_request_that_met_a_closed_connection_is_made_again_where_that_changes_nothing() {
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |stream, _| {
        // every other time it closes instead of an answer
        if asked.fetch_add(1, Ordering::SeqCst) % 2 == 1 {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        stream.write_all(OK.as_bytes())
    });
    let guest = NetGuest::granted(&[&server.target()]);
    for connections in 1..5 {
        assert_eq!(guest.get(&server.target()).as_deref(), Ok("200 hello"));
        assert_eq!(server.connections(), connections);
    }
    guest.refusal(json!({ "method": "POST", "authority": server.target() }));
    assert_eq!((server.connections(), server.heads().len()), (4, 8), "the server may have done what was asked");
}

#[test]
fn requests_at_once_share_connections_and_are_bounded() {
    let server = Server::answering(OK);
    let guest = NetGuest::granted(&[&server.target()]);
    let race = |times: u32, wide: u32| {
        let request = json!({ "authority": server.target() });
        guest.call("race", json!({ "request": request, "times": times, "wide": wide }))
    };
    race(50, 2).unwrap();
    assert_eq!((server.connections(), server.heads().len()), (2, 100));
    names(&race(1, 17).unwrap_err(), "ConnectionLimitReached");
    assert_eq!(guest.get(&server.target()).as_deref(), Ok("200 hello"));
}

#[test]
fn a_request_leaves_nothing_in_the_instance_that_ends_it_after_the_thousandth() {
    let server = Server::answering(OK);
    let guest = NetGuest::granted(&[&server.target()]);
    // an instance has 1024 places for what it holds; each request has options, headers, and a body both ways
    let request = json!({ "authority": server.target(), "connect": 5000 });
    guest.call("race", json!({ "request": request, "times": 1100, "wide": 1 })).unwrap();
    // those that are refused as well
    let refused = json!({ "authority": format!("user@{}", server.target()), "connect": 5000 });
    for _ in 0..1100 {
        names(&guest.refusal(refused.clone()), "HttpRequestDenied");
    }
}

#[test]
fn what_a_guest_leaves_behind_holds_up_no_call_and_makes_room_when_its_time_is_over() {
    let silent = Server::silent();
    let server = Server::answering(OK);
    let targets = [silent.target(), server.target()];
    let targets = targets.each_ref().map(String::as_str);
    let guest = NetGuest::with(Bed::new(), &targets, &targets, "timeout_ms = 5000");
    // each has one of sixteen places; midimon connects ten times a second
    for left in 1..=16 {
        assert_eq!(guest.call("leave", json!({ "authority": targets[0] })).as_deref(), Ok("left"));
        eventually("the request has arrived", || match silent.heads().len() {
            count if count == left => Ok(()),
            count => Err(format!("{count} of {left}")),
        });
    }
    let answer = eventually("there is room again", || guest.get(targets[1]));
    assert_eq!(answer, "200 hello");
}

#[test]
fn a_guest_without_any_grant_can_do_nothing_at_all() {
    let forbidden = Forbidden::new();
    let guest = NetGuest::with(Bed::new(), &[], &[], "");
    let request: Value = json!({ "authority": forbidden.target() });
    names(&guest.refusal(request), "HttpRequestDenied");
}
