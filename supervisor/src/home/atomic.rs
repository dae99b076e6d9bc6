//! Files that are replaced whole or not at all.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions, remove_file, rename};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes a file so that whoever reads `path`, even after a crash or a power cut
/// at any point, finds the old content or the new one: a temporary file beside
/// it, fsync, rename, fsync of the directory. `mode` is exact, whatever the umask.
/// A symbolic link at `path` is replaced, not followed.
///
/// # Errors
/// Those of the file system; the old file is untouched then.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
    };
    let mut temporary_name = OsString::from(".");
    temporary_name.push(name);
    temporary_name.push(format!(".{}.{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)));
    let temporary = directory.join(temporary_name);

    let written = write_synced(&temporary, bytes, mode).and_then(|()| rename(&temporary, path));
    if written.is_err() {
        let _ = remove_file(&temporary); // nothing better to do; the first error is the one to report
        return written;
    }
    // an empty parent is the current directory
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    File::open(directory)?.sync_all()
}

/// Whether `found` is a temporary file that [`write_atomic`] left for `name` (for any name with
/// `None`) because its process was killed: `.NAME.PID.NUMBER` of a process that is gone.
#[must_use]
pub fn is_left_over(found: &str, name: Option<&str>) -> bool {
    let mut parts = found.rsplitn(3, '.');
    let (Some(number), Some(pid), Some(rest)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let Some(written) = rest.strip_prefix('.') else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    !written.is_empty()
        && name.is_none_or(|name| name == written)
        && is_number(number)
        && is_number(pid)
        && !Path::new("/proc").join(pid).exists()
}

fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // create_new refuses what somebody planted under this name, links included
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode & 0o700).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_temporary_files_of_processes_that_are_gone_are_left_over() {
        let ours = std::process::id();
        assert!(is_left_over(".notes.toml.4194305.0", None));
        assert!(is_left_over(".notes.toml.4194305.0", Some("notes.toml")));
        for (found, name) in [
            (format!(".notes.toml.{ours}.0"), None),
            (".notes.toml.4194305.0".into(), Some("other.toml")),
            ("notes.toml.4194305.0".into(), None),
            (".notes.toml".into(), None),
            (".notes.toml.x.0".into(), None),
            ("..4194305.0".into(), None),
        ] {
            assert!(!is_left_over(&found, name), "{found}");
        }
    }
    use std::fs;

    fn names(directory: &Path) -> Vec<String> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_replaced_with_its_exact_mode_and_nothing_is_left_behind() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        write_atomic(&path, b"old", 0o666).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        write_atomic(&path, b"new", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(temp.path()), ["file"]);
    }

    #[test]
    fn a_symbolic_link_is_replaced_and_its_target_kept() {
        let temp = tempfile::tempdir().unwrap();
        let (path, target) = (temp.path().join("file"), temp.path().join("target"));
        fs::write(&target, "keep").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        write_atomic(&path, b"new", 0o600).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"keep");
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_write_that_fails_leaves_no_temporary_file() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(write_atomic(&path, b"new", 0o600).is_err());
        assert_eq!(names(temp.path()), ["taken"]);
    }
}
