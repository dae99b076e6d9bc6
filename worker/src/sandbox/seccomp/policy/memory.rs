//! Memory. Everything that can be written is private, so that RLIMIT_DATA counts it.

use super::errno::{EINVAL, ENOMEM, EPERM};
use super::{Answer, Arm, Rule, Table, allow, bits, fail, free, int, only, unless};

/// PROT_EXEC.
const EXEC: u64 = 4;
/// Bits of `prot` that are known: READ, WRITE, EXEC. Not GROWSDOWN and GROWSUP.
const PROT: u64 = 7;

/// MAP_PRIVATE as the kind of mapping.
const PRIVATE: u64 = 2;
/// The kind (MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE), and what must not come with it:
/// MAP_GROWSDOWN, which RLIMIT_DATA does not count; MAP_LOCKED; MAP_HUGETLB, which are few and everyone's.
const KIND: u64 = 0xF | 0x100 | 0x2000 | 0x40000;

/// `mremap` moves a piece of the main thread's stack and makes it larger, and RLIMIT_DATA counts no stack. The C
/// library's realloc goes on without it.
const NO_MREMAP: Rule = fail(&["mremap"], ENOMEM);

/// How memory can be let go of, and hints: NORMAL, RANDOM, SEQUENTIAL, WILLNEED, DONTNEED, FREE, NOHUGEPAGE,
/// GUARD_INSTALL, GUARD_REMOVE. To others the answer is that of a kernel which does not know them.
const MADVISE: Rule = unless(
    &["madvise"],
    &[
        allow(&[bits(2, !3, 0)]),
        allow(&[int(2, 4)]),
        allow(&[int(2, 8)]),
        allow(&[int(2, 15)]),
        allow(&[int(2, 102)]),
        allow(&[int(2, 103)]),
    ],
    EINVAL,
);

const FREE: Rule = free(&["munmap", "brk"]);

const SECCOMP_SET_MODE_FILTER: u64 = 1;
const SECCOMP_FILTER_FLAG_TSYNC: u64 = 1;

/// Until the plugin is loaded: libraries are mapped, and one more filter can be installed, for all threads at once.
pub const LOADING: Table = Table {
    arch: None,
    rules: &[
        FREE,
        NO_MREMAP,
        MADVISE,
        unless(&["mmap"], &[allow(&[only(2, PROT), bits(3, KIND, PRIVATE)])], EPERM),
        unless(&["mprotect"], &[allow(&[only(2, PROT)])], EINVAL),
        unless(&["seccomp"], &[allow(&[int(0, SECCOMP_SET_MODE_FILTER), int(1, SECCOMP_FILTER_FLAG_TSYNC)])], EPERM),
    ],
};

/// Afterwards: no new executable memory, no further filter.
pub const LOCKED: Table = Table {
    arch: None,
    rules: &[
        FREE,
        NO_MREMAP,
        MADVISE,
        unless(&["mmap"], &[allow(&[only(2, PROT & !EXEC), bits(3, KIND, PRIVATE)])], EPERM),
        unless(
            &["mprotect"],
            &[allow(&[only(2, PROT & !EXEC)]), Arm { when: &[bits(2, EXEC, EXEC)], then: Answer::Errno(EPERM) }],
            EINVAL,
        ),
        fail(&["seccomp"], EPERM),
    ],
};
