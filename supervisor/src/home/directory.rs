//! Making directories without following what somebody planted.

use super::HomeError;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat};
use nix::unistd::{Uid, mkdir};
use std::fs::DirBuilder;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

const ONLY_OURS: Mode = Mode::S_IRWXU;

/// Makes sure that `path` is a real directory (its last component no symbolic
/// link), belongs to us and has mode 0700, and opens it. Creates the last
/// component only. What is checked is what the descriptor holds.
///
/// # Errors
/// Names the directory and what is wrong with it.
pub fn private_dir(path: &Path) -> Result<OwnedFd, HomeError> {
    match mkdir(path, ONLY_OURS) {
        Ok(()) | Err(nix::Error::EEXIST) => {}
        Err(error) => return Err(HomeError::io("create directory", path)(error.into())),
    }
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let directory = open(path, flags, Mode::empty()).map_err(|error| match error {
        nix::Error::ELOOP | nix::Error::ENOTDIR => HomeError::NotADirectory { path: path.to_owned() },
        error => HomeError::io("open directory", path)(error.into()),
    })?;
    let stat = owned(path, fstat(&directory))?;
    if stat.st_mode & 0o7777 != ONLY_OURS.bits() {
        fchmod(&directory, ONLY_OURS).map_err(|error| HomeError::io("make private", path)(error.into()))?;
    }
    Ok(directory)
}

/// Makes sure that `path`, possibly through symbolic links, is a directory that
/// belongs to us and that not everybody may write in. Creates it with its parents.
pub(super) fn base(path: &Path) -> Result<(), HomeError> {
    parents(path)?;
    let stat = owned(path, nix::sys::stat::stat(path))?;
    if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFDIR.bits() {
        return Err(HomeError::NotADirectory { path: path.to_owned() });
    }
    if Mode::from_bits_truncate(stat.st_mode).contains(Mode::S_IWOTH) {
        return Err(HomeError::WritableByAll { path: path.to_owned() });
    }
    Ok(())
}

/// Creates `path` and its parents where they are missing, 0700 as the XDG
/// specification asks.
pub(super) fn parents(path: &Path) -> Result<(), HomeError> {
    DirBuilder::new()
        .recursive(true)
        .mode(ONLY_OURS.bits())
        .create(path)
        .map_err(HomeError::io("create directory", path))
}

fn owned(path: &Path, stat: nix::Result<FileStat>) -> Result<FileStat, HomeError> {
    let stat = stat.map_err(|error| HomeError::io("look at", path)(error.into()))?;
    let us = Uid::effective().as_raw();
    if stat.st_uid == us {
        Ok(stat)
    } else {
        Err(HomeError::ForeignOwner { path: path.to_owned(), owner: stat.st_uid, us })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_another_user_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("theirs");
        std::fs::create_dir(&path).unwrap();
        if Uid::effective().is_root() {
            nix::unistd::chown(&path, Some(Uid::from_raw(12_345)), None).unwrap();
            assert!(matches!(private_dir(&path), Err(HomeError::ForeignOwner { owner: 12_345, .. })));
            assert!(matches!(base(&path), Err(HomeError::ForeignOwner { owner: 12_345, .. })));
        } else {
            // without root, a directory of root's stands in for another user's
            assert!(matches!(private_dir(Path::new("/usr")), Err(HomeError::ForeignOwner { owner: 0, .. })));
            assert!(matches!(base(Path::new("/usr")), Err(HomeError::ForeignOwner { owner: 0, .. })));
        }
    }

    #[test]
    fn the_last_component_is_created_and_nothing_above_it() {
        let temp = tempfile::tempdir().unwrap();
        assert!(private_dir(&temp.path().join("one")).is_ok());
        assert!(matches!(private_dir(&temp.path().join("two/three")), Err(HomeError::Io { .. })));
    }
}
