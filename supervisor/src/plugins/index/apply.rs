//! Using an index: fetched, accepted and remembered, with what it revokes.

use super::accept::{Accepted, Known, Refusal, accept};
use super::source::{DirectorySource, FetchError, Source};
use super::subscriptions::{Subscription, SubscriptionError, Subscriptions};
use super::{Index, IndexName, RevokedKey};
use crate::home::Home;
use crate::plugins::minisign::PublicKey;
use crate::plugins::revocations::Revoked;
use crate::plugins::store::{Store, StoreError};
use crate::plugins::trust::{PublisherName, Standing, TrustError, TrustStore};
use crate::timestamp::Timestamp;
use midimon_shared::PluginId;
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
    #[error(
        "the index '{name}' is not used: it revoked its own key itself ({reason}); ask its publisher for the new one, \
         `midimon index remove {name}`, and add it again"
    )]
    OwnKeyRevoked { name: String, reason: String },
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("the index is used, but whether it concerns an installed plugin cannot be told: {0}")]
    Store(#[from] StoreError),
    #[error("the directory's path is not text that can be shown; give it another name")]
    Path,
}

/// What an index means for what is here, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Effect {
    /// A key that the user trusts must not be used.
    KeyRevoked { name: String, key: PublicKey, reason: String },
    /// An installed plugin is not started.
    Stopped { id: PluginId, version: String, why: Revoked },
}

impl std::fmt::Display for Effect {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::KeyRevoked { name, key, reason } => {
                write!(formatter, "revoked the key of '{name}', {}: {reason}", key.fingerprint())
            }
            Self::Stopped { id, version, why } => write!(formatter, "{id} {version} does not run: {why}"),
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
    /// What it means for what is here.
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
    let (added, index) = Subscriptions::change(home, |list| {
        let known = Known { key: &key, name: None, last: None };
        let (index, last) = fetch(home, &shown, &DirectorySource::new(&dir), known, now)?;
        let name = name.unwrap_or_else(|| index.name.clone());
        list.room_for(&name, &index.name, &key)?;
        let added = Subscription {
            name,
            index: index.name.clone(),
            key,
            dir: text,
            added: now,
            last,
            revoked_keys: index.revoked_keys.clone(),
            revoked_versions: index.revoked_versions.clone(),
        };
        list.add(added.clone())?;
        Ok::<_, IndexError>((added, index))
    })?;
    let effects = effects(home, &added, true)?;
    Ok(Current { name: added.name, index, is_new: true, effects })
}

/// Fetches an index anew and remembers it with what it revokes. The home must be prepared.
///
/// # Errors
/// See [`IndexError`]; what was remembered of it stays then.
pub fn refresh(home: &Home, name: &IndexName, now: Timestamp) -> Result<Current, IndexError> {
    let (entry, index, is_new) = Subscriptions::change(home, |list| {
        let entry = list.get(name.as_str())?;
        if let Some(own) = entry.revokes_key(&entry.key) {
            return Err(IndexError::OwnKeyRevoked { name: name.to_string(), reason: own.reason.clone() });
        }
        let source = DirectorySource::new(Path::new(&entry.dir));
        let (index, last) = fetch(home, name.as_str(), &source, entry.known(), now)?;
        let is_new = last != entry.last;
        list.record(name, last, &index)?;
        Ok((list.get(name.as_str())?.clone(), index, is_new))
    })?;
    let effects = effects(home, &entry, is_new)?;
    Ok(Current { name: entry.name, index, is_new, effects })
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

/// What of an index concerns this home. Computed anew each time, so that a command that is
/// killed before it tells anybody loses nothing.
fn effects(home: &Home, index: &Subscription, is_new: bool) -> Result<Vec<Effect>, IndexError> {
    let trust = TrustStore::load(home)?;
    let keys = index.revoked_keys.iter().filter(|_| is_new);
    let trusted = keys.filter_map(|RevokedKey { key, reason }| match trust.standing(key) {
        Standing::Trusted(entry) => {
            Some(Effect::KeyRevoked { name: entry.name.to_string(), key: *key, reason: reason.clone() })
        }
        Standing::Unknown | Standing::Revoked(_) => None,
    });
    // what cannot be read is not started anyway
    let installed = Store::open(home).list()?.into_iter().flatten().filter(|record| record.enabled);
    let stopped = installed.filter_map(|record| {
        let why = index.revokes(&record.id, &record.current, record.publisher.as_ref())?;
        Some(Effect::Stopped { id: record.id, version: record.current.to_string(), why })
    });
    Ok(trusted.chain(stopped).collect())
}
