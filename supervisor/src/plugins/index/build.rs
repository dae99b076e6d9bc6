//! Making an index of the packages in a directory: each is verified as if it were
//! installed before a line about it is signed.

use super::accept::{Known, Refusal};
use super::source::{DirectorySource, FetchError, Source};
use super::{
    FILE_NAME, Fault, Index, IndexName, Listing, MAX_BYTES, MAX_DAYS, Release, RevokedKey, RevokedVersion,
    SIGNATURE_NAME, same_version,
};
use crate::home::write_atomic;
use crate::plugins::files::{FileError, open_dir, read_regular};
use crate::plugins::manifest::files::{NameFault, check_name};
use crate::plugins::manifest::{Manifest, TARGET};
use crate::plugins::minisign::{
    self, Blake2b512Digest, KeyError, PublicKey, SecretKey, Signature, SignatureError, TrustedComment,
};
use crate::plugins::package::{Contents, PackageError, PackageFile, SIGNATURE_SUFFIX, SUFFIX};
use crate::timestamp::Timestamp;
use crate::workers::status::PluginKind;
use midimon_shared::PluginId;
use semver::Version;
use std::fs::read_dir;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// Most files of a directory that are looked at.
const MAX_FILES: usize = 1_000_000;

/// What an index is made with besides the packages.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// What it is called.
    pub name: IndexName,
    /// How long it holds, in days; at most [`MAX_DAYS`].
    pub days: u64,
    /// Keys of publishers, besides those in `*.pub` files.
    pub publishers: Vec<PublicKey>,
    /// Its serial number; one more than the last one's when `None`.
    pub serial: Option<u64>,
    /// Versions that are not to be chosen any more.
    pub yank: Vec<(PluginId, Version)>,
    /// Keys to revoke, besides those the last one revoked.
    pub revoke_keys: Vec<RevokedKey>,
    /// Versions to revoke, besides those the last one revoked.
    pub revoke_versions: Vec<RevokedVersion>,
}

/// Why no index was made.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum BuildError {
    #[error("cannot read the directory '{}': {source}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("'{}' cannot be in an index: its name {fault}", path.display())]
    Name { path: PathBuf, fault: NameFault },
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("'{}': {source}", path.display())]
    Key { path: PathBuf, source: KeyError },
    #[error("'{}' is not signed: run `midimon plugin sign`, or move it elsewhere", path.display())]
    Unsigned { path: PathBuf },
    #[error("'{}': {source}", path.display())]
    Signature { path: PathBuf, source: SignatureError },
    #[error(
        "'{}' is signed with the key {key_id}, which is not here: put its .pub file beside it, or name it with --publisher",
        path.display()
    )]
    UnknownKey { path: PathBuf, key_id: String },
    #[error("'{}': {source}", path.display())]
    Package { path: PathBuf, source: PackageError },
    #[error("'{one}' and '{other}' are both {id} {version}: move one elsewhere")]
    Twice { id: PluginId, version: Version, one: String, other: String },
    #[error(
        "'{one}' and '{other}' are both of '{id}' and signed with different keys: one of them is not that plugin's"
    )]
    TwoPublishers { id: PluginId, one: String, other: String },
    #[error("'{file}' was in the last index as {id} {version} with other content: a version's content never changes")]
    Changed { file: String, id: PluginId, version: Version },
    #[error("there is no {id} {version} to withdraw; revoke it if its package is gone")]
    NothingToYank { id: PluginId, version: Version },
    #[error(
        "the index that is there cannot be continued: {0}; move index.json and index.json.minisig elsewhere, and give \
         the new one a higher number with --serial, or those who have the old one take it for a replay"
    )]
    Previous(Box<Refusal>),
    #[error("the serial number must be over {last}, that of the index that is there")]
    Serial { last: u64 },
    #[error("an index holds from 1 to {MAX_DAYS} days")]
    Days,
    #[error("the index would not be read: {0}")]
    Invalid(#[from] Fault),
    #[error("the index would be {0} bytes long, over the limit of {MAX_BYTES}: split it in two")]
    TooLarge(u64),
    #[error("cannot write '{}': {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// An index, ready to be written.
#[derive(Debug)]
pub struct Built {
    /// What is in it.
    pub index: Index,
    text: String,
    signature: String,
}

/// A package that was read.
struct Read {
    manifest: Manifest,
    release: Release,
}

/// Makes an index of the packages in `dir`, made at `now` and signed with `secret`.
///
/// # Errors
/// See [`BuildError`].
pub fn build(dir: &Path, secret: &SecretKey, recipe: &Recipe, now: Timestamp) -> Result<Built, BuildError> {
    if !(1..=MAX_DAYS).contains(&recipe.days) {
        return Err(BuildError::Days);
    }
    let source = DirectorySource::new(dir);
    let previous = previous(&source, secret, &recipe.name)?;
    let last = previous.as_ref().map_or(0, |index| index.serial);
    let serial = recipe.serial.unwrap_or(last + 1);
    if serial <= last {
        return Err(BuildError::Serial { last });
    }
    let mut packages = packages(dir, &source, &recipe.publishers)?;
    for (id, version) in &recipe.yank {
        let is_it = |read: &&mut Read| read.manifest.id == *id && same_version(&read.release.version, version);
        let nothing = || BuildError::NothingToYank { id: id.clone(), version: version.clone() };
        packages.iter_mut().find(is_it).ok_or_else(nothing)?.release.yanked = true;
    }
    if let Some(previous) = &previous {
        for read in &mut packages {
            carry_over(previous, read)?;
        }
    }
    let mut index = Index {
        name: recipe.name.clone(),
        serial,
        created: now,
        expires: Timestamp::from_unix_seconds(now.unix_seconds() + recipe.days * 86_400),
        plugins: listings(packages)?,
        revoked_keys: previous.as_ref().map(|index| index.revoked_keys.clone()).unwrap_or_default(),
        revoked_versions: previous.map(|index| index.revoked_versions).unwrap_or_default(),
    };
    for revoked in &recipe.revoke_keys {
        if index.revokes_key(&revoked.key).is_none() {
            index.revoked_keys.push(revoked.clone());
        }
    }
    for revoked in &recipe.revoke_versions {
        if index.revokes_version(&revoked.id, &revoked.version).is_none() {
            index.revoked_versions.push(revoked.clone());
        }
    }
    let text = index.to_text();
    if text.len() as u64 > MAX_BYTES {
        return Err(BuildError::TooLarge(text.len() as u64));
    }
    // what is signed was read like everybody will read it
    let index = Index::parse(text.as_bytes())?;
    let comment = TrustedComment::new(&format!("midimon index {} {serial}", index.name));
    let comment = comment.map_err(|error| Fault { path: "name".to_owned(), message: error.to_string() })?;
    let signature = Signature::sign(secret, &Blake2b512Digest::of(text.as_bytes()), comment).to_text();
    Ok(Built { index, text, signature })
}

impl Built {
    /// Writes the index and its signature, each whole or not at all.
    ///
    /// # Errors
    /// [`BuildError::Write`].
    pub fn write(&self, dir: &Path) -> Result<(), BuildError> {
        for (name, text) in [(SIGNATURE_NAME, &self.signature), (FILE_NAME, &self.text)] {
            let path = dir.join(name);
            write_atomic(&path, text.as_bytes(), 0o644).map_err(|source| BuildError::Write { path, source })?;
        }
        Ok(())
    }
}

/// The index that is in the directory, which must be one of ours. That it has expired
/// is what making a new one is for.
fn previous(source: &DirectorySource, secret: &SecretKey, name: &IndexName) -> Result<Option<Index>, BuildError> {
    let signed = match source.fetch_index() {
        Err(FetchError::File { source: FileError::Missing, .. }) => return Ok(None),
        fetched => fetched?,
    };
    let (refused, key) = (|refusal| BuildError::Previous(Box::new(refusal)), secret.public());
    let known = Known { key: &key, name: Some(name), last: None };
    super::accept::signed_by(&signed, known).map(Some).map_err(refused)
}

/// What was said of this version in the last index still holds.
fn carry_over(previous: &Index, read: &mut Read) -> Result<(), BuildError> {
    let id = &read.manifest.id;
    let before = previous.plugin(id).map(|listing| listing.versions.as_slice()).unwrap_or_default();
    let Some(before) = before.iter().find(|before| same_version(&before.version, &read.release.version)) else {
        return Ok(());
    };
    if before.sha256 != read.release.sha256 {
        let (file, version) = (read.release.file.clone(), read.release.version.clone());
        return Err(BuildError::Changed { file, id: id.clone(), version });
    }
    read.release.yanked |= before.yanked;
    Ok(())
}

/// Every package in the directory, by id and version.
fn packages(dir: &Path, source: &DirectorySource, publishers: &[PublicKey]) -> Result<Vec<Read>, BuildError> {
    let failed = |source| BuildError::Directory { path: dir.to_owned(), source };
    let mut names = Vec::new();
    for entry in read_dir(dir).map_err(failed)?.take(MAX_FILES) {
        // what is no text ends in nothing that is looked for
        names.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    names.sort();
    let fd = open_dir(dir).map_err(failed)?;
    let mut keys = publishers.to_vec();
    for name in names.iter().filter(|name| name.ends_with(".pub")) {
        let path = dir.join(name);
        keys.push(PublicKey::read(&path).map_err(|source| BuildError::Key { path, source })?);
    }
    let mut packages: Vec<Read> = Vec::new();
    for name in names.iter().filter(|name| name.ends_with(SUFFIX) && !name.starts_with('.')) {
        packages.push(package(dir, fd.as_fd(), source, name, &keys)?);
    }
    packages.sort_by(|one, other| {
        one.manifest.id.cmp(&other.manifest.id).then_with(|| other.release.version.cmp(&one.release.version))
    });
    Ok(packages)
}

fn package(
    dir: &Path,
    fd: BorrowedFd<'_>,
    source: &DirectorySource,
    name: &str,
    keys: &[PublicKey],
) -> Result<Read, BuildError> {
    let path = || dir.join(name);
    check_name(name).map_err(|fault| BuildError::Name { path: path(), fault })?;
    let taken = source.fetch_package(name)?;
    let signature_name = format!("{name}{SIGNATURE_SUFFIX}");
    let signature = match read_regular(fd, &signature_name, minisign::MAX_TEXT as u64) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| SignatureError::NotText),
        Err(FileError::Missing) => return Err(BuildError::Unsigned { path: path() }),
        Err(error) => Err(error.into()),
    };
    let bad = |source| BuildError::Signature { path: dir.join(&signature_name), source };
    let signature = signature.and_then(|text| Signature::parse(&text)).map_err(bad)?;
    let key = signature.choose(keys.iter(), &taken.blake2b()).copied();
    let unknown = || BuildError::UnknownKey { path: path(), key_id: signature.claimed_key_id_hex() };
    let key = key.ok_or_else(unknown)?;
    read(name, taken, signature, key).map_err(|source| BuildError::Package { path: path(), source })
}

fn read(name: &str, taken: PackageFile, signature: Signature, key: PublicKey) -> Result<Read, PackageError> {
    let size = taken.len();
    let contents: Contents = taken.verify(&signature, &key)?.read()?;
    contents.native()?;
    let manifest = contents.manifest;
    let release = Release {
        version: manifest.version.clone(),
        file: name.to_owned(),
        size,
        sha256: contents.digest,
        publisher: key,
        signature,
        kind: manifest.kind,
        targets: targets(&manifest),
        min_midimon: manifest.min_midimon.clone(),
        yanked: false,
    };
    Ok(Read { manifest, release })
}

/// The targets a package has code for; none for WASM with one entry, which runs everywhere.
fn targets(manifest: &Manifest) -> Vec<String> {
    let targets: Vec<String> = manifest.entries.iter().map(|(target, _)| target.clone()).collect();
    let is_everywhere = manifest.kind == PluginKind::Wasm && targets == [TARGET];
    if is_everywhere { Vec::new() } else { targets }
}

/// The packages by plugin; what is said of a plugin is what its highest version says.
fn listings(packages: Vec<Read>) -> Result<Vec<Listing>, BuildError> {
    let mut listings: Vec<Listing> = Vec::new();
    for Read { manifest, release } in packages {
        let Some(listing) = listings.last_mut().filter(|listing| listing.id == manifest.id) else {
            listings.push(Listing {
                id: manifest.id,
                name: manifest.name,
                description: manifest.description,
                authors: manifest.authors,
                licence: manifest.licence,
                homepage: manifest.homepage,
                versions: vec![release],
            });
            continue;
        };
        for other in &listing.versions {
            let (id, one, file) = (listing.id.clone(), other.file.clone(), release.file.clone());
            if same_version(&other.version, &release.version) {
                return Err(BuildError::Twice { id, version: release.version, one, other: file });
            }
            if other.publisher != release.publisher {
                return Err(BuildError::TwoPublishers { id, one, other: file });
            }
        }
        listing.versions.push(release);
    }
    Ok(listings)
}
