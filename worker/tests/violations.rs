//! What a native plugin meets that does what it must not, and one that only does what everybody does.

mod support;

use midimon_shared::Event;
use midimon_shared::codec;
use midimon_shared::protocol::*;
use midimon_shared::spawn::{SpawnArgs, Violations};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use support::plugins::Probe;
use support::*;

const ATTEMPTS: Probe = Probe {
    name: "attempts",
    source: r#"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#define MIB ((size_t)1 << 20)
static int is(const char *what, const char *name) { return strcmp(what, name) == 0; }
static int mapped(void *at) { return at == MAP_FAILED ? errno : 0; }
static void *kill_parent(void *unused) { (void)unused; return (void *)(intptr_t)kill(getppid(), 0); }
static int probe(const char *what) {
    const int rw = PROT_READ | PROT_WRITE, anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    int result = 0;
    errno = 0;
    if (is(what, "read /etc/passwd")) result = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    else if (is(what, "stat /etc/passwd")) { struct stat status; result = stat("/etc/passwd", &status); }
    else if (is(what, "access /etc/passwd")) result = access("/etc/passwd", F_OK);
    else if (is(what, "own memory by /proc")) result = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    else if (is(what, "socket")) result = socket(AF_INET, SOCK_STREAM, 0);
    else if (is(what, "shared memory")) return mapped(mmap(NULL, MIB, rw, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    else if (is(what, "memory that grows down"))
        return mapped(mmap(NULL, MIB, rw, anonymous | MAP_GROWSDOWN, -1, 0));
    else if (is(what, "a piece of the stack enlarged")) {
        volatile char on_stack[32768];
        on_stack[16384] = 1;
        return mapped(mremap((void *)((uintptr_t)(on_stack + 16384) & ~(uintptr_t)4095), 4096, 64 * MIB,
                             MREMAP_MAYMOVE));
    }
    else if (is(what, "address space for page tables"))
        return mapped(mmap(NULL, 2048 * MIB, PROT_READ, anonymous | MAP_NORESERVE, -1, 0));
    else if (is(what, "memory hidden by its protection")) {
        char *held[24];
        int n = 0, failed = 0;
        for (; n < 24 && !failed; n++) {
            held[n] = mmap(NULL, 64 * MIB, rw, anonymous, -1, 0);
            failed = mapped(held[n]);
            if (failed) break;
            held[n][0] = 1;
            if (mprotect(held[n], 64 * MIB, PROT_READ) != 0) return 249;
        }
        while (n-- > 0) munmap(held[n], 64 * MIB);
        return failed;
    }
    else if (is(what, "whether a thread exists")) {
        static int word = 0x3ffffffe; /* a number no thread has */
        result = (int)syscall(SYS_futex, &word, 6 | 128, 0, NULL, NULL, 0);
        return errno == ESRCH ? 0 : errno;
    }
    else if (is(what, "executable memory"))
        return mapped(mmap(NULL, MIB, PROT_READ | PROT_EXEC, anonymous, -1, 0));
    else if (is(what, "memory made executable")) {
        void *at = mmap(NULL, MIB, rw, anonymous, -1, 0);
        result = mprotect(at, MIB, PROT_READ | PROT_EXEC);
    }
    else if (is(what, "another handler for violations")) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = SIG_IGN;
        result = sigaction(SIGSYS, &action, NULL);
    }
    else if (is(what, "fork")) { pid_t child = fork(); if (child == 0) _exit(0); result = child; }
    else if (is(what, "raise the limits")) {
        struct rlimit limit;
        getrlimit(RLIMIT_NOFILE, &limit);
        result = setrlimit(RLIMIT_NOFILE, &limit);
    }
    else if (is(what, "kill")) result = kill(getppid(), 0);
    else if (is(what, "kill in a thread")) {
        pthread_t thread;
        void *killed = NULL;
        if (pthread_create(&thread, NULL, kill_parent, NULL) != 0) return 250;
        pthread_join(thread, &killed);
        return killed == NULL ? 0 : EPERM;
    }
    else if (is(what, "memfd")) result = (int)syscall(SYS_memfd_create, "x", 0);
    else if (is(what, "dumpable")) result = prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    else return 251;
    return result < 0 ? errno : 0;
}
"#,
};

fn bind_each(worker: &Worker, attempts: &[&str]) {
    for (id, what) in attempts.iter().enumerate() {
        worker.bind(id as u32, "attempt", &format!("{{\"what\":\"{what}\"}}"), 5000);
    }
}

/// The errno with which call number `binding` failed, 0 when it did not.
fn attempt(worker: &mut Worker, binding: usize) -> Result<i32, Event> {
    worker.trigger(7, binding as u32, stamp());
    match worker.next() {
        Some(Event::Done { outcome: Outcome::Ok, .. }) => Ok(0),
        Some(Event::Done { outcome: Outcome::Failed { code, .. }, .. }) => Ok(code),
        Some(event) => Err(event),
        None => panic!("log: {}", worker.end().1),
    }
}

/// What everything tried in passing gets. None of it ends the plugin.
const REFUSED: [(&str, i32); 16] = [
    ("read /etc/passwd", libc::EACCES),
    ("stat /etc/passwd", libc::EACCES),
    ("access /etc/passwd", libc::EACCES),
    ("own memory by /proc", libc::EACCES),
    ("socket", libc::EPERM),
    ("shared memory", libc::EPERM),
    ("memory that grows down", libc::EPERM),
    ("a piece of the stack enlarged", libc::ENOMEM),
    ("address space for page tables", libc::ENOMEM),
    ("memory hidden by its protection", libc::ENOMEM),
    ("whether a thread exists", libc::ENOSYS),
    ("executable memory", libc::EPERM),
    ("memory made executable", libc::EPERM),
    ("another handler for violations", libc::EPERM),
    ("fork", libc::EPERM),
    ("raise the limits", libc::EPERM),
];

/// What ends the plugin, and its number.
const VIOLATIONS: [(&str, i64); 4] = [
    ("kill", libc::SYS_kill),
    ("kill in a thread", libc::SYS_kill),
    ("memfd", libc::SYS_memfd_create),
    ("dumpable", libc::SYS_prctl),
];

fn code() -> OwnedFd {
    static LIBRARY: LazyLock<Vec<u8>> = LazyLock::new(|| ATTEMPTS.plugin(""));
    sealed_memfd(&LIBRARY)
}

/// How it goes in a process of its own, without a sandbox.
fn outside(what: &str) -> i32 {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| ATTEMPTS.program());
    let status = Command::new(PROGRAM.as_path()).arg(what).status().unwrap();
    status.code().unwrap_or_else(|| panic!("{what}: {status}"))
}

#[test]
fn what_works_outside_fails_with_an_errno_inside_and_the_plugin_lives() {
    let names = REFUSED.map(|(what, _)| what);
    let mut worker = Worker::ready(NATIVE, load(CodeKind::Native, limits()), &code());
    bind_each(&worker, &names);
    for (index, (what, errno)) in REFUSED.iter().enumerate() {
        assert_eq!(outside(what), 0, "{what} outside");
        assert_eq!(attempt(&mut worker, index), Ok(*errno), "{what}");
    }
}

#[test]
fn a_violation_is_named_and_the_plugin_dies_of_it() {
    for (what, number) in VIOLATIONS {
        assert_eq!(outside(what), 0, "{what} outside");
        let mut worker = Worker::ready(NATIVE, load(CodeKind::Native, limits()), &code());
        bind_each(&worker, &[what]);
        let number = number as u32;
        assert_eq!(attempt(&mut worker, 0), Err(Event::Denied { number }), "{what}");
        assert_eq!(worker.next(), None, "{what}");
        assert_eq!(worker.wait(), WaitStatus::Signaled(worker.pid, Signal::SIGSYS, false), "{what}");
    }
}

#[test]
fn in_report_mode_each_violation_is_named_once_and_fails() {
    let args = SpawnArgs { violations: Violations::Report, ..Worker::args() };
    let mut worker = Worker::ready_as(NATIVE, &args, load(CodeKind::Native, limits()), &code());
    bind_each(&worker, &["kill", "memfd"]);
    for (index, number) in [(0, libc::SYS_kill), (1, libc::SYS_memfd_create)] {
        assert_eq!(attempt(&mut worker, index), Err(Event::Denied { number: number as u32 }));
        let Some(Event::Done { outcome, .. }) = worker.next() else { panic!() };
        assert!(matches!(outcome, Outcome::Failed { code: libc::EPERM, .. }), "{outcome:?}");
        assert_eq!(attempt(&mut worker, index), Ok(libc::EPERM), "the second time is not news");
    }
}

/// A frame as C bytes.
fn c_bytes(event: &Event) -> String {
    let mut frame = Vec::new();
    codec::encode(event, &mut frame).unwrap();
    frame.iter().map(|byte| format!("{byte},")).collect()
}

#[test]
fn a_constructor_that_forges_ready_and_stays_is_refused_the_same() {
    let ready = c_bytes(&Event::Ready(Ready { name: "forged".into(), ..Ready::default() }));
    // executable memory is what the first filter cannot take away: the loader needs it
    let attempts: Vec<_> = REFUSED.iter().filter(|(what, _)| !what.contains("execut")).collect();
    let names: String = attempts.iter().map(|(what, _)| format!("\"{what}\",")).collect();
    let globals = format!(
        r#"
#include <stdio.h>
__attribute__((constructor)) static void stay(void) {{
    static const unsigned char ready[] = {{{ready}}};
    static const char *names[] = {{{names}}};
    size_t n;
    if (write(4, ready, sizeof ready) != sizeof ready) return;
    for (n = 0; n < sizeof names / sizeof *names; n++) fprintf(stderr, "%s=%d\n", names[n], probe(names[n]));
    kill(getppid(), 0);
    for (;;) pause();
}}"#
    );
    let probe = Probe { name: "forger", ..ATTEMPTS };
    let mut worker = Worker::spawn(NATIVE);
    match worker.load(load(CodeKind::Native, limits()), &sealed_memfd(&probe.plugin(&globals))) {
        Event::Ready(ready) => assert_eq!(ready.name, "forged"),
        other => panic!("{other:?}"),
    }
    assert_eq!(worker.next(), Some(Event::Denied { number: libc::SYS_kill as u32 }));
    assert_eq!(worker.next(), None);
    let (_, log) = worker.end();
    for (what, errno) in attempts {
        assert!(log.contains(&format!("{what}={errno}\n")), "{what}: {log}");
    }
}

/// Installs a filter that allows everything, in each way there is, and says how that went.
const ALLOW_ALL: &str = r#"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
__attribute__((constructor)) static void allow_all(void) {
    struct sock_filter allow = { 0x06, 0, 0, 0x7fff0000u };
    struct sock_fprog program = { 1, &allow };
    int flags;
    for (flags = 0; flags < 2; flags++) {
        long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
        fprintf(stderr, "flags=%d installed=%ld errno=%d\n", flags, result, result ? errno : 0);
    }
}"#;

/// What the kernel says of each thread's filters.
fn filters(worker: &Worker) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", worker.pid)).unwrap();
    let statuses = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    statuses.map(|status| status.lines().filter(|line| line.starts_with("Seccomp")).collect()).collect()
}

const TWO_FILTERS: &str = "Seccomp:\t2Seccomp_filters:\t2";

/// A worker whose constructor did what it could, and then met the same as everybody.
fn refuses_the_same(name: &'static str, constructor: &str) -> String {
    let probe = Probe { name, ..ATTEMPTS };
    let code = sealed_memfd(&probe.plugin(constructor));
    let mut worker = Worker::ready(NATIVE, load(CodeKind::Native, limits()), &code);
    bind_each(&worker, &REFUSED.map(|(what, _)| what));
    for (index, (what, errno)) in REFUSED.iter().enumerate() {
        assert_eq!(attempt(&mut worker, index), Ok(*errno), "{what}");
    }
    assert!(filters(&worker).iter().all(|filters| filters == TWO_FILTERS));
    worker.end().1
}

#[test]
fn a_constructor_installs_no_filter_of_its_own() {
    // one that answers for the kernel, or has it write to the system's log, least of all
    let log = refuses_the_same("allower", ALLOW_ALL);
    assert!(log.contains("flags=0 installed=-1 errno=1\nflags=1 installed=-1 errno=1\n"), "{log}");
}

/// Tries to change or remove the second filter's program before it is installed: `own` is for comparison.
const OVERWRITE: &str = r#"
#include <stdio.h>
static void said(const char *what, int at, long result) {
    fprintf(stderr, "%s at %s: %d\n", what, at ? "program" : "own", result == -1 ? errno : 0);
}
__attribute__((constructor)) static void overwrite(void) {
    char *places[2] = { NULL, (char *)0x100000 };
    const int rw = PROT_READ | PROT_WRITE, fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    int at;
    places[0] = mmap(NULL, 8192, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (at = 0; at < 2; at++) {
        said("writable", at, mprotect(places[at], 4096, rw));
        said("emptied", at, madvise(places[at], 4096, MADV_DONTNEED));
        said("replaced", at, (long)mmap(places[at], 4096, rw, fixed, -1, 0));
        said("removed", at, munmap(places[at], 4096));
    }
    said("from below", 1, munmap((char *)0xff000, 8192));
}"#;

#[test]
fn the_second_filter_cannot_be_changed_before_it_is_installed() {
    let log = refuses_the_same("overwriter", OVERWRITE);
    for what in ["writable", "emptied", "replaced", "removed"] {
        assert!(log.contains(&format!("{what} at own: 0\n")), "{what}: {log}");
        let refused = [libc::EPERM, libc::EINVAL].map(|errno| format!("{what} at program: {errno}\n"));
        assert!(refused.iter().any(|line| log.contains(line)), "{what}: {log}");
    }
    assert!(log.contains(&format!("from below at program: {}\n", libc::EINVAL)), "{log}");
}

#[test]
fn a_wasm_worker_with_a_data_directory_and_without_is_under_two_filters() {
    let guest = support::guests::Guest::default();
    let directory = tempfile::tempdir().unwrap();
    let data = Some(directory.path());
    for data in [None, data] {
        let load = load(CodeKind::WasmCore, limits());
        let worker = match data {
            Some(data) => Worker::ready_with_data(WASM, data, load, &guest.compiled()),
            None => Worker::ready(WASM, load, &guest.compiled()),
        };
        // it has one thread: nothing of it can have been left out
        assert_eq!(filters(&worker), [TWO_FILTERS]);
    }
}
