//! Two files that belong together, each of which appears whole.

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, hard_link, remove_file};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file to write.
pub(super) struct KeyFile<'k> {
    pub(super) path: &'k Path,
    pub(super) bytes: &'k [u8],
    pub(super) mode: u32,
}

/// Why the files were not written; nothing is left behind then.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("'{}' is there already: choose another path, or add --force to replace it", .0.display())]
    Exists(PathBuf),
    #[error("'{}' is no regular file, so --force does not replace it", .0.display())]
    NotRegular(PathBuf),
    #[error("'{}' cannot be written: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl WriteError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists(path),
            _ => Self::Io { path, source },
        }
    }
}

/// A file that is complete and not yet at its place; it is removed when it does not get there.
struct Complete<'k> {
    at: Option<PathBuf>,
    path: &'k Path,
}

impl Drop for Complete<'_> {
    fn drop(&mut self) {
        if let Some(at) = &self.at {
            let _ = remove_file(at); // the error that led here is the one to report
        }
    }
}

/// Writes both files. Without `force` nothing is ever replaced, and both are written or neither.
/// Each appears whole, the public key last: a kill leaves at worst a new secret key without its
/// public one, or beside that of the key it replaced.
pub(super) fn write_pair(key: &KeyFile<'_>, public: &KeyFile<'_>, force: bool) -> Result<(), WriteError> {
    let [mut key, mut public] = [Complete::write(key, force)?, Complete::write(public, force)?];
    key.place(force)?;
    public.place(force)?;
    key.at = None;
    public.at = None;
    let parent = key.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|directory| directory.sync_all()).map_err(WriteError::io(parent))
}

impl<'k> Complete<'k> {
    fn write(file: &KeyFile<'k>, force: bool) -> Result<Self, WriteError> {
        let at = beside(file.path, force)?;
        // what bears our pid is left from one that had it before us
        match remove_file(&at) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(WriteError::io(&at)(error)),
            _ => {}
        }
        // create_new goes through no link
        let opened = OpenOptions::new().write(true).create_new(true).mode(file.mode).open(&at);
        let mut opened = opened.map_err(WriteError::io(&at))?;
        let complete = Self { at: Some(at), path: file.path };
        opened.write_all(file.bytes).and_then(|()| opened.sync_all()).map_err(WriteError::io(file.path))?;
        Ok(complete)
    }

    fn place(&mut self, force: bool) -> Result<(), WriteError> {
        let Some(at) = &self.at else { return Ok(()) };
        // refuses what is there, links that lead nowhere included
        let flags = if force { RenameFlags::empty() } else { RenameFlags::RENAME_NOREPLACE };
        match renameat2(AT_FDCWD, at, AT_FDCWD, self.path, flags) {
            // a file system that cannot refuse; a link refuses, too
            Err(Errno::EINVAL) if !force => hard_link(at, self.path).and_then(|()| remove_file(at)),
            renamed => renamed.map_err(Into::into),
        }
        .map_err(WriteError::io(self.path))?;
        // one that replaced another stays, whatever becomes of the other file
        self.at = (!force).then(|| self.path.to_owned());
        Ok(())
    }
}

/// A name in the same directory, for a file that is not complete.
fn beside(path: &Path, force: bool) -> Result<PathBuf, WriteError> {
    if let Ok(metadata) = path.symlink_metadata() {
        match force {
            false => return Err(WriteError::Exists(path.to_owned())),
            true if !metadata.is_file() => return Err(WriteError::NotRegular(path.to_owned())),
            true => {}
        }
    }
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    Ok(path.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn write(directory: &Path, text: &str, force: bool) -> Result<(), WriteError> {
        write_pair(
            &KeyFile { path: &directory.join("a.key"), bytes: text.as_bytes(), mode: 0o600 },
            &KeyFile { path: &directory.join("a.pub"), bytes: text.as_bytes(), mode: 0o644 },
            force,
        )
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn both_files_are_written_and_replaced_only_by_force() {
        let directory = tempfile::tempdir().unwrap();
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        write(directory.path(), "one", false).unwrap();
        assert_eq!(fs::metadata(directory.path().join("a.key")).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(write(directory.path(), "two", false), Err(WriteError::Exists(_))));
        assert_eq!((read("a.key"), read("a.pub")), ("one".into(), "one".into()));
        write(directory.path(), "two", true).unwrap();
        assert_eq!((read("a.key"), read("a.pub")), ("two".into(), "two".into()));
        assert_eq!(names(directory.path()), ["a.key", "a.pub"]);
    }

    #[test]
    fn when_one_cannot_be_written_neither_is() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("a.pub"), "theirs").unwrap();
        assert!(matches!(write(directory.path(), "x", false), Err(WriteError::Exists(path)) if path == at("a.pub")));
        assert_eq!(names(directory.path()), ["a.pub"]);
        fs::remove_file(at("a.pub")).unwrap();
        fs::create_dir(at("a.pub")).unwrap();
        assert!(matches!(write(directory.path(), "x", true), Err(WriteError::NotRegular(_))));
        assert_eq!(names(directory.path()), ["a.pub"]);
    }

    #[test]
    fn until_a_file_is_complete_its_name_is_not_there_or_is_the_old_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.key");
        let file = KeyFile { path: &path, bytes: b"new", mode: 0o600 };
        let killed = Complete::write(&file, false).unwrap();
        assert!(!path.exists());
        std::mem::forget(killed);
        // what the one that was killed left is in nobody's way
        write(directory.path(), "one", false).unwrap();
        let killed = Complete::write(&file, true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        std::mem::forget(killed);
        write(directory.path(), "two", true).unwrap();
        assert_eq!(names(directory.path()), ["a.key", "a.pub"]);
    }

    #[test]
    fn what_appears_at_the_last_moment_is_not_replaced_and_the_other_file_taken_back() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let (key, public) = (at("a.key"), at("a.pub"));
        let complete = |path| Complete::write(&KeyFile { path, bytes: b"new", mode: 0o600 }, false).unwrap();
        let (mut first, mut second) = (complete(&key), complete(&public));
        first.place(false).unwrap();
        fs::write(&public, "theirs").unwrap();
        assert!(matches!(second.place(false), Err(WriteError::Exists(path)) if path == public));
        drop((first, second));
        assert_eq!(names(directory.path()), ["a.pub"]);
        assert_eq!(fs::read(&public).unwrap(), b"theirs");
    }

    #[test]
    fn a_planted_link_is_not_written_through() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        symlink(at("target"), at("a.key")).unwrap();
        assert!(matches!(write(directory.path(), "x", false), Err(WriteError::Exists(_))));
        assert!(matches!(write(directory.path(), "x", true), Err(WriteError::NotRegular(_))));
        assert_eq!(names(directory.path()), ["a.key"]);
    }
}
