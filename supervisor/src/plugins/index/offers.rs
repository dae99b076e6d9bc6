//! The indexes in use at one moment, and what may be taken from them.

use super::apply::Current;
use super::choose::{Chosen, Offered, Rules, Unavailable, Unfit, Wanted, choose, here, unfit};
use super::{Listing, Release};
use crate::plugins::revocations::Revocations;
use semver::Version;

/// Indexes that were accepted just now, and what is revoked.
#[derive(Clone, Copy, Debug)]
pub struct Offers<'o> {
    /// The indexes to choose from.
    pub indexes: &'o [Current],
    /// What the user and every index revoked.
    pub revocations: &'o Revocations,
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
        choose(&offered, wanted, above, &self.rules())
    }

    /// The version of a plugin that would be chosen; else why not the newest.
    ///
    /// # Errors
    /// Why the newest is not used.
    pub fn best(&self, listing: &'o Listing) -> Result<&'o Release, Unfit> {
        let (rules, mut first) = (self.rules(), None);
        for release in &listing.versions {
            match unfit(&listing.id, release, false, &rules) {
                None => return Ok(release),
                Some(fault) => drop(first.get_or_insert(fault)),
            }
        }
        // a plugin has a version, or it is not read
        Err(first.unwrap_or(Unfit::Yanked))
    }

    fn rules(&self) -> Rules<'o> {
        let (target, midimon) = here();
        Rules { target, midimon, pre_releases: self.pre_releases, revocations: self.revocations }
    }
}
