//! The files of a package as its manifest lists them, and which more to pack.

use super::FILE_NAME;
use super::walk::{Field, Table};
use std::fmt::{self, Write};

/// Most files of a package beside its manifest.
pub const MAX_FILES: usize = 63;
/// Largest file of a package, in bytes.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;
/// Most bytes of all files of a package together.
pub const MAX_TOTAL: u64 = 128 * 1024 * 1024;
/// Longest name of a file in a package, in bytes: what a tar header holds without extensions.
pub const MAX_NAME: usize = 100;

/// A file of a package, as its manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Its plain name; see [`check_name`].
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its length in bytes, at most [`MAX_FILE`].
    pub size: u64,
}

impl FileEntry {
    /// The digest as manifests and records spell it.
    #[must_use]
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256)
    }
}

impl fmt::Display for FileEntry {
    /// As a table of the manifest.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "[[files]]\nname = \"{}\"\nsha256 = \"{}\"", self.name, self.sha256_hex())?;
        writeln!(formatter, "size = {}", self.size)
    }
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
    }
    text
}

/// Reads what [`hex`] wrote; nothing else, so that one digest has one spelling.
#[must_use]
pub fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Why a text cannot name a file in a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum NameFault {
    #[error("is empty")]
    Empty,
    #[error("is over {MAX_NAME} characters")]
    Long,
    #[error("starts with a dot")]
    Dot,
    #[error("has a character that is none of A-Z a-z 0-9 . _ -")]
    Character,
    #[error("is the manifest's own name")]
    Manifest,
}

/// Whether a package can have a file of this name: `[A-Za-z0-9._-]`, at most
/// [`MAX_NAME`] bytes, not starting with a dot, and not the manifest's.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), NameFault> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() {
        Err(NameFault::Empty)
    } else if name.len() > MAX_NAME {
        Err(NameFault::Long)
    } else if name.starts_with('.') {
        Err(NameFault::Dot)
    } else if !name.bytes().all(plain) {
        Err(NameFault::Character)
    } else if name.eq_ignore_ascii_case(FILE_NAME) {
        Err(NameFault::Manifest)
    } else {
        Ok(())
    }
}

/// The name in `field`, reported when no package can have it or `taken` has it already.
fn name<'n>(field: &Field<'_>, mut taken: impl Iterator<Item = &'n str>) -> Option<String> {
    let name = field.text(MAX_NAME)?;
    if let Err(fault) = check_name(&name) {
        field.report(format!("`{name}` cannot be a file of a package: it {fault}"));
        return None;
    }
    if let Some(other) = taken.find(|other| other.eq_ignore_ascii_case(&name)) {
        field.report(format!("`{name}` is there already, as `{other}`; case makes no difference"));
        return None;
    }
    Some(name)
}

/// `include`: more files to pack.
pub(super) fn include(field: &Field<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for item in field.items(MAX_FILES) {
        if let Some(name) = name(&item, names.iter().map(String::as_str)) {
            names.push(name);
        }
    }
    names
}

/// `[[files]]`; `entries` must be among them.
pub(in crate::plugins) fn files(field: &Field<'_>, entries: &[(String, String)]) -> Vec<FileEntry> {
    let mut files: Vec<FileEntry> = Vec::new();
    for table in field.tables(MAX_FILES) {
        files.extend(file(table, &files));
    }
    if files.iter().map(|file| file.size).sum::<u64>() > MAX_TOTAL {
        field.report(format!("the files have more than {MAX_TOTAL} bytes together"));
    }
    for (target, entry) in entries {
        if files.iter().all(|file| file.name != *entry) {
            field.report(format!("`{entry}`, the entry for {target}, is not among the files"));
        }
    }
    files
}

fn file(mut table: Table<'_>, earlier: &[FileEntry]) -> Option<FileEntry> {
    let named = table.require("name").and_then(|field| name(&field, earlier.iter().map(|file| file.name.as_str())));
    let sha256 = table.require("sha256").and_then(|field| {
        let digest = from_hex(&field.text(64)?);
        if digest.is_none() {
            field.report("`sha256` must be 64 digits of 0-9 and a-f");
        }
        digest
    });
    // cannot fail: the limit is far below i64::MAX
    let size = table.require("size").and_then(|field| field.integer(0..=MAX_FILE as i64));
    table.finish();
    Some(FileEntry { name: named?, sha256: sha256?, size: u64::try_from(size?).ok()? })
}
