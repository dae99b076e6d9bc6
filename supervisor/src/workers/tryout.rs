//! A plugin started once before it counts as installed: alone in its sandbox, with
//! nothing allowed but files of its own, to see that it starts and is what its manifest says.

use super::manager::{LoadError, ManagerError, ManagerOptions, PluginManager};
use super::spec::PluginSpec;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a plugin is not what it says, or nothing at all.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum TryoutError {
    #[error(transparent)]
    Manager(#[from] ManagerError),
    #[error("it does not start: {0}")]
    Start(#[source] LoadError),
}

/// The workers of one try.
#[derive(Debug)]
pub struct Tryout {
    manager: PluginManager,
}

impl Tryout {
    /// Made ready, nothing started. `programs` has the worker programs, where they are
    /// not beside this one; `data` is a directory for data, made where it is missing.
    ///
    /// # Errors
    /// Nothing can be started here.
    pub fn new(programs: Option<PathBuf>, data: &Path) -> Result<Arc<Self>, TryoutError> {
        let options = ManagerOptions { programs, plugins: None, ..ManagerOptions::new("", data) };
        Ok(Arc::new(Self { manager: PluginManager::new(options)? }))
    }

    /// Starts the plugin, and stops it. An installed one is not ready when its code has another
    /// name or version than its manifest.
    ///
    /// # Errors
    /// See [`TryoutError`].
    pub fn run(&self, spec: PluginSpec) -> Result<(), TryoutError> {
        let started = self.manager.load_spec(spec);
        self.stop();
        started.map_err(TryoutError::Start)
    }

    /// Ends what runs, from any thread.
    pub fn stop(&self) {
        self.manager.shutdown();
    }
}
