//! A name whose answer changes between the check and the connection: there is one answer for both.

use midimon_tests::Bed;
use midimon_tests::net_guest::{NetGuest, names};
use midimon_tests::web::Server;
use serde_json::json;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

/// As in `tests/launcher/names.c`.
const PUBLIC: &str = "93.184.216.34";
const SERVER: [u8; 4] = [127, 0, 0, 2];

/// Compiles the library that answers for names.
fn library(bed: &Bed) -> PathBuf {
    let library = bed.path("names.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/launcher/names.c");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(source);
    let output = cc.arg("-ldl").output().expect("a C compiler (apt-get install gcc)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}

/// A public server, and one on the same port of the loopback address that nobody may reach.
fn pair() -> (Server, TcpListener) {
    loop {
        let serve = |stream: &mut dyn midimon_tests::web::Stream, _: &str| {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
        };
        let public = Server::start_at(SocketAddr::from((SERVER, 0)), None, Arc::new(serve));
        // another program may have that port on the other address
        if let Ok(inside) = TcpListener::bind(("127.0.0.1", public.port())) {
            inside.set_nonblocking(true).unwrap();
            return (public, inside);
        }
    }
}

#[test]
fn a_name_is_resolved_once_a_request_and_what_was_checked_is_connected_to() {
    let (public, inside) = pair();
    let bed = Bed::new();
    let (library, questions) = (library(&bed), bed.path("questions"));
    let addresses = format!("{PUBLIC} 127.0.0.1 ::ffff:127.0.0.1 {PUBLIC}");
    let bed = bed
        .variable("LD_PRELOAD", library)
        .variable("MIDIMON_TEST_ADDRESSES", addresses)
        .variable("MIDIMON_TEST_QUESTIONS", &questions);
    let target = public.at("rebind.test");
    let guest = NetGuest::with(bed, &[&target], &[&target], "timeout_ms = 20000");
    // the answer after this one would lead inside: nobody asks for it again
    assert_eq!(guest.get(&target).as_deref(), Ok("200 hello"));
    names(&guest.get(&target).unwrap_err(), "HttpRequestDenied");
    let talk = guest.call("talk", json!({ "target": target, "say": "hello" }));
    names(&talk.unwrap_err(), "not granted: ");
    assert_eq!(guest.get(&target).as_deref(), Ok("200 hello"));
    assert_eq!(inside.accept().map(drop).unwrap_err().kind(), ErrorKind::WouldBlock, "somebody connected");
    assert_eq!(public.connections(), 2);
    let questions = std::fs::read_to_string(questions).unwrap();
    assert_eq!(questions.lines().count(), 4, "{questions}");
}
