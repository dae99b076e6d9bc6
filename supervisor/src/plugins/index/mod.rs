//! Indexes: signed lists of the plugins somebody offers, which versions of them
//! there are, and which of those and whose keys must no longer be used.
//!
//! ```text
//! index.json           what is offered; grows a serial number each time
//! index.json.minisig   the signature of it, with the index's own key
//! notes-1.0.0.mmp      the packages it names, by SHA-256
//! ```
//!
//! Who keeps the place where an index lies can hide it and change it. What is in
//! it holds only when the key that the user pinned has signed it ([`accept`]), and:
//!
//! * an old one does not come back: the serial number of the last one is kept;
//! * one that is held back ends by itself: it says when it expires;
//! * parts of two do not mix: every package is named by its digest.
//!
//! An index says which key signed each package; it does not make that key
//! trusted. That stays the user's word, at first sight.

pub mod accept;
pub mod apply;
pub mod build;
pub mod choose;
pub mod install;
mod json;
pub mod offers;
mod parse;
pub mod source;
pub mod subscriptions;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use json::Fault;
pub use source::{DirectorySource, Signed, Source};

use crate::plugins::manifest::files::hex;
use crate::plugins::minisign::{PublicKey, Signature};
use crate::plugins::package::{Contents, PackageFile};
use crate::timestamp::Timestamp;
use crate::workers::status::PluginKind;
use midimon_shared::PluginId;
use semver::Version;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The file's name.
pub const FILE_NAME: &str = "index.json";
/// The name of its signature's file.
pub const SIGNATURE_NAME: &str = "index.json.minisig";
/// Largest index, in bytes.
pub const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Most plugins in an index.
pub const MAX_PLUGINS: usize = 10_000;
/// Most versions of a plugin in an index.
pub const MAX_VERSIONS: usize = 256;
/// Most keys, and most versions, that an index revokes.
pub const MAX_REVOKED: usize = 1_024;
/// Most days an index can hold.
pub const MAX_DAYS: u64 = 90;
/// Longest reason for a revocation, in characters.
pub const MAX_REASON: usize = 200;

/// The newest schema this version reads.
const SCHEMA: u64 = 1;

/// What an index is called: lower-case letters, digits, `-` and `.`, beginning
/// with a letter or digit, at most 64.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct IndexName(String);

/// Why a text is no [`IndexName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an index's name has lower-case letters, digits, '-' and '.', begins with a letter or digit, and is at most 64 long"
)]
pub struct InvalidIndexName;

impl IndexName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IndexName {
    type Err = InvalidIndexName;

    fn from_str(text: &str) -> Result<Self, InvalidIndexName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let good = begins && text.len() <= 64 && text.bytes().all(plain);
        good.then(|| Self(text.to_owned())).ok_or(InvalidIndexName)
    }
}

impl fmt::Display for IndexName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What is in `index.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Index {
    /// What it calls itself.
    pub name: IndexName,
    /// Grows with every index of this name; from 1.
    pub serial: u64,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it must not be used.
    pub expires: Timestamp,
    /// The plugins, by id.
    pub plugins: Vec<Listing>,
    /// Keys nothing must be installed or started of.
    pub revoked_keys: Vec<RevokedKey>,
    /// Versions that must not be installed or started.
    pub revoked_versions: Vec<RevokedVersion>,
}

/// One plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// Its id.
    pub id: PluginId,
    /// Its name for people.
    pub name: String,
    /// What it is for, in a line.
    pub description: String,
    /// Who wrote it.
    pub authors: Vec<String>,
    /// Its licence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Where more is said about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// At least one, the highest first.
    pub versions: Vec<Release>,
}

/// One version of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Release {
    /// Which.
    #[serde(serialize_with = "as_text")]
    pub version: Version,
    /// The package's file, beside the index.
    pub file: String,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of the package.
    #[serde(serialize_with = "as_hex")]
    pub sha256: [u8; 32],
    /// The key that signed it.
    pub publisher: PublicKey,
    /// The text of its `.minisig` file.
    #[serde(serialize_with = "as_signature")]
    pub signature: Signature,
    /// What its code is.
    pub kind: PluginKind,
    /// The target triples it has code for; empty for WASM that runs everywhere.
    pub targets: Vec<String>,
    /// The oldest midimon it runs with.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_as_text")]
    pub min_midimon: Option<Version>,
    /// It is not chosen any more, unless it is asked for by its number.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub yanked: bool,
}

/// A key nobody must trust any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevokedKey {
    /// Which.
    pub key: PublicKey,
    /// Why.
    pub reason: String,
}

/// A version nobody must run any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevokedVersion {
    /// Of which plugin.
    pub id: PluginId,
    /// Which; every build of it (`+…`).
    #[serde(serialize_with = "as_text")]
    pub version: Version,
    /// Why.
    pub reason: String,
}

/// How a package differs from what the index says of it: parts of two indexes, or
/// of an index and something else, were put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Mismatch {
    #[error("'{file}' is {found} bytes long, and the index says {listed}: it is not the package the index names")]
    Size { file: String, found: u64, listed: u64 },
    #[error("'{file}' has the SHA-256 {found}, and the index says {listed}: it is not the package the index names")]
    Digest { file: String, found: String, listed: String },
    #[error("'{file}' is a package of '{found}', and the index lists it under '{listed}'")]
    Id { file: String, found: PluginId, listed: PluginId },
    #[error("'{file}' is version {found}, and the index lists it as {listed}")]
    Version { file: String, found: Version, listed: Version },
    #[error("'{file}' is signed with another key than the index says")]
    Publisher { file: String },
    #[error("'{file}' needs another kind of machine or another midimon than the index says")]
    Needs { file: String },
}

impl Index {
    /// The file's text: the same index always gives the same.
    #[must_use]
    pub fn to_text(&self) -> String {
        #[derive(Serialize)]
        struct File<'i> {
            schema: u64,
            #[serde(flatten)]
            index: &'i Index,
        }
        let text = serde_json::to_string_pretty(&File { schema: SCHEMA, index: self });
        text.unwrap_or_default() + "\n" // cannot fail: every key is a text
    }

    /// The plugin of this id.
    #[must_use]
    pub fn plugin(&self, id: &PluginId) -> Option<&Listing> {
        self.plugins.iter().find(|listing| listing.id == *id)
    }

    /// Why a key is revoked here.
    #[must_use]
    pub fn revokes_key(&self, key: &PublicKey) -> Option<&RevokedKey> {
        self.revoked_keys.iter().find(|revoked| revoked.key == *key)
    }

    /// Why a version is revoked here.
    #[must_use]
    pub fn revokes_version(&self, id: &PluginId, version: &Version) -> Option<&RevokedVersion> {
        self.revoked_versions.iter().find(|revoked| revoked.id == *id && same_version(&revoked.version, version))
    }
}

impl Release {
    /// Whether these bytes are the package that is meant; before any of them is believed.
    ///
    /// # Errors
    /// See [`Mismatch`].
    pub fn check_bytes(&self, package: &PackageFile) -> Result<(), Mismatch> {
        let file = || self.file.clone();
        if package.len() != self.size {
            return Err(Mismatch::Size { file: file(), found: package.len(), listed: self.size });
        }
        if package.sha256() != self.sha256 {
            let (found, listed) = (hex(&package.sha256()), hex(&self.sha256));
            return Err(Mismatch::Digest { file: file(), found, listed });
        }
        Ok(())
    }

    /// Whether what is in the package is what the index says of it.
    ///
    /// # Errors
    /// See [`Mismatch`].
    pub fn check_contents(&self, id: &PluginId, contents: &Contents) -> Result<(), Mismatch> {
        let (file, manifest) = (|| self.file.clone(), &contents.manifest);
        if manifest.id != *id {
            return Err(Mismatch::Id { file: file(), found: manifest.id.clone(), listed: id.clone() });
        }
        if manifest.version != self.version {
            let (found, listed) = (manifest.version.clone(), self.version.clone());
            return Err(Mismatch::Version { file: file(), found, listed });
        }
        if contents.publisher != Some(self.publisher) {
            return Err(Mismatch::Publisher { file: file() });
        }
        if (manifest.kind, &manifest.min_midimon) != (self.kind, &self.min_midimon) {
            return Err(Mismatch::Needs { file: file() });
        }
        Ok(())
    }
}

/// Whether both are the same version, whatever their builds (`+…`).
fn same_version(one: &Version, other: &Version) -> bool {
    one.cmp_precedence(other).is_eq()
}

fn as_text<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(version)
}

#[allow(clippy::ref_option)] // serde's signature
fn maybe_as_text<S: Serializer>(version: &Option<Version>, serializer: S) -> Result<S::Ok, S::Error> {
    match version {
        Some(version) => serializer.collect_str(version),
        None => serializer.serialize_none(),
    }
}

fn as_hex<S: Serializer>(digest: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(digest))
}

fn as_signature<S: Serializer>(signature: &Signature, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&signature.to_text())
}
