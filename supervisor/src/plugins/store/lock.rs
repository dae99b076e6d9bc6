//! One change of the store at a time.

use super::{Store, StoreError};
use crate::home::{self, HomeError};
use std::fs::File;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// The store while nobody else changes it; only through this it is changed.
#[derive(Debug)]
pub struct Locked {
    pub(super) store: Store,
    pub(super) root: OwnedFd,
    left: Vec<StoreError>,
    _lock: File,
}

impl Store {
    /// Waits until nobody else changes the store and cleans it; what cannot be cleaned holds
    /// nobody up, see [`Locked::left_over`]. Before it waits,
    /// `waits` is told the process that is at work, where that is known.
    ///
    /// # Errors
    /// The home's directories or the lock cannot be used.
    pub fn lock(&self, waits: impl FnOnce(Option<i32>)) -> Result<Locked, StoreError> {
        self.take(|path| match home::try_lock_file(path)? {
            Ok(lock) => Ok(Some(lock)),
            Err(pid) => {
                waits(pid);
                home::wait_lock_file(path).map(Some)
            }
        })
        // cannot fail: the closure above never gives `None`
        .and_then(|locked| locked.ok_or_else(|| StoreError::io("lock", &self.lock_path())(nix::errno::Errno::EAGAIN)))
    }

    /// As [`Self::lock`]; `None` when somebody else changes the store at this moment.
    ///
    /// # Errors
    /// As [`Self::lock`].
    pub fn try_lock(&self) -> Result<Option<Locked>, StoreError> {
        self.take(|path| Ok(home::try_lock_file(path)?.ok()))
    }

    fn take(
        &self,
        lock: impl FnOnce(&std::path::Path) -> Result<Option<File>, HomeError>,
    ) -> Result<Option<Locked>, StoreError> {
        self.home.prepare()?;
        let root = home::private_dir(&self.home.plugins_dir())?;
        let Some(lock) = lock(&self.lock_path())? else { return Ok(None) };
        let mut locked = Locked { store: self.clone(), root, left: Vec::new(), _lock: lock };
        locked.left = locked.clean();
        Ok(Some(locked))
    }

    fn lock_path(&self) -> PathBuf {
        self.home.plugins_dir().join(".lock")
    }
}

impl Locked {
    /// What was left over by an interrupted change, or belongs to nobody, and could not be
    /// removed; it is in nobody's way, and whoever locks the store next tries again.
    #[must_use]
    pub fn left_over(&self) -> &[StoreError] {
        &self.left
    }
}

impl Deref for Locked {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}
