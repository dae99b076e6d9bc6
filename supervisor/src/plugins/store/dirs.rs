//! Directories by descriptor: ours, opened and emptied without following a link.

use super::StoreError;
use crate::home::is_left_over;
use crate::plugins::data_dir;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, fsync, geteuid, unlinkat};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

const FLAGS: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Opens one of the home's own directories; `None` when there is none. It must be ours.
pub(super) fn open_path(path: &Path) -> Result<Option<OwnedFd>, StoreError> {
    let failed = |errno| StoreError::io("open", path)(errno);
    match open(path, FLAGS, Mode::empty()) {
        Ok(dir) if fstat(&dir).map_err(failed)?.st_uid == geteuid().as_raw() => Ok(Some(dir)),
        Ok(_) => Err(failed(Errno::EPERM)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(failed(errno)),
    }
}

/// Opens a directory in an opened one; a link is `ELOOP` or `ENOTDIR`.
pub(super) fn open_at(dir: impl AsFd, name: &str) -> nix::Result<OwnedFd> {
    openat(dir, name, FLAGS, Mode::empty())
}

pub(super) fn is_link(dir: impl AsFd, name: &str) -> bool {
    let stat = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFLNK)
}

/// What [`names`] gives for a directory with too many of them; reading one gives it never.
pub(super) const TOO_MANY: Errno = Errno::E2BIG;

/// The names in a directory. More than `at_most` are [`TOO_MANY`]: what is not looked at
/// could be the one that matters.
pub(super) fn names(dir: impl AsFd, at_most: usize) -> nix::Result<Vec<CString>> {
    // opened anew: a duplicate would go on where the last listing ended
    let mut listed = Dir::openat(dir, c".", FLAGS, Mode::empty())?;
    let mut names = Vec::new();
    for entry in listed.iter() {
        let entry = entry?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        if names.len() == at_most {
            return Err(TOO_MANY);
        }
        names.push(entry.file_name().to_owned());
    }
    Ok(names)
}

/// Removes `name` in `dir`, whatever it is, with everything in it; a link is removed, not
/// followed. `path` is for messages. It may be gone already.
pub(super) fn remove(dir: impl AsFd, name: &str, path: &Path) -> Result<(), StoreError> {
    let failed = |errno| StoreError::io("remove", path)(errno);
    match open_at(&dir, name) {
        Ok(below) => {
            if let Some(why) = data_dir::clear(below).left {
                return Err(StoreError::NotEmptied { path: path.to_owned(), why });
            }
            unlink(dir, name, UnlinkatFlags::RemoveDir).map_err(failed)
        }
        Err(Errno::ENOENT) => Ok(()),
        Err(Errno::ENOTDIR | Errno::ELOOP) => unlink(dir, name, UnlinkatFlags::NoRemoveDir).map_err(failed),
        Err(errno) => Err(failed(errno)),
    }
}

/// Removes one name; it may be gone already.
pub(super) fn unlink(dir: impl AsFd, name: &str, flags: UnlinkatFlags) -> nix::Result<()> {
    match unlinkat(dir, name, flags) {
        Err(Errno::ENOENT) => Ok(()),
        result => result,
    }
}

/// Removes temporary files that [`crate::home::write_atomic`] left in `dir` for `name` (for
/// all names with `None`) because its process was killed.
pub(super) fn sweep(dir: impl AsFd, name: Option<&str>) -> nix::Result<()> {
    for found in names(&dir, 65_536)? {
        if let Ok(found) = found.to_str()
            && is_left_over(found, name)
        {
            unlink(&dir, found, UnlinkatFlags::NoRemoveDir)?;
        }
    }
    Ok(())
}

/// Makes what happened to a directory's names last.
pub(super) fn sync(dir: impl AsFd, path: &Path) -> Result<(), StoreError> {
    fsync(dir).map_err(StoreError::io("sync", path))
}

pub(super) fn exists(dir: impl AsFd, name: &str) -> bool {
    fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_names_than_are_looked_at_are_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let dir = open_path(directory.path()).unwrap().unwrap();
        for name in ["a", "b"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        assert_eq!(names(&dir, 2).unwrap().len(), 2);
        assert_eq!(names(&dir, 1), Err(TOO_MANY));
        let told = StoreError::io("read", directory.path())(TOO_MANY).to_string();
        assert!(told.contains("more names") && told.contains("move some"), "{told}");
    }
}
