//! A stranger's `.minisig` file: refused with a reason, or read to what is
//! written the same again; and never verified by a key that did not sign.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::plugins::minisign::{Blake2b512Digest, PublicKey, Signature};
use std::sync::LazyLock;

static KEY: LazyLock<PublicKey> = LazyLock::new(|| {
    // the key of the seed that is in the corpus
    "RWRo3SqElYRuf4scICSxCQId73q2ps49WgeAWGYuD8cZvPwn6kJ8qWM8".parse().expect("a key")
});

fuzz_target!(|text: &str| {
    let Ok(signature) = Signature::parse(text) else { return };
    let again = Signature::parse(&signature.to_text()).expect("what we write");
    assert_eq!(again, signature);
    // what the seed signs is `hello`; nothing signs this
    assert!(signature.verify(&KEY, &Blake2b512Digest::of(b"never signed")).is_err());
});
