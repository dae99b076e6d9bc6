//! What midimon keeps of an installed plugin, its record, its grants and the note about its data,
//! changed by whomever: mistakes, or something that is written to the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::plugins::GrantFile;
use midimon::plugins::store::{Installed, KeptFile};

fuzz_target!(|text: &str| {
    match Installed::parse(text) {
        Ok(record) => {
            assert!(record.version(&record.current).is_some() && record.highest >= record.current);
            assert_eq!(Installed::parse(&record.to_text()).expect("what we write"), record);
            if let Some(back) = record.rolled_back() {
                assert_eq!(Installed::parse(&back.to_text()).expect("what we write"), back);
            }
        }
        Err(problems) => assert!((1..=100).contains(&problems.len())),
    }
    match GrantFile::parse(text) {
        Ok(grants) => {
            assert!(grants.granted.iter().all(|granted| grants.asked.contains(granted)));
            assert_eq!(GrantFile::parse(&grants.to_text()).expect("what we write"), grants);
        }
        Err(problems) => assert!((1..=100).contains(&problems.len())),
    }
    match KeptFile::parse(text) {
        Ok(kept) => assert_eq!(KeptFile::parse(&kept.to_text()).expect("what we write"), kept),
        Err(problems) => assert!((1..=100).contains(&problems.len())),
    }
});
