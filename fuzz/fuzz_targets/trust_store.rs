//! `trusted_keys.toml`, whatever it is: mistakes with their places, or a store
//! that is written to the same store again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::plugins::TrustStore;

fuzz_target!(|text: &str| match TrustStore::parse(text) {
    Ok(store) => assert_eq!(TrustStore::parse(&store.to_text()).expect("what we write"), store),
    Err(problems) => assert!((1..=100).contains(&problems.len())),
});
