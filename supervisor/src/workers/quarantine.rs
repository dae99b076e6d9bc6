//! Which plugins are quarantined, kept over restarts of the daemon:
//! `state/quarantine.json`, an object of reasons by plugin id.

use midimon_shared::PluginId;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub struct Quarantine {
    file: Option<PathBuf>,
    reasons: BTreeMap<PluginId, String>,
}

impl Quarantine {
    /// Reads what an earlier daemon left in the directory; an unreadable file is as good as none.
    #[must_use]
    pub fn open(state_dir: Option<&Path>) -> Self {
        let file = state_dir.map(|directory| directory.join("quarantine.json"));
        let reasons = file.as_deref().and_then(read).unwrap_or_default();
        Self { file, reasons }
    }

    /// Why a plugin is quarantined.
    #[must_use]
    pub fn reason(&self, id: &PluginId) -> Option<&str> {
        self.reasons.get(id).map(String::as_str)
    }

    /// Quarantines a plugin.
    pub fn remember(&mut self, id: &PluginId, reason: &str) {
        self.reasons.insert(id.clone(), reason.to_owned());
        self.write();
    }

    /// Lets a plugin out.
    pub fn forget(&mut self, id: &PluginId) {
        if self.reasons.remove(id).is_some() {
            self.write();
        }
    }

    fn write(&self) {
        let Some(file) = &self.file else { return };
        let text = serde_json::to_vec_pretty(&self.reasons).unwrap_or_default();
        if let Err(error) = crate::home::write_atomic(file, &text, 0o600) {
            tracing::error!("cannot write {}: {error}", file.display());
        }
    }
}

fn read(file: &Path) -> Option<BTreeMap<PluginId, String>> {
    let mut text = String::new();
    std::fs::File::open(file).ok()?.take(MAX_FILE).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).map_err(|error| tracing::warn!("{} is malformed: {error}", file.display())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarantine_outlives_the_daemon_until_it_is_lifted() {
        let directory = tempfile::tempdir().unwrap();
        let id: PluginId = "crashy".parse().unwrap();
        Quarantine::open(Some(directory.path())).remember(&id, "6 crashes");
        let mut quarantine = Quarantine::open(Some(directory.path()));
        assert_eq!(quarantine.reason(&id), Some("6 crashes"));
        quarantine.forget(&id);
        assert_eq!(Quarantine::open(Some(directory.path())).reason(&id), None);
        std::fs::write(directory.path().join("quarantine.json"), "{ garbage").unwrap();
        assert_eq!(Quarantine::open(Some(directory.path())).reason(&id), None);
    }
}
