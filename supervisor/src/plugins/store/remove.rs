//! A plugin goes, with everything that is its own and nothing else.

use super::clean::is_foreign;
use super::kept::{self, KeptData, KeptFile};
use super::record::FILE_NAME;
use super::{Locked, MAX_PLUGINS, Step, StoreError, dirs, grants_name};
use midimon_shared::PluginId;
use nix::unistd::UnlinkatFlags;
use semver::Version;
use std::path::Path;

/// A removal under way.
pub(super) struct Removal<'l> {
    pub(super) locked: &'l Locked,
    pub(super) kept: KeptFile,
}

impl Removal<'_> {
    /// In this order. Up to [`Self::unlist`] the plugin is installed; after it, it is gone, and
    /// what is left is removed by the next who locks the store.
    pub(super) const STEPS: [Step<Self>; 6] =
        [Self::remember, Self::unlist, Self::files, Self::grants, Self::data, Self::forget];

    /// Whose data this is, before the record that says so goes.
    fn remember(&self) -> Result<(), StoreError> {
        let home = &self.locked.store.home;
        if self.locked.kept(&self.kept.plugin).is_err() {
            // it may be something that no file can replace
            kept::forget(home, &self.kept.plugin)?;
        }
        match kept::write(home, &self.kept) {
            // what is to go makes room for the word that it goes
            Err(error) if error.is_full() => {
                self.versions()?;
                kept::write(home, &self.kept)
            }
            written => written,
        }
    }

    /// Removes the versions under their record, which is not started without them.
    fn versions(&self) -> Result<(), StoreError> {
        let id = &self.kept.plugin;
        let path = self.locked.path(id);
        let Ok(dir) = dirs::open_at(&self.locked.root, id.as_str()) else { return Ok(()) };
        if is_foreign(&dir) {
            return Ok(());
        }
        let names = dirs::names(&dir, MAX_PLUGINS).map_err(StoreError::io("read", &path))?;
        for name in names.iter().filter_map(|name| name.to_str().ok()) {
            if name.parse::<Version>().is_ok() {
                dirs::remove(&dir, name, &path.join(name))?;
            }
        }
        Ok(())
    }

    fn unlist(&self) -> Result<(), StoreError> {
        let id = &self.kept.plugin;
        let path = self.locked.path(id).join(FILE_NAME);
        let Ok(dir) = dirs::open_at(&self.locked.root, id.as_str()) else { return Ok(()) };
        dirs::unlink(&dir, FILE_NAME, UnlinkatFlags::NoRemoveDir).map_err(StoreError::io("remove", &path))?;
        dirs::sync(&dir, &path)
    }

    fn files(&self) -> Result<(), StoreError> {
        let id = &self.kept.plugin;
        if dirs::open_at(&self.locked.root, id.as_str()).is_ok_and(is_foreign) {
            return Ok(());
        }
        dirs::remove(&self.locked.root, id.as_str(), &self.locked.path(id))?;
        dirs::sync(&self.locked.root, &self.locked.path(id))
    }

    fn grants(&self) -> Result<(), StoreError> {
        remove_in(&self.locked.store.home.grants_dir(), &grants_name(&self.kept.plugin))
    }

    /// Its data and what the user set for it.
    pub(super) fn data(&self) -> Result<(), StoreError> {
        if self.kept.data == KeptData::Keep {
            return Ok(());
        }
        let home = &self.locked.store.home;
        remove_in(&home.settings_dir(), &format!("{}.json", self.kept.plugin))?;
        remove_in(&home.plugin_data_dir(), self.kept.plugin.as_str())
    }

    fn forget(&self) -> Result<(), StoreError> {
        match self.kept.data {
            KeptData::Keep => Ok(()),
            KeptData::Delete => kept::forget(&self.locked.store.home, &self.kept.plugin),
        }
    }
}

/// Removes `name` in one of the home's directories; both may be missing.
fn remove_in(dir: &Path, name: &str) -> Result<(), StoreError> {
    let Some(opened) = dirs::open_path(dir)? else { return Ok(()) };
    dirs::remove(&opened, name, &dir.join(name))?;
    dirs::sync(&opened, dir)
}

impl Locked {
    /// Removes a plugin: its versions, its grants, and, unless `keep_data`, its data and
    /// settings. Its record may be damaged; then its data cannot be kept. Without a record it
    /// removes the data that was kept when the plugin was removed before, whether or not it can be
    /// told whose that was.
    ///
    /// # Errors
    /// It is not installed, or what the file system says.
    pub fn remove(&self, id: &PluginId, keep_data: bool) -> Result<(), StoreError> {
        let removal = self.removal(id, keep_data)?;
        for step in Removal::STEPS {
            step(&removal)?;
        }
        Ok(())
    }

    pub(super) fn removal(&self, id: &PluginId, keep_data: bool) -> Result<Removal<'_>, StoreError> {
        let data = if keep_data { KeptData::Keep } else { KeptData::Delete };
        let nobodys = || KeptFile { plugin: id.clone(), publisher: None, highest: Version::new(0, 0, 0), data };
        let kept = match self.get(id) {
            Ok(Some(record)) => {
                KeptFile { plugin: record.id, publisher: record.publisher, highest: record.highest, data }
            }
            Ok(None) => match self.kept(id) {
                Ok(Some(kept)) if !keep_data => KeptFile { data, ..kept },
                Err(StoreError::Kept { .. }) if !keep_data => nobodys(),
                Err(error) => return Err(error),
                Ok(_) => return Err(StoreError::NotInstalled(id.clone())),
            },
            Err(StoreError::Record(_)) if !keep_data => nobodys(),
            Err(error) => return Err(error),
        };
        Ok(Removal { locked: self, kept })
    }
}
