//! Memory. Everything that can be written is private, so that RLIMIT_DATA counts it.
//!
//! At its lower end lies the one program that a worker can still install ([`super::SECOND`]): nothing below
//! [`super::SECOND_END`] can be replaced, given another protection, or let go of.

use super::errno::{EINVAL, ENOMEM, EPERM};
use super::{
    Answer, Arm, Condition, Rule, SECOND, SECOND_END, Table, Test, Width, allow, bits, fail, free, int, only, refuse,
    unless,
};

/// PROT_EXEC.
const EXEC: u64 = 4;
/// Bits of `prot` that are known: READ, WRITE, EXEC. Not GROWSDOWN and GROWSUP.
const PROT: u64 = 7;

/// MAP_PRIVATE as the kind of mapping.
const PRIVATE: u64 = 2;
/// The kind (MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE), and what must not come with it:
/// MAP_GROWSDOWN, which RLIMIT_DATA does not count; MAP_LOCKED; MAP_HUGETLB, which are few and everyone's.
const KIND: u64 = 0xF | 0x100 | 0x2000 | 0x40000;

const MAP_FIXED: u64 = 0x10;
const ANONYMOUS: u64 = 0x20;

/// A range from here can reach the second program. One that starts above it cannot: none goes round the end. Kernels
/// for aarch64 do not look at the uppermost byte of an address.
const LOW: Condition =
    Condition { argument: 0, width: Width::Long, test: Test::Masked(0x00FF_FFFF_FFFF_FFFF & !(SECOND_END - 1), 0) };

/// What would put something in its place. Without MAP_FIXED an address is a wish.
const OVER_IT: Arm = refuse(&[LOW, bits(3, MAP_FIXED, MAP_FIXED)], EPERM);

/// `mremap` moves a piece of the main thread's stack and makes it larger, and RLIMIT_DATA counts no stack. The C
/// library's realloc goes on without it.
const NO_MREMAP: Rule = fail(&["mremap"], ENOMEM);

/// How memory can be let go of, and hints: NORMAL, RANDOM, SEQUENTIAL, WILLNEED, DONTNEED, FREE, NOHUGEPAGE,
/// GUARD_INSTALL, GUARD_REMOVE. To others the answer is that of a kernel which does not know them.
const MADVISE: Rule = unless(
    &["madvise"],
    &[
        refuse(&[LOW], EINVAL),
        allow(&[bits(2, !3, 0)]),
        allow(&[int(2, 4)]),
        allow(&[int(2, 8)]),
        allow(&[int(2, 15)]),
        allow(&[int(2, 102)]),
        allow(&[int(2, 103)]),
    ],
    EINVAL,
);

const MUNMAP: Rule = Rule { calls: &["munmap"], arms: &[refuse(&[LOW], EINVAL)], otherwise: Answer::Allow };
const BRK: Rule = free(&["brk"]);

const SECCOMP_SET_MODE_FILTER: u64 = 1;
const SECCOMP_FILTER_FLAG_TSYNC: u64 = 1;

/// Until the plugin is loaded: libraries are mapped, and the second filter can be installed, for all threads at once.
pub const LOADING: Table = Table {
    arch: None,
    rules: &[
        MUNMAP,
        BRK,
        NO_MREMAP,
        MADVISE,
        unless(&["mprotect"], &[refuse(&[LOW], EPERM), allow(&[only(2, PROT)])], EINVAL),
        unless(
            &["seccomp"],
            &[allow(&[
                int(0, SECCOMP_SET_MODE_FILTER),
                int(1, SECCOMP_FILTER_FLAG_TSYNC),
                Condition { argument: 2, width: Width::Long, test: Test::Is(SECOND) },
            ])],
            EPERM,
        ),
    ],
};

/// Files are mapped by the kernel.
pub const FILES: Table = Table {
    arch: None,
    rules: &[unless(&["mmap"], &[OVER_IT, allow(&[only(2, PROT), bits(3, KIND, PRIVATE)])], EPERM)],
};

/// Files are not mapped: the handler makes a copy. A mapping would keep a file on the disk that has no name and no
/// descriptor any more, where no quota sees it.
pub const COPIES: Table = Table {
    arch: None,
    rules: &[unless(
        &["mmap"],
        &[
            OVER_IT,
            allow(&[only(2, PROT), bits(3, KIND | ANONYMOUS, PRIVATE | ANONYMOUS)]),
            Arm { when: &[only(2, PROT), bits(3, KIND, PRIVATE)], then: Answer::Trap },
        ],
        EPERM,
    )],
};

/// Afterwards: no new executable memory, no further filter.
pub const LOCKED: Table = Table {
    arch: None,
    rules: &[
        unless(&["mmap"], &[allow(&[only(2, PROT & !EXEC), bits(3, KIND, PRIVATE)])], EPERM),
        unless(
            &["mprotect"],
            &[allow(&[only(2, PROT & !EXEC)]), Arm { when: &[bits(2, EXEC, EXEC)], then: Answer::Errno(EPERM) }],
            EINVAL,
        ),
        fail(&["seccomp"], EPERM),
    ],
};

/// The rest of a compile job's, which has the one filter.
pub const COMPILING: Table = Table { arch: None, rules: &[MUNMAP, BRK, NO_MREMAP, MADVISE] };
