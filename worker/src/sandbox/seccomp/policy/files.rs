//! Paths. Filters see numbers, never names: which files can be reached is Landlock's to say. Here is
//! what Landlock does not know, or not on every kernel.

use super::errno::{EACCES, EINVAL, ENOSYS, EOPNOTSUPP, EPERM};
use super::{Answer, Arch, Arm, Rule, Table, allow, bits, fail, free, int, only, refuse, unless};

// Flags of open that are the same on both processors.
const O_ACCMODE: u64 = 0o3;
const O_CREAT: u64 = 0o100;
const O_TRUNC: u64 = 0o1000;
const O_CLOEXEC: u64 = 0o2_000_000;
/// The bit of O_TMPFILE that is not O_DIRECTORY.
const O_TMPFILE: u64 = 0o20_000_000;
/// O_DIRECT of x86_64 …
pub const O_DIRECT_X86_64: u64 = 0o40_000;
/// … and of aarch64.
pub const O_DIRECT_AARCH64: u64 = 0o200_000;

/// -100.
const AT_FDCWD: u64 = 0xFFFF_FF9C;
const AT_EMPTY_PATH: u64 = 0x1000;
const S_ISUID: u64 = 0o4000;
const S_ISGID: u64 = 0o2000;

/// Without a data directory there is no path to look at, not even whether something is there.
pub const NONE: Table = Table {
    arch: None,
    rules: &[
        // callers fall back to fstat
        fail(&["statx"], ENOSYS),
        fail(&["faccessat", "faccessat2", "readlinkat", "getcwd", "chdir", "fchdir"], EACCES),
        fail(&["statfs", "fstatfs", "truncate", "ftruncate", "fallocate", "fadvise64", "fsync", "fdatasync"], EACCES),
        fail(&["mkdirat", "unlinkat", "renameat", "renameat2", "getdents64", "flock", "sync_file_range"], EACCES),
        // fstat as the C library of 2020 to 2023 makes it: a filter cannot see that the path is empty, the
        // handler can, and asks about the descriptor alone
        Rule {
            calls: &["newfstatat"],
            arms: &[Arm { when: &[int(3, AT_EMPTY_PATH)], then: Answer::Trap }],
            otherwise: Answer::Errno(EACCES),
        },
    ],
};

/// The older numbers of those.
pub const NONE_LEGACY: Table = Table {
    arch: Some(Arch::X86_64),
    rules: &[fail(
        &["open", "creat", "stat", "lstat", "access", "readlink", "mkdir", "rmdir", "unlink", "rename", "getdents"],
        EACCES,
    )],
};

/// The loader opens libraries, as Landlock lets it.
pub const LIBRARIES: Table =
    Table { arch: None, rules: &[unless(&["openat"], &[allow(&[int(2, O_CLOEXEC)])], EACCES)] };

/// The runtime opens the code of a component by its descriptor's name in /proc, which it can be told in no other way.
/// Landlock refuses every file that has a place.
pub const OWN_CODE: Table =
    Table { arch: None, rules: &[unless(&["openat"], &[allow(&[int(0, AT_FDCWD), int(2, O_CLOEXEC)])], EACCES)] };

/// Nothing is opened.
pub const NO_OPEN: Table = Table { arch: None, rules: &[fail(&["openat"], EACCES)] };

/// Opening files in the data directory, by any of the two calls: where the flags and the mode are.
const fn opening(calls: &'static [&'static str], arms: &'static [Arm]) -> Rule {
    Rule { calls, arms, otherwise: Answer::Allow }
}

macro_rules! open_arms {
    ($flags:literal, $mode:literal) => {
        &[
            // truncates without writing: Landlock knows that from ABI 3 only
            refuse(&[bits($flags, O_TRUNC | O_ACCMODE, O_TRUNC)], EACCES),
            // neither reading nor writing, for which Landlock asks nothing
            refuse(&[bits($flags, O_ACCMODE, O_ACCMODE)], EACCES),
            // a file without a name would escape the quota
            refuse(&[bits($flags, O_TMPFILE, O_TMPFILE)], EOPNOTSUPP),
            // nobody becomes anybody by running a plugin's file
            refuse(&[bits($flags, O_CREAT, O_CREAT), bits($mode, S_ISUID, S_ISUID)], EPERM),
            refuse(&[bits($flags, O_CREAT, O_CREAT), bits($mode, S_ISGID, S_ISGID)], EPERM),
        ]
    };
}

/// With a data directory: ordinary work on files. Landlock keeps it inside; that something exists
/// elsewhere can be found out.
pub const DATA: Table = Table {
    arch: None,
    rules: &[
        opening(&["openat"], open_arms!(2, 3)),
        free(&["newfstatat", "statx", "faccessat", "faccessat2", "getcwd", "fstatfs"]),
        free(&["mkdirat", "unlinkat", "renameat", "getdents64", "fsync", "fdatasync"]),
        free(&["ftruncate", "fadvise64", "flock", "sync_file_range"]),
        // NOREPLACE and EXCHANGE; WHITEOUT would leave a device file
        unless(&["renameat2"], &[allow(&[only(4, 3)])], EINVAL),
        // takes gigabytes in a millisecond, before anybody can count; libraries write zeros instead
        fail(&["fallocate"], EOPNOTSUPP),
        // there are no links in the data directory, and what lies elsewhere is not told
        fail(&["readlinkat"], EINVAL),
        fail(&["chdir", "fchdir", "statfs", "truncate"], EACCES),
    ],
};

/// The older numbers of those.
pub const DATA_LEGACY: Table = Table {
    arch: Some(Arch::X86_64),
    rules: &[
        opening(&["open"], open_arms!(1, 2)),
        free(&["stat", "lstat", "access", "mkdir", "rmdir", "unlink", "rename"]),
        fail(&["readlink"], EINVAL),
        fail(&["creat", "getdents"], EACCES),
    ],
};
