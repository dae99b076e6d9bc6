//! Opening other people's files: never through a link, never a FIFO or a
//! device, never more than was asked for.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Why a file is not used. The caller puts the path in front.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum FileError {
    #[error("there is no such file")]
    Missing,
    #[error("is a symbolic link; put the file itself there")]
    Link,
    #[error("is not a regular file")]
    NotRegular,
    #[error("is {size} bytes long, over the limit of {limit}")]
    TooLarge { size: u64, limit: u64 },
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl FileError {
    fn from_open(errno: Errno) -> Self {
        match errno {
            Errno::ENOENT => Self::Missing,
            Errno::ELOOP => Self::Link,
            // what opening a FIFO's or a socket's other side says
            Errno::ENXIO | Errno::ENODEV => Self::NotRegular,
            errno => Self::Io(errno.into()),
        }
    }
}

/// Opens a directory, through links too: the user may keep it elsewhere.
///
/// # Errors
/// What the system says.
pub fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_RDONLY, Mode::empty())?)
}

/// Opens the regular file `name` in `dir` for reading, with its size.
/// The size is what it is now; whoever reads must not read more than `limit` either.
///
/// # Errors
/// See [`FileError`].
pub fn open_regular(dir: impl AsFd, name: &str, limit: u64) -> Result<(File, u64), FileError> {
    // O_NONBLOCK: a FIFO nobody writes to must not hold us
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let file = File::from(openat(dir, name, flags, Mode::empty()).map_err(FileError::from_open)?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(FileError::NotRegular);
    }
    if metadata.len() > limit {
        return Err(FileError::TooLarge { size: metadata.len(), limit });
    }
    Ok((file, metadata.len()))
}

/// Reads the whole regular file `name` in `dir`, at most `limit` bytes.
///
/// # Errors
/// See [`FileError`].
pub fn read_regular(dir: impl AsFd, name: &str, limit: u64) -> Result<Vec<u8>, FileError> {
    let (file, _) = open_regular(dir, name, limit)?;
    let mut bytes = Vec::new();
    // it may have grown since
    let size = file.take(limit + 1).read_to_end(&mut bytes)? as u64;
    if size > limit { Err(FileError::TooLarge { size, limit }) } else { Ok(bytes) }
}

/// Opens the regular file at `path`. For files the user names or keeps: a link
/// is followed, a FIFO or a device is not opened.
///
/// # Errors
/// See [`FileError`].
pub fn open_given(path: &Path) -> Result<File, FileError> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = File::from(open(path, flags, Mode::empty()).map_err(FileError::from_open)?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(FileError::NotRegular) }
}

/// Reads the whole regular file at `path` as [`open_given`] opens it, at most `limit` bytes.
///
/// # Errors
/// See [`FileError`].
pub fn read_given(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    read_opened(&open_given(path)?, limit)
}

/// Reads what is left of an opened regular file, at most `limit` bytes.
///
/// # Errors
/// See [`FileError`].
pub fn read_opened(file: &File, limit: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    // never by the size it says it has: it may be growing
    let size = file.take(limit + 1).read_to_end(&mut bytes)? as u64;
    if size <= limit {
        return Ok(bytes);
    }
    Err(FileError::TooLarge { size: size.max(file.metadata()?.len()), limit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_regular_files_within_the_limit_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("good"), "12345").unwrap();
        symlink(at("good"), at("link")).unwrap();
        fs::create_dir(at("dir")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), Mode::S_IRUSR).unwrap();
        let fd = open_dir(dir.path()).unwrap();
        assert_eq!(read_regular(&fd, "good", 5).unwrap(), b"12345");
        assert!(matches!(read_regular(&fd, "good", 4), Err(FileError::TooLarge { size: 5, limit: 4 })));
        assert!(matches!(read_regular(&fd, "link", 5), Err(FileError::Link)));
        assert!(matches!(read_regular(&fd, "dir", 5), Err(FileError::NotRegular)));
        assert!(matches!(read_regular(&fd, "fifo", 5), Err(FileError::NotRegular)));
        assert!(matches!(read_regular(&fd, "none", 5), Err(FileError::Missing)));
        assert_eq!(read_given(&at("good"), 5).unwrap(), b"12345");
        assert_eq!(read_given(&at("link"), 5).unwrap(), b"12345", "a link the user names is the user's choice");
        assert!(matches!(read_given(&at("link"), 4), Err(FileError::TooLarge { size: 5, limit: 4 })));
        for special in [at("dir"), at("fifo"), "/dev/zero".into()] {
            assert!(matches!(read_given(&special, 5), Err(FileError::NotRegular)), "{}", special.display());
        }
    }
}
