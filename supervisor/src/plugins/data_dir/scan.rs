//! Counting what lies in a data directory, whatever its plugin does meanwhile.

use super::DIR_FLAGS;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ffi::{CStr, CString, OsStr};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Entries a scan looks at before it gives up.
pub const MAX_SCANNED: u64 = 200_000;
/// Levels of directories a scan descends; each holds a descriptor open.
pub(crate) const MAX_DEPTH: usize = 32;

/// What lies in a data directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Lengths of all files together.
    pub bytes: u64,
    /// Files, directories and everything else that has a name.
    pub files: u64,
    /// Length of the longest file.
    pub largest: u64,
    /// Whether all of it was counted: false past the most entries to look at, far
    /// too many levels, or where something could not be read.
    pub complete: bool,
}

impl Usage {
    /// Counts what lies below an opened directory, `most` entries at most. Bounded in
    /// depth too, so a plugin that makes millions of files costs no more than that.
    #[must_use]
    pub fn of(dir: OwnedFd, most: u64) -> Self {
        Self::of_with(dir, most, || {})
    }

    /// As [`Self::of`]; calls `each` at every entry, so that what cannot wait does not.
    #[must_use]
    pub fn of_with(dir: OwnedFd, most: u64, mut each: impl FnMut()) -> Self {
        let mut usage = Self::default();
        usage.complete = walk(dir, most, |found| {
            each();
            usage.files += 1;
            usage.bytes = usage.bytes.saturating_add(found.bytes);
            usage.largest = usage.largest.max(found.bytes);
            ControlFlow::Continue(())
        });
        usage
    }
}

/// A file and its length.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BigFile {
    /// Its length.
    pub bytes: u64,
    /// Where it is, from the data directory on.
    pub path: PathBuf,
}

/// The largest files below an opened directory, largest first.
pub(super) fn biggest(dir: OwnedFd, count: usize) -> Vec<BigFile> {
    let mut heap = BinaryHeap::new();
    walk(dir, MAX_SCANNED, |found| {
        if found.bytes > 0 {
            heap.push(Reverse(BigFile { bytes: found.bytes, path: found.path() }));
            if heap.len() > count {
                heap.pop();
            }
        }
        ControlFlow::Continue(())
    });
    heap.into_sorted_vec().into_iter().map(|Reverse(file)| file).collect()
}

/// Something in the directory.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    /// The directories it lies in, outermost first.
    levels: &'a [Level],
    name: &'a CStr,
    /// Its length where it is a file.
    pub bytes: u64,
    /// Itself, where it is a directory.
    pub dir: Option<&'a OwnedFd>,
}

impl Found<'_> {
    /// Where it is, from the data directory on.
    pub fn path(&self) -> PathBuf {
        let mut path: PathBuf = self.levels.iter().skip(1).map(|level| Path::new(&level.name)).collect();
        path.push(OsStr::from_bytes(self.name.to_bytes()));
        path
    }
}

#[derive(Debug)]
struct Level {
    dir: OwnedFd,
    name: std::ffi::OsString,
    /// What is left to look at.
    names: Vec<CString>,
}

/// Shows everything below an opened directory. Says whether it was everything.
pub(crate) fn walk(dir: OwnedFd, most: u64, mut show: impl FnMut(Found<'_>) -> ControlFlow<()>) -> bool {
    let mut left = most;
    let mut complete = true;
    let mut levels = Vec::new();
    match Level::open(dir, std::ffi::OsString::new(), &mut left) {
        Listed::Whole(level) => levels.push(level),
        Listed::Part(level) => {
            levels.push(level);
            complete = false;
        }
        Listed::Gone => {}
        Listed::Unreadable => complete = false,
    }
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.names.pop() else {
            levels.pop();
            continue;
        };
        let Ok(stat) = fstatat(&level.dir, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) else {
            continue; // gone since it was listed
        };
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        let bytes = if kind == SFlag::S_IFREG { u64::try_from(stat.st_size).unwrap_or(0) } else { 0 };
        let below = (kind == SFlag::S_IFDIR).then(|| openat(&level.dir, name.as_c_str(), DIR_FLAGS, Mode::empty()));
        let dir = below.as_ref().and_then(|opened| opened.as_ref().ok());
        if show(Found { levels: &levels, name: &name, bytes, dir }).is_break() {
            return false;
        }
        match below {
            None | Some(Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP)) => {} // it is another thing by now
            Some(Ok(_)) if levels.len() >= MAX_DEPTH => complete = false,
            Some(Ok(dir)) => {
                let name = OsStr::from_bytes(name.to_bytes()).to_owned();
                match Level::open(dir, name, &mut left) {
                    Listed::Whole(level) => levels.push(level),
                    Listed::Part(level) => {
                        levels.push(level);
                        complete = false;
                    }
                    Listed::Gone => {}
                    Listed::Unreadable => complete = false,
                }
            }
            Some(Err(_)) => complete = false,
        }
    }
    complete
}

enum Listed {
    Whole(Level),
    Part(Level),
    Gone,
    Unreadable,
}

impl Level {
    fn open(dir: OwnedFd, name: std::ffi::OsString, left: &mut u64) -> Listed {
        let listed = dir.try_clone().map_err(|_| Errno::EMFILE).and_then(Dir::from_fd);
        let mut listed = match listed {
            Ok(listed) => listed,
            Err(Errno::ENOENT) => return Listed::Gone,
            Err(_) => return Listed::Unreadable,
        };
        let mut level = Self { dir, name, names: Vec::new() };
        for entry in listed.iter() {
            match entry {
                Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                Ok(_) if *left == 0 => return Listed::Part(level),
                Ok(entry) => {
                    *left -= 1;
                    level.names.push(entry.file_name().to_owned());
                }
                Err(Errno::ENOENT) => return Listed::Gone,
                Err(_) => return Listed::Part(level),
            }
        }
        Listed::Whole(level)
    }
}
