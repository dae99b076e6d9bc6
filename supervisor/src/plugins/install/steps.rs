//! From contents the user agreed to, to an installed plugin. Each step leaves the
//! version before as it is; the last one, a rename, puts the new one in its place.

use crate::home::Home;
use crate::plugins::code::FormatFault;
use crate::plugins::compile::{Cache, CompileError, Compiler};
use crate::plugins::data_dir::{DataDirError, DataDirs};
use crate::plugins::grants::{ConsentFault, GrantFile};
use crate::plugins::manifest::TARGET;
use crate::plugins::minisign::PublicKey;
use crate::plugins::package::{Contents, PackageError};
use crate::plugins::settings::{Owner, Settings, SettingsError};
use crate::plugins::store::{Incoming, Installed, Locked, Staged, StoreError};
use crate::plugins::trust::{How, PublisherName, TrustError, TrustRefusal, TrustStore};
use crate::plugins::{Grants, SealedCode};
use crate::timestamp::Timestamp;
use crate::workers::program::WorkerProgram;
use crate::workers::spawner::Spawner;
use crate::workers::spec::PluginSpec;
use crate::workers::status::Origin;
use crate::workers::tryout::{Tryout, TryoutError};
use midimon_shared::Limits;
use midimon_shared::capability::CapabilityKind;
use midimon_shared::protocol::CodeKind;
use midimon_shared::spawn::{MissingLayers, Violations};
use nix::errno::Errno;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is being done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Step {
    Stage,
    Compile,
    Try,
    Commit,
}

impl Step {
    /// How many there are.
    pub const COUNT: usize = 4;

    /// Which of them it is, from 1.
    #[must_use]
    pub const fn number(self) -> usize {
        self as usize + 1
    }

    /// In a word or two.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Compile => "compile",
            Self::Try => "try in the sandbox",
            Self::Commit => "commit",
        }
    }
}

/// The user wants it to end; nothing was installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped; nothing was installed")]
pub struct Stopped;

/// Whoever watches the steps.
pub trait Progress {
    /// A step begins.
    ///
    /// # Errors
    /// It is to end here.
    fn begin(&self, step: Step) -> Result<(), Stopped>;

    /// What ends the step that begins now, when the user wants it to end. It can be
    /// called at any time, by another thread, once the step is over too.
    fn on_stop(&self, stop: Box<dyn Fn() + Send>);
}

/// Why nothing was installed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum InstallError {
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Consent(#[from] ConsentFault),
    #[error("{name}: {fault}")]
    Format { name: String, fault: FormatFault },
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("the package has no file '{0}', which its manifest names as its code")]
    NoCode(String),
    #[error("{name}: {source}")]
    Compile { name: String, source: CompileError },
    #[error("the plugin was tried in the sandbox, and {0}")]
    Tryout(#[from] TryoutError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("a data directory for the try cannot be made: {0}")]
    Data(#[from] DataDirError),
    #[error("cannot start what compiles and tries it: {0}")]
    Start(#[from] io::Error),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("{0}; `midimon key trust KEY --name NAME` pins it under another name")]
    Pin(#[from] TrustRefusal),
}

impl From<Errno> for InstallError {
    fn from(errno: Errno) -> Self {
        Self::Start(errno.into())
    }
}

/// What the user agreed to.
#[derive(Debug)]
pub struct Agreed {
    /// What the plugin may do.
    pub grants: GrantFile,
    /// The name under which its key is pinned, where that was never seen before.
    pub key_name: Option<PublisherName>,
    /// A version below the highest that was in place.
    pub downgrade: bool,
}

/// What was installed.
#[derive(Debug)]
pub struct Done {
    /// Its record.
    pub installed: Installed,
    /// The settings it needs and does not have: without them it could not be tried. It
    /// was when there are none.
    pub untried: Vec<String>,
}

/// Where and under which limits a plugin is tried.
#[derive(Debug)]
pub struct Workshop<'h> {
    /// Whose caches are used.
    pub home: &'h Home,
    /// Directory of the worker programs; `None` is where the running program is.
    pub programs: Option<PathBuf>,
    /// The limits the user set for it.
    pub limits: Limits,
    /// Whether it may run where this system lacks a layer of the sandbox.
    pub missing_layers: MissingLayers,
}

/// Whether native code asks for nothing but what a worker's loader gives it here.
fn check_native(contents: &Contents) -> Result<(), InstallError> {
    let facts = contents.native()?;
    let ours = facts.iter().find(|(target, _)| target == TARGET);
    let name = || contents.manifest.entry.clone();
    ours.map_or(Ok(()), |(_, facts)| facts.runs_here())
        .map_err(|fault| PackageError::Native { name: name(), fault }.into())
}

impl Workshop<'_> {
    /// Checks, stages, compiles, tries and commits. A new key is pinned when all the rest
    /// went well: a package that is refused has nobody trusted.
    ///
    /// # Errors
    /// See [`InstallError`]; what was in place before still is, and nothing is left behind.
    pub fn install(
        &self,
        locked: &Locked,
        mut contents: Contents,
        agreed: Agreed,
        progress: &dyn Progress,
    ) -> Result<Done, InstallError> {
        check_native(&contents)?;
        progress.begin(Step::Stage)?;
        let staged = locked.stage(&Incoming::from(&contents))?;

        progress.begin(Step::Compile)?;
        let name = contents.manifest.entry.clone();
        let index = contents.files.iter().position(|file| file.entry.name == name);
        let index = index.ok_or_else(|| InstallError::NoCode(name.clone()))?;
        let code = contents.files.swap_remove(index).code;
        let format = |fault| InstallError::Format { name: name.clone(), fault };
        let kind = code.check(contents.manifest.kind).map_err(format)?;
        let program = WorkerProgram::new(kind, &code)?;
        let code = match kind {
            CodeKind::Native => Arc::new(code),
            CodeKind::WasmCore | CodeKind::WasmComponent => self.compile(&name, &code, progress)?,
        };

        progress.begin(Step::Try)?;
        let untried = self.try_out(&staged, &contents, &agreed.grants, (kind, program, code), progress)?;

        progress.begin(Step::Commit)?;
        if let (Some(key), Some(name)) = (contents.publisher, agreed.key_name) {
            self.pin(key, name)?;
        }
        Ok(Done { installed: locked.commit(staged, agreed.grants, agreed.downgrade)?, untried })
    }

    fn pin(&self, key: PublicKey, name: PublisherName) -> Result<(), InstallError> {
        TrustStore::change(self.home, |trust| {
            trust.trust(key, name, How::FirstSight, Timestamp::now()).map(drop).map_err(InstallError::from)
        })
    }

    /// Through the cache that the daemon uses too: its start then finds the module compiled.
    fn compile(
        &self,
        name: &str,
        module: &SealedCode,
        progress: &dyn Progress,
    ) -> Result<Arc<SealedCode>, InstallError> {
        let cache = Cache::open(&self.home.compiled_dir(), &self.home.state_dir());
        let compiler = Arc::new(Compiler::new(&self.programs()?, Spawner::start()?, cache.ok())?);
        let stop = compiler.clone();
        progress.on_stop(Box::new(move || stop.stop()));
        match compiler.compile(module) {
            Err(CompileError::Stopped) => Err(Stopped.into()),
            compiled => compiled.map_err(|source| InstallError::Compile { name: name.to_owned(), source }),
        }
    }

    fn programs(&self) -> io::Result<PathBuf> {
        match &self.programs {
            Some(programs) => Ok(programs.clone()),
            None => std::env::current_exe().map(|program| program.parent().map(Path::to_owned).unwrap_or_default()),
        }
    }

    /// Tries it; else the settings it lacks.
    fn try_out(
        &self,
        staged: &Staged,
        contents: &Contents,
        grants: &GrantFile,
        (kind, program, code): (CodeKind, WorkerProgram, Arc<SealedCode>),
        progress: &dyn Progress,
    ) -> Result<Vec<String>, InstallError> {
        let manifest = &contents.manifest;
        // beside the files that were staged, so that it goes when they do
        let data = staged.path().join("data");
        let granted = grants.effective(manifest, contents.publisher.as_ref())?;
        // the world outside is for plugins that are installed
        let files = granted.iter().filter(|granted| granted.kind == CapabilityKind::Filesystem).cloned();
        let granted: Grants = files.collect();
        let data_dir = match granted.allows(CapabilityKind::Filesystem) {
            true => Some(DataDirs::open(&data)?.ensure(&manifest.id)?.1),
            false => None,
        };
        let answers = manifest.asks.iter().filter_map(|ask| {
            let target = grants.answer(ask)?.capability.as_ref()?.target.as_deref()?;
            Some((ask.setting.as_deref()?, target))
        });
        let settings = Settings::load(&self.home.settings_dir(), Owner::Installed, &manifest.id)?;
        let settings = match settings.handed(&manifest.settings, answers) {
            // it cannot start before the user has set what it needs, which takes an installed plugin
            Err(SettingsError::Required { names, .. }) => return Ok(names),
            settings => settings?,
        };
        let mut limits = self.limits.clone();
        manifest.limits.lower(&mut limits);
        let spec = PluginSpec {
            id: manifest.id.clone(),
            name: manifest.name.clone(),
            version: manifest.version.to_string(),
            kind,
            program,
            origin: Origin::Installed,
            code_path: PathBuf::from(&manifest.entry),
            code,
            data_dir,
            settings,
            not_granted: granted.missing(manifest),
            grants: granted,
            limits,
            violations: Violations::End,
            missing_layers: self.missing_layers,
        };
        let tryout = Tryout::new(self.programs.clone(), &data)?;
        let stop = tryout.clone();
        progress.on_stop(Box::new(move || stop.stop()));
        tryout.run(spec)?;
        Ok(Vec::new())
    }
}
