//! An installed version's files, believed only as far as the record's digests go.

use super::{Installed, InstalledVersion, Store, dirs};
use crate::plugins::SealedCode;
use crate::plugins::code::FormatFault;
use crate::plugins::files::{FileError, open_regular, read_regular};
use crate::plugins::manifest::{self, FileEntry, Manifest, Problem};
use midimon_shared::PluginId;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Why an installed version is not run.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum VersionError {
    #[error(
        "{} was changed after it was installed{}: install the plugin again with `midimon plugin install`{}",
        path.display(),
        source.as_ref().map_or_else(String::new, |source| format!(" ({source})")),
        if *has_previous { format!(", or go back with `midimon plugin rollback {id}`") } else { String::new() },
    )]
    Changed { id: PluginId, path: PathBuf, source: Option<FileError>, has_previous: bool },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {fault}", path.display())]
    Format { path: PathBuf, fault: FormatFault },
    #[error("{}: this version of midimon does not take it: {}", path.display(), problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Manifest { path: PathBuf, problems: Vec<Problem> },
}

/// The opened directory of an installed version.
#[derive(Debug)]
pub struct VersionFiles {
    id: PluginId,
    dir: OwnedFd,
    path: PathBuf,
    version: InstalledVersion,
    /// Whether there is another version to go back to.
    has_previous: bool,
}

impl Store {
    /// Opens the directory of a plugin's current version.
    ///
    /// # Errors
    /// It is not there, or a link is in its place.
    pub fn current_files(&self, record: &Installed) -> Result<VersionFiles, VersionError> {
        let name = record.current.to_string();
        let path = self.path(&record.id).join(&name);
        let has_previous = record.previous.is_some();
        let changed = |source: FileError| VersionError::Changed {
            id: record.id.clone(),
            path: path.clone(),
            source: Some(source),
            has_previous,
        };
        let version = record.version(&record.current).ok_or_else(|| changed(FileError::Missing))?.clone();
        let root = self.root().ok().flatten().ok_or_else(|| changed(FileError::Missing))?;
        let opened = dirs::open_at(&root, record.id.as_str()).and_then(|dir| dirs::open_at(dir, &name));
        let dir = opened.map_err(|errno| changed(FileError::Io(errno.into())))?;
        Ok(VersionFiles { id: record.id.clone(), dir, path, version, has_previous })
    }
}

impl VersionFiles {
    /// Where the files are.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn changed(&self, name: &str, source: Option<FileError>) -> VersionError {
        let (id, path) = (self.id.clone(), self.path.join(name));
        VersionError::Changed { id, path, source, has_previous: self.has_previous }
    }

    /// Reads the manifest once; those bytes are compared and parsed.
    ///
    /// # Errors
    /// It was changed, or is not what this version of midimon reads.
    pub fn manifest(&self) -> Result<Manifest, VersionError> {
        let name = manifest::FILE_NAME;
        let bytes =
            read_regular(&self.dir, name, manifest::MAX_BYTES).map_err(|error| self.changed(name, Some(error)))?;
        if <[u8; 32]>::from(Sha256::digest(&bytes)) != self.version.manifest_sha256 {
            return Err(self.changed(name, None));
        }
        // it was UTF-8 when its digest was taken
        let text = String::from_utf8(bytes).map_err(|_| self.changed(name, None))?;
        let manifest = Manifest::parse(&text)
            .map_err(|problems| VersionError::Manifest { path: self.path.join(name), problems })?;
        if manifest.id != self.id || manifest.version != self.version.version {
            return Err(self.changed(name, None));
        }
        Ok(manifest)
    }

    /// Seals the code the manifest names, hashed on the way, and compares every other file too.
    ///
    /// # Errors
    /// A file was changed, is missing, or cannot be read.
    pub fn code(&self, manifest: &Manifest) -> Result<SealedCode, VersionError> {
        let entry = self.version.files.iter().find(|file| file.name == manifest.entry);
        let entry = entry.ok_or_else(|| self.changed(&manifest.entry, Some(FileError::Missing)))?;
        let code = SealedCode::copy(&mut self.open(entry)?, entry.size);
        let code = code.map_err(|source| match source.kind() {
            io::ErrorKind::FileTooLarge => self.changed(&entry.name, None),
            _ => VersionError::Io { path: self.path.join(&entry.name), source },
        })?;
        if code.digest() != entry.sha256 || code.len() != entry.size {
            return Err(self.changed(&entry.name, None));
        }
        for file in self.version.files.iter().filter(|file| file.name != entry.name) {
            self.compare(file)?;
        }
        match code.check(manifest.kind) {
            Ok(_) => Ok(code),
            Err(fault) => Err(VersionError::Format { path: self.path.join(&entry.name), fault }),
        }
    }

    /// Compares every file.
    ///
    /// # Errors
    /// As [`Self::code`].
    pub fn check(&self) -> Result<(), VersionError> {
        self.manifest()?;
        self.version.files.iter().try_for_each(|file| self.compare(file))
    }

    fn open(&self, entry: &FileEntry) -> Result<File, VersionError> {
        let opened = open_regular(&self.dir, &entry.name, entry.size);
        Ok(opened.map_err(|error| self.changed(&entry.name, Some(error)))?.0)
    }

    fn compare(&self, entry: &FileEntry) -> Result<(), VersionError> {
        let (mut hasher, mut buffer, mut len) = (Sha256::new(), vec![0; 64 * 1024], 0);
        // one byte more than there may be: a longer file has another digest
        let mut file = self.open(entry)?.take(entry.size + 1);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    len += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(VersionError::Io { path: self.path.join(&entry.name), source }),
            }
        }
        if len == entry.size && <[u8; 32]>::from(hasher.finalize()) == entry.sha256 {
            return Ok(());
        }
        Err(self.changed(&entry.name, None))
    }
}
