//! Installed plugins on disk.
//!
//! ```text
//! plugins/.lock                   held by whoever changes anything here
//! plugins/.staging-*/             being installed; removed when nobody works on it
//! plugins/<id>/installed.toml     the record: replacing it is what installs and updates
//! plugins/<id>/<version>/         plugin.toml and the files it lists, for us alone
//! state/kept-<id>.toml            whose data was kept when the plugin was removed
//! ```
//!
//! Every change is a row of steps; whichever of them is the last before a crash,
//! the old state or the new one holds in all its parts, and [`Locked::clean`],
//! with which every change begins, removes what is left over. Everything goes by
//! directory descriptor: no link is followed, nothing outside is touched.

mod admit;
mod clean;
mod commit;
mod dirs;
mod discover;
mod kept;
mod lock;
pub mod record;
mod remove;
mod stage;
#[cfg(test)]
mod tests;
mod verified;

pub use admit::{Admitted, Candidate, Refused};
pub use discover::InstalledSource;
pub use kept::{KeptData, KeptFile};
pub use lock::Locked;
pub use record::{Installed, InstalledVersion};
pub use stage::{Incoming, Staged};
pub use verified::{VersionError, VersionFiles};

use super::grants::{self, GrantFile};
use super::revocations::{Revocations, RevocationsError, Revoked};
use super::strict::{self, StrictError};
use crate::home::{Home, HomeError};
use crate::plugins::data_dir::DataDirError;
use midimon_shared::PluginId;
use nix::errno::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Most plugins that can be installed.
pub const MAX_PLUGINS: usize = 4096;

/// Why the store cannot be used or changed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum StoreError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Record(#[from] BadRecord),
    #[error(transparent)]
    Strict(#[from] StrictError),
    /// What may run no more could not be written down, and its grants went instead.
    #[error(
        "there is no room to write '{}' ({source}): the grants of {id} were deleted, so it is not started any more; \
         make room, then `midimon plugin install` asks for them again",
        path.display()
    )]
    NoRoom { id: PluginId, path: PathBuf, source: io::Error },
    /// What was kept of a removed plugin, and whose it is, cannot be told.
    #[error("{source}; `midimon plugin remove {id}` deletes that file, with the data and settings that were kept")]
    Kept { id: PluginId, source: StrictError },
    #[error("cannot {what} '{}': {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("'{0}' is not installed; `midimon plugin list` shows what is")]
    NotInstalled(PluginId),
    #[error("'{0}' has no version to go back to; `midimon plugin info {0}` shows its versions")]
    NoPrevious(PluginId),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Revoked(#[from] Revoked),
    #[error("nothing is changed while it is not known what was revoked: {0}")]
    Revocations(#[from] RevocationsError),
    #[error(transparent)]
    Version(#[from] VersionError),
    #[error(transparent)]
    Data(#[from] DataDirError),
    #[error("{} cannot be emptied: {why}", path.display())]
    NotEmptied { path: PathBuf, why: String },
}

impl StoreError {
    /// Whether a file could not be written because nothing can grow any more.
    fn is_full(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        let full = [Errno::ENOSPC, Errno::EDQUOT, Errno::EFBIG];
        source.raw_os_error().is_some_and(|number| full.contains(&Errno::from_raw(number)))
    }

    fn io(what: &'static str, path: &Path) -> impl FnOnce(Errno) -> Self {
        let path = path.to_owned();
        move |errno| {
            let source = match errno {
                dirs::TOO_MANY => io::Error::other("it has more names than midimon looks at; move some elsewhere"),
                errno => errno.into(),
            };
            Self::Io { what, path, source }
        }
    }
}

/// A plugin whose record cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{cause}; remove the plugin with `midimon plugin remove {id}` and install it again")]
pub struct BadRecord {
    /// Which, by its directory.
    pub id: PluginId,
    /// What is wrong with it.
    pub cause: BadRecordCause,
}

/// One step of a change.
type Step<T> = fn(&T) -> Result<(), StoreError>;

/// See [`BadRecord`].
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum BadRecordCause {
    #[error(transparent)]
    Strict(#[from] StrictError),
    #[error("{}: is the record of '{found}'", path.display())]
    OtherId { path: PathBuf, found: PluginId },
    #[error("{}: is not a directory (or is a symbolic link)", path.display())]
    NotDirectory { path: PathBuf },
    #[error("cannot open {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Store {
    home: Home,
}

impl Store {
    /// The store of this home; touches no file.
    #[must_use]
    pub fn open(home: &Home) -> Self {
        Self { home: home.clone() }
    }

    /// Where a plugin's record and versions lie.
    #[must_use]
    pub fn path(&self, id: &PluginId) -> PathBuf {
        self.home.plugins_dir().join(id.as_str())
    }

    /// The directory of all of them; `None` when there is none yet.
    fn root(&self) -> Result<Option<OwnedFd>, StoreError> {
        dirs::open_path(&self.home.plugins_dir())
    }

    /// Every installed plugin, by id.
    ///
    /// # Errors
    /// The store itself cannot be read; one bad record hides no other plugin.
    pub fn list(&self) -> Result<Vec<Result<Installed, BadRecord>>, StoreError> {
        let Some(root) = self.root()? else { return Ok(Vec::new()) };
        // the lock and what is staged are there too
        let names = dirs::names(&root, 2 * MAX_PLUGINS).map_err(StoreError::io("read", &self.home.plugins_dir()))?;
        let mut ids: Vec<PluginId> = names.iter().filter_map(|name| name.to_str().ok()?.parse().ok()).collect();
        ids.sort();
        Ok(ids.iter().filter_map(|id| self.record(&root, id).transpose()).collect())
    }

    /// One installed plugin; `None` when it is not installed.
    ///
    /// # Errors
    /// The store cannot be read, or its record is damaged.
    pub fn get(&self, id: &PluginId) -> Result<Option<Installed>, StoreError> {
        let Some(root) = self.root()? else { return Ok(None) };
        Ok(self.record(&root, id)?)
    }

    fn record(&self, root: &OwnedFd, id: &PluginId) -> Result<Option<Installed>, BadRecord> {
        let path = self.path(id);
        let bad = |cause: BadRecordCause| BadRecord { id: id.clone(), cause };
        let dir = match dirs::open_at(root, id.as_str()) {
            Ok(dir) => dir,
            Err(Errno::ENOENT) => return Ok(None),
            // a file there is nobody's plugin; a link might be meant to be one
            Err(Errno::ENOTDIR | Errno::ELOOP) if dirs::is_link(root, id.as_str()) => {
                return Err(bad(BadRecordCause::NotDirectory { path }));
            }
            Err(Errno::ENOTDIR) => return Ok(None),
            Err(errno) => return Err(bad(BadRecordCause::Io { path, source: errno.into() })),
        };
        let path = path.join(record::FILE_NAME);
        let read = strict::read(&dir, record::FILE_NAME, &path, record::MAX_BYTES, Installed::parse);
        match read.map_err(|error| bad(error.into()))? {
            Some(found) if found.id != *id => Err(bad(BadRecordCause::OtherId { path, found: found.id })),
            found => Ok(found),
        }
    }

    /// What the user lets an installed plugin do; `None` when nobody was asked.
    ///
    /// # Errors
    /// The file is damaged; nothing is granted then.
    pub fn grants(&self, id: &PluginId) -> Result<Option<GrantFile>, StoreError> {
        let path = self.grants_path(id);
        let Some(dir) = dirs::open_path(&self.home.grants_dir())? else { return Ok(None) };
        Ok(strict::read(dir, &grants_name(id), &path, grants::MAX_BYTES, GrantFile::parse)?)
    }

    /// Where a plugin's grants are.
    #[must_use]
    pub fn grants_path(&self, id: &PluginId) -> PathBuf {
        self.home.grants_dir().join(grants_name(id))
    }

    /// What was kept of a plugin that was removed.
    ///
    /// # Errors
    /// The file about it is damaged.
    pub fn kept(&self, id: &PluginId) -> Result<Option<KeptFile>, StoreError> {
        kept::read(&self.home, id)
    }
}

fn grants_name(id: &PluginId) -> String {
    format!("{id}.toml")
}
