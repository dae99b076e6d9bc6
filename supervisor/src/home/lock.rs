//! One daemon a home.

use super::{Home, HomeError};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held by the daemon for as long as it lives; the kernel lets go of it with the process.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the home for this process and writes its pid into the lock file.
    ///
    /// # Errors
    /// [`HomeError::AlreadyRunning`] with the holder's pid, or the file cannot be used.
    pub fn take(home: &Home) -> Result<Self, HomeError> {
        let path = home.lock();
        let mut file = open(&path, true).map_err(HomeError::io("open", &path))?;
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())) {
            Ok(_) => {}
            Err(nix::Error::EAGAIN | nix::Error::EACCES) => {
                return Err(HomeError::AlreadyRunning { pid: read_pid(&mut file) });
            }
            Err(error) => return Err(HomeError::io("lock", &path)(error.into())),
        }
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(HomeError::io("write", &path))?;
        Ok(Self { file })
    }

    /// Whether a daemon holds this home, asked without taking the lock, so that a
    /// daemon starting at this moment is not turned away.
    #[must_use]
    pub fn holder(home: &Home) -> Holder {
        let Ok(mut file) = open(&home.lock(), false) else { return Holder::Nobody };
        let mut probe = whole_file();
        let asked = fcntl(&file, FcntlArg::F_OFD_GETLK(&mut probe));
        if asked.is_err() || probe.l_type == libc::F_UNLCK as libc::c_short {
            return Holder::Nobody;
        }
        Holder::Daemon { pid: read_pid(&mut file) }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // the file stays: removing it would let two daemons lock two files of one name
        let _ = self.file.set_len(0);
    }
}

/// Takes the lock of another file, `path`, and writes this process's id into it; as `Err` the
/// id of the process that holds it, where that is known. It is held while the file is open.
///
/// # Errors
/// The file cannot be used.
pub fn try_lock_file(path: &Path) -> Result<Result<File, Option<i32>>, HomeError> {
    let mut file = open(path, true).map_err(HomeError::io("open", path))?;
    match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())) {
        Ok(_) => Ok(Ok(sign(file))),
        Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(Err(read_pid(&mut file))),
        Err(error) => Err(HomeError::io("lock", path)(error.into())),
    }
}

/// As [`try_lock_file`]; waits for whoever holds it.
///
/// # Errors
/// The file cannot be used.
pub fn wait_lock_file(path: &Path) -> Result<File, HomeError> {
    let file = open(path, true).map_err(HomeError::io("open", path))?;
    loop {
        match fcntl(&file, FcntlArg::F_OFD_SETLKW(&whole_file())) {
            Ok(_) => return Ok(sign(file)),
            Err(nix::Error::EINTR) => {}
            Err(error) => return Err(HomeError::io("lock", path)(error.into())),
        }
    }
}

/// Writes whose lock it is. That only helps who waits: a full disk must keep nobody from
/// disabling a plugin.
fn sign(mut file: File) -> File {
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    if let Err(error) = written {
        tracing::debug!("the lock does not say who holds it: {error}");
    }
    file
}

/// Who holds a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// No daemon runs.
    Nobody,
    /// One runs; its pid, unless it has not written it yet.
    Daemon {
        /// The process id.
        pid: Option<i32>,
    },
}

fn open(path: &Path, create: bool) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(create)
        .truncate(false)
        .mode(0o600)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits())
        .open(path)
}

/// Open-file-description locks: they belong to the descriptor (not, like the
/// older kind, to a process that may open the file twice) and can be asked about.
fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

fn read_pid(file: &mut File) -> Option<i32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_told_the_first_ones_pid_until_it_ends() {
        let temp = tempfile::tempdir().unwrap();
        let home = Home::at(temp.path()).unwrap();
        let us = std::process::id() as i32;
        assert_eq!(Lock::holder(&home), Holder::Nobody);
        let lock = Lock::take(&home).unwrap();
        assert_eq!(Lock::holder(&home), Holder::Daemon { pid: Some(us) });
        let error = Lock::take(&home).unwrap_err();
        assert!(matches!(error, HomeError::AlreadyRunning { pid: Some(pid) } if pid == us));
        assert!(error.to_string().contains(&us.to_string()), "{error}");
        drop(lock);
        assert_eq!(Lock::holder(&home), Holder::Nobody);
        Lock::take(&home).unwrap();
    }

    #[test]
    fn a_symbolic_link_in_the_locks_place_is_not_followed() {
        let temp = tempfile::tempdir().unwrap();
        let home = Home::at(temp.path()).unwrap();
        let target = temp.path().join("precious");
        std::fs::write(&target, "keep").unwrap();
        std::os::unix::fs::symlink(&target, home.lock()).unwrap();
        assert!(matches!(Lock::take(&home), Err(HomeError::Io { .. })));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "keep");
    }
}
