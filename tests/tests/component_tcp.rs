//! `net.connection` of a component in a real worker.

use midimon_tests::Bed;
use midimon_tests::net_guest::{self, NetGuest, names};
use midimon_tests::web::{Authority, Server};
use serde_json::json;
use std::io::ErrorKind;

/// What is said, and the answer.
const SAID: &str = "GET / HTTP/1.0\r\n\r\n";
const ANSWER: &str = "HTTP/1.0 200 OK\r\n\r\nhello";

#[test]
fn a_granted_server_is_spoken_to_in_whatever_way() {
    let server = Server::answering(ANSWER);
    let guest = NetGuest::granted(&[&server.target()]);
    let talk = |target: &str| guest.call("talk", json!({ "target": target, "say": SAID }));
    assert_eq!(talk(&server.target()).as_deref(), Ok(ANSWER));
    assert_eq!(server.heads(), [SAID]);
    for (target, error) in [
        (server.at("localhost"), "not granted: "),
        (server.at("127.1"), "invalid: "),
        (server.at("user@127.0.0.1"), "invalid: "),
        (format!("udp:{}", server.target()), "invalid: "),
        ("a".repeat(300), "invalid: the target has 300 bytes"),
    ] {
        names(&talk(&target).unwrap_err(), error);
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn tls_is_spoken_with_whom_the_system_trusts_under_their_own_name_only() {
    let (known, unknown) = (Authority::new(), Authority::new());
    let local = Server::answering_with_tls(ANSWER, known.server("localhost"));
    let stranger = Server::answering_with_tls(ANSWER, unknown.server("localhost"));
    let targets = [local.at("localhost"), local.target(), stranger.at("localhost")];
    let targets = targets.each_ref().map(String::as_str);
    let guest = NetGuest::with(Bed::new().trusting(&known), &targets, &targets, "timeout_ms = 20000");
    let talk = |target: &str| guest.call("talk", json!({ "target": target, "tls": true, "say": SAID }));
    assert_eq!(talk(targets[0]).as_deref(), Ok(ANSWER));
    names(&talk(targets[1]).unwrap_err(), "failed: no TLS: invalid peer certificate");
    names(&talk(targets[2]).unwrap_err(), "failed: no TLS: invalid peer certificate");
    assert_eq!((local.heads().len(), stranger.heads().len()), (1, 0));
}

#[test]
fn a_server_that_says_nothing_is_waited_for_as_long_as_the_guest_says_and_the_call_lasts() {
    let silent = Server::start(|stream, _| {
        let _ = stream.read(&mut [0])?; // until the other side has finished
        std::thread::park();
        Err(ErrorKind::UnexpectedEof.into())
    });
    let target = silent.target();
    let guest = NetGuest::with(Bed::new(), &[&target], &[&target], "timeout_ms = 2000");
    let pid = guest.daemon().worker(net_guest::ID).pid;
    let talk = |ms: u32| guest.call("talk", json!({ "target": target, "say": SAID, "ms": ms })).unwrap_err();
    names(&talk(200), "timed out: nothing happened in time");
    names(&talk(20_000), "timed out: the call's time is used up");
    names(&talk(30_001), "invalid: a wait of 30001 ms");
    assert_eq!(guest.daemon().worker(net_guest::ID).pid, pid, "the same process");
}

#[test]
fn sixteen_connections_are_open_at_once_and_dropped_ones_make_room() {
    let server = Server::answering(ANSWER);
    let guest = NetGuest::granted(&[&server.target()]);
    let hold = |count: u32| guest.call("hold", json!({ "target": server.target(), "count": count }));
    names(&hold(17).unwrap_err(), "too many: 16 connections are open");
    // what midimon gives out a second is another bound: a few
    assert_eq!(hold(3).as_deref(), Ok("3 open"));
}
