//! Each plugin's own directory, `plugin-data/<id>/`.
//!
//! Plugins write there, so nothing in it is believed: every step goes by
//! directory descriptor, no link is followed, nothing but directories is opened.

use crate::home::{HomeError, private_dir};
use midimon_shared::PluginId;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Uid, geteuid};
use serde::Serialize;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Entries a scan looks at before it gives up.
pub const MAX_SCANNED: u64 = 200_000;
/// Levels of directories a scan descends; each holds a descriptor open.
const MAX_DEPTH: usize = 32;

const DIR_FLAGS: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// The directory all data directories lie in.
#[derive(Debug)]
pub struct DataDirs {
    root: OwnedFd,
    path: PathBuf,
}

/// What lies in a data directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Lengths of all files together.
    pub bytes: u64,
    /// Files, directories and everything else that has a name.
    pub files: u64,
    /// Whether all of it was counted: false past [`MAX_SCANNED`] entries, far
    /// too many levels, or where something could not be read.
    pub complete: bool,
}

/// Why a data directory is not used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum DataDirError {
    #[error(transparent)]
    Root(#[from] HomeError),
    #[error("cannot use the data directory {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is not a directory (or is a symbolic link); move it away", path.display())]
    NotDirectory { path: PathBuf },
    #[error("{} belongs to uid {found}, not to {wanted}; move it away or chown it", path.display())]
    Owner { path: PathBuf, found: Uid, wanted: Uid },
    #[error("{} is open to others (mode {mode:03o}); if what is in it is yours: chmod 700 {}", path.display(), path.display())]
    Mode { path: PathBuf, mode: u32 },
}

impl DataDirs {
    /// Opens the directory for all plugins' data, making it when it is missing.
    ///
    /// # Errors
    /// It cannot be made, is no directory of its own, or is somebody else's.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let root = private_dir(path)?;
        Ok(Self { root, path: path.to_owned() })
    }

    /// Where a plugin's directory is.
    #[must_use]
    pub fn path(&self, id: &PluginId) -> PathBuf {
        self.path.join(id.as_str())
    }

    /// Makes a plugin's directory when it is missing and checks it when it is
    /// there: ours, for us alone, no link. Gives it opened, and its path.
    ///
    /// # Errors
    /// See [`DataDirError`].
    pub fn ensure(&self, id: &PluginId) -> Result<(OwnedFd, PathBuf), DataDirError> {
        let path = self.path(id);
        let failed = |errno: Errno| match errno {
            Errno::ENOTDIR | Errno::ELOOP => DataDirError::NotDirectory { path: path.clone() },
            errno => DataDirError::Io { path: path.clone(), source: errno.into() },
        };
        let made = match mkdirat(&self.root, id.as_str(), Mode::S_IRWXU) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(errno) => return Err(failed(errno)),
        };
        let dir = openat(&self.root, id.as_str(), DIR_FLAGS, Mode::empty()).map_err(failed)?;
        check(&dir, &path, 0)?;
        if made {
            // a strict umask would lock us out
            fchmod(&dir, Mode::S_IRWXU).map_err(failed)?;
        }
        check(&dir, &path, 0o077)?;
        Ok((dir, path))
    }

    /// How much lies in a plugin's directory; nothing when there is none.
    ///
    /// # Errors
    /// It is there and cannot be opened as a directory.
    pub fn usage(&self, id: &PluginId) -> Result<Usage, DataDirError> {
        match openat(&self.root, id.as_str(), DIR_FLAGS, Mode::empty()) {
            Ok(dir) => Ok(scan(dir)),
            Err(Errno::ENOENT) => Ok(Usage { complete: true, ..Usage::default() }),
            Err(Errno::ENOTDIR | Errno::ELOOP) => Err(DataDirError::NotDirectory { path: self.path(id) }),
            Err(errno) => Err(DataDirError::Io { path: self.path(id), source: errno.into() }),
        }
    }
}

/// Checks an opened directory's owner and that none of `forbidden` is in its mode.
fn check(dir: impl AsFd, path: &Path, forbidden: u32) -> Result<(), DataDirError> {
    let stat = fstat(dir).map_err(|errno| DataDirError::Io { path: path.to_owned(), source: errno.into() })?;
    let (found, wanted) = (Uid::from_raw(stat.st_uid), geteuid());
    let mode = stat.st_mode & 0o777;
    if found != wanted {
        Err(DataDirError::Owner { path: path.to_owned(), found, wanted })
    } else if mode & forbidden != 0 {
        Err(DataDirError::Mode { path: path.to_owned(), mode })
    } else {
        Ok(())
    }
}

/// Counts what lies below an opened directory. Bounded in entries and depth,
/// so a plugin that makes millions of files costs no more than that.
fn scan(dir: OwnedFd) -> Usage {
    let mut usage = Usage { complete: true, ..Usage::default() };
    let mut pending = Vec::from_iter(entries(dir, &mut usage));
    while let Some(level) = pending.last_mut() {
        let Some((name, known_dir)) = level.names.pop() else {
            pending.pop();
            continue;
        };
        let Ok(stat) = fstatat(&level.dir, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) else {
            continue; // gone since it was listed
        };
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        if kind == SFlag::S_IFREG {
            usage.bytes = usage.bytes.saturating_add(u64::try_from(stat.st_size).unwrap_or(0));
        }
        if kind != SFlag::S_IFDIR || !known_dir {
            continue;
        }
        if pending.len() >= MAX_DEPTH {
            usage.complete = false;
            continue;
        }
        // cannot fail: `pending` had this level a few lines above and nothing was taken away
        let Some(level) = pending.last() else { break };
        match openat(&level.dir, name.as_c_str(), DIR_FLAGS, Mode::empty()) {
            Ok(dir) => pending.extend(entries(dir, &mut usage)),
            Err(Errno::ENOENT) => {}
            Err(_) => usage.complete = false,
        }
    }
    usage
}

struct Level {
    dir: OwnedFd,
    /// What is left to look at, and whether it may be a directory.
    names: Vec<(std::ffi::CString, bool)>,
}

/// The names in a directory, counted; `None` when it cannot be listed.
fn entries(dir: OwnedFd, usage: &mut Usage) -> Option<Level> {
    let listed = dir.try_clone().map_err(|_| Errno::EMFILE).and_then(Dir::from_fd);
    let Ok(mut listed) = listed else {
        usage.complete = false;
        return None;
    };
    let mut names = Vec::new();
    for entry in listed.iter() {
        let Ok(entry) = entry else {
            usage.complete = false;
            break;
        };
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if usage.files >= MAX_SCANNED {
            usage.complete = false;
            break;
        }
        usage.files += 1;
        match entry.file_type() {
            Some(Type::File) | None => names.push((name.to_owned(), entry.file_type().is_none())),
            Some(Type::Directory) => names.push((name.to_owned(), true)),
            Some(_) => {}
        }
    }
    Some(Level { dir, names })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn dirs() -> (tempfile::TempDir, DataDirs) {
        let home = tempfile::tempdir().unwrap();
        let dirs = DataDirs::open(&home.path().join("plugin-data")).unwrap();
        (home, dirs)
    }

    fn id(text: &str) -> PluginId {
        text.parse().unwrap()
    }

    #[test]
    fn a_data_directory_is_made_once_for_its_owner_alone() {
        let (_home, dirs) = dirs();
        let (_, path) = dirs.ensure(&id("notes")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        fs::write(path.join("kept"), "x").unwrap();
        assert_eq!(dirs.ensure(&id("notes")).unwrap().1, path);
        assert!(path.join("kept").exists());
    }

    #[test]
    fn planted_directories_are_refused_with_the_fix() {
        let (home, dirs) = dirs();
        let root = home.path().join("plugin-data");
        fs::create_dir(root.join("open")).unwrap();
        fs::set_permissions(root.join("open"), Permissions::from_mode(0o755)).unwrap();
        let message = dirs.ensure(&id("open")).unwrap_err().to_string();
        assert!(message.contains("mode 755") && message.contains("chmod 700"), "{message}");

        symlink(home.path(), root.join("link")).unwrap();
        assert!(matches!(dirs.ensure(&id("link")), Err(DataDirError::NotDirectory { .. })));
        assert!(matches!(dirs.usage(&id("link")), Err(DataDirError::NotDirectory { .. })));
        fs::write(root.join("file"), "x").unwrap();
        assert!(matches!(dirs.ensure(&id("file")), Err(DataDirError::NotDirectory { .. })));
    }

    #[test]
    fn another_owners_directory_is_refused() {
        let (home, dirs) = dirs();
        let path = home.path().join("plugin-data/theirs");
        if geteuid().is_root() {
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            assert!(matches!(dirs.ensure(&id("theirs")), Err(DataDirError::Owner { .. })));
        } else {
            // only root can give a directory away, but it owns one everybody knows
            let root = crate::plugins::files::open_dir(Path::new("/")).unwrap();
            assert!(matches!(check(root, Path::new("/"), 0), Err(DataDirError::Owner { .. })));
        }
    }

    #[test]
    fn usage_counts_everything_and_follows_and_opens_nothing_else() {
        let (home, dirs) = dirs();
        assert_eq!(dirs.usage(&id("notes")).unwrap(), Usage { bytes: 0, files: 0, complete: true });
        let (_, path) = dirs.ensure(&id("notes")).unwrap();
        fs::write(home.path().join("outside"), vec![0; 5000]).unwrap();
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::write(path.join("a/b/c"), "123").unwrap();
        fs::write(path.join("d"), "45").unwrap();
        symlink(home.path(), path.join("link-to-dir")).unwrap();
        symlink(home.path().join("outside"), path.join("link-to-file")).unwrap();
        nix::unistd::mkfifo(&path.join("fifo"), Mode::S_IRWXU).unwrap();
        assert_eq!(dirs.usage(&id("notes")).unwrap(), Usage { bytes: 5, files: 7, complete: true });
    }

    #[test]
    fn a_scan_ends_however_deep_the_tree_is() {
        let (_home, dirs) = dirs();
        let (mut dir, _) = dirs.ensure(&id("deep")).unwrap();
        for _ in 0..200 {
            mkdirat(&dir, "d", Mode::S_IRWXU).unwrap();
            dir = openat(&dir, "d", DIR_FLAGS, Mode::empty()).unwrap();
        }
        let usage = dirs.usage(&id("deep")).unwrap();
        assert!(!usage.complete && usage.files as usize == MAX_DEPTH);
    }
}
