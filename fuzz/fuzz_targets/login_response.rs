//! What an accounts service sends: waited for, refused, or a response of bounded size, the same in
//! whatever pieces it comes; and tokens that a header can carry.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::plugins::login::response::{MAX_ALL, MAX_BODY, read};
use midimon::plugins::login::tokens;

const NOW: u64 = 1_800_000_000;
/// Ten years, in seconds.
const LONGEST: u64 = 10 * 366 * 24 * 60 * 60;

fn check_tokens(status: u16, body: &[u8]) {
    match tokens::read(status, body, NOW) {
        Ok(tokens) => {
            for token in [&tokens.access, &tokens.refresh] {
                assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
            }
            assert!(tokens.expires_at.is_none_or(|at| (NOW..=NOW + LONGEST).contains(&at)));
            let scopes = tokens.scopes.unwrap_or_default();
            assert!(scopes.iter().all(|scope| !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic())));
        }
        Err(error) => {
            let shown = error.to_string();
            // two texts of 200 characters, each spelt out in ten at most
            assert!(shown.len() < 5000 && !shown.chars().any(char::is_control), "{shown}");
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    check_tokens(200, bytes);
    let ended = read(bytes, true);
    assert_ne!(ended, Ok(None));
    if let Ok(Some(response)) = &ended {
        assert!(response.body.len() <= MAX_BODY && !(100..200).contains(&response.status));
        check_tokens(response.status, &response.body);
    }
    // past that length the reader stops, wherever it is
    for part in 1..=8 {
        match read(&bytes[..bytes.len().min(MAX_ALL) * part / 8], false) {
            Ok(None) => {}
            Ok(early) => assert_eq!(ended, Ok(early)),
            Err(_) => assert!(ended.is_err()),
        }
    }
});
