//! What a worker gives up before it says `Hello`, seen from outside and from within.

mod support;

use midimon_shared::WorkerExit;
use midimon_shared::protocol::*;
use std::collections::HashMap;
use support::plugins::plugin;
use support::*;

fn ready(code: &[u8]) -> Worker {
    Worker::ready(NATIVE, load(CodeKind::Native, limits()), &sealed_memfd(code))
}

fn status(worker: &Worker) -> HashMap<String, String> {
    let text = std::fs::read_to_string(format!("/proc/{}/status", worker.pid)).unwrap();
    let line = |line: &str| line.split_once(":\t").map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    text.lines().filter_map(line).collect()
}

#[test]
fn a_worker_that_said_hello_has_no_privileges_and_one_thread() {
    for program in [NATIVE, WASM, WASM_NET] {
        let mut worker = Worker::spawn(program);
        worker.expect_hello();
        let status = status(&worker);
        assert_eq!(status["NoNewPrivs"], "1");
        assert_eq!(status["Threads"], "1");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(status[set], "0000000000000000", "{set}");
        }
        if nix::unistd::geteuid().is_root() {
            assert_eq!(status["CapBnd"], "0000000000000000");
        }
        assert_eq!(status["SigBlk"], "0000000000000000");
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", worker.pid)).unwrap();
        let limit = |name: &str| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().to_owned()
        };
        assert_eq!(limit("Max core file size"), "0");
        assert_eq!(limit("Max locked memory"), "0");
        assert_eq!(limit("Max open files"), "64");
        assert_eq!(limit("Max file size"), (1 << 20).to_string());
        let overhead = if program == NATIVE { 0 } else { midimon_shared::spawn::WASM_OVERHEAD };
        assert_eq!(limit("Max data size"), ((128 << 20) + overhead).to_string());
        let tasks: u64 =
            std::fs::read_to_string("/proc/loadavg").unwrap().split([' ', '/']).nth(4).unwrap().parse().unwrap();
        let processes: u64 = limit("Max processes").parse().unwrap();
        assert!(processes.abs_diff(tasks + 4096) < 1000, "{processes} with {tasks} tasks");
        if program == NATIVE {
            let (addresses, memory) = (limit("Max address space").parse::<u64>().unwrap(), 128 << 20);
            assert!((memory + (256 << 20)..memory + (300 << 20)).contains(&addresses), "{addresses}");
        }
        let oom_score = std::fs::read_to_string(format!("/proc/{}/oom_score_adj", worker.pid)).unwrap();
        assert_eq!(oom_score.trim(), "500");
    }
}

#[test]
fn a_descriptor_that_leaked_into_the_worker_is_closed() {
    let leaked = null();
    inheritable(&leaked);
    let globals = r#"#include <fcntl.h>
#include <unistd.h>"#;
    // 6 is the code's memfd, which is closed once it is loaded
    let handle = "for (int fd = 6; fd < 60; fd++) if (fcntl(fd, F_GETFD) != -1) return fd;";
    let mut worker = ready(&plugin("leak", globals, "", handle));
    worker.bind(0, "a", "", 1000);
    assert_eq!(worker.call(stamp()), Outcome::Ok);
}

#[test]
fn memory_and_files_end_at_their_limits_with_an_error_the_plugin_can_handle() {
    let globals = r#"#include <errno.h>
static char path[300];"#;
    let handle = r#"
    char block[4096] = {0};
    midimon_str dir = host->data_dir(host);
    FILE *file;
    int written = 0;
    void *memory = malloc((size_t)200 << 20);
    if (memory) { free(memory); return 1; }
    snprintf(path, sizeof path, "%.*s/large", (int)dir.len, dir.data);
    file = fopen(path, "w");
    if (!file) return 2;
    setvbuf(file, NULL, _IONBF, 0);
    while (written < 1000 && fwrite(block, sizeof block, 1, file) == 1) written++;
    if (written != 256 || errno != EFBIG) return 3;
    if (getenv("PATH")) return 4;"#;
    let data = tempfile::tempdir().unwrap();
    let code = sealed_memfd(&plugin("limits", globals, "", handle));
    let mut worker = Worker::ready_with_data(NATIVE, data.path(), load(CodeKind::Native, limits()), &code);
    worker.bind(0, "a", "", 1000);
    assert_eq!(worker.call(stamp()), Outcome::Ok);
}

#[test]
fn each_broken_start_has_its_own_exit() {
    let argv = Worker::args().to_argv();
    let worker = |argv: &[String], environment: &[&str]| Worker::spawn_with(NATIVE, argv, environment).exit();
    assert_eq!(worker(&argv[..2], &[]).0, Some(WorkerExit::Arguments));
    let (exit, log) = worker(&argv, &["LD_LIBRARY_PATH=/tmp"]);
    assert_eq!(exit, Some(WorkerExit::Environment));
    assert!(log.contains("LD_LIBRARY_PATH"), "{log}");
    let stranger = midimon_shared::spawn::SpawnArgs { parent_pid: 1, ..Worker::args() };
    assert_eq!(worker(&stranger.to_argv(), &[]).0, Some(WorkerExit::Parent));
}

#[test]
fn a_missing_or_wrong_descriptor_is_found_at_the_start() {
    let argv = Worker::args().to_argv();
    for count in 3..6 {
        let (mut log, writer) = std::io::pipe().unwrap();
        let copy = || writer.try_clone().unwrap().into();
        let fds: Vec<_> = [null(), copy(), copy(), copy(), copy(), copy()].into_iter().take(count).collect();
        let pid = spawn(NATIVE.as_ref(), &argv, &[], &fds);
        drop((fds, writer));
        let mut text = String::new();
        std::io::Read::read_to_string(&mut log, &mut text).unwrap();
        let status = nix::sys::wait::waitpid(pid, None).unwrap();
        assert_eq!(status, nix::sys::wait::WaitStatus::Exited(pid, WorkerExit::Descriptors as i32), "{text}");
    }
}
