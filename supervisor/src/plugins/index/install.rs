//! A version an index offers, as something to install.

use super::Release;
use super::choose::Chosen;
use super::source::{DirectorySource, Source};
use super::subscriptions::Subscription;
use crate::plugins::install::source::{Offer, Packages, SourceError};
use crate::plugins::package::Contents;
use midimon_shared::PluginId;
use std::path::Path;

/// The package that an index's line names, and no other.
#[derive(Clone, Debug)]
pub struct Indexed {
    source: DirectorySource,
    id: PluginId,
    release: Release,
}

impl Indexed {
    /// What was chosen, from where its index lies.
    #[must_use]
    pub fn new(from: &Subscription, chosen: &Chosen<'_>) -> Self {
        Self {
            source: DirectorySource::new(Path::new(&from.dir)),
            id: chosen.listing.id.clone(),
            release: chosen.release.clone(),
        }
    }
}

impl Packages for Indexed {
    fn offer(&self) -> Result<Offer, SourceError> {
        let file = self.source.fetch_package(&self.release.file)?;
        // before anybody looks into it
        self.release.check_bytes(&file)?;
        let signature = Some(Box::new(self.release.signature.clone()));
        Ok(Offer::Package { file, signature, keys: vec![self.release.publisher] })
    }

    fn check(&self, contents: &Contents) -> Result<(), SourceError> {
        Ok(self.release.check_contents(&self.id, contents)?)
    }
}
