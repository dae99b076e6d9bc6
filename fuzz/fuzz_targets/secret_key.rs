//! A `.key` file: as far as it is read without deriving a key from a password.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::plugins::minisign::SecretKey;

fuzz_target!(|text: &str| {
    let needs = SecretKey::needs_password(text);
    match SecretKey::from_file_text(text, || None) {
        Ok(secret) => {
            assert!(!needs.expect("it was read"));
            let again = secret.to_file_text(None, text).expect("no password, no cost");
            assert_eq!(SecretKey::from_file_text(&again, || None).expect("its own file").public(), secret.public());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
