//! Addresses of a service, as a manifest has them, and the names and values in one: what is read is
//! shown as it is gone to, and what is put into it comes out again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::plugins::login::WebUrl;
use midimon::plugins::login::url::{form, pairs};

fuzz_target!(|text: &str| {
    if let Some(list) = pairs(text) {
        let list: Vec<(&str, &str)> = list.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let again = pairs(&form(&list)).expect("what we write");
        assert!(again.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(list));
    }
    let Ok(url) = text.parse::<WebUrl>() else { return };
    let shown = url.to_string();
    assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()), "{shown}");
    // it is printed for people, who paste it into shells
    assert!(!shown.contains(['$', ';', '`', '\'', '"', '\\', '(', '<', '|', '*', '!']), "{shown}");
    assert_eq!(shown.parse::<WebUrl>().as_ref(), Ok(&url), "{shown}");
    assert!(url.secure || shown.starts_with("http://127.") || shown.starts_with("http://[::1]"), "{shown}");
    // with more names and values it is the same place still
    let more = url.with(&[("state", text)]);
    let read: WebUrl = more.parse().expect("what we write");
    assert_eq!((&read.endpoint, &read.path), (&url.endpoint, &url.path), "{more}");
    let last = read.query.as_deref().and_then(|query| query.rsplit('&').next()).and_then(pairs).expect("what we write");
    assert_eq!(last, [("state".to_owned(), text.to_owned().into())]);
});
