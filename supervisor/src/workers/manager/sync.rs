//! The running plugins, made those of the plugin directory.

use super::PluginManager;
use crate::workers::status::PluginKind;
use midimon_shared::PluginId;
use std::collections::BTreeMap;

impl PluginManager {
    /// Makes the running plugins those of the plugin directory: new and changed ones
    /// are started, those gone or disabled are stopped, unchanged ones are left alone.
    /// Does not wait for them to be ready. Takes long when code has to be compiled.
    pub fn sync(&self) {
        let mut scan = match self.scan() {
            Ok(scan) => scan,
            Err(error) => {
                self.plugins().problems = BTreeMap::from([("plugins".to_owned(), error.to_string())]);
                return;
            }
        };
        let bad = |bad: crate::plugins::discover::BadPlugin| (bad.path.display().to_string(), bad.cause.to_string());
        self.plugins().problems = scan.bad.into_iter().map(bad).collect();
        scan.plugins.retain(|found| !self.policy(&found.manifest.id).disabled);
        let gone: Vec<PluginId> = {
            let plugins = self.plugins();
            let is_there = |id: &PluginId| scan.plugins.iter().any(|found| found.manifest.id == *id);
            plugins.installed.keys().filter(|id| !is_there(id)).cloned().collect()
        };
        gone.iter().for_each(|id| self.unload(id));
        // each is started as soon as it can be; what may have to be compiled comes last
        scan.plugins.sort_by_key(|found| found.manifest.kind == PluginKind::Wasm);
        for found in &scan.plugins {
            let id = &found.manifest.id;
            match self.prepare.prepare(found, &self.policy(id)) {
                Ok(prepared) => self.install(prepared),
                Err(error) => {
                    tracing::error!("{id}: {error}");
                    self.plugins().problems.insert(id.to_string(), error.to_string());
                    self.unload(id);
                }
            }
        }
    }
}
