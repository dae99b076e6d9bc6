use super::*;
use midimon_plugin::Refusal;
use midimon_plugin::test::{Answer, Call, Driver, Request as Asked};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

/// A web server that answers with these, one a connection, and tells what it was sent.
fn server(answers: &'static [&'static str]) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, received) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            sender.send(request(&stream)).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, received)
}

/// One request: its head in small letters, and its body.
fn request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.parse().unwrap();
        }
        head += &format!("{line}\n");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    format!("{head}\n{}", String::from_utf8(body).unwrap())
}

fn start(address: SocketAddr) -> Driver<Http> {
    let answers = move |request: &Asked| match request {
        Asked::Connect { target } if *target == address.to_string() => match TcpStream::connect(address) {
            Ok(stream) => Answer::Connected(stream),
            Err(error) => Answer::Refused(Refusal::Failed, error.to_string()),
        },
        Asked::Connect { target } => Answer::Refused(Refusal::NotGranted, format!("'network:{target}' is not granted")),
        _ => Answer::Done,
    };
    Driver::start_with(r#"{"token":"s3cret"}"#, answers).unwrap()
}

fn emitted(plugin: &Driver<Http>) -> Vec<String> {
    let requests = plugin.requests().into_iter();
    requests
        .filter_map(|request| match request {
            Asked::Emit { event, value } => Some(format!("{event}={value}")),
            _ => None,
        })
        .collect()
}

/// The waits that were asked for, in milliseconds.
fn waits(plugin: &Driver<Http>) -> Vec<u32> {
    let requests = plugin.requests().into_iter();
    requests
        .filter_map(|request| match request {
            Asked::After { ms, .. } => Some(ms),
            _ => None,
        })
        .collect()
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 25\r\nConnection: close\r\n\r\n{\"state\":{\"name\":\"lamp\"}}";
const BUSY: &str = "HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy";
const GONE: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

#[test]
fn a_press_is_a_request_and_its_answer_an_event() {
    let (address, received) = server(&[OK]);
    let mut plugin = start(address);
    let params = format!(
        r#"{{"url":"http://{address}/l/{{note}}?v={{velocity}}","headers":{{"Authorization":"Bearer {{token}}"}},
            "json":{{"v":"{{velocity}}"}},"event":"lamp","capture":"/state/name"}}"#
    );
    let said = plugin.call(&Call::new("request").params(&params).note(36, 100)).unwrap();
    assert_eq!(said.answer.as_deref(), Some("200 lamp"));
    let sent = received.recv().unwrap();
    assert!(sent.starts_with("POST /l/36?v=100 HTTP/1.1\n"), "{sent}");
    assert!(sent.to_ascii_lowercase().contains("\nauthorization: bearer s3cret\n"), "{sent}");
    assert!(sent.to_ascii_lowercase().contains("\ncontent-type: application/json\n"), "{sent}");
    assert!(sent.ends_with("\n{\"v\":100}"), "{sent}");
    assert_eq!(emitted(&plugin), ["lamp=lamp"]);
}

#[test]
fn a_busy_server_is_asked_again_when_it_says() {
    let (address, received) = server(&[BUSY, BUSY, OK]);
    let mut plugin = start(address);
    let call = Call::new("request").params(&format!(r#"{{"url":"http://{address}/"}}"#));
    let said = plugin.call(&call).unwrap().answer.unwrap();
    assert!(said.contains("503: busy") && said.contains("2000 ms"), "{said}");
    let again = Call::new(AGAIN).params(r#"{"slot":0}"#).trigger(Trigger::Timer);
    plugin.call(&again).unwrap();
    assert_eq!(waits(&plugin), [2000, 2000]);
    assert_eq!(emitted(&plugin), Vec::<String>::new());
    assert!(plugin.call(&again).unwrap().answer.unwrap().starts_with("200 "));
    assert_eq!(received.iter().count(), 3);
    assert_eq!(emitted(&plugin).len(), 1);
    // its turn is over
    assert_eq!(plugin.call(&again).unwrap().answer, None);
}

#[test]
fn what_fails_for_good_is_an_error_and_an_event() {
    let (address, _received) = server(&[GONE]);
    let mut plugin = start(address);
    let error = plugin.call(&Call::new("request").params(&format!(r#"{{"url":"http://{address}/"}}"#))).unwrap_err();
    assert_eq!(error.message(), "the server says 404");
    assert_eq!(emitted(&plugin), ["failed=the server says 404"]);
    // the server is gone: a POST is not sent twice, a GET is tried again
    let post = Call::new("request").params(&format!(r#"{{"url":"http://{address}/","body":"x"}}"#));
    assert!(plugin.call(&post).is_err());
    assert_eq!(waits(&plugin), Vec::<u32>::new());
    plugin.call(&Call::new("request").params(&format!(r#"{{"url":"http://{address}/"}}"#))).unwrap();
    assert_eq!(waits(&plugin), [500]);
}

#[test]
fn what_is_not_granted_is_not_tried_again() {
    let (address, _received) = server(&[]);
    let mut plugin = start(address);
    let error = plugin.call(&Call::new("request").params(r#"{"url":"http://192.0.2.1/"}"#)).unwrap_err();
    assert!(error.message().contains("'network:192.0.2.1:80' is not granted"), "{}", error.message());
    assert_eq!(waits(&plugin), Vec::<u32>::new());
    let error = plugin.call(&Call::new("request").params("{}")).unwrap_err();
    assert!(error.message().contains("'url' is missing"), "{}", error.message());
}

#[test]
fn requests_that_wait_have_their_bound() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut plugin = start(unused);
    let call = Call::new("request").params(&format!(r#"{{"url":"http://{unused}/"}}"#));
    for _ in 0..MAX_WAITING {
        plugin.call(&call).unwrap();
    }
    let error = plugin.call(&call).unwrap_err();
    assert!(error.message().contains("16 requests wait"), "{}", error.message());
}
