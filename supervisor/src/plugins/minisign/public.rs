//! Public keys: who a publisher is.

use super::{ED25519, FormatError, KeyId, UNTRUSTED, after, comment_line, decode, encode, lines, split};
use crate::plugins::files::{FileError, read_given};
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use sha2::{Digest, Sha256};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::str::FromStr;

const BYTES: usize = 2 + 8 + 32;

/// Why a public key is not used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum KeyError {
    #[error("this is not a minisign public key (two lines, or the text that begins with RW): {0}")]
    Format(#[from] FormatError),
    #[error("this key is of a kind that minisign does not make; only Ed25519 keys are used")]
    Algorithm,
    #[error("this is not a point that an Ed25519 key can be: the key is damaged")]
    NotAPoint,
    #[error("this key is weak: anybody can make signatures that it accepts; ask the publisher for another")]
    Weak,
    #[error("{0}")]
    File(#[from] FileError),
    #[error("is not text; a public key is two lines, or the text that begins with RW")]
    NotText,
}

/// A publisher's public key with the id minisign gave it. It is a point of the
/// curve in its only encoding, and not one of the weak ones.
///
/// The point alone is the key: equal are two that verify the same signatures.
/// The id is signed by nobody, so whoever passes a key on can change it.
#[derive(Clone, Copy)]
pub struct PublicKey {
    id: KeyId,
    key: [u8; 32],
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for PublicKey {}

impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl PublicKey {
    pub(super) fn new(id: KeyId, key: [u8; 32]) -> Result<Self, KeyError> {
        let this = Self { id, key };
        let point = this.verifying()?;
        if point.is_weak() {
            return Err(KeyError::Weak);
        }
        // the same point written another way would be the same key under another fingerprint
        if point.to_edwards().compress().as_bytes() != &key {
            return Err(KeyError::NotAPoint);
        }
        Ok(this)
    }

    /// Reads a `.pub` file's text.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_file_text(text: &str) -> Result<Self, KeyError> {
        let [comment, key] = lines(text)?;
        after(comment, 1, UNTRUSTED)?;
        Self::from_line(key, 2)
    }

    /// Reads a `.pub` file that the user named.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let bytes = read_given(path, super::MAX_TEXT as u64)?;
        Self::from_file_text(&String::from_utf8(bytes).map_err(|_| KeyError::NotText)?)
    }

    /// What `--key` takes: the text that begins with `RW`, else the name of a file.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_text_or_file(given: &str) -> Result<Self, KeyError> {
        given.parse().or_else(|error| if Path::new(given).exists() { Self::read(Path::new(given)) } else { Err(error) })
    }

    fn from_line(text: &str, line: usize) -> Result<Self, KeyError> {
        let bytes = decode::<BYTES>(text, line)?;
        let (algorithm, rest) = split(&bytes[..]);
        let (id, rest) = split(rest);
        if algorithm != ED25519 {
            return Err(KeyError::Algorithm);
        }
        Self::new(id, split(rest).0)
    }

    /// The text of a `.pub` file. The comment is only for people.
    #[must_use]
    pub fn to_file_text(&self, comment: &str) -> String {
        format!("{}{self}\n", comment_line(comment))
    }

    /// What people compare.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(split(&Sha256::digest(self.key)).0)
    }

    /// The key's id as minisign prints it. Anybody can choose it: it tells keys
    /// apart, it proves nothing.
    #[must_use]
    pub fn key_id_hex(&self) -> String {
        key_id_hex(self.id)
    }

    /// As minisign keeps it in its files.
    #[must_use]
    pub fn key_id(&self) -> [u8; 8] {
        self.id
    }

    pub(super) fn verifying(&self) -> Result<VerifyingKey, KeyError> {
        VerifyingKey::from_bytes(&self.key).map_err(|_| KeyError::NotAPoint)
    }
}

pub(super) fn key_id_hex(id: KeyId) -> String {
    format!("{:X}", u64::from_le_bytes(id))
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&encode([&ED25519[..], &self.id, &self.key].concat()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_line(text, 1)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A key as people compare it: the first half of the SHA-256 of its 32 bytes,
/// in eight groups of four digits. The key's id is not in it, so nobody has two
/// fingerprints with one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 16]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pair) in self.0.chunks(2).enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(formatter, "{gap}{:02x}{:02x}", pair[0], pair[1])?;
        }
        Ok(())
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
