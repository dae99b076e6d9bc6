//! Calls of every filter: descriptors, waiting, threads, time, signals, and what only tells
//! a process about itself.

use super::errno::{EINVAL, ENOSYS, ENOTTY, EPERM};
use super::{
    Answer, Arch, Arm, Condition, Rule, Table, Test, Width, allow, bits, fail, free, int, null, only, refuse, trap,
    unless,
};

const SIGABRT: u64 = 6;
const SIGBUS: u64 = 7;
const SIGSEGV: u64 = 11;
const SIGSYS: u64 = 31;

/// What glibc and musl pass to clone for a thread: VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS,
/// PARENT_SETTID, CHILD_CLEARTID. Nothing else, a namespace or a child process least of all.
const THREAD_FLAGS: u64 = 0x003D_0F00;
/// CLONE_DETACHED, without effect; musl still sets it.
const CLONE_DETACHED: u64 = 0x0040_0000;

/// The last clock that is a number for everyone (CLOCK_TAI). Larger ones, negative included, name the
/// processor clocks of other processes.
const LAST_CLOCK: Condition = Condition { argument: 0, width: Width::Int, test: Test::AtMost(11) };

const OWN_PID: Condition = Condition { argument: 0, width: Width::Int, test: Test::OwnPid };

/// For every processor.
pub const COMMON: Table = Table {
    arch: None,
    rules: &[
        // descriptors the process has: what they reach was decided when it got them
        free(&["read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev"]),
        free(&["close", "lseek", "fstat", "dup", "dup3"]),
        // std falls back to the ones above
        fail(&["preadv2", "pwritev2", "copy_file_range", "sendfile", "splice"], ENOSYS),
        unless(&["close_range"], &[allow(&[only(2, CLOSE_RANGE_CLOEXEC)])], EPERM),
        // O_CLOEXEC and O_NONBLOCK; not O_DIRECT, not O_NOTIFICATION_PIPE
        unless(&["pipe2"], &[allow(&[only(1, 0o2_004_000)])], EINVAL),
        FCNTL,
        // isatty and stdio ask for terminals: there are none. FIONBIO, FIONREAD, FIOCLEX, FIONCLEX are about
        // the descriptor alone
        unless(
            &["ioctl"],
            &[allow(&[int(1, 0x5421)]), allow(&[int(1, 0x541B)]), allow(&[int(1, 0x5451)]), allow(&[int(1, 0x5450)])],
            ENOTTY,
        ),
        // waiting
        free(&["ppoll", "pselect6", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "eventfd2"]),
        fail(&["timerfd_create"], EPERM),
        // threads, no processes. glibc falls back from clone3, whose flags no filter can see
        fail(&["clone3"], ENOSYS),
        unless(
            &["clone"],
            &[allow(&[Condition {
                argument: 0,
                width: Width::Long,
                test: Test::Masked(!CLONE_DETACHED, THREAD_FLAGS),
            }])],
            EPERM,
        ),
        FUTEX,
        free(&["set_robust_list", "set_tid_address", "rseq", "sched_yield", "getcpu"]),
        fail(&["futex_waitv"], ENOSYS),
        // only what concerns the process's own threads: 0 asks, 8 … 128 are private and "core"
        unless(
            &["membarrier"],
            &[
                allow(&[int(0, 0)]),
                allow(&[int(0, 8)]),
                allow(&[int(0, 16)]),
                allow(&[int(0, 32)]),
                allow(&[int(0, 64)]),
            ],
            EINVAL,
        ),
        free(&["exit", "exit_group", "restart_syscall", "getrandom"]),
        // its own place in the schedule can be read; another process's answer would say that it exists
        unless(&["sched_getaffinity"], &[allow(&[int(0, 0)]), allow(&[OWN_PID])], ENOSYS),
        unless(
            &["sched_getparam", "sched_getscheduler", "sched_getattr"],
            &[allow(&[int(0, 0)]), allow(&[OWN_PID])],
            EPERM,
        ),
        unless(&["getpriority"], &[allow(&[int(1, 0)])], EPERM),
        unless(&["getpgid", "getsid"], &[allow(&[int(0, 0)])], EPERM),
        free(&["sched_get_priority_max", "sched_get_priority_min"]),
        fail(&["sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr", "setpriority"], EPERM),
        // signals: an abort is an abort, and a fault that was sent still ends a WASM worker
        free(&["rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigsuspend", "rt_sigtimedwait", "sigaltstack"]),
        unless(
            &["rt_sigaction"],
            &[
                // the handler that names violations stays; asking for it changes nothing
                allow(&[int(0, SIGSYS), null(1)]),
                refuse(&[int(0, SIGSYS)], EPERM),
                allow(&[Condition { argument: 0, width: Width::Int, test: Test::AtMost(64) }]),
            ],
            EINVAL,
        ),
        trap(
            &["tgkill"],
            &[
                allow(&[OWN_PID, int(2, SIGABRT)]),
                allow(&[OWN_PID, int(2, SIGSEGV)]),
                allow(&[OWN_PID, int(2, SIGBUS)]),
            ],
        ),
        PRCTL,
        // time
        unless(&["clock_gettime", "clock_getres", "clock_nanosleep"], &[allow(&[LAST_CLOCK])], EINVAL),
        free(&["nanosleep", "gettimeofday", "times"]),
        // who and where am I
        free(&["getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid"]),
        free(&["getgroups", "uname", "sysinfo", "getrusage", "getrlimit", "umask"]),
        fail(&["setrlimit"], EPERM),
        unless(&["prlimit64"], &[allow(&[int(0, 0), null(2)])], EPERM),
        // libraries that keep secrets out of swap live without it
        fail(&["mlock", "mlock2", "munlock", "mlockall", "munlockall"], EPERM),
        // no sockets but those that were handed over
        fail(&["socket", "socketpair"], EPERM),
        // what changes files without Landlock's knowledge, or makes names that lead elsewhere
        fail(&["symlinkat", "linkat", "utimensat", "fchmod", "fchmodat"], EPERM),
        // callers fall back to the older calls, whose arguments a filter can see
        fail(&["openat2", "fchmodat2"], ENOSYS),
    ],
};

/// All but those with priority inheritance (LOCK_PI, UNLOCK_PI, TRYLOCK_PI, WAIT_REQUEUE_PI, CMP_REQUEUE_PI, LOCK_PI2):
/// they tell whether the thread whose number is in the word exists, whoever's it is.
const FUTEX: Rule = Rule {
    calls: &["futex"],
    arms: &[
        refuse(&[bits(1, 0x7F, 6)], ENOSYS),
        refuse(&[bits(1, 0x7F, 7)], ENOSYS),
        refuse(&[bits(1, 0x7F, 8)], ENOSYS),
        refuse(&[bits(1, 0x7F, 11)], ENOSYS),
        refuse(&[bits(1, 0x7F, 12)], ENOSYS),
        refuse(&[bits(1, 0x7F, 13)], ENOSYS),
    ],
    otherwise: Answer::Allow,
};

const CLOSE_RANGE_CLOEXEC: u64 = 4;

/// Commands about the descriptor itself; none that sends signals, takes leases or sizes pipes.
const FCNTL: Rule = unless(
    &["fcntl"],
    &[
        allow(&[int(1, 0)]),    // F_DUPFD
        allow(&[int(1, 1)]),    // F_GETFD
        allow(&[int(1, 2)]),    // F_SETFD
        allow(&[int(1, 3)]),    // F_GETFL
        allow(&[int(1, 1030)]), // F_DUPFD_CLOEXEC
        allow(&[int(1, 1034)]), // F_GET_SEALS
        allow(&[int(1, 1032)]), // F_GETPIPE_SZ
        // F_SETFL, but for O_ASYNC (signals) and O_DIRECT (packets in pipes)
        allow(&[
            int(1, 4),
            bits(2, 0o20_000, 0),
            bits(2, super::files::O_DIRECT_X86_64 | super::files::O_DIRECT_AARCH64, 0),
        ]),
        // F_GETLK, F_SETLK, F_SETLKW and those of open files (OFD): advice among the holders of a file
        allow(&[int(1, 5)]),
        allow(&[int(1, 6)]),
        allow(&[int(1, 7)]),
        allow(&[int(1, 36)]),
        allow(&[int(1, 37)]),
        allow(&[int(1, 38)]),
    ],
    EPERM,
);

const PR_SET_VMA: u64 = 0x5356_4D41;

/// Names for threads and memory. What would undo a layer traps; the rest (reads included) is not there.
const PRCTL: Rule = unless(
    &["prctl"],
    &[
        allow(&[int(0, 15)]), // PR_SET_NAME
        allow(&[int(0, 16)]), // PR_GET_NAME
        allow(&[int(0, PR_SET_VMA)]),
        Arm { when: &[int(0, 1)], then: Answer::Trap }, // PR_SET_PDEATHSIG
        Arm { when: &[int(0, 4)], then: Answer::Trap }, // PR_SET_DUMPABLE
        Arm { when: &[int(0, 22)], then: Answer::Trap }, // PR_SET_SECCOMP
        Arm { when: &[int(0, 28)], then: Answer::Trap }, // PR_SET_SECUREBITS
        Arm { when: &[int(0, 35)], then: Answer::Trap }, // PR_SET_MM
        Arm { when: &[int(0, 0x5961_6D61)], then: Answer::Trap }, // PR_SET_PTRACER
    ],
    EPERM,
);

/// The clock of WASM workers' deadlines, by a signal; not those that count processor time.
pub const CLOCK: Table = Table { arch: None, rules: &[unless(&["setitimer"], &[allow(&[int(0, 0)])], EPERM)] };

/// Older numbers that glibc still uses on x86_64.
pub const LEGACY: Table = Table {
    arch: Some(Arch::X86_64),
    rules: &[
        free(&["poll", "select", "epoll_create", "epoll_wait", "eventfd", "dup2", "pipe", "getpgrp", "time", "pause"]),
        // a thread's own segment was set when it was made
        fail(&["arch_prctl"], EINVAL),
        fail(&["symlink", "link", "utime", "utimes", "futimesat", "chmod"], EPERM),
    ],
};
