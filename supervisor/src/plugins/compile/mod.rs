//! WASM code compiled ahead of time: the job that compiles it, and the cache of
//! what was compiled before.

pub mod cache;
pub mod job;

pub use cache::{Cache, CacheKey};
pub use job::{CompileError, SpawnFn};

use super::SealedCode;
use crate::workers::spawner::Spawner;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The compiler's file name, beside the supervisor's own.
const PROGRAM: &str = "midimon-compile";

/// Gives compiled code for WASM modules, one job for each module.
pub struct Compiler {
    program: PathBuf,
    spawn: Box<SpawnFn>,
    cache: Option<Cache>,
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
    #[must_use]
    pub fn new(programs: &Path, spawner: Spawner, cache: Option<Cache>) -> Self {
        Self::with_spawn(programs, Box::new(move |spec| spawner.spawn_and_wait(spec)), cache)
    }

    fn with_spawn(programs: &Path, spawn: Box<SpawnFn>, cache: Option<Cache>) -> Self {
        Self { program: programs.join(PROGRAM), spawn, cache, in_use: Mutex::default() }
    }

    /// The compiled code of a module: what is in use already, else from the cache,
    /// else from a job. Blocks for as long as compiling takes, at most
    /// [`job::DEADLINE`].
    ///
    /// # Errors
    /// See [`CompileError`]. A cache that cannot be written is a log line, no error.
    pub fn compile(&self, module: &SealedCode) -> Result<Arc<SealedCode>, CompileError> {
        let key = CacheKey::new(module, &self.fingerprint());
        let known = self.in_use().get(key.as_bytes()).and_then(Weak::upgrade);
        if let Some(code) = known {
            return Ok(code);
        }
        let cached = self.cache.as_ref().and_then(|cache| cache.get(&key));
        let code = Arc::new(match cached {
            Some(code) => code,
            None => self.run(module, &key)?,
        });
        let mut in_use = self.in_use();
        in_use.retain(|_, code| code.strong_count() > 0);
        in_use.insert(*key.as_bytes(), Arc::downgrade(&code));
        Ok(code)
    }

    fn run(&self, module: &SealedCode, key: &CacheKey) -> Result<SealedCode, CompileError> {
        let code = job::run(&self.program, &*self.spawn, module)?;
        if let Some(Err(error)) = self.cache.as_ref().map(|cache| cache.put(key, &code)) {
            tracing::warn!("compiled code is not kept for the next start: {error}");
        }
        Ok(code)
    }

    fn in_use(&self) -> MutexGuard<'_, HashMap<[u8; 32], Weak<SealedCode>>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What compiled code depends on besides the module: this very compiler, and
    /// what this processor can do.
    fn fingerprint(&self) -> String {
        let program = fs::metadata(&self.program).map_or_else(
            |error| error.to_string(),
            |file| format!("{} {} {} {}.{}", file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec()),
        );
        format!("{program}\n{}", processor_features().unwrap_or_default())
    }
}

/// The features as the kernel lists them, of the first processor.
fn processor_features() -> io::Result<String> {
    let file = BufReader::new(File::open("/proc/cpuinfo")?.take(64 * 1024));
    for line in file.lines() {
        let line = line?;
        // x86 and ARM
        if line.starts_with("flags") || line.starts_with("Features") {
            return Ok(line);
        }
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::spawn::{SpawnSpec, spawn};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_module_is_compiled_once_until_the_compiler_changes() {
        let home = tempfile::tempdir().unwrap();
        let compiled = home.path().join("compiled");
        fs::create_dir(&compiled).unwrap();
        fs::write(home.path().join(PROGRAM), "one").unwrap();
        let jobs = Arc::new(AtomicUsize::new(0));
        let counter = jobs.clone();
        let fake = move |spec: SpawnSpec| {
            counter.fetch_add(1, Ordering::Relaxed);
            let arguments = vec!["-c".into(), "echo compiled >&4; cat <&3 >&4".into()];
            spawn(SpawnSpec { program: "/bin/sh".into(), arguments, ..spec })
        };
        let fake = Arc::new(fake);
        // each as a later run of this program
        let compiler = || {
            let (fake, cache) = (fake.clone(), Cache::open(&compiled, home.path()).unwrap());
            Compiler::with_spawn(home.path(), Box::new(move |spec| fake(spec)), Some(cache))
        };
        let module = |bytes: &[u8]| SealedCode::copy(&mut &bytes[..], 100).unwrap();

        let first = compiler().compile(&module(b"a")).unwrap();
        assert_eq!((first.len(), jobs.load(Ordering::Relaxed)), (10, 1));
        assert_eq!(compiler().compile(&module(b"a")).unwrap().digest(), first.digest());
        assert_eq!(jobs.load(Ordering::Relaxed), 1);
        compiler().compile(&module(b"b")).unwrap();
        assert_eq!(jobs.load(Ordering::Relaxed), 2);
        fs::write(home.path().join(PROGRAM), "another").unwrap();
        compiler().compile(&module(b"a")).unwrap();
        assert_eq!(jobs.load(Ordering::Relaxed), 3);

        let without_cache = Compiler::with_spawn(home.path(), Box::new(move |spec| fake(spec)), None);
        let in_use = without_cache.compile(&module(b"a")).unwrap();
        assert!(Arc::ptr_eq(&in_use, &without_cache.compile(&module(b"a")).unwrap()));
        assert_eq!(jobs.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn this_machines_processor_is_told_from_others() {
        assert!(!processor_features().unwrap().is_empty());
    }
}
