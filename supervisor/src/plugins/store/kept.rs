//! `state/kept-<id>.toml`: a removed plugin whose data may still be there.
//!
//! It is written before the plugin's record goes, so that at no moment there is
//! data of which nobody knows whose it is: another publisher's plugin of the same
//! id must not find it.

use super::{Store, StoreError, dirs};
use crate::home::{Home, write_atomic};
use crate::plugins::manifest::walk::{Document, Table};
use crate::plugins::manifest::{Problem, version};
use crate::plugins::minisign::PublicKey;
use crate::plugins::strict::{self, quoted, schema};
use midimon_shared::PluginId;
use semver::Version;
use std::path::PathBuf;

const MAX_BYTES: u64 = 4096;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFile {
    /// Which plugin.
    pub plugin: PluginId,
    /// Whose it was; `None` is an unsigned one.
    pub publisher: Option<PublicKey>,
    /// The highest version that ever was installed.
    pub highest: Version,
    /// What is to become of its data.
    pub data: KeptData,
}

/// What is to become of a removed plugin's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptData {
    /// It waits for the same publisher's plugin.
    Keep,
    /// It goes; when this is read, that was interrupted.
    Delete,
}

impl KeptFile {
    /// Reads a note.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        strict::parse(text, kept)
    }

    /// The note as a file has it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let publisher = self.publisher.map(|key| format!("publisher = {}\n", quoted(&key.to_string())));
        format!(
            "# A plugin that was removed, and whose data this was.\nschema = 1\nplugin = {}\n{}highest = {}\ndata = \"{}\"\n",
            quoted(self.plugin.as_str()),
            publisher.unwrap_or_default(),
            quoted(&self.highest.to_string()),
            match self.data {
                KeptData::Keep => "keep",
                KeptData::Delete => "delete",
            },
        )
    }
}

fn kept(_: &Document<'_>, mut root: Table<'_>) -> Option<KeptFile> {
    schema(&mut root)?;
    let plugin = root.require("plugin").and_then(|field| field.parse());
    let publisher = root.take("publisher").map(|field| field.parse::<PublicKey>());
    let highest = root.require("highest").and_then(|field| version(&field));
    let choices = [("keep", KeptData::Keep), ("delete", KeptData::Delete)];
    let data = root.require("data").and_then(|field| field.choice(&choices));
    root.finish();
    let publisher = publisher.map_or(Some(None), |key| key.map(Some))?;
    Some(KeptFile { plugin: plugin?, publisher, highest: highest?, data: data? })
}

const PREFIX: &str = "kept-";

fn name(id: &PluginId) -> String {
    format!("{PREFIX}{id}.toml")
}

fn path(home: &Home, id: &PluginId) -> PathBuf {
    home.state_dir().join(name(id))
}

pub(super) fn read(home: &Home, id: &PluginId) -> Result<Option<KeptFile>, StoreError> {
    let Some(dir) = dirs::open_path(&home.state_dir())? else { return Ok(None) };
    let read = strict::read(dir, &name(id), &path(home, id), MAX_BYTES, KeptFile::parse);
    read.map_err(|source| StoreError::Kept { id: id.clone(), source })
}

pub(super) fn write(home: &Home, kept: &KeptFile) -> Result<(), StoreError> {
    let path = path(home, &kept.plugin);
    let text = kept.to_text();
    strict::reads_back(kept, &text, &path, KeptFile::parse)?;
    let written = write_atomic(&path, text.as_bytes(), 0o600);
    written.map_err(|source| StoreError::Io { what: "write", path, source })
}

/// Whatever it is that stands there goes.
pub(super) fn forget(home: &Home, id: &PluginId) -> Result<(), StoreError> {
    let Some(dir) = dirs::open_path(&home.state_dir())? else { return Ok(()) };
    let path = path(home, id);
    dirs::remove(&dir, &name(id), &path)?;
    dirs::sync(&dir, &path)
}

/// The plugins of which something is kept, or was to be deleted.
pub(super) fn all(store: &Store) -> Result<Vec<PluginId>, StoreError> {
    let path = store.home.state_dir();
    let Some(dir) = dirs::open_path(&path)? else { return Ok(Vec::new()) };
    let names = dirs::names(&dir, 65_536).map_err(StoreError::io("read", &path))?;
    let id = |name: &str| name.strip_prefix(PREFIX)?.strip_suffix(".toml")?.parse().ok();
    Ok(names.iter().filter_map(|name| id(name.to_str().ok()?)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_note_about_kept_data_survives_its_text_and_is_read_strictly() {
        let key = crate::plugins::minisign::SecretKey::generate().unwrap().public();
        let plugin: PluginId = "notes".parse().unwrap();
        for (publisher, data) in [(None, KeptData::Keep), (Some(key), KeptData::Delete)] {
            let kept = KeptFile { plugin: plugin.clone(), publisher, highest: Version::new(1, 2, 3), data };
            assert_eq!(KeptFile::parse(&kept.to_text()).unwrap(), kept);
            assert!(KeptFile::parse(&kept.to_text().replace("highest", "lowest")).is_err());
            assert!(KeptFile::parse(&format!("{}publisher = \"RWx\"\n", kept.to_text())).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_damaged_note_is_refused_or_says_what_it_will_say_again(at: prop::sample::Index, with in "[ -~\n]{0,3}") {
            let plugin = "notes".parse().unwrap();
            let kept = KeptFile { plugin, publisher: None, highest: Version::new(1, 2, 3), data: KeptData::Keep };
            let mut text = kept.to_text();
            let at = at.index(text.len());
            text.replace_range(at..=at, &with);
            match KeptFile::parse(&text) {
                Ok(kept) => prop_assert_eq!(KeptFile::parse(&kept.to_text()).unwrap(), kept),
                Err(problems) => prop_assert!(!problems.is_empty()),
            }
        }
    }
}
