//! `trusted_keys.toml`: the publishers' keys the user trusts or no longer
//! trusts, each pinned to a name.
//!
//! ```toml
//! schema = 1
//!
//! [[keys]]
//! key = "RWRo3SqElYRuf4scICSxCQId73q2ps49WgeAWGYuD8cZvPwn6kJ8qWM8"
//! name = "A. Player"
//! since = "2026-11-22T07:06:50Z"
//! how = "first-sight"              # or "command"
//! revoked = "2026-12-24T18:00:00Z" # when; absent while it is trusted
//! ```
//!
//! A file that cannot be read is an error, never an empty store: what was
//! revoked must not become merely unknown.

mod document;
mod file;
mod name;

pub use file::{MAX_BYTES, TrustError};
pub use name::{NameError, PublisherName};

use crate::plugins::minisign::PublicKey;
use crate::timestamp::Timestamp;
use serde::Serialize;

/// Most keys in a store.
pub const MAX_KEYS: usize = 4_096;

/// Bytes that stay free for the line that revokes a key, once for every key,
/// and for the entry that is added last.
const ROOM_TO_REVOKE: u64 = (MAX_KEYS as u64 + 8) * 64;

/// How a key came to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// The user was asked when a plugin of the key was first installed.
    FirstSight,
    /// `midimon key trust`, or `key revoke` of a key that was not known.
    Command,
}

impl How {
    const WORDS: [(&'static str, Self); 2] = [("first-sight", Self::FirstSight), ("command", Self::Command)];

    /// As it stands in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstSight => "first-sight",
            Self::Command => "command",
        }
    }
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The key.
    pub key: PublicKey,
    /// What the user knows it as.
    pub name: PublisherName,
    /// Since when it is known.
    pub since: Timestamp,
    /// How it came to be.
    pub how: How,
    /// Since when it is not trusted any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

/// What is thought of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'s> {
    /// Never seen.
    Unknown,
    /// Trusted under a name.
    Trusted(&'s Entry),
    /// Not any more.
    Revoked(&'s Entry),
}

/// Why a key is not taken into the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum TrustRefusal {
    #[error(
        "this key was revoked on {:.10}, as '{}': its publisher needs a new one; if revoking it was a mistake, \
         delete its entry in trusted_keys.toml and trust it again",
        .revoked, .name
    )]
    Revoked { name: PublisherName, revoked: Timestamp },
    #[error("this key is trusted as '{name}' already, and the name stays")]
    OtherName { name: PublisherName },
    #[error(
        "'{name}' is the name of another key, {fingerprint}{}: if both are the same publisher's, give this one a \
         name that differs by more than letters that look alike, such as '{name} 2'",
        if *.revoked { " (revoked)" } else { "" }
    )]
    LookAlike { name: PublisherName, fingerprint: String, revoked: bool },
    #[error("another key, trusted as '{name}', has the key id {id} too: one of the two pretends to be the other")]
    SameId { name: PublisherName, id: String },
    #[error("there are as many keys as the file can hold: delete some in trusted_keys.toml")]
    Full,
}

/// Every key that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustStore {
    entries: Vec<Entry>,
}

impl TrustStore {
    /// In the order in which they came.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What is thought of a key. The key itself counts, not the id it goes by:
    /// a revoked one does not come back under another id.
    #[must_use]
    pub fn standing(&self, key: &PublicKey) -> Standing<'_> {
        match self.entries.iter().find(|entry| entry.key == *key) {
            None => Standing::Unknown,
            Some(entry) if entry.revoked.is_some() => Standing::Revoked(entry),
            Some(entry) => Standing::Trusted(entry),
        }
    }

    /// The entry of exactly this name; a trusted one where there are more.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Entry> {
        let named = || self.entries.iter().filter(|entry| entry.name.as_str() == name);
        named().find(|entry| entry.revoked.is_none()).or_else(|| named().next())
    }

    /// The entry of this name, or one that looks like it.
    #[must_use]
    pub fn alike(&self, name: &str) -> Option<&Entry> {
        let skeleton = name::skeleton(name);
        self.entries.iter().find(|entry| entry.name.skeleton() == skeleton)
    }

    /// Trusts a key under a name. To trust the same again changes nothing.
    ///
    /// # Errors
    /// See [`TrustRefusal`].
    pub fn trust(
        &mut self,
        key: PublicKey,
        name: PublisherName,
        how: How,
        now: Timestamp,
    ) -> Result<&Entry, TrustRefusal> {
        if let Some(index) = self.entries.iter().position(|entry| entry.key == key) {
            let known = &self.entries[index];
            return match known.revoked {
                Some(revoked) => Err(TrustRefusal::Revoked { name: known.name.clone(), revoked }),
                None if known.name == name => Ok(known),
                None => Err(TrustRefusal::OtherName { name: known.name.clone() }),
            };
        }
        self.add(Entry { key, name, since: now, how, revoked: None })
    }

    /// Revokes a key, also one that is not known yet (under `name`). A key that
    /// is revoked stays revoked since then.
    ///
    /// # Errors
    /// [`TrustRefusal::Full`]; a known key is always revoked.
    pub fn revoke(&mut self, key: PublicKey, name: PublisherName, now: Timestamp) -> Result<&Entry, TrustRefusal> {
        match self.entries.iter().position(|entry| entry.key == key) {
            Some(index) => {
                let entry = &mut self.entries[index];
                entry.revoked.get_or_insert(now);
                Ok(entry)
            }
            None => self.add(Entry { key, name, since: now, how: How::Command, revoked: Some(now) }),
        }
    }

    fn add(&mut self, entry: Entry) -> Result<&Entry, TrustRefusal> {
        if self.entries.len() >= MAX_KEYS || self.to_text().len() as u64 > MAX_BYTES - ROOM_TO_REVOKE {
            return Err(TrustRefusal::Full);
        }
        // what is revoked pretends to be nobody; no other entry must be in its way
        if entry.revoked.is_some() {
            self.entries.push(entry);
            return Ok(&self.entries[self.entries.len() - 1]);
        }
        if let Some(other) = self.alike(entry.name.as_str()) {
            let fingerprint = other.key.fingerprint().to_string();
            return Err(TrustRefusal::LookAlike {
                name: other.name.clone(),
                fingerprint,
                revoked: other.revoked.is_some(),
            });
        }
        let trusted = || self.entries.iter().filter(|other| other.revoked.is_none());
        if let Some(other) = trusted().find(|other| other.key.key_id() == entry.key.key_id()) {
            return Err(TrustRefusal::SameId { name: other.name.clone(), id: other.key.key_id_hex() });
        }
        self.entries.push(entry);
        Ok(&self.entries[self.entries.len() - 1])
    }
}

#[cfg(test)]
mod tests;
