//! Keys and signatures that Debian's minisign 0.11 made, and what we make of them.

use super::secret::Cost;
use super::*;

const PUBLIC: &str = "RWRo3SqElYRuf4scICSxCQId73q2ps49WgeAWGYuD8cZvPwn6kJ8qWM8";

#[test]
fn a_signature_of_ours_is_what_we_accept() {
    let secret = SecretKey::generate().unwrap();
    let hash = Blake2b512Digest::of(b"content");
    let signature = Signature::sign(&secret, &hash, TrustedComment::new("a\tb").unwrap());
    let again = Signature::parse(&signature.to_text()).unwrap();
    assert_eq!(again.verify(&secret.public(), &hash).unwrap().as_str(), "a\tb");
    assert!(matches!(again.verify(&secret.public(), &Blake2b512Digest::of(b"other")), Err(SignatureError::Content)));
}

#[test]
fn a_public_key_of_minisigns_is_read_and_written_the_same() {
    let key: PublicKey = PUBLIC.parse().unwrap();
    assert_eq!(key.to_string(), PUBLIC);
    assert_eq!(key.key_id_hex(), "7F6E8495842ADD68");
    assert_eq!(PublicKey::from_file_text(&key.to_file_text("x")).unwrap(), key);
}

#[test]
fn a_secret_key_survives_its_file_with_and_without_a_password() {
    let secret = SecretKey::generate().unwrap();
    let password = Password::new("correct horse".to_owned().into()).unwrap();
    let text = secret.to_text_at_cost(Some(&password), "c", Cost::LEAST).unwrap();
    assert_eq!(SecretKey::from_file_text(&text, || Some(password)).unwrap().public(), secret.public());
    let text = secret.to_file_text(None, "c").unwrap();
    assert_eq!(SecretKey::from_file_text(&text, || None).unwrap().public(), secret.public());
}
