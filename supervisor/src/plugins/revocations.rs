//! What must not be installed, enabled, gone back to or started any more: what the
//! user revoked, and what the indexes they added revoke.
//!
//! The store asks here each time it finds out what can be started, and before it
//! changes what that is. What an index revokes is written nowhere else, so removing
//! the index is all it takes to undo it.

use super::index::IndexName;
use super::index::subscriptions::{SubscriptionError, Subscriptions};
use super::minisign::{Fingerprint, PublicKey};
use super::trust::{Entry, PublisherName, Standing, TrustError, TrustStore};
use crate::home::Home;
use crate::timestamp::Timestamp;
use midimon_shared::PluginId;
use semver::Version;
use serde::Serialize;

/// Why a version must not be used, and the way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "by", rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Revoked {
    /// The user does not trust its publisher any more.
    #[error(
        "the key of its publisher '{name}' ({fingerprint}) was revoked on {since:.10}: ask the publisher for a package \
         signed with another key; if revoking it was a mistake, delete its entry in trusted_keys.toml, and trust it \
         again with `midimon key trust`"
    )]
    User { name: PublisherName, fingerprint: Fingerprint, since: Timestamp },
    /// An index says nothing signed with that key must be used.
    #[error(
        "the key of its publisher ({fingerprint}) was revoked by the index '{index}': {reason}; \
         `midimon index remove {index}` if you do not believe that index"
    )]
    Key { index: IndexName, fingerprint: Fingerprint, reason: String },
    /// An index says this version must not be used.
    #[error(
        "{id} {version} was revoked by the index '{index}': {reason}; \
         `midimon index remove {index}` if you do not believe that index"
    )]
    Version { index: IndexName, id: PluginId, version: String, reason: String },
}

impl Revoked {
    /// By the user's own word, which this entry is.
    #[must_use]
    pub fn by_user(entry: &Entry) -> Self {
        let since = entry.revoked.unwrap_or(entry.since);
        Self::User { name: entry.name.clone(), fingerprint: entry.key.fingerprint(), since }
    }
}

/// What was revoked cannot be found out; nothing is used then.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum RevocationsError {
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Indexes(#[from] SubscriptionError),
}

/// Everything that is revoked at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    /// What the user says of keys.
    pub trust: TrustStore,
    /// What the indexes say.
    pub indexes: Subscriptions,
}

impl Revocations {
    /// Reads what is revoked in this home.
    ///
    /// # Errors
    /// A file cannot be read or has a mistake; what it revokes is not known then.
    pub fn load(home: &Home) -> Result<Self, RevocationsError> {
        Ok(Self { trust: TrustStore::load(home)?, indexes: Subscriptions::load(home)? })
    }

    /// Whether a version of a publisher's plugin may be used; `None` is an unsigned one.
    ///
    /// # Errors
    /// Why not: the user's own word first.
    pub fn check(&self, id: &PluginId, version: &Version, publisher: Option<&PublicKey>) -> Result<(), Revoked> {
        if let Some(key) = publisher
            && let Standing::Revoked(entry) = self.trust.standing(key)
        {
            return Err(Revoked::by_user(entry));
        }
        let mut found = self.indexes.entries().iter().filter_map(|index| index.revokes(id, version, publisher));
        found.next().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::index::testing::{at, index, key, revoked_key, revoked_version, subscription};

    #[test]
    fn a_key_or_version_that_anybody_revokes_is_revoked_and_no_other() {
        let (ours, theirs, lost) = (key().public(), key().public(), key().public());
        let mut revoking = index(1, Vec::new());
        revoking.revoked_keys.push(revoked_key(theirs));
        revoking.revoked_versions.push(revoked_version("aa", "1.0.0"));
        let mut all = Revocations::default();
        all.indexes.add(subscription("one", &index(1, Vec::new()))).unwrap();
        all.indexes.add(subscription("two", &revoking)).unwrap();
        all.trust.revoke(lost, "Lost".parse().unwrap(), at(1)).unwrap();
        let check = |all: &Revocations, version: &str, key: Option<&PublicKey>| {
            all.check(&"aa".parse().unwrap(), &version.parse().unwrap(), key)
        };
        for (version, key) in [("1.0.1", None), ("1.0.1", Some(&ours)), ("1.0.0-rc.1", Some(&ours))] {
            assert_eq!(check(&all, version, key), Ok(()));
        }
        for key in [None, Some(&ours)] {
            let told = check(&all, "1.0.0+build", key).unwrap_err();
            assert!(matches!(&told, Revoked::Version { index, .. } if index.as_str() == "two"), "{told}");
        }
        let told = check(&all, "1.0.1", Some(&theirs)).unwrap_err().to_string();
        assert!(told.contains("it was stolen") && told.contains("midimon index remove two"), "{told}");
        let told = check(&all, "1.0.0", Some(&lost)).unwrap_err().to_string();
        assert!(told.contains("'Lost'") && told.contains("trusted_keys.toml"), "{told}");
        // what an index revoked is undone with it, what the user revoked is not
        all.indexes.remove("two").unwrap();
        assert_eq!((check(&all, "1.0.0", None), check(&all, "1.0.0", Some(&theirs))), (Ok(()), Ok(())));
        assert!(check(&all, "1.0.0", Some(&lost)).is_err());
    }
}
