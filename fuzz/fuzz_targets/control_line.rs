//! What another process writes to the control socket, in whatever pieces: the same lines, none over
//! its limit, and each no request or one that is written to the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::control::line::{Line, read_line};
use midimon::control::protocol::Request;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tokio::io::BufReader;

/// The lines up to the first that is too long or to the end, read in pieces of the given size.
fn lines(bytes: &[u8], piece: usize, limit: usize) -> (Vec<Vec<u8>>, Line) {
    let mut reader = BufReader::with_capacity(piece, bytes);
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    loop {
        let read = {
            let reading = pin!(read_line(&mut reader, &mut line, limit));
            let Poll::Ready(read) = reading.poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("all of it is there")
            };
            read.expect("memory can be read")
        };
        assert!(line.len() <= limit);
        match read {
            Line::Whole => lines.push(line.clone()),
            last => return (lines, last),
        }
    }
}

/// A number's last digits can change, so parameters are compared by their names.
fn without_values(mut request: Request) -> Request {
    if let Request::PluginCall { params, .. } = &mut request {
        params.values_mut().for_each(|value| *value = serde_json::Value::Null);
    }
    request
}

fuzz_target!(|bytes: &[u8]| {
    let (whole, last) = lines(bytes, bytes.len().max(1), 512);
    for piece in [7, 64] {
        let (lines, end) = lines(bytes, piece, 512);
        assert_eq!((&lines, &end), (&whole, &last));
    }
    for line in whole {
        let Ok(request) = serde_json::from_slice::<Request>(&line) else { continue };
        let text = serde_json::to_string(&request).expect("keys are texts");
        let again = serde_json::from_str(&text).expect("what we write");
        assert_eq!(without_values(again), without_values(request));
    }
});
