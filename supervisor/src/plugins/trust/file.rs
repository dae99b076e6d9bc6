//! The store as a file.

use super::TrustStore;
use crate::home::{Home, HomeError, try_lock_file, write_atomic};
use crate::plugins::files::{FileError, open_given, read_opened};
use crate::plugins::manifest::Problem;
use nix::sys::stat::Mode;
use nix::unistd::Uid;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Largest file, in bytes.
pub const MAX_BYTES: u64 = 1024 * 1024;
/// How long another command's change is waited for; each takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the store cannot be used. Whoever needs to know whom to trust stops then.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum TrustError {
    #[error("the trusted keys {}: {source}", path.display())]
    File { path: PathBuf, source: FileError },
    #[error("the trusted keys {}: others can write this file; run `chmod go-w` on it and look through it", path.display())]
    WritableByOthers { path: PathBuf },
    #[error("the trusted keys {}: this file belongs to user {owner}, and midimon runs as user {us}", path.display())]
    ForeignOwner { path: PathBuf, owner: u32, us: u32 },
    #[error("the trusted keys {}: is not UTF-8 text", path.display())]
    NotText { path: PathBuf },
    /// Every mistake, in the order of the text.
    #[error("the trusted keys have mistakes; correct them, or restore the file from a copy\n{}", lines(path, problems))]
    Invalid { path: PathBuf, problems: Vec<Problem> },
    #[error("the trusted keys {} cannot be written: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "another midimon command{} changes the trusted keys; try again when it is done ({})",
        pid.map_or_else(String::new, |pid| format!(" (pid {pid})")), path.display()
    )]
    Busy { path: PathBuf, pid: Option<i32> },
    #[error(transparent)]
    Lock(#[from] HomeError),
}

fn lines(path: &Path, problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{}:{problem}", path.display())).collect::<Vec<_>>().join("\n")
}

impl TrustStore {
    /// Reads the home's store; it is empty when there is no file.
    ///
    /// # Errors
    /// When the file cannot be read, others can write it, or it has mistakes.
    pub fn load(home: &Home) -> Result<Self, TrustError> {
        Self::load_file(&home.trusted_keys())
    }

    fn load_file(path: &Path) -> Result<Self, TrustError> {
        let path_of = || path.to_owned();
        let failed = |source: FileError| TrustError::File { path: path_of(), source };
        let file = match open_given(path) {
            Ok(file) => file,
            // a link that leads nowhere is a store that is lost, not an empty one
            Err(FileError::Missing) if path.symlink_metadata().is_err() => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(|error| failed(error.into()))?;
        let (owner, us) = (metadata.uid(), Uid::effective().as_raw());
        if owner != us && owner != 0 {
            return Err(TrustError::ForeignOwner { path: path_of(), owner, us });
        }
        if metadata.mode() & (Mode::S_IWGRP | Mode::S_IWOTH).bits() != 0 {
            return Err(TrustError::WritableByOthers { path: path_of() });
        }
        let bytes = read_opened(&file, MAX_BYTES).map_err(failed)?;
        let text = String::from_utf8(bytes).map_err(|_| TrustError::NotText { path: path_of() })?;
        Self::parse(&text).map_err(|problems| TrustError::Invalid { path: path_of(), problems })
    }

    /// Replaces the home's store, whole or not at all. Use [`TrustStore::change`]
    /// for what is read first.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn save(&self, home: &Home) -> Result<(), TrustError> {
        let path = home.trusted_keys();
        let failed = |source| TrustError::Write { path: path.clone(), source };
        // a link the user put there stays, and what it leads to is replaced
        let place = if path.is_symlink() { path.canonicalize().map_err(failed)? } else { path.clone() };
        write_atomic(&place, self.to_text().as_bytes(), 0o600).map_err(failed)
    }

    /// Reads the store, lets `change` change it, and writes it when that is done;
    /// one command at a time, so that no revocation is lost. The home must be prepared.
    ///
    /// # Errors
    /// The store's, or those of `change`, after which nothing is written.
    pub fn change<T, E: From<TrustError>>(home: &Home, change: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let _held = lock(&home.state_dir().join("trusted_keys.lock"))?;
        let mut store = Self::load(home)?;
        let before = store.clone();
        let result = change(&mut store)?;
        if store != before {
            store.save(home)?;
        }
        Ok(result)
    }
}

/// Held until it is dropped, or the process ends.
fn lock(path: &Path) -> Result<File, TrustError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match try_lock_file(path)? {
            Ok(held) => return Ok(held),
            Err(pid) if Instant::now() >= deadline => return Err(TrustError::Busy { path: path.to_owned(), pid }),
            Err(_) => sleep(Duration::from_millis(20)),
        }
    }
}
