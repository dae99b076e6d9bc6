//! A data directory under watch: what changes in it, in order, and its size.
//!
//! Every directory of the tree has an inotify watch. The events of one instance
//! are in order, which is what tells a write to a file that was deleted before.

use crate::audit::FileChange;
use crate::plugins::data_dir::{Usage, scan};
use crate::workers::quota::Allowed;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statvfs::fstatvfs;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Events taken in at one look; the rest wait for the next.
const EVENTS: usize = 32 * 1024;
/// Changes told at one look; more are counted.
const CHANGES: u64 = 256;
/// Names of deleted files that are remembered.
const DELETED: usize = 1024;

const DIR_FLAGS: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Not IN_EXCL_UNLINK: what happens to a deleted file that is still open is what we want to know.
const MASK: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_MODIFY)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_ONLYDIR);

/// Why a plugin's data directory cannot be watched.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum WatchError {
    #[error("{0}")]
    Over(String),
    #[error("its data directory cannot be watched: {}", match .0 {
        Errno::EMFILE => "there are too many inotify instances; raise them with `sysctl fs.inotify.max_user_instances=1024`".to_owned(),
        Errno::ENOSPC => "there are too many inotify watches; raise them with `sysctl fs.inotify.max_user_watches=524288`".to_owned(),
        errno => errno.desc().to_owned(),
    })]
    Failed(#[from] Errno),
}

/// What a look found.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Whether anything changed at all, writes included.
    pub active: bool,
    /// What happened to which file, and how long it is, in order.
    pub changes: Vec<(FileChange, String, u64)>,
    /// Changes that are not among them, at least.
    pub missed: u64,
    /// Whether it wrote to a file after deleting it.
    pub hidden_write: bool,
}

/// See the module.
#[derive(Debug)]
pub struct DataTree {
    root: OwnedFd,
    inotify: Inotify,
    /// The directories, by where they are from the root on.
    dirs: HashMap<WatchDescriptor, PathBuf>,
    deleted: Deleted,
    /// The first half of a rename.
    moved: Option<(u32, PathBuf)>,
    /// Whether it ever deleted or replaced a file.
    pub(super) deletes: bool,
    allowed: Allowed,
}

impl DataTree {
    /// Watches and counts a data directory.
    ///
    /// # Errors
    /// It is over what is allowed already, or cannot be watched.
    pub fn open(path: &Path, allowed: Allowed) -> Result<(Self, Usage), WatchError> {
        let mut tree = Self {
            root: open(path, DIR_FLAGS, Mode::empty())?,
            inotify: Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?,
            dirs: HashMap::new(),
            deleted: Deleted::default(),
            moved: None,
            deletes: false,
            allowed,
        };
        let usage = tree.usage()?;
        if let Some(excess) = allowed.excess(&usage) {
            return Err(WatchError::Over(excess));
        }
        tree.watch_below(Path::new(""))?;
        Ok((tree, usage))
    }

    /// Counts what lies there, no further than is needed to say that it is too much.
    pub(super) fn usage(&self) -> Result<Usage, Errno> {
        // opened anew: a duplicate would go on where the last listing ended
        let root = openat(&self.root, c".", DIR_FLAGS, Mode::empty())?;
        Ok(Usage::of(root, self.allowed.files.saturating_add(1)))
    }

    /// Free space of its file system, in bytes.
    pub(super) fn free(&self) -> u64 {
        fstatvfs(&self.root).map_or(u64::MAX, |stat| stat.blocks_available().saturating_mul(stat.fragment_size()))
    }

    /// Watches a directory and all below it; those that are watched get their present place.
    /// Gives the files found there.
    fn watch_below(&mut self, place: &Path) -> Result<Vec<(PathBuf, u64)>, Errno> {
        let dir = if place.as_os_str().is_empty() {
            openat(&self.root, c".", DIR_FLAGS, Mode::empty())?
        } else {
            let how = OpenHow::new()
                .flags(DIR_FLAGS)
                .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
            openat2(&self.root, place, how)?
        };
        let mut failed = self.watch(&dir, place.to_owned()).err();
        let mut files = Vec::new();
        scan::walk(dir, self.allowed.files.saturating_add(1), |found| {
            let path = place.join(found.path());
            match found.dir {
                // its watch comes before its listing: nothing falls in between
                Some(below) => failed = failed.or(self.watch(below, path).err()),
                None if (files.len() as u64) < CHANGES => files.push((path, found.bytes)),
                None => {}
            }
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        failed.map_or(Ok(files), Err)
    }

    fn watch(&mut self, dir: &OwnedFd, path: PathBuf) -> Result<(), Errno> {
        // the descriptor, not a name that may mean another directory by now
        let wd = self.inotify.add_watch(&*format!("/proc/self/fd/{}", dir.as_raw_fd()), MASK)?;
        self.dirs.insert(wd, path);
        Ok(())
    }

    /// Takes in what has happened since the last look.
    ///
    /// # Errors
    /// A new directory cannot be watched.
    pub(super) fn look(&mut self) -> Result<Look, Errno> {
        let mut look = Look::default();
        let mut left = EVENTS;
        while left > 0 {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno),
            };
            left = left.saturating_sub(events.len());
            for event in events {
                self.event(event, &mut look)?;
            }
        }
        if let Some((_, path)) = self.moved.take() {
            self.tell(&mut look, FileChange::Deleted, &path, None); // moved out, by somebody who may
        }
        Ok(look)
    }

    fn event(&mut self, event: InotifyEvent, look: &mut Look) -> Result<(), Errno> {
        look.active = true;
        let is = |flag| event.mask.contains(flag);
        if is(AddWatchFlags::IN_Q_OVERFLOW) {
            look.missed += 1;
            self.deleted = Deleted::default();
            self.watch_below(Path::new(""))?; // directories may have been missed
            return Ok(());
        }
        if is(AddWatchFlags::IN_IGNORED) {
            self.dirs.remove(&event.wd);
            return Ok(());
        }
        let (Some(dir), Some(name)) = (self.dirs.get(&event.wd), event.name) else { return Ok(()) };
        let path = dir.join(&name);
        let key = (event.wd, name);
        let is_dir = is(AddWatchFlags::IN_ISDIR);
        if is(AddWatchFlags::IN_MODIFY) {
            look.hidden_write |= self.deleted.contains(&key);
        } else if is(AddWatchFlags::IN_CLOSE_WRITE) {
            if !self.deleted.contains(&key) {
                self.tell(look, FileChange::Written, &path, None);
            }
        } else if is(AddWatchFlags::IN_DELETE) {
            self.deletes |= !is_dir;
            self.deleted.insert(key);
            self.tell(look, FileChange::Deleted, &path, Some(0));
        } else if is(AddWatchFlags::IN_MOVED_FROM) {
            if let Some((_, before)) = self.moved.replace((event.cookie, path)) {
                self.tell(look, FileChange::Deleted, &before, Some(0));
            }
        } else {
            self.deletes |= is(AddWatchFlags::IN_MOVED_TO); // it may have replaced another
            self.deleted.remove(&key);
            self.appeared(look, event.cookie, path, is_dir)?;
        }
        Ok(())
    }

    /// Something is there that was not: made, or moved there.
    fn appeared(&mut self, look: &mut Look, cookie: u32, path: PathBuf, is_dir: bool) -> Result<(), Errno> {
        let from = self.moved.take_if(|(moved, _)| cookie != 0 && *moved == cookie);
        let is_new = from.is_none();
        match from {
            Some((_, from)) => {
                let both = format!("{} -> {}", from.display(), path.display());
                self.tell_as(look, FileChange::Renamed, both, &path, None);
            }
            None => self.tell(look, FileChange::Created, &path, None),
        }
        if !is_dir {
            return Ok(());
        }
        match self.watch_below(&path) {
            // what was made in it before it was watched
            Ok(files) if is_new => {
                files.iter().for_each(|(path, bytes)| self.tell(look, FileChange::Created, path, Some(*bytes)));
                Ok(())
            }
            Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EACCES) => Ok(()), // counting sees to it
            Err(errno) => Err(errno),
        }
    }

    fn tell(&self, look: &mut Look, what: FileChange, path: &Path, bytes: Option<u64>) {
        self.tell_as(look, what, path.display().to_string(), path, bytes);
    }

    fn tell_as(&self, look: &mut Look, what: FileChange, text: String, path: &Path, bytes: Option<u64>) {
        if look.changes.len() as u64 >= CHANGES {
            look.missed += 1;
            return;
        }
        let bytes = bytes.unwrap_or_else(|| self.length(path));
        look.changes.push((what, text, bytes));
    }

    fn length(&self, path: &Path) -> u64 {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        // gone by now
        let stat = openat2(&self.root, path, how).and_then(fstat);
        stat.map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0))
    }
}

impl AsFd for DataTree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// The names of files deleted lately.
#[derive(Debug, Default)]
struct Deleted {
    names: HashSet<(WatchDescriptor, OsString)>,
    order: VecDeque<(WatchDescriptor, OsString)>,
}

impl Deleted {
    fn insert(&mut self, key: (WatchDescriptor, OsString)) {
        if self.names.insert(key.clone()) {
            self.order.push_back(key);
        }
        while self.order.len() > DELETED {
            if let Some(oldest) = self.order.pop_front() {
                self.names.remove(&oldest);
            }
        }
    }

    fn remove(&mut self, key: &(WatchDescriptor, OsString)) {
        if self.names.remove(key) {
            self.order.retain(|other| other != key);
        }
    }

    fn contains(&self, key: &(WatchDescriptor, OsString)) -> bool {
        self.names.contains(key)
    }
}
