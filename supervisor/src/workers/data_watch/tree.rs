//! A data directory under watch: what changes in it, in order, and its size.
//!
//! Every directory of the tree has an inotify watch. The events of one instance
//! are in order, which is what tells a write to a file that was deleted before.

use crate::audit::FileChange;
use crate::clock::{self, Time};
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
use std::time::Duration;

/// How long a look takes in events, and looks for directories to watch; the rest waits for the next.
const LOOK_TIME: Duration = Duration::from_millis(20);
/// Directories that are watched; with more, the tree is counted all the time instead.
const WATCHED_DIRS: usize = 256;
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
    /// Directories may be unwatched, or elsewhere: they are looked for at the end of a look.
    stale: bool,
    /// Some directories are not watched; only counting tells what grows there.
    unwatched: bool,
    /// Why not, where the machine has no more watches.
    shortage: Option<Errno>,
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
            stale: false,
            unwatched: false,
            shortage: None,
            allowed,
        };
        let usage = tree.usage(|| {})?;
        if let Some(excess) = allowed.excess(&usage) {
            return Err(WatchError::Over(excess));
        }
        tree.watch_all(None)?;
        Ok((tree, usage))
    }

    /// Counts what lies there, no further than is needed to say that it is too much;
    /// calls `each` at every entry.
    pub(super) fn usage(&self, each: impl FnMut()) -> Result<Usage, Errno> {
        // opened anew: a duplicate would go on where the last listing ended
        let root = openat(&self.root, c".", DIR_FLAGS, Mode::empty())?;
        let usage = Usage::of_with(root, self.allowed.files.saturating_add(1), each);
        if !usage.complete && self.lacks_descriptors() {
            return Err(Errno::EMFILE); // that is not its doing
        }
        Ok(usage)
    }

    /// Whether as many descriptors as the deepest scan takes cannot be had.
    fn lacks_descriptors(&self) -> bool {
        (0..2 * scan::MAX_DEPTH + 2).map(|_| self.root.try_clone()).collect::<Result<Vec<_>, _>>().is_err()
    }

    /// Whether directories are not watched, so that it has to be counted without being told.
    pub(super) const fn is_unwatched(&self) -> bool {
        self.unwatched
    }

    /// Why the machine let no more directories be watched; says so once.
    pub(super) const fn take_shortage(&mut self) -> Option<Errno> {
        self.shortage.take()
    }

    /// Free space of its file system, in bytes.
    pub(super) fn free(&self) -> u64 {
        fstatvfs(&self.root).map_or(u64::MAX, |stat| stat.blocks_available().saturating_mul(stat.fragment_size()))
    }

    /// Watches all directories, as many as may be, and notes where they are now.
    /// Gives files of those that were not watched before. What is not reached
    /// until `until` is looked for again next time.
    fn watch_all(&mut self, until: Option<Time>) -> Result<Vec<(PathBuf, u64)>, Errno> {
        let root = openat(&self.root, c".", DIR_FLAGS, Mode::empty())?;
        (self.stale, self.unwatched) = (false, false);
        let mut fresh = HashSet::new();
        let mut files = Vec::new();
        let mut failed = self.watch(&root, PathBuf::new(), &mut fresh).err();
        scan::walk(root, self.allowed.files.saturating_add(1), |found| {
            match found.dir {
                // its watch comes before its listing: nothing falls in between
                Some(below) => failed = failed.or(self.watch(below, found.path(), &mut fresh).err()),
                None if !fresh.is_empty() && (files.len() as u64) < CHANGES => {
                    let path = found.path();
                    if path.parent().is_some_and(|dir| fresh.contains(dir)) {
                        files.push((path, found.bytes));
                    }
                }
                None => {}
            }
            if until.is_some_and(|until| until <= clock::now()) {
                (self.stale, self.unwatched) = (true, true);
                return ControlFlow::Break(());
            }
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        failed.map_or(Ok(files), Err)
    }

    fn watch(&mut self, dir: &OwnedFd, path: PathBuf, fresh: &mut HashSet<PathBuf>) -> Result<(), Errno> {
        if self.dirs.len() >= WATCHED_DIRS {
            self.unwatched = true;
            return Ok(());
        }
        // the descriptor, not a name that may mean another directory by now
        match self.inotify.add_watch(&*format!("/proc/self/fd/{}", dir.as_raw_fd()), MASK) {
            Ok(wd) => {
                if self.dirs.insert(wd, path.clone()).is_none() {
                    fresh.insert(path);
                }
            }
            // the user's watches are used up, by whomever: no fault of this plugin
            Err(errno @ (Errno::ENOSPC | Errno::ENOMEM)) => {
                self.unwatched = true;
                self.shortage = Some(errno);
            }
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    /// Forgets all watches, since it was missed which of them ended.
    fn unwatch_all(&mut self) {
        for (wd, _) in self.dirs.drain() {
            let _ = self.inotify.rm_watch(wd); // its directory may be gone
        }
        self.stale = true;
    }

    /// Takes in what has happened since the last look.
    ///
    /// # Errors
    /// The directories cannot be opened or watched.
    pub(super) fn look(&mut self) -> Result<Look, Errno> {
        let mut look = Look::default();
        let until = clock::now() + LOOK_TIME;
        let mut drained = false;
        while !drained && clock::now() < until {
            match self.inotify.read_events() {
                Ok(events) => events.into_iter().for_each(|event| self.event(event, &mut look)),
                Err(Errno::EAGAIN) => drained = true,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        if drained && let Some((_, path)) = self.moved.take() {
            self.tell(&mut look, FileChange::Deleted, &path, None); // moved out, by somebody who may
        }
        if self.stale || (self.unwatched && self.dirs.len() < WATCHED_DIRS) {
            let missed = self.dirs.is_empty();
            let files = self.watch_all(Some(clock::now() + LOOK_TIME)).inspect_err(|_| self.stale = true)?;
            if !missed {
                // what was made in a new directory before it was watched
                files.iter().for_each(|(path, bytes)| self.tell(&mut look, FileChange::Created, path, Some(*bytes)));
            }
        }
        look.active |= !drained || self.stale || self.unwatched;
        Ok(look)
    }

    fn event(&mut self, event: InotifyEvent, look: &mut Look) {
        look.active = true;
        let is = |flag| event.mask.contains(flag);
        if is(AddWatchFlags::IN_Q_OVERFLOW) {
            look.missed += 1;
            self.deleted = Deleted::default();
            self.unwatch_all(); // directories may have been missed
            return;
        }
        if is(AddWatchFlags::IN_IGNORED) {
            self.dirs.remove(&event.wd);
            return;
        }
        let (Some(dir), Some(name)) = (self.dirs.get(&event.wd), event.name) else { return };
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
            self.appeared(look, event.cookie, path, is_dir);
        }
    }

    /// Something is there that was not: made, or moved there.
    fn appeared(&mut self, look: &mut Look, cookie: u32, path: PathBuf, is_dir: bool) {
        self.stale |= is_dir;
        let Some((_, from)) = self.moved.take_if(|(moved, _)| cookie != 0 && *moved == cookie) else {
            return self.tell(look, FileChange::Created, &path, None);
        };
        let both = format!("{} -> {}", from.display(), path.display());
        self.tell_as(look, FileChange::Renamed, both, &path, None);
        if is_dir {
            // so that the events that follow get the right names
            for place in self.dirs.values_mut() {
                if let Ok(rest) = place.strip_prefix(&from) {
                    *place = if rest.as_os_str().is_empty() { path.clone() } else { path.join(rest) };
                }
            }
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
    /// With the number of the deletion.
    names: HashMap<(WatchDescriptor, OsString), u64>,
    /// Deletions in order, those of names that are in use again too.
    order: VecDeque<(u64, (WatchDescriptor, OsString))>,
    last: u64,
}

impl Deleted {
    fn insert(&mut self, key: (WatchDescriptor, OsString)) {
        self.last += 1;
        self.names.insert(key.clone(), self.last);
        self.order.push_back((self.last, key));
        if self.order.len() > DELETED
            && let Some((number, oldest)) = self.order.pop_front()
            && self.names.get(&oldest) == Some(&number)
        {
            self.names.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &(WatchDescriptor, OsString)) {
        self.names.remove(key);
    }

    fn contains(&self, key: &(WatchDescriptor, OsString)) -> bool {
        self.names.contains_key(key)
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
