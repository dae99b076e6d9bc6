//! What the browser, or whoever else finds the port of a login, sends there, and what is pasted into
//! the terminal: a code comes out of it for the login it is of, and for no other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::plugins::login::flow::{Answer, Flow, RANDOM};
use midimon::plugins::login::request::{MAX_HEAD, Request, read};
use std::sync::LazyLock;

const PORT: u16 = 4711;

/// The login whose state the seeds have, and another one.
static FLOWS: LazyLock<[Flow; 2]> = LazyLock::new(|| [7, 8].map(|byte| Flow::new("client", PORT, &[byte; RANDOM])));

fn check(answers: [Answer; 2]) {
    let [ours, theirs] = answers;
    match &ours {
        Answer::Code(code) => {
            assert!((1..=4096).contains(&code.len()) && !code.chars().any(char::is_control));
            assert_eq!(theirs, Answer::NotThisLogin);
        }
        Answer::Refused { error, description } => {
            assert!(error.chars().count() <= 200 && description.chars().count() <= 200);
            assert_eq!(theirs, Answer::NotThisLogin);
        }
        Answer::Begin | Answer::Elsewhere => assert_eq!(theirs, ours),
        Answer::Unreadable | Answer::NotThisLogin => {}
    }
}

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes, PORT);
    assert!(whole != Request::Partial || bytes.len() < MAX_HEAD);
    if let Request::Get(target) = &whole {
        assert!(target.bytes().all(|byte| byte > b' ' && byte != 0x7F), "{target:?}");
        check([0, 1].map(|flow| FLOWS[flow].read(target)));
    }
    // in whatever pieces it comes, it is the same request
    for part in 1..8 {
        let early = read(&bytes[..bytes.len() * part / 8], PORT);
        assert!(early == Request::Partial || early == whole, "{early:?}, then {whole:?}");
    }
    if let Ok(pasted) = str::from_utf8(bytes) {
        check([0, 1].map(|flow| FLOWS[flow].read_pasted(pasted)));
    }
});
