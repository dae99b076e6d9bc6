//! WASM code compiled ahead of time: the job that compiles it, and the cache of
//! what was compiled before.

pub mod cache;
pub mod job;

pub use cache::{Cache, CacheKey};
pub use job::{CompileError, SpawnFn};

use super::SealedCode;
use crate::workers::spawner::Spawner;
use job::Stop;
use nix::errno::Errno;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// The compiler's file name, beside the supervisor's own.
const PROGRAM: &str = "midimon-compile";

/// Gives compiled code for WASM modules, one job for each module.
pub struct Compiler {
    program: PathBuf,
    spawn: Box<SpawnFn>,
    cache: Option<Cache>,
    /// What the compiler says its output depends on, once it was asked.
    settings: OnceLock<String>,
    stop: Stop,
    /// Jobs under way.
    jobs: AtomicUsize,
    /// By the module's digest.
    in_use: Mutex<HashMap<[u8; 32], Weak<SealedCode>>>,
}

impl std::fmt::Debug for Compiler {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Compiler").field("program", &self.program).finish_non_exhaustive()
    }
}

impl Compiler {
    /// A compiler that runs `midimon-compile` of the directory `programs`. Without
    /// a cache a module is compiled again in each run of this program.
    ///
    /// # Errors
    /// There is no descriptor to be had.
    pub fn new(programs: &Path, spawner: Spawner, cache: Option<Cache>) -> Result<Self, Errno> {
        Self::with_spawn(programs, Box::new(move |spec| spawner.spawn_and_wait(spec)), cache)
    }

    fn with_spawn(programs: &Path, spawn: Box<SpawnFn>, cache: Option<Cache>) -> Result<Self, Errno> {
        let program = programs.join(PROGRAM);
        Ok(Self {
            program,
            spawn,
            cache,
            settings: OnceLock::new(),
            stop: Stop::new()?,
            jobs: AtomicUsize::new(0),
            in_use: Mutex::default(),
        })
    }

    /// Kills the jobs under way, and starts no more: they end with [`CompileError::Stopped`].
    pub fn stop(&self) {
        self.stop.pull();
    }

    /// Whether a job is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.jobs.load(Ordering::Relaxed) > 0
    }

    /// Whether that was asked for.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.is_pulled()
    }

    /// The compiled code of a module: what is in use already, else from the cache,
    /// else from a job. Blocks for as long as compiling takes, at most
    /// [`job::DEADLINE`].
    ///
    /// # Errors
    /// See [`CompileError`]. A cache that cannot be written is a log line, no error.
    pub fn compile(&self, module: &SealedCode) -> Result<Arc<SealedCode>, CompileError> {
        let known = self.in_use().get(&module.digest()).and_then(Weak::upgrade);
        if let Some(code) = known {
            return Ok(code);
        }
        let code = Arc::new(match &self.cache {
            Some(cache) => self.cached(cache, module)?,
            None => self.run(module)?,
        });
        let mut in_use = self.in_use();
        in_use.retain(|_, code| code.strong_count() > 0);
        in_use.insert(module.digest(), Arc::downgrade(&code));
        Ok(code)
    }

    fn cached(&self, cache: &Cache, module: &SealedCode) -> Result<SealedCode, CompileError> {
        let settings = match self.settings.get() {
            Some(settings) => settings,
            None => {
                let settings = job::compatibility_key(&self.program, &*self.spawn, &self.stop)?;
                self.settings.get_or_init(|| settings)
            }
        };
        let key = CacheKey::new(module, settings);
        if let Some(code) = cache.get(&key) {
            return Ok(code);
        }
        let code = self.run(module)?;
        if let Err(error) = cache.put(&key, &code) {
            tracing::warn!("compiled code is not kept for the next start: {error}");
        }
        Ok(code)
    }

    fn run(&self, module: &SealedCode) -> Result<SealedCode, CompileError> {
        self.jobs.fetch_add(1, Ordering::Relaxed);
        let result = job::run(&self.program, &*self.spawn, module, &self.stop);
        self.jobs.fetch_sub(1, Ordering::Relaxed);
        result
    }

    fn in_use(&self) -> MutexGuard<'_, HashMap<[u8; 32], Weak<SealedCode>>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::spawn::{SpawnSpec, spawn};

    #[test]
    fn a_module_is_compiled_once_until_the_compiler_changes() {
        let home = tempfile::tempdir().unwrap();
        let compiled = home.path().join("compiled");
        std::fs::create_dir(&compiled).unwrap();
        let jobs = Arc::new(AtomicUsize::new(0));
        // each as a later run of this program, with a compiler that gives this key
        let compiler = |key: &'static str, cached: bool| {
            let jobs = jobs.clone();
            let fake = move |spec: SpawnSpec| {
                let script = if spec.arguments == ["--print-key"] {
                    format!("echo {key}")
                } else {
                    jobs.fetch_add(1, Ordering::Relaxed);
                    "echo compiled >&4; cat <&3 >&4".to_owned()
                };
                spawn(SpawnSpec { program: "/bin/sh".into(), arguments: vec!["-c".into(), script], ..spec })
            };
            let cache = cached.then(|| Cache::open(&compiled, home.path()).unwrap());
            Compiler::with_spawn(home.path(), Box::new(fake), cache).unwrap()
        };
        let module = |bytes: &[u8]| SealedCode::copy(&mut &bytes[..], 100).unwrap();

        let first = compiler("one", true).compile(&module(b"a")).unwrap();
        assert_eq!((first.len(), jobs.load(Ordering::Relaxed)), (10, 1));
        assert_eq!(compiler("one", true).compile(&module(b"a")).unwrap().digest(), first.digest());
        assert_eq!(jobs.load(Ordering::Relaxed), 1);
        compiler("one", true).compile(&module(b"b")).unwrap();
        assert_eq!(jobs.load(Ordering::Relaxed), 2);
        compiler("another", true).compile(&module(b"a")).unwrap();
        assert_eq!(jobs.load(Ordering::Relaxed), 3);

        let without_cache = compiler("one", false);
        let in_use = without_cache.compile(&module(b"a")).unwrap();
        assert!(Arc::ptr_eq(&in_use, &without_cache.compile(&module(b"a")).unwrap()));
        assert_eq!(jobs.load(Ordering::Relaxed), 4);
    }
}
