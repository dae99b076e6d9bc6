//! Two files that belong together: both are written, or neither.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, remove_file, rename};
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

/// Removes what it made, unless told to keep it.
struct Made(Vec<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        self.0.iter().for_each(|path| drop(remove_file(path))); // the error that led here is the one to report
    }
}

/// Writes both files, or neither. Without `force` nothing is ever replaced.
pub(super) fn write_pair(key: &KeyFile<'_>, public: &KeyFile<'_>, force: bool) -> Result<(), WriteError> {
    let mut made = Made(Vec::new());
    let mut places = Vec::new();
    for file in [key, public] {
        let place = if force { beside(file.path)? } else { file.path.to_owned() };
        // create_new refuses what is there, links that lead nowhere included
        let mut opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(file.mode)
            .open(&place)
            .map_err(WriteError::io(&place))?;
        made.0.push(place.clone());
        opened.write_all(file.bytes).and_then(|()| opened.sync_all()).map_err(WriteError::io(&place))?;
        places.push((place, file.path));
    }
    if force {
        // both are complete; the second renaming in one directory works where the first did
        for (place, path) in &places {
            rename(place, path).map_err(WriteError::io(path))?;
        }
    }
    made.0.clear();
    let parent = key.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|directory| directory.sync_all()).map_err(WriteError::io(parent))
}

/// A name in the same directory, for a file that replaces another.
fn beside(path: &Path) -> Result<PathBuf, WriteError> {
    if path.symlink_metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(WriteError::NotRegular(path.to_owned()));
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
    fn a_planted_link_is_not_written_through() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        symlink(at("target"), at("a.key")).unwrap();
        assert!(matches!(write(directory.path(), "x", false), Err(WriteError::Exists(_))));
        assert!(matches!(write(directory.path(), "x", true), Err(WriteError::NotRegular(_))));
        assert_eq!(names(directory.path()), ["a.key"]);
    }
}
