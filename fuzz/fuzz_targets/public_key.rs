//! A stranger's public key, as a file and as the text on a command line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::plugins::minisign::PublicKey;

fuzz_target!(|text: &str| {
    for key in [text.parse::<PublicKey>(), PublicKey::from_file_text(text)].into_iter().flatten() {
        assert_eq!(key.to_string().parse::<PublicKey>().expect("its own text"), key);
        assert_eq!(PublicKey::from_file_text(&key.to_file_text(text)).expect("its own file"), key);
        assert_eq!(key.fingerprint().to_string().len(), 39);
    }
});
