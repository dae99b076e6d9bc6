//! Emptying a data directory.

use super::DIR_FLAGS;
use super::scan::MAX_SCANNED;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, openat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::Serialize;
use std::ffi::CString;
use std::os::fd::OwnedFd;

/// Rounds over the tree before it is given up: each goes one level of directories
/// deeper than can be held open, or takes what was put there meanwhile.
const ROUNDS: usize = 10_000;
/// Levels held open at once.
const DEPTH: usize = 32;

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cleared {
    /// Lengths of the deleted files together.
    pub bytes: u64,
    /// Files, directories and everything else that had a name.
    pub files: u64,
    /// Why something is left, if anything is.
    pub left: Option<String>,
}

/// Deletes everything in an opened directory, by name within descriptors, so that
/// nothing outside is reached whatever is put there meanwhile.
pub(in crate::plugins) fn clear(dir: OwnedFd) -> Cleared {
    let mut cleared = Cleared::default();
    for _ in 0..ROUNDS {
        cleared.left = None;
        match sweep(&dir, &mut cleared, DEPTH) {
            Ok(Swept::Empty) => return cleared,
            Ok(Swept::More) => {}
            Err(errno) => {
                cleared.left = Some(errno.desc().to_owned());
                return cleared;
            }
        }
    }
    cleared.left = Some("it fills as fast as it is emptied".to_owned());
    cleared
}

enum Swept {
    Empty,
    /// Something is left that another round reaches.
    More,
}

/// One round. A tree deeper than `depth` is brought up to where it can be reached.
fn sweep(dir: &OwnedFd, cleared: &mut Cleared, depth: usize) -> Result<Swept, Errno> {
    let mut result = Swept::Empty;
    for name in names(dir)? {
        let stat = match fstatat(dir, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::ENOENT) => continue,
            Err(errno) => return Err(errno),
        };
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFDIR {
            match unlinkat(dir, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
                Ok(()) => {
                    cleared.files += 1;
                    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG {
                        cleared.bytes = cleared.bytes.saturating_add(u64::try_from(stat.st_size).unwrap_or(0));
                    }
                }
                Err(Errno::ENOENT) => {}
                Err(Errno::EISDIR) => result = Swept::More,
                Err(errno) => return Err(errno),
            }
            continue;
        }
        let below = match open_dir(dir, &name) {
            Ok(below) => below,
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {
                result = Swept::More;
                continue;
            }
            Err(errno) => return Err(errno),
        };
        if depth > 0 {
            if let Swept::More = sweep(&below, cleared, depth - 1)? {
                result = Swept::More;
            }
        } else {
            lift(dir, &below)?;
            result = Swept::More;
        }
        match unlinkat(dir, name.as_c_str(), UnlinkatFlags::RemoveDir) {
            Ok(()) => cleared.files += 1,
            Err(Errno::ENOENT) => {}
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => result = Swept::More,
            Err(errno) => return Err(errno),
        }
    }
    Ok(result)
}

/// Opens a directory, whatever mode its plugin gave it.
fn open_dir(dir: &OwnedFd, name: &CString) -> Result<OwnedFd, Errno> {
    match openat(dir, name.as_c_str(), DIR_FLAGS, Mode::empty()) {
        Err(Errno::EACCES) => {
            // a link put there meanwhile is refused, not followed
            fchmodat(dir, name.as_c_str(), Mode::S_IRWXU, FchmodatFlags::NoFollowSymlink)?;
            openat(dir, name.as_c_str(), DIR_FLAGS, Mode::empty())
        }
        opened => opened,
    }
}

/// Moves what lies in a directory up beside it, under names that are free.
fn lift(dir: &OwnedFd, below: &OwnedFd) -> Result<(), Errno> {
    for (number, name) in names(below)?.into_iter().enumerate() {
        for attempt in 0.. {
            let free = CString::new(format!("lifted-{number}-{attempt}")).map_err(|_| Errno::EINVAL)?;
            match nix::fcntl::renameat2(
                below,
                name.as_c_str(),
                dir,
                free.as_c_str(),
                nix::fcntl::RenameFlags::RENAME_NOREPLACE,
            ) {
                Ok(()) | Err(Errno::ENOENT) => break,
                Err(Errno::EEXIST) if attempt < 100 => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(())
}

/// The names in a directory, as many as one round takes.
fn names(dir: &OwnedFd) -> Result<Vec<CString>, Errno> {
    // opened anew: a duplicate would go on where the last listing ended
    let mut listed = Dir::openat(dir, c".", DIR_FLAGS, Mode::empty())?;
    let mut names = Vec::new();
    for entry in listed.iter().take(MAX_SCANNED as usize) {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}
