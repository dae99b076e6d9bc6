//! Packages: `NAME-VERSION.mmp`, a tar archive of one spelling in one zstd frame.
//!
//! First comes `plugin.toml`, then exactly the files it lists, in its order, each
//! with the SHA-256 and size listed. An entry's header is compared with the one
//! `pack` writes, byte by byte, so there is nothing two readers could disagree
//! about: no links, no extensions, no owners, no times, nothing behind the end.
//!
//! What is in a package can be read only after its signature was checked, or
//! after somebody said that it needs none:
//!
//! ```no_run
//! # use midimon::plugins::package::{PackageError, PackageFile};
//! # fn main() -> Result<(), PackageError> {
//! let contents = PackageFile::open("notes-1.0.0.mmp".as_ref())?.accept_unsigned().read()?;
//! println!("{} {}", contents.manifest.id, contents.manifest.version);
//! # Ok(())
//! # }
//! ```

mod archive;
pub mod elf;
mod error;
mod header;
mod pack;

pub use archive::compress;
pub use elf::{ElfFault, NativeFacts};
pub use error::{EntryFault, PackError, PackageError};
pub use header::header;
pub use pack::{Packed, pack};

use super::code::SealedCode;
use super::files::{FileError, open_given};
use super::manifest::{FileEntry, Manifest};
use super::minisign::{Blake2b512Digest, PublicKey, Signature, TrustedComment};
use crate::workers::status::PluginKind;
use blake2::{Blake2b512, Digest};
use std::io::Read;
use std::path::{Path, PathBuf};

/// How the name of a package's file ends.
pub const SUFFIX: &str = ".mmp";
/// What is added to it for its signature's.
pub const SIGNATURE_SUFFIX: &str = ".minisig";
/// Largest package file, in bytes.
pub const MAX_PACKAGE: u64 = 128 * 1024 * 1024;

/// Where a package's signature is.
#[must_use]
pub fn signature_path(package: &Path) -> PathBuf {
    let mut path = package.as_os_str().to_owned();
    path.push(SIGNATURE_SUFFIX);
    path.into()
}

/// A package's bytes, taken once, unable to change, and not yet believed.
#[derive(Debug)]
pub struct PackageFile {
    memory: SealedCode,
    blake2b: Blake2b512Digest,
}

/// A package of which it is known who signed it, or that nobody needs to have.
#[derive(Debug)]
pub struct VerifiedPackage {
    memory: SealedCode,
    signer: Option<(PublicKey, TrustedComment)>,
}

/// A plugin out of a package, every file checked against the manifest.
#[derive(Debug)]
pub struct Contents {
    /// What the plugin says it is.
    pub manifest: Manifest,
    /// The text that was read, to be stored as it is.
    pub manifest_bytes: Vec<u8>,
    /// The files, in the order of the manifest.
    pub files: Vec<Payload>,
    /// SHA-256 of the package file.
    pub digest: [u8; 32],
    /// The key it is signed with; none when it was accepted unsigned.
    pub publisher: Option<PublicKey>,
    /// What the signer says about the signature; empty when there is none.
    pub trusted_comment: String,
}

/// One file out of a package.
#[derive(Debug)]
pub struct Payload {
    /// As the manifest lists it.
    pub entry: FileEntry,
    /// Its bytes, which can no longer change.
    pub code: SealedCode,
}

impl PackageFile {
    /// Takes the package at `path`, through links too: the user named it.
    ///
    /// # Errors
    /// [`PackageError::File`]: it is no regular file, too large, or unreadable.
    pub fn open(path: &Path) -> Result<Self, PackageError> {
        let failed = |source| PackageError::File { path: path.to_owned(), source };
        let mut file = open_given(path).map_err(failed)?;
        let size = file.metadata().map_err(|error| failed(error.into()))?.len();
        if size > MAX_PACKAGE {
            return Err(failed(FileError::TooLarge { size, limit: MAX_PACKAGE }));
        }
        Self::take(&mut file).map_err(|error| match error {
            PackageError::Memory(error) => failed(error.into()),
            error => error,
        })
    }

    /// Takes what a reader gives, at most [`MAX_PACKAGE`] bytes.
    ///
    /// # Errors
    /// [`PackageError::Memory`], with what the reader or the system says.
    pub fn take(source: &mut impl Read) -> Result<Self, PackageError> {
        let memory = SealedCode::copy(source, MAX_PACKAGE)?;
        let mut hasher = Blake2b512::new();
        memory.for_each_piece(|piece| hasher.update(piece))?;
        Ok(Self { memory, blake2b: Blake2b512Digest(hasher.finalize().into()) })
    }

    /// SHA-256 of the file.
    #[must_use]
    pub const fn sha256(&self) -> [u8; 32] {
        self.memory.digest()
    }

    /// BLAKE2b-512 of the file: what a signature is over.
    #[must_use]
    pub const fn blake2b(&self) -> Blake2b512Digest {
        self.blake2b
    }

    /// Length of the file in bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.memory.len()
    }

    /// Whether there is not one byte.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.memory.is_empty()
    }

    /// Checks that `key` has signed every byte of the package. Whether the key
    /// is to be trusted is another question.
    ///
    /// # Errors
    /// [`PackageError::Signature`].
    pub fn verify(self, signature: &Signature, key: &PublicKey) -> Result<VerifiedPackage, PackageError> {
        let comment = signature.verify(key, &self.blake2b)?;
        Ok(VerifiedPackage { memory: self.memory, signer: Some((*key, comment)) })
    }

    /// Takes the package although nobody has signed it.
    #[must_use]
    pub fn accept_unsigned(self) -> VerifiedPackage {
        VerifiedPackage { memory: self.memory, signer: None }
    }
}

impl VerifiedPackage {
    /// Unpacks the package into sealed memory and checks everything in it.
    ///
    /// # Errors
    /// The first thing that is wrong, in one sentence.
    pub fn read(self) -> Result<Contents, PackageError> {
        let (manifest, manifest_bytes, files) = archive::read(&self.memory)?;
        let (publisher, trusted_comment) = match self.signer {
            Some((key, comment)) => (Some(key), comment.as_str().to_owned()),
            None => (None, String::new()),
        };
        Ok(Contents { manifest, manifest_bytes, files, digest: self.memory.digest(), publisher, trusted_comment })
    }
}

impl Contents {
    /// What a package made of this directory would hold. It is never signed.
    ///
    /// # Errors
    /// As [`pack`].
    pub fn from_dir(dir: &Path) -> Result<Self, PackError> {
        let packed = pack(dir)?;
        PackageFile::take(&mut packed.bytes.as_slice())
            .and_then(|package| package.accept_unsigned().read())
            .map_err(PackError::Package)
    }

    /// Looks at the native code for every target: what it needs of the system,
    /// by target. Whether it [`runs here`](NativeFacts::runs_here) is asked next.
    /// Nothing for WASM.
    ///
    /// # Errors
    /// [`PackageError::Native`].
    pub fn native(&self) -> Result<Vec<(String, NativeFacts)>, PackageError> {
        if self.manifest.kind != PluginKind::Native {
            return Ok(Vec::new());
        }
        let mut facts = Vec::new();
        for (target, name) in &self.manifest.entries {
            let Some(payload) = self.files.iter().find(|payload| payload.entry.name == *name) else { continue };
            let mut bytes = Vec::new();
            payload.code.reader().read_to_end(&mut bytes)?;
            let native = |fault| PackageError::Native { name: name.clone(), fault };
            facts.push((target.clone(), elf::examine(&bytes, target).map_err(native)?));
        }
        Ok(facts)
    }

    /// The code for this machine.
    #[must_use]
    pub fn entry(&self) -> Option<&Payload> {
        self.files.iter().find(|payload| payload.entry.name == self.manifest.entry)
    }
}

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod tests;
