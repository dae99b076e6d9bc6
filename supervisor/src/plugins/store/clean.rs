//! What an interrupted change left over goes before the next one begins.

use super::kept::{self, KeptData};
use super::record::FILE_NAME;
use super::remove::Removal;
use super::stage::PREFIX;
use super::{Locked, MAX_PLUGINS, StoreError, dirs, grants_name};
use crate::plugins::manifest;
use midimon_shared::PluginId;
use nix::unistd::UnlinkatFlags;
use semver::Version;
use std::os::fd::AsFd;

/// Whether this is the directory of a plugin under development, which somebody keeps here.
pub(super) fn is_foreign(dir: impl AsFd) -> bool {
    dirs::exists(dir, manifest::FILE_NAME)
}

/// What could not be removed.
#[derive(Debug, Default)]
pub(super) struct Left(pub Vec<StoreError>);

impl Left {
    /// Remembers a failure, and goes on.
    pub(super) fn note<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }
}

impl Locked {
    /// Finishes what was interrupted: removals that had begun are completed, staging
    /// directories, versions no record names, grants and settings of nobody, and temporary
    /// files are removed. Everybody who locks the store does it. What cannot be removed is
    /// passed over and returned: a full disk or a file of another user must keep nobody from
    /// disabling a plugin.
    pub(super) fn clean(&self) -> Vec<StoreError> {
        let mut left = Left::default();
        self.finish_removals(&mut left);
        self.clean_plugins(&mut left);
        self.clean_orphans(&mut left);
        self.sweep(&mut left);
        left.0
    }

    /// Decides each removal: one that had not reached the record has not happened, one
    /// that had is completed.
    fn finish_removals(&self, left: &mut Left) {
        for id in left.note(kept::all(&self.store)).unwrap_or_default() {
            match (self.get(&id), self.kept(&id)) {
                (Ok(Some(_)), _) => {
                    left.note(kept::forget(&self.store.home, &id));
                }
                // a note that cannot be read keeps the data from everybody, until `remove` deletes both
                (Ok(None), Ok(Some(kept))) if kept.data == KeptData::Delete => {
                    let removal = Removal { locked: self, kept };
                    left.note(Removal::STEPS[2..].iter().try_for_each(|step| step(&removal)));
                }
                _ => {}
            }
        }
    }

    fn clean_plugins(&self, left: &mut Left) {
        let plugins = self.store.home.plugins_dir();
        let names = dirs::names(&self.root, 2 * MAX_PLUGINS).map_err(StoreError::io("read", &plugins));
        let names = left.note(names).unwrap_or_default();
        for name in names.iter().filter_map(|name| name.to_str().ok()) {
            if name.starts_with(PREFIX) {
                left.note(dirs::remove(&self.root, name, &plugins.join(name)));
            } else if let Ok(id) = name.parse::<PluginId>() {
                self.clean_plugin(&id, left);
            }
        }
    }

    /// Removes versions of a plugin that its record does not name. Where the record is
    /// damaged nothing is touched, nor where the directory is no plugin of the store.
    pub(super) fn clean_plugin(&self, id: &PluginId, left: &mut Left) {
        let path = self.path(id);
        let Ok(record) = self.get(id) else { return };
        let Ok(dir) = dirs::open_at(&self.root, id.as_str()) else { return };
        if is_foreign(&dir) {
            return;
        }
        let names = left.note(dirs::names(&dir, MAX_PLUGINS).map_err(StoreError::io("read", &path)));
        for name in names.unwrap_or_default() {
            let Ok(name) = name.to_str() else { continue };
            let Ok(version) = name.parse::<Version>() else { continue };
            if record.as_ref().is_none_or(|record| record.version(&version).is_none()) {
                left.note(dirs::remove(&dir, name, &path.join(name)));
            }
        }
        left.note(dirs::sweep(&dir, Some(FILE_NAME)).map_err(StoreError::io("clean", &path)));
        if record.is_none() {
            // fails where somebody put something else into it; that is theirs
            let _ = dirs::unlink(&self.root, id.as_str(), UnlinkatFlags::RemoveDir);
        }
    }

    /// Grants and settings of plugins that are not installed. What was kept keeps its settings.
    fn clean_orphans(&self, left: &mut Left) {
        let home = &self.store.home;
        for (path, suffix) in [(home.grants_dir(), ".toml"), (home.settings_dir(), ".json")] {
            let Some(Some(dir)) = left.note(dirs::open_path(&path)) else { continue };
            let names = dirs::names(&dir, 2 * MAX_PLUGINS).map_err(StoreError::io("read", &path));
            for name in left.note(names).unwrap_or_default() {
                let id = name.to_str().ok().and_then(|name| name.strip_suffix(suffix)?.parse::<PluginId>().ok());
                let Some(id) = id else { continue };
                let is_nobodys = matches!(self.get(&id), Ok(None));
                let is_kept = suffix == ".json" && !matches!(self.kept(&id), Ok(None));
                if is_nobodys && !is_kept {
                    let name = if suffix == ".toml" { grants_name(&id) } else { format!("{id}.json") };
                    let removed = dirs::unlink(&dir, &name, UnlinkatFlags::NoRemoveDir);
                    left.note(removed.map_err(StoreError::io("remove", &path.join(name))));
                }
            }
        }
    }

    /// Temporary files of processes that were killed while they replaced one.
    fn sweep(&self, left: &mut Left) {
        let home = &self.store.home;
        let trusted = home.trusted_keys();
        let config = trusted.parent().unwrap_or(&trusted);
        for (path, name) in [
            (home.grants_dir(), None),
            (home.settings_dir(), None),
            (home.state_dir(), None),
            (config.to_owned(), trusted.file_name().and_then(|name| name.to_str())),
        ] {
            if let Some(Some(dir)) = left.note(dirs::open_path(&path)) {
                left.note(dirs::sweep(&dir, name).map_err(StoreError::io("clean", &path)));
            }
        }
    }
}
