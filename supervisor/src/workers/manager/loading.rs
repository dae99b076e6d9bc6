//! Plugins of the plugin directory, made ready and given to the pool.
//!
//! This can take minutes where code has to be compiled. The user's word may change
//! meanwhile, and the new word wins: nothing is installed by an old one.

use super::{LoadError, PluginManager, Policies, Policy};
use crate::plugins::compile::CompileError;
use crate::plugins::discover::{BadPlugin, Discovered, Scan, Source, scan};
use crate::plugins::store::Store;
use crate::workers::pool::Request;
use crate::workers::prepare::{PrepareError, Prepared};
use crate::workers::spec::PluginSpec;
use crate::workers::status::{Origin, PluginKind};
use midimon_shared::PluginId;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

/// Why something of the plugin directory is not loaded. As text: a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which plugin that is; `None` when there is no telling, or it is the directory itself.
    pub plugin: Option<PluginId>,
    /// Why; names the file where one is the cause.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.plugin {
            Some(plugin) => write!(formatter, "plugin {plugin}: {}", self.reason),
            None => formatter.write_str(&self.reason),
        }
    }
}

impl From<BadPlugin> for Problem {
    fn from(bad: BadPlugin) -> Self {
        Self { plugin: bad.id, reason: bad.cause.to_string() }
    }
}

/// What loading is about at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loading {
    /// The plugin that is being compiled.
    pub compiling: Option<PluginId>,
    /// Plugins whose turn comes after it, in order.
    pub waiting: Vec<PluginId>,
}

/// What the user wants, and what has come of it.
#[derive(Debug, Default)]
pub(super) struct Plugins {
    directory: Option<PathBuf>,
    store: Option<Store>,
    policies: Policies,
    /// Goes up whenever one of the three above changes.
    word: u64,
    /// What was given to the pool, to see what has changed.
    pub installed: HashMap<PluginId, Prepared>,
    problems: Vec<Problem>,
    /// Found by [`PluginManager::sync`], and their turn has not come or is now.
    pending: Vec<PluginId>,
}

impl Plugins {
    /// None yet, of this directory and this store.
    pub fn of(directory: Option<PathBuf>, store: Option<Store>) -> Self {
        Self { directory, store, ..Self::default() }
    }
}

/// Grants in the configuration that an installed plugin does not get.
fn misplaced_grants(found: &Discovered, policies: &Policies) -> Option<Problem> {
    let id = &found.manifest.id;
    let has_grants = policies.get(id).is_some_and(|policy| !policy.grants.is_empty());
    (found.origin() == Origin::Installed && has_grants).then(|| Problem {
        plugin: Some(id.clone()),
        reason: format!(
            "`grants` under [plugins.{id}] do not count for an installed plugin: remove them, and use \
             `midimon plugin grant {id}`"
        ),
    })
}

/// Another word of the user counts by now.
struct Outdated;

impl PluginManager {
    /// Takes the plugin directory and the user's word on plugins. Disabled ones are
    /// stopped; what else it says counts from the next load or [`Self::sync`] on,
    /// one under way included.
    pub fn set_policies(&self, directory: Option<PathBuf>, policies: Policies) {
        let mut plugins = self.plugins();
        if plugins.directory == directory && plugins.policies == policies {
            return;
        }
        plugins.directory = directory;
        plugins.policies = policies;
        plugins.word += 1;
        let is_disabled = |id: &&PluginId| plugins.policies.get(*id).is_some_and(|policy| policy.disabled);
        let disabled: Vec<PluginId> = plugins.installed.keys().filter(is_disabled).cloned().collect();
        disabled.iter().for_each(|id| self.remove(&mut plugins, id));
    }

    /// Makes the running plugins those of the plugin directory: new and changed ones
    /// are started, those gone or disabled are stopped, unchanged ones are left alone.
    /// Does not wait for them to be ready. Takes long when code has to be compiled.
    /// After [`Self::stop_loading`] it does nothing.
    pub fn sync(&self) {
        while let Err(Outdated) = self.sync_once() {}
        self.plugins().pending.clear();
    }

    fn sync_once(&self) -> Result<(), Outdated> {
        let word = self.plugins().word;
        let mut scan = match self.scan() {
            Ok(scan) => scan,
            Err(error) => {
                // what runs goes on: a directory that cannot be read says nothing about it
                self.plugins().problems = vec![Problem { plugin: None, reason: error.to_string() }];
                return Ok(());
            }
        };
        // each is started as soon as it can be; what may have to be compiled comes last
        scan.plugins.sort_by_key(|found| found.manifest.kind == PluginKind::Wasm);
        {
            let mut plugins = self.plugins();
            if plugins.word != word {
                return Err(Outdated);
            }
            let policies = &plugins.policies;
            scan.plugins.retain(|found| policies.get(&found.manifest.id).is_none_or(|policy| !policy.disabled));
            plugins.problems = scan.bad.into_iter().map(Problem::from).collect();
            let misplaced = scan.plugins.iter().filter_map(|found| misplaced_grants(found, &plugins.policies));
            let misplaced: Vec<Problem> = misplaced.collect();
            plugins.problems.extend(misplaced);
            plugins.pending = scan.plugins.iter().map(|found| found.manifest.id.clone()).collect();
            let gone = plugins.installed.keys().filter(|id| !plugins.pending.contains(id)).cloned();
            let gone: Vec<PluginId> = gone.collect();
            gone.iter().for_each(|id| self.remove(&mut plugins, id));
        }
        for found in &scan.plugins {
            if self.prepare.compiler().is_stopped() {
                return Ok(());
            }
            let id = &found.manifest.id;
            match self.prepare.prepare(found, &self.policy(id)) {
                Ok(prepared) => self.install(prepared, word)?,
                Err(PrepareError::Compile { source: CompileError::Stopped, .. }) => return Ok(()),
                Err(error) => {
                    let mut plugins = self.plugins();
                    if plugins.word != word {
                        return Err(Outdated);
                    }
                    tracing::error!("{id}: {error}");
                    plugins.problems.push(Problem { plugin: Some(id.clone()), reason: error.to_string() });
                    self.remove(&mut plugins, id);
                }
            }
            self.plugins().pending.retain(|pending| pending != id);
        }
        Ok(())
    }

    /// Ends loading for good: a compile job under way is killed, and nothing is
    /// loaded from now on. What runs goes on.
    pub fn stop_loading(&self) {
        self.prepare.compiler().stop();
    }

    /// Loads a plugin of the plugin directory, or loads it again when it has
    /// changed, and waits until it is ready.
    ///
    /// # Errors
    /// It is not there, cannot be loaded, or does not become ready.
    pub fn load_plugin(&self, id: &str) -> Result<(), LoadError> {
        let id: PluginId = id.parse()?;
        while let Err(Outdated) = self.load_once(&id)? {}
        self.wait_ready(&id)
    }

    /// Runs code that is in memory, in no directory of plugins, and waits until it is ready.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn load_spec(&self, spec: PluginSpec) -> Result<(), LoadError> {
        let id = spec.id.clone();
        let lane = self.lane(&id);
        lane.set_limits(&spec.limits);
        self.requests.send(Request::Install { spec: Box::new(spec), lane });
        self.wait_ready(&id)
    }

    fn load_once(&self, id: &PluginId) -> Result<Result<(), Outdated>, LoadError> {
        let word = self.plugins().word;
        let scan = self.scan()?;
        if let Some(bad) = scan.bad.iter().find(|bad| bad.id.as_ref() == Some(id)) {
            return Err(LoadError::NotReady(id.clone(), bad.cause.to_string()));
        }
        let Some(found) = scan.plugins.iter().find(|found| found.manifest.id == *id) else {
            let known: Vec<&str> = scan.plugins.iter().map(|found| found.manifest.id.as_str()).collect();
            return Err(LoadError::Unknown(id.clone(), known.join(", ")));
        };
        let policy = self.policy(id);
        if policy.disabled {
            return Err(LoadError::Disabled(id.clone()));
        }
        Ok(self.install(self.prepare.prepare(found, &policy)?, word))
    }

    /// Stops a plugin and forgets it.
    pub fn unload(&self, id: &PluginId) {
        let mut plugins = self.plugins();
        self.remove(&mut plugins, id);
    }

    /// Why plugins of the plugin directory are not loaded.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        self.plugins().problems.clone()
    }

    /// What [`Self::sync`], called by another thread, is about.
    #[must_use]
    pub fn loading(&self) -> Loading {
        let mut waiting = self.plugins().pending.clone();
        let is_compiling = !waiting.is_empty() && self.prepare.compiler().is_busy();
        Loading { compiling: is_compiling.then(|| waiting.remove(0)), waiting }
    }

    fn scan(&self) -> Result<Scan, PrepareError> {
        let (directory, store) = {
            let plugins = self.plugins();
            (plugins.directory.clone(), plugins.store.clone())
        };
        let mut found = directory.map_or_else(|| Ok(Scan::default()), |directory| scan(&directory))?;
        if let Some(store) = store {
            found.add_installed(store.discover()?);
        }
        Ok(found)
    }

    /// Says that the store has changed: a load under way begins anew, and what was removed,
    /// disabled or has lost a grant does not wait for one that takes long. The rest is for
    /// the next [`Self::sync`].
    pub fn store_changed(&self) {
        self.plugins().word += 1;
        let Ok(scan) = self.scan() else { return };
        let is_busy = self.prepare.compiler().is_busy();
        let mut plugins = self.plugins();
        let installed = plugins.installed.iter().filter(|(_, prepared)| prepared.spec.origin == Origin::Installed);
        let stops = installed.filter(|(id, prepared)| {
            let found = scan.plugins.iter().find(|found| found.manifest.id == **id);
            match found.map(|found| &found.source) {
                Some(Source::Installed(source)) => is_busy && !source.grants.covers(&prepared.grants),
                _ => true,
            }
        });
        let stops: Vec<PluginId> = stops.map(|(id, _)| id.clone()).collect();
        stops.iter().for_each(|id| self.remove(&mut plugins, id));
    }

    fn policy(&self, id: &PluginId) -> Policy {
        self.plugins().policies.get(id).cloned().unwrap_or_default()
    }

    /// Gives it to the pool, unless the user's word is another than when it was made.
    fn install(&self, prepared: Prepared, word: u64) -> Result<(), Outdated> {
        let id = prepared.spec.id.clone();
        let mut plugins = self.plugins();
        if plugins.word != word {
            return Err(Outdated);
        }
        if plugins.installed.get(&id).is_some_and(|installed| installed.is_same(&prepared)) {
            return Ok(());
        }
        self.audit.grants(&id, prepared.grants.iter().map(ToString::to_string));
        let lane = self.lane(&id);
        lane.set_limits(&prepared.spec.limits);
        self.requests.send(Request::Install { spec: Box::new(prepared.spec.clone()), lane });
        plugins.installed.insert(id, prepared);
        Ok(())
    }

    /// Under the lock, so that no other thread's installing comes between.
    fn remove(&self, plugins: &mut Plugins, id: &PluginId) {
        plugins.installed.remove(id);
        self.requests.send(Request::Remove(id.clone()));
    }
}
