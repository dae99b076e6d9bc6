//! From a plugin's files to what a worker can run.

use super::manager::{ManagerOptions, Policy};
use super::program::WorkerProgram;
use super::spawner::Spawner;
use super::spec::PluginSpec;
use super::status::Origin;
use crate::plugins::code::CodeError;
use crate::plugins::compile::{Cache, CompileError, Compiler};
use crate::plugins::data_dir::{DataDirError, DataDirs, Usage};
use crate::plugins::discover::{Discovered, ScanError, Source};
use crate::plugins::grants::{AskFault, DevGrants};
use crate::plugins::settings::{Handed, Owner, Settings, SettingsError};
use crate::plugins::store::{StoreError, VersionError};
use crate::plugins::{Grants, Manifest, SealedCode};
use midimon_shared::protocol::CodeKind;
use midimon_shared::spawn::{MissingLayers, Violations};
use midimon_shared::{CapabilityKind, PluginId};
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a plugin cannot be prepared.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum PrepareError {
    #[error(transparent)]
    Scan(#[from] ScanError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Installed(#[from] VersionError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Ask(#[from] AskFault),
    #[error(transparent)]
    Code(#[from] CodeError),
    #[error("{}: {source}", path.display())]
    Compile { path: PathBuf, source: CompileError },
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(
        "'{0}' is an installed package, and --sandbox-report is for plugins of [plugins] dir only: start without it"
    )]
    ReportOnly(PluginId),
    #[error("no file descriptor can be had: {0}; raise the limit of open files (ulimit -n)")]
    Descriptor(#[from] Errno),
}

/// A plugin ready to be started, and what it was made from.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub spec: PluginSpec,
    digest: [u8; 32],
    pub grants: Grants,
    /// The service the user is logged in to for it: recorded like a grant.
    pub login: Option<String>,
}

impl Prepared {
    /// Whether starting the other would make no difference.
    pub fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest
            // what was under development is not installed because it is the same
            && self.spec.origin == other.spec.origin
            && self.grants == other.grants
            && self.login == other.login
            // another version can have the same code
            && self.spec.version == other.spec.version
            && self.spec.name == other.spec.name
            && self.spec.limits == other.spec.limits
            && self.spec.settings == other.spec.settings
            && self.spec.kind == other.spec.kind
            && self.spec.violations == other.spec.violations
            && self.spec.missing_layers == other.spec.missing_layers
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Prepare {
    data: DataDirs,
    compiler: Compiler,
    report_only: BTreeSet<PluginId>,
    /// Where plugins' settings are, when anything is kept between runs.
    settings: Option<PathBuf>,
}

impl Prepare {
    pub fn new(options: &ManagerOptions, programs: &Path, spawner: Spawner) -> Result<Self, PrepareError> {
        let cache = match (&options.compiled, &options.state) {
            (Some(compiled), Some(state)) => open_cache(compiled, state),
            _ => None,
        };
        Ok(Self {
            data: DataDirs::open(&options.data)?,
            compiler: Compiler::new(programs, spawner, cache)?,
            report_only: options.report_only.clone(),
            settings: options.state.as_ref().map(|state| state.join("settings")),
        })
    }

    /// What a forbidden call does to a plugin.
    fn violations(&self, id: &PluginId, origin: Origin) -> Result<Violations, PrepareError> {
        match self.report_only.contains(id) {
            false => Ok(Violations::End),
            true if origin.may_report_only() => Ok(Violations::Report),
            true => Err(PrepareError::ReportOnly(id.clone())),
        }
    }

    /// Where WASM is compiled.
    pub fn compiler(&self) -> &Compiler {
        &self.compiler
    }

    /// How much lies in a plugin's data directory.
    pub fn data_usage(&self, id: &PluginId) -> Option<Usage> {
        self.data.usage(id).ok()
    }

    /// Reads, checks and seals a plugin's code, compiles it where needed, and
    /// makes its data directory where it may have one.
    pub fn prepare(&self, found: &Discovered, policy: &Policy) -> Result<Prepared, PrepareError> {
        let manifest = &found.manifest;
        let violations = self.violations(&manifest.id, found.origin())?;
        let (sealed, grants, settings) = match &found.source {
            Source::Dev => {
                let grants = DevGrants::new(manifest, &policy.grants)?;
                let settings = self.dev_settings(manifest, &grants)?;
                (SealedCode::from_file(&found.dir, &manifest.entry, manifest.kind)?, grants.effective(), settings)
            }
            Source::Installed(source) => (source.code(manifest)?, source.grants.clone(), source.settings.clone()),
        };
        let format = |fault| CodeError::Format { path: found.code_path(), fault };
        let kind = sealed.check(manifest.kind).map_err(format)?;
        let digest = sealed.digest();
        let program = WorkerProgram::new(kind, &sealed).map_err(CodeError::from)?;
        let code = match kind {
            CodeKind::Native => Arc::new(sealed),
            CodeKind::WasmCore | CodeKind::WasmComponent => self
                .compiler
                .compile(&sealed)
                .map_err(|source| PrepareError::Compile { path: found.code_path(), source })?,
        };
        let not_granted = grants.missing(manifest);
        for missing in &not_granted {
            tracing::info!("{} asks for '{missing}', which is not granted", manifest.id);
        }
        let login = manifest.login.as_ref().filter(|login| settings.has(&login.refresh_token));
        let login = login.map(|login| login.authorize_url.authority());
        let data_dir = if grants.allows(CapabilityKind::Filesystem) {
            let (_, path) = self.data.ensure(&manifest.id)?;
            Some(path)
        } else {
            None
        };
        let mut limits = policy.limits.clone();
        manifest.limits.lower(&mut limits);
        let spec = PluginSpec {
            id: manifest.id.clone(),
            name: manifest.name.clone(),
            version: manifest.version.to_string(),
            kind,
            program,
            origin: found.origin(),
            code_path: found.code_path(),
            code,
            data_dir,
            settings,
            grants: grants.clone(),
            not_granted,
            limits,
            violations,
            missing_layers: if policy.allow_degraded { MissingLayers::Accept } else { MissingLayers::Refuse },
        };
        Ok(Prepared { spec, digest, grants, login })
    }

    fn dev_settings(&self, manifest: &Manifest, grants: &DevGrants<'_>) -> Result<Handed, PrepareError> {
        match &self.settings {
            Some(dir) if !manifest.settings.is_empty() => {
                let settings = Settings::load(dir, Owner::Dev, &manifest.id)?;
                grants.require(|name| settings.get(name).is_some())?;
                Ok(settings.handed(&manifest.settings, grants.settings())?)
            }
            _ => Ok(Handed::default()),
        }
    }
}

/// The cache of compiled code; plugins run without one, they only start slower.
fn open_cache(compiled: &Path, state: &Path) -> Option<Cache> {
    let cache = Cache::open(compiled, state);
    cache.inspect_err(|error| tracing::warn!("no cache in {}: {error}", compiled.display())).ok()
}
