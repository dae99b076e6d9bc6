//! What the user lets a plugin do. Nothing is granted by default.
//!
//! Plugins of `[plugins] dir` are granted what the configuration says ([`DevGrants`]), installed
//! ones what their [`GrantFile`] says.

mod dev;
mod file;

pub use dev::{AskFault, DevGrants};
pub use file::{Answer, ConsentFault, GrantChange, GrantFile, MAX_BYTES};

use super::Manifest;
use midimon_shared::capability::{Capability, CapabilityKind, InvalidCapability};
use serde::Serialize;
use std::collections::BTreeSet;

/// A set of granted capabilities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Grants {
    capabilities: BTreeSet<Capability>,
}

impl Grants {
    /// Reads grants as the configuration states them: `filesystem`, `network:host:port` …
    ///
    /// # Errors
    /// Every text that is no capability, with its index.
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, Vec<(usize, InvalidCapability)>> {
        let mut capabilities = BTreeSet::new();
        let mut errors = Vec::new();
        for (index, text) in texts.into_iter().enumerate() {
            match text.parse() {
                Ok(capability) => {
                    capabilities.insert(capability);
                }
                Err(error) => errors.push((index, error)),
            }
        }
        if errors.is_empty() { Ok(Self { capabilities }) } else { Err(errors) }
    }

    /// What holds: granted by the user and asked for by the plugin.
    #[must_use]
    pub fn effective(&self, manifest: &Manifest) -> Self {
        let asked = manifest.capabilities.iter().map(|request| &request.capability);
        Self { capabilities: asked.filter(|asked| self.capabilities.contains(asked)).cloned().collect() }
    }

    /// What the plugin asks for and has not got.
    #[must_use]
    pub fn missing(&self, manifest: &Manifest) -> Vec<Capability> {
        let asked = manifest.capabilities.iter().map(|request| &request.capability);
        asked.filter(|asked| !self.capabilities.contains(asked)).cloned().collect()
    }

    /// Whether anything of this kind is granted.
    #[must_use]
    pub fn allows(&self, kind: CapabilityKind) -> bool {
        self.capabilities.iter().any(|capability| capability.kind == kind)
    }

    /// Whether exactly this is granted.
    #[must_use]
    pub fn contains(&self, capability: &Capability) -> bool {
        self.capabilities.contains(capability)
    }

    /// Whether nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.capabilities.is_empty()
    }

    /// Whether everything of `other` is in it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.capabilities.is_superset(&other.capabilities)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.capabilities.iter()
    }
}

impl FromIterator<Capability> for Grants {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self { capabilities: capabilities.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::manifest::CapabilityRequest;
    use crate::workers::status::PluginKind;

    fn asking(texts: &[&str]) -> Manifest {
        let mut manifest = Manifest::bare("ab".parse().unwrap(), PluginKind::Wasm, "ab.wasm".into());
        manifest.capabilities = texts
            .iter()
            .map(|text| CapabilityRequest { capability: text.parse().unwrap(), reason: "r".into() })
            .collect();
        manifest
    }

    #[test]
    fn only_what_is_asked_for_and_granted_holds() {
        let manifest = asking(&["filesystem", "network:a:1"]);
        let grants = Grants::parse(["filesystem", "network:b:2", "input"]).unwrap();
        let effective = grants.effective(&manifest);
        assert!(effective.allows(CapabilityKind::Filesystem));
        assert!(!effective.allows(CapabilityKind::Network) && !effective.allows(CapabilityKind::Input));
        assert_eq!(grants.missing(&manifest), ["network:a:1".parse().unwrap()]);
        assert_eq!(Grants::default().effective(&manifest), Grants::default());
    }

    #[test]
    fn every_unreadable_grant_is_named_by_its_index() {
        let errors = Grants::parse(["filesystem", "root", "network"]).unwrap_err();
        assert_eq!(errors.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2]);
    }
}
