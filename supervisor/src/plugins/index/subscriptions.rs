//! `state/indexes.toml`: the indexes the user added, and what is remembered of each.
//!
//! ```toml
//! schema = 1
//!
//! [[indexes]]
//! name = "friends"                      # what the user calls it
//! index = "friends"                     # what it calls itself
//! key = "RWRo3SqElYRuf4scICSxCQId73q2ps49WgeAWGYuD8cZvPwn6kJ8qWM8"
//! dir = "/srv/midi-plugins"
//! added = "2026-11-22T07:06:50Z"
//! serial = 7                            # of the last one that was used
//! created = "2026-11-20T00:00:00Z"
//! expires = "2026-12-20T00:00:00Z"
//! sha256 = "…"
//! revoked_keys = [{ key = "RWQ…", reason = "was stolen" }]
//! revoked_versions = [{ id = "notes", version = "1.0.0", reason = "sends what is typed" }]
//! ```
//!
//! Like the trusted keys, a file that cannot be read is an error and never an
//! empty one: what was revoked must not come back, and no old index either.

use super::accept::{Accepted, Known};
use super::{Index, IndexName, MAX_REASON, MAX_REVOKED, RevokedKey, RevokedVersion, same_version};
use crate::home::{Home, HomeError, wait_lock_file, write_atomic};
use crate::plugins::files::open_dir;
use crate::plugins::manifest::Problem;
use crate::plugins::manifest::files::{from_hex, hex};
use crate::plugins::manifest::walk::{Document, Field, Table};
use crate::plugins::minisign::PublicKey;
use crate::plugins::revocations::Revoked;
use crate::plugins::strict::{self, StrictError, quoted, schema};
use crate::timestamp::Timestamp;
use midimon_shared::PluginId;
use semver::Version;
use std::collections::HashSet;
use std::fmt::Write;
use std::io;
use std::path::PathBuf;

/// The file's name.
pub const FILE_NAME: &str = "indexes.toml";
/// Most indexes.
pub const MAX_INDEXES: usize = 16;
/// Largest file, in bytes: every index with all it can revoke, reasons of four
/// bytes a character and escapes included.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Longest path of a directory, in characters.
const MAX_PATH: usize = 4_096;

/// An index the user added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// What the user calls it.
    pub name: IndexName,
    /// What it calls itself.
    pub index: IndexName,
    /// The key that signs it.
    pub key: PublicKey,
    /// Where it lies.
    pub dir: String,
    /// When it was added.
    pub added: Timestamp,
    /// The last one that was used.
    pub last: Accepted,
    /// The keys that one revokes.
    pub revoked_keys: Vec<RevokedKey>,
    /// The versions that one revokes.
    pub revoked_versions: Vec<RevokedVersion>,
}

impl Subscription {
    /// What is known before it is fetched again.
    #[must_use]
    pub const fn known(&self) -> Known<'_> {
        Known { key: &self.key, name: Some(&self.index), last: Some(&self.last) }
    }

    /// Why this index says a key must not be used.
    #[must_use]
    pub fn revokes_key(&self, key: &PublicKey) -> Option<&RevokedKey> {
        self.revoked_keys.iter().find(|revoked| revoked.key == *key)
    }

    /// Why this index says a version must not be used, where it does.
    #[must_use]
    pub fn revokes(&self, id: &PluginId, version: &Version, publisher: Option<&PublicKey>) -> Option<Revoked> {
        if let Some(it) = self.revoked_versions.iter().find(|it| it.id == *id && same_version(&it.version, version)) {
            let (index, version, reason) = (self.name.clone(), version.to_string(), it.reason.clone());
            return Some(Revoked::Version { index, id: id.clone(), version, reason });
        }
        let it = self.revokes_key(publisher?)?;
        let (index, fingerprint) = (self.name.clone(), it.key.fingerprint());
        Some(Revoked::Key { index, fingerprint, reason: it.reason.clone() })
    }
}

/// Every index the user added, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscriptions {
    entries: Vec<Subscription>,
}

/// Why the file is not used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SubscriptionError {
    #[error("the list of indexes: {0}; correct it, or delete it and add the indexes again")]
    Strict(#[from] StrictError),
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error("cannot write '{}': {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot open '{}': {source}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("there is no index '{name}' here{}; `midimon index list` shows them", known_names(.known))]
    Unknown { name: String, known: Vec<IndexName> },
    #[error("there is an index '{0}' already: choose another name with --name, or remove it first")]
    NameTaken(IndexName),
    #[error("this index was added already, as '{0}'")]
    Again(IndexName),
    #[error("there are {MAX_INDEXES} indexes already: remove one with `midimon index remove NAME`")]
    Full,
}

fn known_names(names: &[IndexName]) -> String {
    let names: Vec<&str> = names.iter().map(IndexName::as_str).collect();
    if names.is_empty() { String::new() } else { format!(" (there are: {})", names.join(", ")) }
}

impl Subscriptions {
    /// All of them.
    #[must_use]
    pub fn entries(&self) -> &[Subscription] {
        &self.entries
    }

    /// The one of this name.
    ///
    /// # Errors
    /// [`SubscriptionError::Unknown`].
    pub fn get(&self, name: &str) -> Result<&Subscription, SubscriptionError> {
        let known = || self.entries.iter().map(|entry| entry.name.clone()).collect();
        let found = self.entries.iter().find(|entry| entry.name.as_str() == name);
        found.ok_or_else(|| SubscriptionError::Unknown { name: name.chars().take(80).collect(), known: known() })
    }

    /// Adds one.
    ///
    /// # Errors
    /// It is there, or another of its name, or there are too many.
    pub fn add(&mut self, new: Subscription) -> Result<(), SubscriptionError> {
        self.room_for(&new.name, &new.index, &new.key)?;
        let at = self.entries.partition_point(|entry| entry.name < new.name);
        self.entries.insert(at, new);
        Ok(())
    }

    /// Whether one can be added.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn room_for(&self, name: &IndexName, index: &IndexName, key: &PublicKey) -> Result<(), SubscriptionError> {
        if let Some(there) = self.entries.iter().find(|entry| entry.index == *index && entry.key == *key) {
            return Err(SubscriptionError::Again(there.name.clone()));
        }
        if self.entries.iter().any(|entry| entry.name == *name) {
            return Err(SubscriptionError::NameTaken(name.clone()));
        }
        if self.entries.len() >= MAX_INDEXES { Err(SubscriptionError::Full) } else { Ok(()) }
    }

    /// Forgets one.
    ///
    /// # Errors
    /// [`SubscriptionError::Unknown`].
    pub fn remove(&mut self, name: &str) -> Result<Subscription, SubscriptionError> {
        let name = self.get(name)?.name.clone();
        let at = self.entries.partition_point(|entry| entry.name < name);
        Ok(self.entries.remove(at))
    }

    /// Remembers what an index was when it was used.
    ///
    /// # Errors
    /// [`SubscriptionError::Unknown`].
    pub fn record(&mut self, name: &IndexName, last: Accepted, index: &Index) -> Result<(), SubscriptionError> {
        self.get(name.as_str())?;
        for entry in self.entries.iter_mut().filter(|entry| entry.name == *name) {
            entry.last = last;
            entry.revoked_keys.clone_from(&index.revoked_keys);
            entry.revoked_versions.clone_from(&index.revoked_versions);
        }
        Ok(())
    }

    /// Reads the home's list; it is empty when there is no file.
    ///
    /// # Errors
    /// The file cannot be read or has a mistake.
    pub fn load(home: &Home) -> Result<Self, SubscriptionError> {
        let dir = match open_dir(&home.state_dir()) {
            Ok(dir) => dir,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(SubscriptionError::Open { path: home.state_dir(), source }),
        };
        Ok(strict::read(dir, FILE_NAME, &path(home), MAX_BYTES, Self::parse)?.unwrap_or_default())
    }

    /// Reads the list, lets `change` change it, and writes it when that is done; one
    /// command at a time. The home must be prepared.
    ///
    /// # Errors
    /// The file's, or those of `change`, after which nothing is written.
    pub fn change<T, E: From<SubscriptionError>>(
        home: &Home,
        change: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let held = wait_lock_file(&home.state_dir().join("indexes.lock"));
        let _held = held.map_err(SubscriptionError::from)?;
        let before = Self::load(home)?;
        let mut list = before.clone();
        let result = change(&mut list)?;
        if list != before {
            let written = write_atomic(&path(home), list.to_text().as_bytes(), 0o600);
            written.map_err(|source| SubscriptionError::Write { path: path(home), source })?;
        }
        Ok(result)
    }

    /// Reads the list's text.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        strict::parse(text, list)
    }

    /// The list's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::from("# Written by midimon; `midimon index` changes it.\nschema = 1\n");
        for Subscription { name, index, key, dir, added, last, revoked_keys, revoked_versions } in &self.entries {
            // a String takes everything
            let _ = write!(
                text,
                "\n[[indexes]]\nname = \"{name}\"\nindex = \"{index}\"\nkey = \"{key}\"\ndir = {}\nadded = \"{added}\"\n\
                 serial = {}\ncreated = \"{}\"\nexpires = \"{}\"\nsha256 = \"{}\"\nrevoked_keys = [\n",
                quoted(dir),
                last.serial,
                last.created,
                last.expires,
                hex(&last.sha256),
            );
            for RevokedKey { key, reason } in revoked_keys {
                let _ = writeln!(text, "    {{ key = \"{key}\", reason = {} }},", quoted(reason));
            }
            text.push_str("]\nrevoked_versions = [\n");
            for RevokedVersion { id, version, reason } in revoked_versions {
                let reason = quoted(reason);
                let _ = writeln!(text, "    {{ id = \"{id}\", version = \"{version}\", reason = {reason} }},");
            }
            text.push_str("]\n");
        }
        text
    }
}

fn path(home: &Home) -> PathBuf {
    home.state_dir().join(FILE_NAME)
}

fn list<'d>(_: &'d Document<'d>, mut root: Table<'d>) -> Option<Subscriptions> {
    schema(&mut root)?;
    let tables = root.take("indexes").map(|field| field.tables(MAX_INDEXES)).unwrap_or_default();
    root.finish();
    let mut names = HashSet::new();
    let mut entries = Vec::with_capacity(tables.len());
    for table in tables {
        entries.push(subscription(table, &mut names)?);
    }
    entries.sort_by(|one: &Subscription, other| one.name.cmp(&other.name));
    Some(Subscriptions { entries })
}

fn subscription(mut table: Table<'_>, names: &mut HashSet<IndexName>) -> Option<Subscription> {
    let name_field = table.require("name");
    let name: Option<IndexName> = name_field.as_ref().and_then(|field| field.parse());
    if let (Some(field), Some(name)) = (&name_field, &name)
        && !names.insert(name.clone())
    {
        field.report("another index above has this name");
    }
    let index = table.require("index").and_then(|field| field.parse());
    let key = table.require("key").and_then(|field| field.parse());
    let dir = table.require("dir").and_then(|field| field.text(MAX_PATH));
    let added = table.require("added").and_then(|field| field.parse());
    let serial = table.require("serial").and_then(|field| field.integer(1..=i64::MAX));
    let created = table.require("created").and_then(|field| field.parse());
    let expires = table.require("expires").and_then(|field| field.parse());
    let sha256 = table.require("sha256").and_then(|field| digest(&field));
    let revoked_keys = table.require("revoked_keys").map(|field| keys(&field)).unwrap_or_default();
    let revoked_versions = table.require("revoked_versions").map(|field| versions(&field)).unwrap_or_default();
    table.finish();
    let serial = u64::try_from(serial?).ok()?;
    let last = Accepted { serial, created: created?, expires: expires?, sha256: sha256? };
    Some(Subscription {
        name: name?,
        index: index?,
        key: key?,
        dir: dir?,
        added: added?,
        last,
        revoked_keys,
        revoked_versions,
    })
}

fn digest(field: &Field<'_>) -> Option<[u8; 32]> {
    let digest = from_hex(&field.text(64)?);
    if digest.is_none() {
        field.report("must be 64 digits from 0 to 9 and a to f");
    }
    digest
}

fn keys(field: &Field<'_>) -> Vec<RevokedKey> {
    let entry = |mut table: Table<'_>| {
        let key = table.require("key").and_then(|field| field.parse());
        let reason = table.require("reason").and_then(|field| field.text(MAX_REASON));
        table.finish();
        Some(RevokedKey { key: key?, reason: reason? })
    };
    field.tables(MAX_REVOKED).into_iter().filter_map(entry).collect()
}

fn versions(field: &Field<'_>) -> Vec<RevokedVersion> {
    let entry = |mut table: Table<'_>| {
        let id = table.require("id").and_then(|field| field.parse());
        let version = table.require("version").and_then(|field| field.text(64).and_then(|_| field.parse()));
        let reason = table.require("reason").and_then(|field| field.text(MAX_REASON));
        table.finish();
        Some(RevokedVersion { id: id?, version: version?, reason: reason? })
    };
    field.tables(MAX_REVOKED).into_iter().filter_map(entry).collect()
}
