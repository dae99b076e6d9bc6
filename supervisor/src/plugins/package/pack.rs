//! Making a package of a plugin's directory: the same files give the same bytes.

use super::archive::{compress, padding};
use super::error::PackError;
use super::header::{BLOCK, header};
use super::{NativeFacts, PackageFile, SUFFIX};
use crate::plugins::code::SealedCode;
use crate::plugins::files::{FileError, open_dir, open_regular};
use crate::plugins::manifest::files::{MAX_FILE, MAX_FILES, check_name};
use crate::plugins::manifest::{FILE_NAME, FileEntry, Manifest};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use std::fmt::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Files beside plugin.toml that are packed without being asked for: how their names start.
const TAKEN: [&str; 4] = ["readme", "license", "licence", "copying"];
/// Most entries of a directory that are looked at.
const MAX_ENTRIES: usize = 4096;

/// A package, ready to be written.
#[derive(Debug)]
pub struct Packed {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// What to call the file: `ID-VERSION.mmp`.
    pub file_name: String,
    /// The manifest in it.
    pub manifest: Manifest,
    /// What its native code needs, by target.
    pub native: Vec<(String, NativeFacts)>,
}

/// Packs a plugin's directory: its manifest, the entries of every target, what
/// `include` names, and README, LICENSE and COPYING files. Nothing is stripped
/// or otherwise changed. A directory whose manifest lists its files (an unpacked
/// package) gives the package it came from.
///
/// # Errors
/// Everything that would make the package refused is refused here.
pub fn pack(dir: &Path) -> Result<Packed, PackError> {
    let (mut text, manifest) = Manifest::read_text(dir)?;
    let at = |name: &str| dir.join(name);
    let failed = |name: &str, source| PackError::File { path: at(name), source };
    let fd = open_dir(dir).map_err(|error| failed(FILE_NAME, error.into()))?;
    let names = match manifest.files.as_slice() {
        [] => names(dir, &fd, &manifest)?,
        files => files.iter().map(|file| file.name.clone()).collect(),
    };
    let mut files = Vec::with_capacity(names.len());
    for name in names {
        let code = match open_regular(&fd, &name, MAX_FILE) {
            Ok((mut file, _)) => {
                SealedCode::copy(&mut file, MAX_FILE).map_err(|error| failed(&name, FileError::Io(error)))?
            }
            Err(FileError::Missing) if manifest.entries.iter().any(|(_, entry)| *entry == name) => {
                return Err(PackError::NotBuilt { path: at(&name) });
            }
            Err(source) => return Err(failed(&name, source)),
        };
        files.push((FileEntry { sha256: code.digest(), size: code.len(), name }, code));
    }
    if manifest.files.is_empty() {
        list(&mut text, &files);
    } else if let Some((_, (entry, _))) =
        manifest.files.iter().zip(&files).find(|(listed, (entry, _))| *listed != entry)
    {
        return Err(PackError::Changed { path: at(&entry.name) });
    }

    let mut archive = Vec::new();
    append(&mut archive, FILE_NAME, text.as_bytes());
    for (entry, code) in &files {
        archive.extend_from_slice(&header(&entry.name, entry.size));
        let added = code.for_each_piece(|piece| archive.extend_from_slice(piece));
        added.map_err(|error| failed(&entry.name, error.into()))?;
        archive.resize(archive.len() + padding(entry.size), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    let bytes = compress(&archive).map_err(PackError::Compress)?;
    drop(archive);
    // what is handed out was read like everybody will read it
    let contents = PackageFile::take(&mut bytes.as_slice())
        .and_then(|package| package.accept_unsigned().read())
        .map_err(PackError::Package)?;
    let native = contents.native().map_err(PackError::Native)?;
    let manifest = contents.manifest;
    Ok(Packed { bytes, file_name: format!("{}-{}{SUFFIX}", manifest.id, manifest.version), manifest, native })
}

fn append(archive: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    archive.extend_from_slice(&header(name, bytes.len() as u64));
    archive.extend_from_slice(bytes);
    archive.resize(archive.len() + padding(bytes.len() as u64), 0);
}

/// Appends the list of files to a manifest's text.
fn list(text: &mut String, files: &[(FileEntry, SealedCode)]) {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str("\n# written by `midimon plugin pack`: the files of this package\n");
    for (index, (entry, _)) in files.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        let _ = write!(text, "{gap}{entry}"); // a String takes everything
    }
}

/// What to pack: entries by target, then everything else by name.
fn names(path: &Path, dir: &OwnedFd, manifest: &Manifest) -> Result<Vec<String>, PackError> {
    let mut entries: Vec<String> = Vec::new();
    for (_, entry) in &manifest.entries {
        if !entries.contains(entry) {
            entries.push(entry.clone());
        }
    }
    let mut more = taken_by_themselves(path, dir)?;
    more.extend(manifest.include.iter().cloned());
    more.sort();
    more.dedup();
    more.retain(|name| !entries.contains(name));
    let names = [entries, more].concat();
    if names.len() > MAX_FILES {
        return Err(PackError::TooMany(names.len()));
    }
    for (index, name) in names.iter().enumerate() {
        check_name(name).map_err(|fault| PackError::Name { name: name.escape_debug().to_string(), fault })?;
        if let Some(other) = names[..index].iter().find(|other| other.eq_ignore_ascii_case(name)) {
            return Err(PackError::Case(other.clone(), name.clone()));
        }
    }
    Ok(names)
}

/// READMEs and licences beside the manifest. Folders, and names no package can
/// have (an editor's leavings), are passed over; a link is not, it would be missed.
fn taken_by_themselves(path: &Path, dir: &OwnedFd) -> Result<Vec<String>, PackError> {
    let failed = |errno: Errno| PackError::File { path: path.to_owned(), source: FileError::Io(errno.into()) };
    // a position of its own, for `dir` may be listed elsewhere
    let copy = openat(dir, ".", OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    let mut names = Vec::new();
    for entry in Dir::from_fd(copy.map_err(failed)?).map_err(failed)?.iter().take(MAX_ENTRIES) {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        let wanted = TAKEN
            .iter()
            .any(|start| name.get(..start.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(start)));
        if !wanted || check_name(name).is_err() {
            continue;
        }
        let kind = fstatat(dir.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(failed)?.st_mode;
        if SFlag::from_bits_truncate(kind) & SFlag::S_IFMT != SFlag::S_IFDIR {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
