//! minisign's file formats: public keys, secret keys and signatures, so that
//! `minisign` checks what midimon signs and midimon checks what `minisign` signs.
//!
//! | file        | lines                                                                     |
//! |-------------|---------------------------------------------------------------------------|
//! | `.pub`      | untrusted comment; base64 of `Ed`, key id (8), Ed25519 public key (32)    |
//! | `.key`      | untrusted comment; base64 of the 158 bytes that `secret.rs` lists         |
//! | `.minisig`  | untrusted comment; base64 of `ED`, key id, signature (64) of the file's   |
//! |             | BLAKE2b-512; trusted comment; base64 of the signature (64) of the first   |
//! |             | signature and the trusted comment                                         |
//!
//! Nothing here decides whom to trust; that is [`super::trust`].
//!
//! Source: <https://jedisct1.github.io/minisign/>, “Signature format”, and what
//! Debian's minisign 0.11 writes.

mod public;
mod secret;
mod signature;

pub use public::{Fingerprint, KeyError, PublicKey};
pub use secret::{Password, PasswordError, SecretKey, SecretKeyError};
pub use signature::{Blake2b512Digest, Signature, SignatureError, TrustedComment, TrustedCommentError};

use base64::prelude::{BASE64_STANDARD, Engine};
use zeroize::{Zeroize, Zeroizing};

/// Largest text of a key or a signature that is read, in bytes: minisign's own
/// comments of 1,024 and 8,192 bytes and what stands around them.
pub const MAX_TEXT: usize = 16 * 1024;

const UNTRUSTED: &str = "untrusted comment: ";
const TRUSTED: &str = "trusted comment: ";
/// What public and secret keys begin with, and what a signature of the file
/// itself, minisign's old way, begins with.
const ED25519: [u8; 2] = *b"Ed";
/// What a signature of the file's hash begins with.
const PREHASHED: [u8; 2] = *b"ED";

/// What tells one key of a publisher from another; chosen at random.
type KeyId = [u8; 8];

/// How a text differs from what minisign writes. The caller says of what file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum FormatError {
    #[error("it is over {MAX_TEXT} bytes long")]
    TooLong,
    #[error("it must have exactly {wanted} lines")]
    Lines { wanted: usize },
    #[error("line {line} must begin with `{prefix}`")]
    Prefix { line: usize, prefix: &'static str },
    #[error("line {line} must be {bytes} bytes in base64 and nothing else")]
    Base64 { line: usize, bytes: usize },
    #[error("the trusted comment {0}")]
    TrustedComment(#[from] TrustedCommentError),
}

/// The text's lines when there are exactly `N`; each ends in LF or CRLF, the
/// last one perhaps in nothing.
fn lines<const N: usize>(text: &str) -> Result<[&str; N], FormatError> {
    if text.len() > MAX_TEXT {
        return Err(FormatError::TooLong);
    }
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut lines = [""; N];
    let mut rest = text.split('\n');
    for line in &mut lines {
        let found = rest.next().ok_or(FormatError::Lines { wanted: N })?;
        *line = found.strip_suffix('\r').unwrap_or(found);
    }
    if rest.next().is_some() { Err(FormatError::Lines { wanted: N }) } else { Ok(lines) }
}

/// What stands behind `prefix` in line number `line`.
fn after<'t>(text: &'t str, line: usize, prefix: &'static str) -> Result<&'t str, FormatError> {
    text.strip_prefix(prefix).ok_or(FormatError::Prefix { line, prefix })
}

/// The `N` bytes that line number `line` is, in base64 with its padding and
/// without a stray bit: one text for each value.
fn decode<const N: usize>(text: &str, line: usize) -> Result<Zeroizing<[u8; N]>, FormatError> {
    let wrong = || FormatError::Base64 { line, bytes: N };
    if text.len() != N.div_ceil(3) * 4 {
        return Err(wrong());
    }
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(text).map_err(|_| wrong())?);
    Ok(Zeroizing::new(<[u8; N]>::try_from(bytes.as_slice()).map_err(|_| wrong())?))
}

/// Comments people give are cut to what minisign reads, and stay one line.
fn comment_line(comment: &str) -> String {
    let mut kept = String::new();
    for character in comment.chars().filter(|character| !character.is_control()) {
        if kept.len() + character.len_utf8() > MAX_COMMENT {
            break;
        }
        kept.push(character);
    }
    format!("{UNTRUSTED}{kept}\n")
}

/// minisign's `COMMENTMAXBYTES` is 1,024 with the prefix, the newline and a NUL.
const MAX_COMMENT: usize = 1_024 - UNTRUSTED.len() - 2;

/// The first `N` bytes, and what is left of a slice that is long enough.
fn split<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    let mut first = [0; N];
    let (head, rest) = bytes.split_at(N);
    first.copy_from_slice(head);
    (first, rest)
}

/// The text, and the bytes it was made from wiped.
fn encode(mut bytes: Vec<u8>) -> String {
    let text = BASE64_STANDARD.encode(&bytes);
    bytes.zeroize();
    text
}

#[cfg(test)]
mod tests;
