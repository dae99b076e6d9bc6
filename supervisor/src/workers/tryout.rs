//! A plugin started once before it counts as installed: alone in its sandbox, with
//! nothing allowed but files of its own, to see that it starts and is what it says.

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
    #[error(
        "its code says that its {what} is '{says}', its manifest that it is '{manifest}': one of them is of another plugin"
    )]
    Mismatch { what: &'static str, says: String, manifest: String },
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

    /// Starts the plugin, compares what it says of itself, and stops it.
    ///
    /// # Errors
    /// See [`TryoutError`].
    pub fn run(&self, spec: PluginSpec) -> Result<(), TryoutError> {
        let (id, name, version) = (spec.id.clone(), spec.name.clone(), spec.version.clone());
        let started = self.manager.load_spec(spec);
        let status = self.manager.status().into_iter().find(|status| status.id == id);
        self.stop();
        started.map_err(TryoutError::Start)?;
        // where the code says nothing, its status shows what the manifest says
        let said = status.map_or_else(|| (name.clone(), version.clone()), |status| (status.name, status.version));
        for (what, says, manifest) in [("name", said.0, name), ("version", said.1, version)] {
            if says != manifest {
                return Err(TryoutError::Mismatch { what, says, manifest });
            }
        }
        Ok(())
    }

    /// Ends what runs, from any thread.
    pub fn stop(&self) {
        self.manager.shutdown();
    }
}
