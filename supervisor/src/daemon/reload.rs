//! The configuration in force, and how another one takes its place.
//!
//! A reload reads, checks and compiles everything, tells the workers what is
//! new, and only then swaps: an error at any point leaves the old one in force.

use super::Running;
use super::comparison::Tell;
use crate::control::model::{ConfigState, ConfigStatus};
use crate::control::protocol::{ErrorCode, Refusal};
use crate::mapping::compiled::Compiled;
use crate::mapping::config::{Diagnostics, Loaded, PluginSettings, load_file};
use crate::midi::Selection;
use crate::workers::manager::{Policies, Policy};
use midimon_shared::context::unix_ms;
use midimon_shared::{Limits, PluginId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where the configuration comes from, and how reading it went.
#[derive(Debug)]
pub struct ConfigHolder {
    path: PathBuf,
    state: Mutex<State>,
    /// One reload at a time.
    reloading: Mutex<()>,
}

#[derive(Debug)]
struct State {
    result: ConfigState,
    modes: usize,
    mappings: usize,
    plugins: Option<(Option<PathBuf>, BTreeMap<PluginId, PluginSettings>)>,
    selection: Selection,
}

/// A configuration that is in force.
#[derive(Debug)]
pub(super) struct Applied {
    pub modes: usize,
    pub mappings: usize,
    /// What reading it found.
    pub warnings: Diagnostics,
    /// Its number in the comparison with the plugins; none where no plugin runs.
    pub compared: Option<u64>,
}

impl ConfigHolder {
    pub fn new(path: PathBuf) -> Self {
        let state =
            State { result: ConfigState::Ok, modes: 1, mappings: 0, plugins: None, selection: Selection::default() };
        Self { path, state: Mutex::new(state), reloading: Mutex::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one is in force.
    pub fn is_loaded(&self) -> bool {
        self.state().plugins.is_some()
    }

    /// Which hardware inputs it wants.
    pub fn selection(&self) -> Selection {
        self.state().selection.clone()
    }

    pub fn status(&self) -> ConfigStatus {
        let state = self.state();
        ConfigStatus {
            path: self.path.clone(),
            state: state.result.clone(),
            modes: state.modes,
            mappings: state.mappings,
        }
    }
}

impl Running {
    /// Reads the configuration and puts it in force. With `plugins_too`, the
    /// plugin directory is looked through even when its settings are the same;
    /// that happens on its own thread, and so does the comparison with what is found there.
    ///
    /// # Errors
    /// The configuration has errors; what was in force still is.
    pub(super) fn reload_config(&self, plugins_too: bool, tell: Tell) -> Result<Applied, Refusal> {
        let _one_at_a_time = self.config.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let applied = self.read_and_apply(plugins_too, tell);
        self.config.state().result = match &applied {
            Ok(_) => ConfigState::Ok,
            Err(refusal) => ConfigState::Failed { since_unix_ms: unix_ms(), diagnostics: refusal.message.clone() },
        };
        applied
    }

    fn read_and_apply(&self, plugins_too: bool, tell: Tell) -> Result<Applied, Refusal> {
        let loaded = load_file(&self.config.path)
            .map_err(|diagnostics| Refusal::new(ErrorCode::Config, diagnostics.render(false)))?;
        let Loaded { compiled, plugins, plugins_dir, calls, warnings, .. } = loaded;
        let (modes, mappings) = (compiled.modes.len(), compiled.mappings.len());
        let selection = selection(&compiled);
        self.router
            .configure(&self.manager, compiled)
            .map_err(|(id, error)| Refusal::new(ErrorCode::Config, format!("plugin {id}: {error}")))?;
        self.inputs().select(&selection);
        let plugins = Some((plugins_dir, plugins));
        let plugins_changed = {
            let mut state = self.config.state();
            (state.modes, state.mappings) = (modes, mappings);
            state.selection = selection;
            let changed = state.plugins != plugins;
            state.plugins.clone_from(&plugins);
            changed
        };
        let is_look_due = plugins_changed || plugins_too;
        if let Some((directory, settings)) = plugins
            && is_look_due
        {
            self.manager.set_policies(directory.filter(|_| !self.safe_mode), policies(&settings));
        }
        if is_look_due {
            self.comparison.await_plugins();
        }
        let compared = (!self.safe_mode).then(|| self.comparison.set_mappings(calls, &warnings, tell));
        if is_look_due {
            self.plugins.ask();
        }
        Ok(Applied { modes, mappings, warnings, compared })
    }
}

fn policies(settings: &BTreeMap<PluginId, PluginSettings>) -> Policies {
    let policy = |settings: &PluginSettings| Policy {
        disabled: settings.enabled == Some(false),
        limits: settings.apply(&Limits::default()),
        grants: settings.grants.clone(),
        allow_degraded: settings.allow_degraded,
    };
    settings.iter().map(|(id, settings)| (id.clone(), policy(settings))).collect()
}

/// Every input, unless each configured device has a name.
fn selection(compiled: &Compiled) -> Selection {
    let connected = compiled.devices.iter().filter(|device| device.auto_connect);
    let names: Option<Vec<String>> = connected.map(|device| device.name.as_deref().map(str::to_owned)).collect();
    names.map_or(Selection::Every, Selection::Named)
}
