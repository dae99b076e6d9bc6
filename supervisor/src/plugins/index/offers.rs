//! The indexes in use at one moment, and what may be taken from them.

use super::apply::Current;
use super::choose::{Chosen, Offered, Rules, Unavailable, Unfit, Wanted, choose, here, unfit};
use super::subscriptions::Subscriptions;
use super::{Listing, Release};
use crate::plugins::minisign::PublicKey;
use crate::plugins::trust::{Standing, TrustStore};
use midimon_shared::PluginId;
use semver::Version;

/// Indexes that were accepted just now, and whom the user trusts.
#[derive(Clone, Copy, Debug)]
pub struct Offers<'o> {
    /// The indexes to choose from.
    pub indexes: &'o [Current],
    /// What every index revokes.
    pub subscriptions: &'o Subscriptions,
    /// Whose keys are revoked.
    pub trust: &'o TrustStore,
    /// Whether versions such as `2.0.0-rc.1` are chosen too.
    pub pre_releases: bool,
}

impl<'o> Offers<'o> {
    /// As [`choose`], with the revocations of every index and of the user.
    ///
    /// # Errors
    /// See [`Unavailable`].
    pub fn choose(&self, wanted: &Wanted, above: Option<&Version>) -> Result<Chosen<'o>, Unavailable> {
        let indexes = self.indexes.iter();
        let offered: Vec<_> = indexes.map(|current| Offered { name: &current.name, index: &current.index }).collect();
        self.with_rules(|rules| choose(&offered, wanted, above, rules))
    }

    /// The version of a plugin that would be chosen; else why not the newest.
    ///
    /// # Errors
    /// Why the newest is not used.
    pub fn best(&self, listing: &'o Listing) -> Result<&'o Release, Unfit> {
        self.with_rules(|rules| {
            let mut first = None;
            for release in &listing.versions {
                match unfit(&listing.id, release, false, rules) {
                    None => return Ok(release),
                    Some(fault) => drop(first.get_or_insert(fault)),
                }
            }
            // a plugin has a version, or it is not read
            Err(first.unwrap_or(Unfit::Yanked))
        })
    }

    fn with_rules<T>(&self, then: impl FnOnce(&Rules<'_>) -> T) -> T {
        let (target, midimon) = here();
        let version_revoked = |id: &PluginId, version: &Version| {
            let revoked = self.subscriptions.revoked(id, version)?;
            Some(format!("{} (index '{}')", revoked.reason, revoked.index))
        };
        let key_revoked = |key: &PublicKey| {
            if let Standing::Revoked(entry) = self.trust.standing(key) {
                return Some(format!("that of '{}', {}", entry.name, key.fingerprint()));
            }
            // also where it could not be noted among the trusted keys
            self.indexes.iter().find_map(|current| Some(current.index.revokes_key(key)?.reason.clone()))
        };
        then(&Rules {
            target,
            midimon,
            pre_releases: self.pre_releases,
            version_revoked: &version_revoked,
            key_revoked: &key_revoked,
        })
    }
}
