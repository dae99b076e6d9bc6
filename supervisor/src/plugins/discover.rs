//! Plugins that can be started, and finding those of a development directory
//! (`[plugins] dir`). The installed ones are found by [`super::store`].

use super::grants::ConsentFault;
use super::manifest::{FILE_NAME, ManifestError};
use super::revocations::Revoked;
use super::settings::SettingsError;
use super::store::{InstalledSource, Store, StoreError};
use super::{Manifest, code};
use crate::workers::status::{Origin, PluginKind};
use midimon_shared::PluginId;
use std::collections::HashMap;
use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most entries of a plugin directory that are looked at.
pub const MAX_ENTRIES: usize = 4096;

/// A plugin that can be started.
#[derive(Clone, Debug)]
pub struct Discovered {
    /// What it says it is.
    pub manifest: Manifest,
    /// The directory with its files.
    pub dir: PathBuf,
    /// Where it comes from.
    pub source: Source,
}

/// Where a plugin comes from, with what only that kind has.
#[derive(Clone, Debug)]
pub enum Source {
    /// `[plugins] dir`: the files count as they are.
    Dev,
    /// The store: the files count as they were installed.
    Installed(Arc<InstalledSource>),
}

impl Discovered {
    /// Where it comes from, for listings.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        match self.source {
            Source::Dev => Origin::Dev,
            Source::Installed(_) => Origin::Installed,
        }
    }

    /// Where its code is.
    #[must_use]
    pub fn code_path(&self) -> PathBuf {
        self.dir.join(&self.manifest.entry)
    }
}

/// A plugin that cannot be started.
#[derive(Debug)]
pub struct BadPlugin {
    /// Its id, as far as one can tell.
    pub id: Option<PluginId>,
    /// The directory or file it is.
    pub path: PathBuf,
    /// Why.
    pub cause: BadPluginCause,
}

/// Why a plugin is not used. Every message names the file.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum BadPluginCause {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("{}: the id '{id}' is taken by {}; give one of them another id", path.display(), first.display())]
    Duplicate { id: PluginId, path: PathBuf, first: PathBuf },
    #[error("{}: a plugin without {FILE_NAME} gets its id from the file's name, and that is none: {source}", path.display())]
    Name { path: PathBuf, source: midimon_shared::id::InvalidPluginId },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("what was revoked cannot be looked up, so it is not started: {0}")]
    Revocations(String),
    #[error("is not started: {0}")]
    Revoked(#[from] Revoked),
    #[error("is disabled: {reason}; `midimon plugin enable {id}` enables it")]
    Disabled { id: PluginId, reason: String },
    #[error(transparent)]
    Consent(#[from] ConsentFault),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the installed one is not started while {} in [plugins] dir has its id", path.display())]
    InDevelopment { path: PathBuf },
}

/// The plugin directory itself cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ScanError {
    #[error("cannot read the plugin directory {}: {source}; correct `dir` in [plugins]", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the plugin directory {} has more than {MAX_ENTRIES} entries; is it the right one?", path.display())]
    TooMany { path: PathBuf },
}

/// What a scan found.
#[derive(Debug, Default)]
pub struct Scan {
    /// The plugins that can be started, by directory name.
    pub plugins: Vec<Discovered>,
    /// Those that cannot.
    pub bad: Vec<BadPlugin>,
    /// Installed ones that are not to be started or cannot be, and what they say they are, where that can be read.
    pub others: Vec<(PluginId, Option<Manifest>)>,
}

/// What there is now. What cannot be read of one of the two places says nothing about the other.
#[derive(Debug, Default)]
pub struct Found {
    /// What there is in both.
    pub scan: Scan,
    /// Why the plugin directory cannot be read: what runs of it goes on.
    pub dev: Option<ScanError>,
    /// Why the store cannot be read: nobody knows what may still run, so nothing of it does.
    pub store: Option<StoreError>,
    /// Whether there may be plugins under development whose manifest could not be read.
    pub may_be_more: bool,
}

impl Found {
    /// Looks through the plugin directory (`[plugins] dir`) and the store.
    #[must_use]
    pub fn look(directory: Option<&Path>, store: Option<&Store>) -> Self {
        let mut found = Self::default();
        match directory.map(scan) {
            Some(Ok(scan)) => found.scan = scan,
            Some(Err(error)) => found.dev = Some(error),
            None => {}
        }
        found.may_be_more = found.dev.is_some() || !found.scan.bad.is_empty();
        match store.map(Store::discover) {
            Some(Ok(installed)) => found.scan.add_installed(installed),
            Some(Err(error)) => found.store = Some(error),
            None => {}
        }
        found
    }
}

/// Looks at every sub-directory with a `plugin.toml`, and at every bare `.so`
/// and `.wasm`. Of two plugins with one id the first by file name is taken. What
/// starts with a dot is passed over.
///
/// # Errors
/// Only when `dir` itself cannot be read; one bad plugin never hides the others.
pub fn scan(dir: &Path) -> Result<Scan, ScanError> {
    let failed = |source| ScanError::Read { path: dir.to_owned(), source };
    let entries: Vec<DirEntry> =
        dir.read_dir().map_err(failed)?.take(MAX_ENTRIES + 1).collect::<Result<_, _>>().map_err(failed)?;
    if entries.len() > MAX_ENTRIES {
        return Err(ScanError::TooMany { path: dir.to_owned() });
    }
    let mut paths: Vec<PathBuf> = entries.iter().map(DirEntry::path).collect();
    paths.sort();

    let mut scan = Scan::default();
    let mut taken: HashMap<String, PathBuf> = HashMap::new();
    for path in paths {
        let named = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let found = if named.starts_with('.') {
            continue;
        } else if path.is_dir() && path.join(FILE_NAME).symlink_metadata().is_ok() {
            Manifest::read(&path)
                .map(|manifest| Discovered { manifest, dir: path.clone(), source: Source::Dev })
                .map_err(Into::into)
        } else if let Some((stem, kind)) = bare(named) {
            bare_plugin(dir, &path, stem, kind)
        } else {
            continue;
        };
        let found = found.and_then(|plugin: Discovered| {
            let id = plugin.manifest.id.clone();
            match taken.get(&id.uniqueness_key()) {
                Some(first) => Err(BadPluginCause::Duplicate { id, path: path.clone(), first: first.clone() }),
                None => {
                    taken.insert(id.uniqueness_key(), path.clone());
                    Ok(plugin)
                }
            }
        });
        match found {
            Ok(plugin) => scan.plugins.push(plugin),
            Err(cause) => {
                let id = match &cause {
                    BadPluginCause::Duplicate { id, .. } => Some(id.clone()),
                    _ => named.parse().ok(),
                };
                scan.bad.push(BadPlugin { id, path, cause });
            }
        }
    }
    Ok(scan)
}

impl Scan {
    /// Adds what is installed. Where a plugin under development has the same id, that one counts.
    pub fn add_installed(&mut self, installed: Self) {
        let keys = self.plugins.iter().map(|plugin| (plugin.manifest.id.uniqueness_key(), plugin.dir.clone()));
        let dev: HashMap<String, PathBuf> = keys.collect();
        self.bad.extend(installed.bad);
        self.others.extend(installed.others);
        for plugin in installed.plugins {
            let id = plugin.manifest.id.clone();
            match dev.get(&id.uniqueness_key()) {
                None => self.plugins.push(plugin),
                Some(path) => {
                    let cause = BadPluginCause::InDevelopment { path: path.clone() };
                    self.bad.push(BadPlugin { id: Some(id), path: plugin.dir, cause });
                }
            }
        }
    }
}

/// The stem and kind of a bare plugin's file name.
fn bare(name: &str) -> Option<(&str, PluginKind)> {
    let native = |name: &str| name.strip_suffix(code::NATIVE_SUFFIX).is_some();
    match name.strip_suffix(".wasm") {
        Some(stem) => Some((stem, PluginKind::Wasm)),
        None if native(name) => {
            let stem = name.strip_suffix(code::NATIVE_SUFFIX)?;
            Some((stem.strip_prefix("lib").unwrap_or(stem), PluginKind::Native))
        }
        None => None,
    }
}

fn bare_plugin(dir: &Path, path: &Path, stem: &str, kind: PluginKind) -> Result<Discovered, BadPluginCause> {
    let id = stem.parse().map_err(|source| BadPluginCause::Name { path: path.to_owned(), source })?;
    let entry = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Discovered { manifest: Manifest::bare(id, kind, entry), dir: dir.to_owned(), source: Source::Dev })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn plugin(dir: &Path, name: &str, id: &str) {
        fs::create_dir(dir.join(name)).unwrap();
        let text = format!(
            "schema = 1\nid = \"{id}\"\nname = \"N\"\nversion = \"1.0.0\"\nkind = \"native\"\nentry = \"libx.so\"\n"
        );
        fs::write(dir.join(name).join(FILE_NAME), text).unwrap();
    }

    fn ids(scan: &Scan) -> Vec<&str> {
        scan.plugins.iter().map(|plugin| plugin.manifest.id.as_str()).collect()
    }

    #[test]
    fn a_bad_plugin_is_named_and_hides_no_other() {
        let dir = tempfile::tempdir().unwrap();
        plugin(dir.path(), "alpha", "alpha");
        plugin(dir.path(), "broken", "broken id");
        plugin(dir.path(), "omega", "omega");
        fs::create_dir(dir.path().join("no-manifest")).unwrap();
        fs::write(dir.path().join("readme.txt"), "x").unwrap();
        let scan = scan(dir.path()).unwrap();
        assert_eq!(ids(&scan), ["alpha", "omega"]);
        assert_eq!(scan.plugins[0].code_path(), dir.path().join("alpha/libx.so"));
        assert_eq!(scan.bad.len(), 1);
        assert_eq!(scan.bad[0].id.as_ref().unwrap().as_str(), "broken");
        let message = scan.bad[0].cause.to_string();
        assert!(message.contains("broken/plugin.toml:2:6: "), "{message}");
    }

    #[test]
    fn of_two_plugins_with_one_id_the_first_is_taken_and_the_other_names_both() {
        let dir = tempfile::tempdir().unwrap();
        plugin(dir.path(), "one", "my-plugin");
        plugin(dir.path(), "two", "my_plugin");
        let scan = scan(dir.path()).unwrap();
        assert_eq!(ids(&scan), ["my-plugin"]);
        let message = scan.bad[0].cause.to_string();
        assert!(message.contains("/two: the id 'my_plugin' is taken by ") && message.contains("/one"), "{message}");
    }

    #[test]
    fn bare_code_files_are_plugins_that_ask_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["libpads.so", "lights.wasm", "Bad Name.wasm", ".hidden.wasm"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let scan = scan(dir.path()).unwrap();
        assert_eq!(ids(&scan), ["pads", "lights"]);
        assert_eq!(scan.plugins[0].manifest.kind, PluginKind::Native);
        assert_eq!(scan.plugins[1].code_path(), dir.path().join("lights.wasm"));
        assert!(scan.plugins.iter().all(|plugin| plugin.manifest.capabilities.is_empty()));
        assert!(scan.bad[0].cause.to_string().contains("Bad Name"));
    }

    #[test]
    fn a_missing_directory_says_where_to_correct_it() {
        let error = scan(Path::new("/nonexistent/plugins")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/plugins") && error.contains("[plugins]"), "{error}");
    }
}
