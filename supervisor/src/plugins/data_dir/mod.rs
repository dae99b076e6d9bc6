//! Each plugin's own directory, `plugin-data/<id>/`.
//!
//! Plugins write there, so nothing in it is believed: every step goes by
//! directory descriptor, no link is followed, nothing but directories is opened.

mod clear;
pub(crate) mod scan;

pub use clear::Cleared;
pub(in crate::plugins) use clear::clear;
pub use scan::{BigFile, MAX_SCANNED, Usage};

use crate::home::{HomeError, private_dir};
use midimon_shared::PluginId;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Uid, geteuid};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

const DIR_FLAGS: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// The directory all data directories lie in.
#[derive(Debug)]
pub struct DataDirs {
    root: OwnedFd,
    path: PathBuf,
}

/// Why a data directory is not used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum DataDirError {
    #[error(transparent)]
    Root(#[from] HomeError),
    #[error("cannot use the data directory {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is not a directory (or is a symbolic link); move it away", path.display())]
    NotDirectory { path: PathBuf },
    #[error("{} belongs to uid {found}, not to {wanted}; move it away or chown it", path.display())]
    Owner { path: PathBuf, found: Uid, wanted: Uid },
    #[error("{} is open to others (mode {mode:03o}); if what is in it is yours: chmod 700 {}", path.display(), path.display())]
    Mode { path: PathBuf, mode: u32 },
}

impl DataDirs {
    /// Opens the directory for all plugins' data, making it when it is missing.
    ///
    /// # Errors
    /// It cannot be made, is no directory of its own, or is somebody else's.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let root = private_dir(path)?;
        Ok(Self { root, path: path.to_owned() })
    }

    /// Where a plugin's directory is.
    #[must_use]
    pub fn path(&self, id: &PluginId) -> PathBuf {
        self.path.join(id.as_str())
    }

    /// Makes a plugin's directory when it is missing and checks it when it is
    /// there: ours, for us alone, no link. Gives it opened, and its path.
    ///
    /// # Errors
    /// See [`DataDirError`].
    pub fn ensure(&self, id: &PluginId) -> Result<(OwnedFd, PathBuf), DataDirError> {
        let path = self.path(id);
        let failed = |errno: Errno| match errno {
            Errno::ENOTDIR | Errno::ELOOP => DataDirError::NotDirectory { path: path.clone() },
            errno => DataDirError::Io { path: path.clone(), source: errno.into() },
        };
        let made = match mkdirat(&self.root, id.as_str(), Mode::S_IRWXU) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(errno) => return Err(failed(errno)),
        };
        let dir = openat(&self.root, id.as_str(), DIR_FLAGS, Mode::empty()).map_err(failed)?;
        check(&dir, &path, 0)?;
        if made {
            // a strict umask would lock us out
            fchmod(&dir, Mode::S_IRWXU).map_err(failed)?;
        }
        check(&dir, &path, 0o077)?;
        Ok((dir, path))
    }

    /// Opens a plugin's directory; `None` when there is none.
    ///
    /// # Errors
    /// It is there and cannot be opened as a directory.
    pub fn open_existing(&self, id: &PluginId) -> Result<Option<OwnedFd>, DataDirError> {
        match openat(&self.root, id.as_str(), DIR_FLAGS, Mode::empty()) {
            Ok(dir) => Ok(Some(dir)),
            Err(Errno::ENOENT) => Ok(None),
            Err(Errno::ENOTDIR | Errno::ELOOP) => Err(DataDirError::NotDirectory { path: self.path(id) }),
            Err(errno) => Err(DataDirError::Io { path: self.path(id), source: errno.into() }),
        }
    }

    /// How much lies in a plugin's directory; nothing when there is none.
    ///
    /// # Errors
    /// As [`Self::open_existing`].
    pub fn usage(&self, id: &PluginId) -> Result<Usage, DataDirError> {
        let empty = Usage { complete: true, ..Usage::default() };
        Ok(self.open_existing(id)?.map_or(empty, |dir| Usage::of(dir, MAX_SCANNED)))
    }

    /// The largest files of a plugin's directory, `count` at most, largest first.
    ///
    /// # Errors
    /// As [`Self::open_existing`].
    pub fn biggest(&self, id: &PluginId, count: usize) -> Result<Vec<BigFile>, DataDirError> {
        Ok(self.open_existing(id)?.map_or(Vec::new(), |dir| scan::biggest(dir, count)))
    }

    /// Deletes everything in a plugin's directory; the directory itself stays.
    ///
    /// # Errors
    /// As [`Self::open_existing`].
    pub fn clear(&self, id: &PluginId) -> Result<Cleared, DataDirError> {
        Ok(self.open_existing(id)?.map_or(Cleared::default(), clear::clear))
    }
}

/// Checks an opened directory's owner and that none of `forbidden` is in its mode.
fn check(dir: impl AsFd, path: &Path, forbidden: u32) -> Result<(), DataDirError> {
    let stat = fstat(dir).map_err(|errno| DataDirError::Io { path: path.to_owned(), source: errno.into() })?;
    let (found, wanted) = (Uid::from_raw(stat.st_uid), geteuid());
    let mode = stat.st_mode & 0o777;
    if found != wanted {
        Err(DataDirError::Owner { path: path.to_owned(), found, wanted })
    } else if mode & forbidden != 0 {
        Err(DataDirError::Mode { path: path.to_owned(), mode })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
