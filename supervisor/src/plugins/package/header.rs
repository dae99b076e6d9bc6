//! The one header an entry of a package can have, and what other headers mean.

use super::error::{EntryFault, PackageError};
use crate::plugins::manifest::files::MAX_NAME;
use crate::plugins::manifest::{FILE_NAME, FileEntry};
use tar::{EntryType, Header};

/// Bytes of a tar block.
pub(super) const BLOCK: usize = 512;

/// The header of a package's file: a regular file of this name (at most 100
/// bytes of it) and size, mode 0644, of nobody, at the beginning of 1970.
#[must_use]
pub fn header(name: &str, size: u64) -> [u8; BLOCK] {
    let mut header = Header::new_ustar();
    let bytes = &name.as_bytes()[..name.len().min(MAX_NAME)];
    header.as_old_mut().name[..bytes.len()].copy_from_slice(bytes);
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    *header.as_bytes()
}

/// What a header says, as far as it is needed to compare it.
pub(super) struct Found<'h> {
    header: &'h Header,
    name: Vec<u8>,
}

impl<'h> Found<'h> {
    pub(super) fn new(block: &'h [u8; BLOCK]) -> Self {
        let header = Header::from_byte_slice(block);
        Self { header, name: header.path_bytes().into_owned() }
    }

    /// The name, made safe to show.
    pub(super) fn shown(&self) -> String {
        let text: String = String::from_utf8_lossy(&self.name).chars().take(MAX_NAME).collect();
        text.escape_debug().to_string()
    }

    fn refuse<T>(&self, fault: EntryFault) -> Result<T, PackageError> {
        Err(PackageError::Entry { name: self.shown(), fault })
    }

    /// The size of the manifest, when this is its header.
    pub(super) fn manifest(&self, limit: u64) -> Result<u64, PackageError> {
        self.plain_file()?;
        if self.name != FILE_NAME.as_bytes() {
            return Err(PackageError::ManifestFirst(self.shown()));
        }
        let size = self.size()?;
        if size > limit {
            return self.refuse(EntryFault::TooLarge { size, limit });
        }
        self.exactly(FILE_NAME, size)?;
        Ok(size)
    }

    /// Checks that this is the header of `files[index]` and no other.
    pub(super) fn file(&self, files: &[FileEntry], index: usize) -> Result<(), PackageError> {
        self.plain_file()?;
        let expected = files.get(index);
        if let Some(entry) = expected.filter(|entry| entry.name.as_bytes() == self.name) {
            let found = self.size()?;
            if found != entry.size {
                return self.refuse(EntryFault::Size { found, listed: entry.size });
            }
            return self.exactly(&entry.name, entry.size);
        }
        let name = String::from_utf8_lossy(&self.name);
        let same = |entry: &&FileEntry| entry.name.eq_ignore_ascii_case(&name);
        self.refuse(match (files.iter().position(|entry| entry.name == name), files.iter().find(same), expected) {
            _ if name.eq_ignore_ascii_case(FILE_NAME) => EntryFault::Again,
            (Some(at), ..) if at < index => EntryFault::Again,
            (Some(_), _, Some(expected)) => EntryFault::Order(expected.name.clone()),
            (None, Some(listed), _) => EntryFault::Case(listed.name.clone()),
            _ => EntryFault::Unlisted,
        })
    }

    /// That it is a regular file in plain ustar spelling, with a name that leads nowhere.
    fn plain_file(&self) -> Result<(), PackageError> {
        let bytes = self.header.as_bytes();
        let mut summed = self.header.clone();
        summed.set_cksum();
        if summed.cksum().ok() != self.header.cksum().ok() {
            return self.refuse(EntryFault::Checksum);
        }
        let extension = match self.header.as_old().linkflag[0] {
            b'0' if bytes[257..].starts_with(b"ustar\x0000") => None,
            b'0' | 0 | b'7' => Some("written in another form of tar"),
            b'1' => return self.refuse(EntryFault::Kind("a hard link")),
            b'2' => return self.refuse(EntryFault::Kind("a symbolic link")),
            b'3' | b'4' => return self.refuse(EntryFault::Kind("a device")),
            b'5' => return self.refuse(EntryFault::Kind("a directory")),
            b'6' => return self.refuse(EntryFault::Kind("a FIFO")),
            b'x' | b'g' => Some("a pax header"),
            b'L' | b'K' => Some("a GNU header for long names"),
            b'S' => Some("a sparse file"),
            _ => Some("of an unknown type"),
        };
        if let Some(extension) = extension {
            return self.refuse(EntryFault::Extension(extension));
        }
        match name_fault(&self.name) {
            Some(fault) => self.refuse(EntryFault::Name(fault)),
            None => Ok(()),
        }
    }

    fn size(&self) -> Result<u64, PackageError> {
        match self.header.entry_size() {
            // beyond what octal digits of the field can say there is only GNU's binary form
            Ok(size) if size < 1 << 33 => Ok(size),
            _ => self.refuse(EntryFault::NoSize),
        }
    }

    /// That not one bit is other than `pack` writes it.
    fn exactly(&self, name: &str, size: u64) -> Result<(), PackageError> {
        if *self.header.as_bytes() == header(name, size) { Ok(()) } else { self.refuse(EntryFault::Attributes) }
    }
}

/// What makes a name no plain file name, the worst first.
fn name_fault(name: &[u8]) -> Option<&'static str> {
    if name.is_empty() {
        Some("is empty")
    } else if name.starts_with(b"/") {
        Some("is absolute")
    } else if name.split(|byte| matches!(byte, b'/' | b'\\')).any(|part| part == b"..") {
        Some("leads out of its directory")
    } else if name.iter().any(|byte| matches!(byte, b'/' | b'\\')) {
        Some("names a directory")
    } else if name.iter().any(u8::is_ascii_control) {
        Some("has control characters")
    } else {
        None
    }
}
