//! Control groups (version 2): a directory each, with files to read and write.
//!
//! A group is held by a descriptor and everything goes through that, one name at a
//! time and never through a symbolic link, so nothing outside can be meant.

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, fstatfs};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, unlinkat};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

/// Longest text of a group's file that is read, in bytes.
const MAX_TEXT: u64 = 64 * 1024;
/// Most groups within one that are listed.
const MAX_CHILDREN: usize = 4_096;

/// An open group.
#[derive(Debug)]
pub struct Group(OwnedFd);

impl Group {
    /// Opens the group at `path` below `mount`.
    ///
    /// # Errors
    /// The system call's; `EINVAL` where that is no control group of version 2.
    pub fn open(mount: &Path, path: &Path) -> Result<Self, Errno> {
        let mut group = Self(openat(nix::fcntl::AT_FDCWD, mount, directory(), Mode::empty())?);
        if fstatfs(&group.0)?.filesystem_type() != CGROUP2_SUPER_MAGIC {
            return Err(Errno::EINVAL);
        }
        for component in path.components() {
            match component {
                Component::Normal(name) => group = Self(openat(&group.0, name, directory(), Mode::empty())?),
                Component::RootDir | Component::CurDir => {}
                Component::ParentDir | Component::Prefix(_) => return Err(Errno::EINVAL),
            }
        }
        Ok(group)
    }

    /// Any directory, for tests.
    #[cfg(test)]
    pub fn fake(path: &Path) -> Self {
        Self(openat(nix::fcntl::AT_FDCWD, path, directory(), Mode::empty()).unwrap())
    }

    /// Opens a group within, and makes it when it is not there.
    ///
    /// # Errors
    /// The system call's; `EINVAL` when `name` is no plain name.
    pub fn child(&self, name: &str) -> Result<Self, Errno> {
        let name = plain(name)?;
        match mkdirat(&self.0, name, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => Ok(Self(openat(&self.0, name, directory(), Mode::empty())?)),
            Err(error) => Err(error),
        }
    }

    /// Removes a group within; it must be empty.
    ///
    /// # Errors
    /// The system call's; `EBUSY` while a process or a group is in it.
    pub fn remove(&self, name: &str) -> Result<(), Errno> {
        unlinkat(&self.0, plain(name)?, UnlinkatFlags::RemoveDir)
    }

    /// The names of the groups within; none where they cannot be listed.
    #[must_use]
    pub fn children(&self) -> Vec<String> {
        let Ok(mut listing) = Dir::openat(&self.0, ".", directory(), Mode::empty()) else { return Vec::new() };
        let directories = listing.iter().flatten().filter(|entry| entry.file_type() == Some(nix::dir::Type::Directory));
        let names = directories.filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned));
        names.filter(|name| name != "." && name != "..").take(MAX_CHILDREN).collect()
    }

    /// Whether this process may make groups in it and move processes.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        let may_write = |name| faccessat(&self.0, name, AccessFlags::W_OK, AtFlags::AT_EACCESS).is_ok();
        [".", "cgroup.procs", "cgroup.subtree_control"].into_iter().all(may_write)
    }

    /// Reads one of its files.
    ///
    /// # Errors
    /// The system call's; `NotFound` where this kernel has no such file.
    pub fn read(&self, file: &str) -> io::Result<String> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut text = String::new();
        File::from(openat(&self.0, plain(file)?, flags, Mode::empty())?).take(MAX_TEXT).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Writes one of its files, at once.
    ///
    /// # Errors
    /// As [`Self::read`]; what the kernel thinks of the text.
    pub fn write(&self, file: &str, text: &str) -> io::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        File::from(openat(&self.0, plain(file)?, flags, Mode::empty())?).write_all(text.as_bytes())
    }

    /// The numbers of the processes in it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn processes(&self) -> io::Result<Vec<i32>> {
        Ok(self.read("cgroup.procs")?.lines().filter_map(|line| line.parse().ok()).collect())
    }
}

fn directory() -> OFlag {
    OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_RDONLY | OFlag::O_CLOEXEC
}

fn plain(name: &str) -> Result<&str, Errno> {
    let bad = name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']);
    if bad { Err(Errno::EINVAL) } else { Ok(name) }
}

/// Where the version 2 hierarchy is mounted, and our own group's path below that,
/// from the texts of `/proc/self/cgroup` and `/proc/self/mountinfo`.
///
/// # Errors
/// Why there is none that we could reach.
pub fn own_path(cgroup: &str, mountinfo: &str) -> Result<(PathBuf, PathBuf), &'static str> {
    let own = cgroup.lines().find_map(|line| line.strip_prefix("0::/"));
    let own = Path::new("/").join(own.ok_or("this kernel has no cgroup v2")?);
    if own.components().any(|part| part == Component::ParentDir) {
        return Err("midimon's group is outside of what is mounted here");
    }
    // the last one mounted lies on top
    let found = mountinfo.lines().rev().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (unescaped(fields.next()?), unescaped(fields.next()?));
        Some((PathBuf::from(point), own.strip_prefix(root).ok()?.to_owned()))
    });
    found.ok_or("no cgroup v2 is mounted that holds midimon's group")
}

/// mountinfo writes blanks and backslashes as `\040`.
fn unescaped(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut parts = field.split('\\');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                text.push(char::from(byte));
                text.push_str(&part[3..]);
            }
            None => text.push_str(part),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 0:21 / /proc rw - proc proc rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime shared:9 - cgroup2 cgroup2 rw
";

    #[test]
    fn our_group_is_found_below_its_mount() {
        let found = own_path("1:cpu:/a\n0::/user.slice/midimon.service\n", MOUNTS).unwrap();
        assert_eq!(found, ("/sys/fs/cgroup/uni fied".into(), "user.slice/midimon.service".into()));
        let part = "41 31 0:38 /user.slice /mnt rw - cgroup2 cgroup2 rw\n";
        assert_eq!(own_path("0::/user.slice/a\n", part).unwrap(), ("/mnt".into(), "a".into()));
        assert_eq!(own_path("0::/\n", MOUNTS).unwrap().1, PathBuf::new());
    }

    #[test]
    fn without_a_way_to_our_group_the_reason_is_told() {
        assert!(own_path("9:memory:/x\n", MOUNTS).unwrap_err().contains("no cgroup v2"));
        assert!(own_path("0::/../other\n", MOUNTS).unwrap_err().contains("outside"));
        assert!(own_path("0::/a\n", "22 1 0:21 / /proc rw - proc proc rw\n").unwrap_err().contains("mounted"));
        let elsewhere = "41 31 0:38 /other /mnt rw - cgroup2 cgroup2 rw\n";
        assert!(own_path("0::/user.slice/a\n", elsewhere).is_err());
        for nonsense in ["", " - cgroup2", "a b c - cgroup2 x y", "\\ - \\"] {
            assert!(own_path("0::/a\n", nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn nothing_outside_of_a_group_can_be_meant() {
        let tree = tempfile::tempdir().unwrap();
        let (inside, outside) = (tree.path().join("inside"), tree.path().join("outside"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("cgroup.procs"), "7\n").unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        std::os::unix::fs::symlink(outside.join("cgroup.procs"), inside.join("cgroup.procs")).unwrap();
        let group = Group::fake(&inside);
        for name in ["..", "../outside", ".", "", "link", "a/b"] {
            assert!(group.child(name).is_err(), "{name}");
            assert!(group.remove(name).is_err(), "{name}");
        }
        assert!(group.processes().is_err());
        assert!(group.write("cgroup.procs", "8").is_err());
        assert_eq!(std::fs::read_to_string(outside.join("cgroup.procs")).unwrap(), "7\n");
    }

    #[test]
    fn a_directory_that_is_no_control_group_is_refused() {
        let tree = tempfile::tempdir().unwrap();
        assert_eq!(Group::open(tree.path(), Path::new("")).unwrap_err(), Errno::EINVAL);
    }
}
