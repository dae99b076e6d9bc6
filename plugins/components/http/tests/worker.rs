//! The plugin as it is installed, in its sandbox, run by the real programs.

use midimon_plugin::test::Sandbox;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Waits for somebody to connect.
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                return stream;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                assert!(Instant::now() < deadline, "nobody connects");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Takes a request's head and answers it.
fn serve(listener: &TcpListener, answer: &str) -> String {
    let mut stream = accept(listener);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    write!(stream, "HTTP/1.1 {answer}\r\nConnection: close\r\n").unwrap();
    stream.write_all(b"Content-Length: 4\r\n\r\nfine").unwrap();
    String::from_utf8(head).unwrap()
}

#[test]
fn a_pad_sends_a_request_the_secret_in_its_header_and_a_busy_server_is_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let params = format!(
        r#"{{ url = "http://{address}/pad/{{note}}?v={{velocity}}", headers = {{ Authorization = "Bearer {{token}}" }}, event = "answer" }}"#
    );
    let again = format!(r#"{{ url = "http://{address}/followed" }}"#);
    let mut plugin = Sandbox::built("http")
        .grant(&format!("network:{address}"))
        .setting("token", "s3cret")
        .note(36, "request", &params)
        .event("answer", Some("fine"), "request", &again)
        .start()
        .unwrap();
    plugin.midi(&[0x90, 36, 100]).unwrap();
    for answer in ["503 Busy", "200 OK"] {
        let head = serve(&listener, answer);
        assert!(head.starts_with("GET /pad/36?v=100 HTTP/1.1\r\n"), "{head}");
        assert!(head.to_ascii_lowercase().contains("\r\nauthorization: bearer s3cret\r\n"), "{head}");
    }
    // the answer's event fired a mapping
    assert!(serve(&listener, "200 OK").starts_with("GET /followed HTTP/1.1\r\n"));
}

#[test]
fn a_server_that_is_not_granted_is_not_asked() {
    let granted = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let address = granted.local_addr().unwrap().to_string();
    let mut plugin = Sandbox::built("http").grant(&format!("network:{address}")).start().unwrap();
    let elsewhere = other.local_addr().unwrap();
    let error = plugin.call("request", &format!(r#"{{"url":"http://{elsewhere}/"}}"#)).unwrap_err().to_string();
    assert!(error.contains("granted"), "{error}");
    assert!(other.accept().is_err());
    let answering = std::thread::spawn(move || serve(&granted, "200 OK"));
    assert_eq!(plugin.call("request", &format!(r#"{{"url":"http://{address}/"}}"#)).unwrap(), "200 fine");
    answering.join().unwrap();
}
