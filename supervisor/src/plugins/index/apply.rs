//! Using an index: fetched, accepted, remembered, and what it revokes revoked here.

use super::accept::{Accepted, Known, Refusal, accept};
use super::source::{DirectorySource, FetchError, Source};
use super::subscriptions::{Subscription, SubscriptionError, Subscriptions};
use super::{Index, IndexName};
use crate::home::Home;
use crate::plugins::minisign::PublicKey;
use crate::plugins::store::{Installed, Store, StoreError};
use crate::plugins::trust::{How, PublisherName, Standing, TrustError, TrustRefusal, TrustStore};
use crate::timestamp::Timestamp;
use midimon_shared::PluginId;
use semver::Version;
use serde::Serialize;
use std::path::Path;

/// Why an index is not used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum IndexError {
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
    #[error("the index '{name}': {source}")]
    Fetch { name: String, source: FetchError },
    #[error("the index '{name}' is not used: {source}")]
    Refused { name: String, source: Refusal },
    #[error("the index '{name}' is not used: its key was revoked as that of '{publisher}'")]
    KeyRevoked { name: String, publisher: PublisherName },
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("what the index revokes cannot be disabled: {0}")]
    Store(#[from] StoreError),
    #[error("the directory's path is not text that can be shown; give it another name")]
    Path,
}

/// Something an index changed here, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Effect {
    /// A key is trusted no longer.
    KeyRevoked { name: String, key: PublicKey, reason: String },
    /// A plugin does not run any more.
    Disabled { id: PluginId, version: String, reason: String },
    /// A key could not be revoked; nothing it signed is installed from an index.
    NotRevoked { key: PublicKey, why: String },
}

impl std::fmt::Display for Effect {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::KeyRevoked { name, key, reason } => {
                write!(formatter, "revoked the key of '{name}', {}: {reason}", key.fingerprint())
            }
            Self::Disabled { id, version, reason } => write!(formatter, "disabled {id} {version}: {reason}"),
            Self::NotRevoked { key, why } => {
                write!(formatter, "could not revoke the key {}: {why}", key.fingerprint())
            }
        }
    }
}

/// An index in use.
#[derive(Clone, Debug)]
pub struct Current {
    /// What the user calls it.
    pub name: IndexName,
    /// What is in it.
    pub index: Index,
    /// Whether it is another one than the last.
    pub is_new: bool,
    /// What it changed here.
    pub effects: Vec<Effect>,
}

/// Adds the index in the directory `dir`, signed with `key`, under its own name or `name`.
/// The home must be prepared.
///
/// # Errors
/// See [`IndexError`]; nothing is added then.
pub fn add(
    home: &Home,
    dir: &Path,
    key: PublicKey,
    name: Option<IndexName>,
    now: Timestamp,
) -> Result<Current, IndexError> {
    let shown = dir.display().to_string();
    let dir = dir.canonicalize().map_err(|source| IndexError::Fetch {
        name: shown.clone(),
        source: FetchError::Directory { path: dir.to_owned(), source },
    })?;
    let text = dir.to_str().filter(|text| is_storable(text)).ok_or(IndexError::Path)?.to_owned();
    Subscriptions::change(home, |list| {
        let known = Known { key: &key, name: None, last: None };
        let (index, last) = fetch(home, &shown, &DirectorySource::new(&dir), known, now)?;
        let name = name.unwrap_or_else(|| index.name.clone());
        list.room_for(&name, &index.name, &key)?;
        let effects = revoke(home, &name, &index, now)?;
        list.add(Subscription {
            name: name.clone(),
            index: index.name.clone(),
            key,
            dir: text,
            added: now,
            last,
            revoked: index.revoked_versions.clone(),
        })?;
        Ok(Current { name, index, is_new: true, effects })
    })
}

/// Fetches an index anew, applies what it revokes, and remembers it. The home must be prepared.
///
/// # Errors
/// See [`IndexError`]; what was remembered of it stays then.
pub fn refresh(home: &Home, name: &IndexName, now: Timestamp) -> Result<Current, IndexError> {
    Subscriptions::change(home, |list| {
        let entry = list.get(name.as_str())?;
        let source = DirectorySource::new(Path::new(&entry.dir));
        let (index, last) = fetch(home, name.as_str(), &source, entry.known(), now)?;
        let is_new = last != entry.last;
        // before it is remembered: when this is interrupted it is done again
        let effects = revoke(home, name, &index, now)?;
        list.record(name, last, &index.revoked_versions)?;
        Ok(Current { name: name.clone(), index, is_new, effects })
    })
}

fn is_storable(path: &str) -> bool {
    path.chars().count() <= 4_096 && midimon_shared::text::unshowable(path).is_none()
}

fn fetch(
    home: &Home,
    name: &str,
    source: &dyn Source,
    known: Known<'_>,
    now: Timestamp,
) -> Result<(Index, Accepted), IndexError> {
    let name = || name.to_owned();
    if let Standing::Revoked(entry) = TrustStore::load(home)?.standing(known.key) {
        return Err(IndexError::KeyRevoked { name: name(), publisher: entry.name.clone() });
    }
    let signed = source.fetch_index().map_err(|source| IndexError::Fetch { name: name(), source })?;
    accept(&signed, known, now).map_err(|source| IndexError::Refused { name: name(), source })
}

/// Revokes here what an accepted index revokes; again each time, so that nothing of it
/// is undone by enabling a plugin or going back to a version.
fn revoke(home: &Home, name: &IndexName, index: &Index, now: Timestamp) -> Result<Vec<Effect>, IndexError> {
    let mut effects = revoke_keys(home, index, now)?;
    let store = Store::open(home);
    let running: Vec<Installed> = store.list()?.into_iter().flatten().filter(|record| record.enabled).collect();
    let mut affected = running.iter().filter_map(|record| Some((record, reason(name, index, record)?))).peekable();
    if affected.peek().is_some() {
        let locked = store.lock(|_| {})?;
        for (record, reason) in affected {
            // it may have changed since
            let Some(now) = locked.get(&record.id)?.filter(|now| now.enabled && now.current == record.current) else {
                continue;
            };
            locked.set_enabled(&now.id, false, Some(reason.clone()))?;
            effects.push(Effect::Disabled { id: now.id, version: now.current.to_string(), reason });
        }
    }
    Ok(effects)
}

fn reason(name: &IndexName, index: &Index, record: &Installed) -> Option<String> {
    let version = |version: &Version| index.revokes_version(&record.id, version);
    if let Some(revoked) = version(&record.current) {
        return Some(format!("the index '{name}' revoked this version: {}", revoked.reason));
    }
    let revoked = index.revokes_key(record.publisher.as_ref()?)?;
    Some(format!("the index '{name}' revoked its publisher's key: {}", revoked.reason))
}

fn revoke_keys(home: &Home, index: &Index, now: Timestamp) -> Result<Vec<Effect>, IndexError> {
    let is_new = |trust: &TrustStore, key: &PublicKey| !matches!(trust.standing(key), Standing::Revoked(_));
    let trust = TrustStore::load(home)?;
    if !index.revoked_keys.iter().any(|revoked| is_new(&trust, &revoked.key)) {
        return Ok(Vec::new());
    }
    TrustStore::change(home, |trust| {
        let mut effects = Vec::new();
        for revoked in &index.revoked_keys {
            if !is_new(trust, &revoked.key) {
                continue;
            }
            let (key, reason) = (revoked.key, revoked.reason.clone());
            let entry: Result<_, TrustRefusal> =
                trust.revoke_as(key, PublisherName::of_key(&key), How::Index, now).map(|entry| entry.name.to_string());
            effects.push(match entry {
                Ok(name) => Effect::KeyRevoked { name, key, reason },
                Err(refusal) => Effect::NotRevoked { key, why: refusal.to_string() },
            });
        }
        Ok(effects)
    })
}
