//! Plugins of the plugin directory, made ready and given to the pool.
//!
//! This can take minutes where code has to be compiled. The user's word may change
//! meanwhile, and the new word wins: nothing is installed by an old one.

use super::{LoadError, PluginManager, Policies, Policy};
use crate::plugins::Grants;
use crate::plugins::compile::CompileError;
use crate::plugins::discover::{BadPlugin, Discovered, Found, Source};
use crate::plugins::grants::DevGrants;
use crate::plugins::store::{Store, StoreError};
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

    /// Whether a plugin of the plugin directory runs that has this id, or one like it.
    fn runs_in_development(&self, id: &PluginId) -> bool {
        let key = id.uniqueness_key();
        let mut dev = self.installed.iter().filter(|(_, prepared)| prepared.spec.origin == Origin::Dev);
        dev.any(|(id, _)| id.uniqueness_key() == key)
    }
}

/// Whether an installed plugin is there, and may do all of this.
fn covers(found: &Found, id: &PluginId, grants: &Grants) -> bool {
    let found = found.scan.plugins.iter().find(|found| found.manifest.id == *id);
    matches!(found.map(|found| &found.source), Some(Source::Installed(source)) if source.grants.covers(grants))
}

/// What could not be read.
fn unread(found: &Found) -> Vec<Problem> {
    let dev = found.dev.iter().map(ToString::to_string);
    let store = found.store.iter().map(|error| format!("installed plugins are not started: {error}"));
    dev.chain(store).map(|reason| Problem { plugin: None, reason }).collect()
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

/// What a plugin under development asks for and nobody answered; it runs without. It is of no plugin, since it
/// keeps none from running.
fn unanswered(found: &Discovered, policy: &Policy) -> Vec<Problem> {
    let Source::Dev = found.source else { return Vec::new() };
    let Ok(grants) = DevGrants::new(&found.manifest, &policy.grants) else { return Vec::new() }; // it was not prepared
    let reason = |sentence| format!("plugin {} {sentence}", found.manifest.id);
    grants.unanswered().into_iter().map(|sentence| Problem { plugin: None, reason: reason(sentence) }).collect()
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
        self.sync_and_tell(&|_| ());
    }

    /// [`Self::sync`] that tells what it found, before anything of it is compiled or started. Whoever is told must
    /// ask nothing of the manager.
    pub fn sync_and_tell(&self, tell: &dyn Fn(&Found)) {
        while let Err(Outdated) = self.sync_once(tell) {}
        self.plugins().pending.clear();
    }

    fn sync_once(&self, tell: &dyn Fn(&Found)) -> Result<(), Outdated> {
        let word = self.plugins().word;
        let mut found = self.look();
        let unread = unread(&found);
        let is_dev_unread = found.dev.is_some();
        // each is started as soon as it can be; what may have to be compiled comes last
        found.scan.plugins.sort_by_key(|found| found.manifest.kind == PluginKind::Wasm);
        let scan = {
            let mut plugins = self.plugins();
            if plugins.word != word {
                return Err(Outdated);
            }
            // under the lock, so that nobody is told of what an older word led to
            tell(&found);
            let mut scan = found.scan;
            let policies = &plugins.policies;
            scan.plugins.retain(|found| policies.get(&found.manifest.id).is_none_or(|policy| !policy.disabled));
            if is_dev_unread {
                // its place is taken by one that goes on
                scan.plugins.retain(|found| !plugins.runs_in_development(&found.manifest.id));
            }
            plugins.problems = unread;
            plugins.problems.extend(scan.bad.drain(..).map(Problem::from));
            let misplaced = scan.plugins.iter().filter_map(|found| misplaced_grants(found, &plugins.policies));
            let misplaced: Vec<Problem> = misplaced.collect();
            plugins.problems.extend(misplaced);
            plugins.pending = scan.plugins.iter().map(|found| found.manifest.id.clone()).collect();
            let stays =
                |id: &PluginId, origin| plugins.pending.contains(id) || (is_dev_unread && origin == Origin::Dev);
            let gone = plugins.installed.iter().filter(|(id, prepared)| !stays(id, prepared.spec.origin));
            let gone: Vec<PluginId> = gone.map(|(id, _)| id.clone()).collect();
            gone.iter().for_each(|id| self.remove(&mut plugins, id));
            scan.plugins
        };
        for found in &scan {
            if self.prepare.compiler().is_stopped() {
                return Ok(());
            }
            let id = &found.manifest.id;
            let policy = self.policy(id);
            match self.prepare.prepare(found, &policy) {
                Ok(prepared) => {
                    self.install(prepared, word)?;
                    self.plugins().problems.extend(unanswered(found, &policy));
                }
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
        let Found { scan, dev, store, .. } = self.look();
        if let Some(error) = dev {
            return Err(PrepareError::from(error).into());
        }
        if let Some(error) = store {
            return Err(PrepareError::from(error).into());
        }
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

    fn look(&self) -> Found {
        let (directory, store) = {
            let plugins = self.plugins();
            (plugins.directory.clone(), plugins.store.clone())
        };
        Found::look(directory.as_deref(), store.as_ref())
    }

    /// Says that the store has changed: a load under way begins anew, and what was removed,
    /// disabled or has lost a grant is stopped now, whatever is being compiled. The rest is
    /// for the next [`Self::sync`].
    ///
    /// # Errors
    /// The store cannot be read; every installed plugin is stopped then.
    pub fn store_changed(&self) -> Result<(), StoreError> {
        self.plugins().word += 1;
        let found = self.look();
        let mut plugins = self.plugins();
        let installed = plugins.installed.iter().filter(|(_, prepared)| prepared.spec.origin == Origin::Installed);
        let stops = installed.filter(|(id, prepared)| !covers(&found, id, &prepared.grants));
        let stops: Vec<PluginId> = stops.map(|(id, _)| id.clone()).collect();
        stops.iter().for_each(|id| self.remove(&mut plugins, id));
        found.store.map_or(Ok(()), Err)
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
        let login = prepared.login.iter().map(|host| format!("login:{host}"));
        self.audit.grants(&id, prepared.grants.iter().map(ToString::to_string).chain(login));
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
