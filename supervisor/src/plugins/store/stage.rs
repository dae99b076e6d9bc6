//! A version on its way in: all its files in a directory nobody looks into.

use super::{InstalledVersion, Locked, StoreError, dirs};
use crate::plugins::manifest::{self, FileEntry, Manifest};
use crate::plugins::minisign::PublicKey;
use crate::plugins::{SealedCode, package::Contents};
use crate::timestamp::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

pub(super) const PREFIX: &str = ".staging-";
/// The directory with the files, in the staging directory: that one can be looked
/// through like a directory of plugins.
pub(super) const FILES: &str = "plugin";

/// What is to be installed; everything in it has been checked.
#[derive(Debug)]
pub struct Incoming<'c> {
    /// The manifest.
    pub manifest: &'c Manifest,
    /// The bytes it was read from.
    pub manifest_bytes: &'c [u8],
    /// The files beside it.
    pub files: Vec<(&'c FileEntry, &'c SealedCode)>,
    /// Whose signature was checked.
    pub publisher: Option<PublicKey>,
    /// SHA-256 of the package.
    pub package_sha256: [u8; 32],
}

impl<'c> From<&'c Contents> for Incoming<'c> {
    fn from(contents: &'c Contents) -> Self {
        Self {
            manifest: &contents.manifest,
            manifest_bytes: &contents.manifest_bytes,
            files: contents.files.iter().map(|file| (&file.entry, &file.code)).collect(),
            publisher: contents.publisher,
            package_sha256: contents.digest,
        }
    }
}

/// A staged version. Dropped without being committed, it is removed.
#[derive(Debug)]
pub struct Staged {
    pub(super) root: OwnedFd,
    pub(super) dir: OwnedFd,
    pub(super) name: String,
    pub(super) manifest: Manifest,
    pub(super) publisher: Option<PublicKey>,
    pub(super) version: InstalledVersion,
    path: PathBuf,
}

impl Staged {
    /// A directory with the plugin's in it and nothing else, as `[plugins] dir` is one.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The plugin's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // what cannot be removed now is removed by whoever locks the store next
        let _ = dirs::remove(&self.root, &self.name, &self.path);
    }
}

impl Locked {
    /// Writes a version's files where nobody looks for plugins yet, and makes them last.
    ///
    /// # Errors
    /// What the file system says; nothing is left then.
    pub fn stage(&self, incoming: &Incoming<'_>) -> Result<Staged, StoreError> {
        let plugins = self.store.home.plugins_dir();
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| StoreError::io("name a directory in", &plugins)(Errno::EIO))?;
        let name = format!("{PREFIX}{:016x}", u64::from_ne_bytes(random));
        let path = plugins.join(&name);
        let root =
            self.root.try_clone().map_err(|source| StoreError::Io { what: "open", path: path.clone(), source })?;
        let dir = make_dir(&root, &name).map_err(StoreError::io("make", &path))?;
        let staged = Staged {
            root,
            dir,
            name,
            path,
            manifest: incoming.manifest.clone(),
            publisher: incoming.publisher,
            version: version(incoming),
        };
        staged.fill(incoming)?;
        Ok(staged)
    }
}

impl Staged {
    fn fill(&self, incoming: &Incoming<'_>) -> Result<(), StoreError> {
        let path = self.path.join(FILES);
        let files = make_dir(&self.dir, FILES).map_err(StoreError::io("make", &path))?;
        write(&files, &path, manifest::FILE_NAME, |file| file.write_all(incoming.manifest_bytes))?;
        for (entry, code) in &incoming.files {
            write(&files, &path, &entry.name, |file| {
                let mut result = Ok(());
                code.for_each_piece(|piece| {
                    if result.is_ok() {
                        result = file.write_all(piece);
                    }
                })?;
                result
            })?;
        }
        dirs::sync(&files, &path)?;
        dirs::sync(&self.dir, &self.path)
    }
}

fn version(incoming: &Incoming<'_>) -> InstalledVersion {
    InstalledVersion {
        version: incoming.manifest.version.clone(),
        package_sha256: incoming.package_sha256,
        manifest_sha256: Sha256::digest(incoming.manifest_bytes).into(),
        files: incoming.files.iter().map(|(entry, _)| (*entry).clone()).collect(),
        installed: Timestamp::now(),
    }
}

/// Makes and opens a directory that must not be there yet, for us alone whatever the umask.
pub(super) fn make_dir(parent: impl AsFd, name: &str) -> nix::Result<OwnedFd> {
    mkdirat(&parent, name, Mode::S_IRWXU)?;
    let dir = dirs::open_at(parent, name)?;
    fchmod(&dir, Mode::S_IRWXU)?;
    Ok(dir)
}

/// Writes a file that must not be there yet, 0600, and waits until the disk has it.
fn write(
    dir: &OwnedFd,
    path: &Path,
    name: &str,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), StoreError> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let written = openat(dir, name, flags, mode).map_err(io::Error::from).and_then(|file| {
        let mut file = File::from(file);
        write(&mut file)?;
        fchmod(&file, mode)?;
        file.sync_all()
    });
    written.map_err(|source| StoreError::Io { what: "write", path: path.join(name), source })
}
