//! A stranger's `plugin.toml`: read or refused with reasons, whatever it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::plugins::Manifest;

fuzz_target!(|text: &str| match Manifest::parse(text) {
    Ok(manifest) => assert!(!manifest.entry.contains('/') && !manifest.name.is_empty()),
    Err(problems) => assert!((1..=100).contains(&problems.len())),
});
