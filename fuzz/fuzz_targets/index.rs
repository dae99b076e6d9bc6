//! `index.json` and `state/indexes.toml`, whatever they are: mistakes, or something
//! that is written to the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::plugins::index::Index;
use midimon::plugins::index::subscriptions::Subscriptions;

fuzz_target!(|bytes: &[u8]| {
    match Index::parse(bytes) {
        Ok(index) => assert_eq!(Index::parse(index.to_text().as_bytes()).expect("what we write"), index),
        Err(fault) => assert!(!fault.to_string().chars().any(char::is_control), "{fault}"),
    }
    if let Ok(list) = str::from_utf8(bytes).map_err(drop).and_then(|text| Subscriptions::parse(text).map_err(drop)) {
        assert_eq!(Subscriptions::parse(&list.to_text()).expect("what we write"), list);
    }
});
