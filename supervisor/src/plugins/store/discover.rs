//! Which installed plugins can be started, and with what.

use super::{Installed, Revocations, RevocationsError, Store, StoreError, VersionError, VersionFiles};
use crate::plugins::discover::{BadPlugin, BadPluginCause, Discovered, Scan, Source};
use crate::plugins::grants::ConsentFault;
use crate::plugins::settings::{Handed, Owner, Settings};
use crate::plugins::{Grants, Manifest, SealedCode};
use std::sync::Arc;

/// An installed plugin's files, and what the user lets it do and set for it.
#[derive(Debug)]
pub struct InstalledSource {
    files: VersionFiles,
    /// What it may do.
    pub grants: Grants,
    /// What it is given when it starts.
    pub settings: Handed,
}

impl InstalledSource {
    /// Its code, sealed and compared with the record.
    ///
    /// # Errors
    /// A file was changed after it was installed.
    pub fn code(&self, manifest: &Manifest) -> Result<SealedCode, VersionError> {
        self.files.code(manifest)
    }
}

impl Store {
    /// Every installed plugin: to be started, or why it cannot be; of those and of disabled ones, what they are.
    ///
    /// # Errors
    /// The store itself cannot be read; one bad plugin hides no other.
    pub fn discover(&self) -> Result<Scan, StoreError> {
        let mut scan = Scan::default();
        let records = self.list()?;
        // once for all of them; read anew each time, so that what is revoked counts at once
        let revocations = if records.is_empty() { Ok(Revocations::default()) } else { Revocations::load(&self.home) };
        for record in records {
            let (id, manifest, fault) = match record {
                Ok(record) if !record.enabled && record.disabled_reason.is_none() => {
                    (record.id.clone(), self.manifest(&record), None)
                }
                Ok(record) => match self.one(&record, &revocations) {
                    Ok(plugin) => {
                        scan.plugins.push(plugin);
                        continue;
                    }
                    Err(cause) => (record.id.clone(), self.manifest(&record), Some(cause)),
                },
                Err(bad) => (bad.id.clone(), None, Some(StoreError::from(bad).into())),
            };
            if let Some(cause) = fault {
                scan.bad.push(BadPlugin { path: self.path(&id), id: Some(id.clone()), cause });
            }
            scan.others.push((id, manifest));
        }
        Ok(scan)
    }

    /// What an installed plugin says it is; nothing where its files were changed.
    fn manifest(&self, record: &Installed) -> Option<Manifest> {
        self.current_files(record).and_then(|files| files.manifest()).ok()
    }

    fn one(
        &self,
        record: &Installed,
        revocations: &Result<Revocations, RevocationsError>,
    ) -> Result<Discovered, BadPluginCause> {
        let revocations = revocations.as_ref().map_err(|error| BadPluginCause::Revocations(error.to_string()))?;
        record.not_revoked(revocations)?;
        if let (false, Some(reason)) = (record.enabled, &record.disabled_reason) {
            return Err(BadPluginCause::Disabled { id: record.id.clone(), reason: reason.clone() });
        }
        let files = self.current_files(record).map_err(StoreError::from)?;
        let manifest = files.manifest().map_err(StoreError::from)?;
        let grants = self.grants(&record.id)?.ok_or(ConsentFault::NoGrants)?;
        let effective = grants.effective(&manifest, record.publisher.as_ref())?;
        let answers = manifest.asks.iter().filter_map(|ask| {
            let target = grants.answer(ask)?.capability.as_ref()?.target.as_deref()?;
            Some((ask.setting.as_deref()?, target))
        });
        let settings = Settings::load(&self.home.settings_dir(), Owner::Installed, &record.id)?;
        let settings = settings.handed(&manifest.settings, answers)?;
        let dir = files.path().to_owned();
        let source = Source::Installed(Arc::new(InstalledSource { files, grants: effective, settings }));
        Ok(Discovered { manifest, dir, source })
    }
}
