//! What ordinary code does without a thought, done by a plugin in its sandbox. Nothing of it is a violation.

mod support;

use midimon_shared::protocol::*;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use std::ffi::CStr;
use support::plugins::Probe;
use support::*;

/// Each returns 0, or the line that failed.
const ORDINARY: &str = r#"
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#define CHECK(condition) do { if (!(condition)) return __LINE__; } while (0)
static int is(const char *what, const char *name) { return strcmp(what, name) == 0; }
static pthread_key_t key;
static int destroyed;
static void destroy(void *value) { (void)value; destroyed++; }
static void *thread(void *large) {
    pthread_setspecific(key, &key);
    memset(large, 1, 1 << 20);
    return large;
}
static int talk(void) {
    struct stat status;
    printf("a line\n");
    CHECK(fflush(stdout) == 0);
    CHECK(!isatty(0) && errno == ENOTTY);
    CHECK(fstat(1, &status) == 0 && S_ISFIFO(status.st_mode));
    CHECK(getenv("HOME") == NULL && getpid() > 1);
    return 0;
}
static int threads(void) {
    pthread_t all[4];
    void *large = malloc(8 << 20);
    int n;
    CHECK(large && pthread_key_create(&key, destroy) == 0);
    for (n = 0; n < 4; n++) CHECK(pthread_create(&all[n], NULL, thread, (char *)large + (n << 20)) == 0);
    for (n = 0; n < 4; n++) CHECK(pthread_join(all[n], NULL) == 0);
    CHECK(destroyed == 4);
    large = realloc(large, 40 << 20);
    CHECK(large && ((char *)large)[0] == 1 && ((char *)large)[(4 << 20) - 1] == 1);
    free(large);
    return 0;
}
static void *small(void *unused) {
    char *block = malloc(1 << 20);
    if (!block) return NULL;
    memset(block, 1, 1 << 20);
    free(block);
    return unused;
}
/* 72 of the 128 MiB at once, for the C library keeps 40 of stacks; then 12 stacks of 8. */
static int large(void) {
    char *block = malloc(72 << 20);
    pthread_t all[12];
    void *result;
    int n;
    CHECK(block);
    memset(block, 1, 72 << 20);
    CHECK(block[(72 << 20) - 1] == 1);
    free(block);
    for (n = 0; n < 12; n++) CHECK(pthread_create(&all[n], NULL, small, all) == 0);
    for (n = 0; n < 12; n++) CHECK(pthread_join(all[n], &result) == 0 && result);
    return 0;
}
/* Quarters of an hour east of Greenwich, and 100. */
static int zone(void) {
    time_t then = 1700000000;
    struct tm local;
    tzset();
    localtime_r(&then, &local);
    return 100 + (int)(local.tm_gmtoff / 900);
}
static int clocks(void) {
    struct timespec wait = { 0, 1000 };
    time_t now = time(NULL);
    struct tm local = *localtime(&now);
    CHECK(nanosleep(&wait, NULL) == 0 && mktime(&local) == now);
    return 0;
}
static int refusals(void) {
    CHECK(system("true") != 0);
    CHECK(popen("true", "r") == NULL);
    CHECK(fopen("/etc/hosts", "r") == NULL && errno == EACCES);
    CHECK(dlopen("libdoesnotexist.so", RTLD_NOW) == NULL);
    return 0;
}
static const char *here(void);
static int files(void) {
    char place[4096], from[4200], into[4200], line[16] = {0};
    struct stat status;
    FILE *file;
    DIR *directory;
    int fd, entries = 0;
    char *map;
    const char *data = here();
    snprintf(place, sizeof place, "%s/one", data);
    CHECK(mkdir(place, 0700) == 0 || errno == EEXIST);
    snprintf(into, sizeof into, "%s/two", data);
    CHECK(mkdir(into, 0700) == 0 || errno == EEXIST);
    snprintf(from, sizeof from, "%s/one/file", data);
    snprintf(into, sizeof into, "%s/two/file", data);
    file = fopen(from, "w");
    CHECK(file && fprintf(file, "%d %s\n", 42, "words") > 0 && fclose(file) == 0);
    CHECK(rename(from, into) == 0);
    CHECK(stat(into, &status) == 0 && status.st_size == 9 && access(from, F_OK) == -1 && errno == ENOENT);
    file = fopen(into, "r+");
    CHECK(file && fgets(line, sizeof line, file) && strcmp(line, "42 words\n") == 0);
    CHECK(ftruncate(fileno(file), 2) == 0 && fsync(fileno(file)) == 0 && fclose(file) == 0);
    CHECK((fd = open(into, O_WRONLY | O_TRUNC | O_CLOEXEC)) >= 0 && close(fd) == 0);
    directory = opendir(data);
    CHECK(directory);
    while (readdir(directory)) entries++;
    CHECK(closedir(directory) == 0 && entries == 4);
    CHECK(realpath(into, place) && strcmp(place, into) == 0);
    /* what is refused is refused politely */
    CHECK(symlink("file", from) == -1 && errno == EPERM);
    CHECK(link(into, from) == -1 && errno == EPERM);
    CHECK(chmod(into, 0777) == -1 && errno == EPERM);
    CHECK(open(into, O_RDONLY | O_TRUNC) == -1 && errno == EACCES);
    CHECK(open("/etc/passwd", O_RDONLY) == -1 && errno == EACCES);
    /* a file can be mapped to be read, and a private change is its owner's alone */
    CHECK((fd = open(into, O_RDWR | O_TRUNC | O_CLOEXEC)) >= 0 && ftruncate(fd, 9000) == 0);
    CHECK(pwrite(fd, "mapped", 6, 4096) == 6);
    map = mmap(NULL, 8000, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 4096);
    CHECK(map != MAP_FAILED && memcmp(map, "mapped\0", 7) == 0);
    map[0] = 'M';
    CHECK(pread(fd, line, 6, 4096) == 6 && memcmp(line, "mapped", 6) == 0);
    CHECK(close(fd) == 0 && munmap(map, 8000) == 0);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 50, 0) == MAP_FAILED && errno == EBADF);
    CHECK(unlink(into) == 0);
    return 0;
}
static int probe(const char *what) {
    if (is(what, "talk")) return talk();
    if (is(what, "threads")) return threads();
    if (is(what, "clocks")) return clocks();
    if (is(what, "large")) return large();
    if (is(what, "zone")) return zone();
    if (is(what, "refusals")) return refusals();
    if (is(what, "files")) return files();
    if (is(what, "abort")) abort();
    return -1;
}
"#;

fn outcome(worker: &mut Worker, what: &str) -> Outcome {
    worker.bind(0, "do", &format!("{{\"what\":\"{what}\"}}"), 5000);
    worker.call(stamp())
}

fn code(name: &'static str) -> std::os::fd::OwnedFd {
    let here = "static const char *here(void) { static char path[4000]; midimon_str dir = host->data_dir(host);\n\
                memcpy(path, dir.data, dir.len); return path; }";
    sealed_memfd(&Probe { name, source: ORDINARY }.plugin_with(here))
}

#[test]
fn printing_threads_clocks_and_refused_programs_harm_nobody() {
    let mut worker = Worker::ready(NATIVE, load(CodeKind::Native, limits()), &code("honest"));
    for what in ["talk", "threads", "large", "clocks", "refusals", "large", "talk"] {
        assert_eq!(outcome(&mut worker, what), Outcome::Ok, "{what}");
    }
    assert!(worker.end().1.contains("a line\n"));
}

#[test]
fn files_in_the_data_directory_can_be_worked_with() {
    let directory = tempfile::tempdir().unwrap();
    let load = load(CodeKind::Native, limits());
    let mut worker = Worker::ready_with_data(NATIVE, directory.path(), load, &code("honest-files"));
    for what in ["files", "talk", "threads", "large", "files"] {
        assert_eq!(outcome(&mut worker, what), Outcome::Ok, "{what}");
    }
    assert!(directory.path().join("two").is_dir());
}

/// A file of a time zone five and a half hours east of Greenwich, as in RFC 8536.
fn zone_file() -> Vec<u8> {
    let head = |counts: [u32; 6]| [&b"TZif2"[..], &[0; 15], counts.map(u32::to_be_bytes).as_flattened()].concat();
    // no transitions, one kind of time of which the name has four bytes
    let block = [&head([0, 0, 0, 0, 1, 4])[..], &19_800_i32.to_be_bytes(), &[0, 0], b"TST\0"].concat();
    [&block[..], &block, b"\nTST-5:30\n"].concat()
}

/// Gives this thread, and what it starts, an `/etc` of its own with that time zone.
fn live_elsewhere() {
    let mount = |source: Option<&CStr>, at: &CStr, kind: Option<&CStr>, flags| {
        let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: all are C strings or null.
        let result = unsafe { libc::mount(pointer(source), at.as_ptr(), pointer(kind), flags, std::ptr::null()) };
        assert_eq!(result, 0, "{at:?}: {}", std::io::Error::last_os_error());
    };
    // SAFETY: takes a number.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
    mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE);
    mount(Some(c"none"), c"/etc", Some(c"tmpfs"), 0);
    std::fs::write("/etc/localtime", zone_file()).unwrap();
}

/// Runs a test of this file once more as the root of a user name space, where an ordinary user can mount too.
fn again_as_root(test: &str) {
    let mut inside = std::process::Command::new("unshare");
    inside.args(["--map-root-user", "--"]).arg(std::env::current_exe().unwrap()).args(["--exact", test]);
    let output = inside.output().expect("unshare (util-linux)");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
}

#[test]
fn the_local_time_is_the_same_inside_as_outside() {
    if !nix::unistd::geteuid().is_root() {
        return again_as_root("the_local_time_is_the_same_inside_as_outside");
    }
    let source = format!("{ORDINARY}\nstatic const char *here(void) {{ return \"\"; }}").leak();
    let program = Probe { name: "honest-zone", source }.program();
    let code = code("honest-zone-plugin");
    live_elsewhere();
    let outside = std::process::Command::new(program).arg("zone").status().unwrap().code().unwrap();
    assert_eq!(outside, 122);
    let mut worker = Worker::ready(NATIVE, load(CodeKind::Native, limits()), &code);
    match outcome(&mut worker, "zone") {
        Outcome::Failed { code, .. } => assert_eq!(code, outside),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_abort_is_an_abort_and_no_violation() {
    let mut worker = Worker::ready(NATIVE, load(CodeKind::Native, limits()), &code("honest-abort"));
    worker.bind(0, "do", "{\"what\":\"abort\"}", 5000);
    worker.trigger(1, 0, stamp());
    assert_eq!(worker.next(), None);
    assert_eq!(worker.wait(), WaitStatus::Signaled(worker.pid, Signal::SIGABRT, false));
}

/// A WASI call, its parameter types, its arguments, and the errno it must return.
type Step = (&'static str, &'static str, &'static str, u32);

const SUCCESS: u32 = 0;
const NOENT: u32 = 44;
const PERM: u32 = 63;

/// `one`, `two`, `one/f` and `two/f` lie at 2048, 2052, 2056 and 2064; the file is descriptor 4.
const GUEST_STEPS: [Step; 16] = [
    ("path_create_directory", "i32 i32 i32", "3 2048 3", SUCCESS),
    ("path_create_directory", "i32 i32 i32", "3 2052 3", SUCCESS),
    ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32", "3 0 2056 5 1 0x600042 0 0 3000", SUCCESS),
    ("fd_filestat_set_size", "i32 i64", "4 100", SUCCESS),
    ("fd_datasync", "i32", "4", SUCCESS),
    ("fd_filestat_set_times", "i32 i64 i64 i32", "4 1 1 5", PERM),
    ("fd_close", "i32", "4", SUCCESS),
    ("path_rename", "i32 i32 i32 i32 i32 i32", "3 2056 5 3 2064 5", SUCCESS),
    ("path_filestat_get", "i32 i32 i32 i32 i32", "3 0 2056 5 3072", NOENT),
    ("path_filestat_get", "i32 i32 i32 i32 i32", "3 0 2064 5 3072", SUCCESS),
    ("path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32", "3 0 2064 5 1 1 5", PERM),
    ("path_symlink", "i32 i32 i32 i32 i32", "2052 3 3 2056 5", PERM),
    ("path_link", "i32 i32 i32 i32 i32 i32 i32", "3 0 2064 5 3 2056 5", PERM),
    ("fd_readdir", "i32 i32 i32 i64 i32", "3 4096 1024 0 3000", SUCCESS),
    ("random_get", "i32 i32", "4096 64", SUCCESS),
    ("clock_time_get", "i32 i64 i32", "1 0 3000", SUCCESS),
];

#[test]
fn a_guest_works_with_files_clocks_and_random_numbers_under_the_second_filter() {
    let mut imports = String::new();
    let mut execute = String::new();
    for (index, (call, types, arguments, errno)) in GUEST_STEPS.iter().enumerate() {
        imports +=
            &format!(r#"(import "wasi_snapshot_preview1" "{call}" (func $step{index} (param {types}) (result i32)))"#);
        let arguments: String =
            types.split(' ').zip(arguments.split(' ')).map(|(kind, value)| format!("({kind}.const {value})")).collect();
        // fails with the step and what it returned
        execute += &format!(
            "(if (i32.ne (call $step{index} {arguments}) (i32.const {errno}))
                (then (return (i32.add (i32.const {step}) (call $step{index} {arguments})))))\n",
            step = (index + 1) * 100,
        );
    }
    execute += "i32.const 0";
    let data = r#"(data (i32.const 2048) "one\00two\00one/f\00\00\00two/f")"#;
    let guest = support::guests::Guest {
        imports: imports.leak(),
        execute: execute.leak(),
        functions: data,
        ..Default::default()
    };
    let directory = tempfile::tempdir().unwrap();
    let load = load(CodeKind::WasmCore, limits());
    let mut worker = Worker::ready_with_data(WASM, directory.path(), load, &guest.compiled());
    worker.bind(0, "act", "", 1000);
    assert_eq!(worker.call(stamp()), Outcome::Ok);
    assert_eq!(std::fs::metadata(directory.path().join("two/f")).unwrap().len(), 100);
}
