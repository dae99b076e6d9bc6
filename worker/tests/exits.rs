//! Every exit code of the real programs, met for real: a launcher takes from the kernel what one step needs, or
//! makes it lie, and everything else is as ever.

mod support;

use libc::{EINVAL, EIO, ENOMEM, ENOSYS, EOPNOTSUPP, EPERM};
use midimon_shared::protocol::*;
use midimon_shared::sandbox::{Layer, LayerReport, LayerState};
use midimon_shared::spawn::{CompileArgs, MissingLayers, SpawnArgs};
use midimon_shared::{Command, Event, WorkerExit};
use midimon_worker::sandbox::seccomp::policy::SECOND;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use support::guests::Guest;
use support::plugins::{library, plugin};
use support::refusing::{Refusal, call, command_line, worker};
use support::*;

/// `PR_SET_*` that goes wrong.
fn prctl(option: i32, errno: i32) -> Refusal {
    call(libc::SYS_prctl, errno).where_argument(0, option as u64)
}

fn no_landlock(errno: i32) -> Refusal {
    call(libc::SYS_landlock_create_ruleset, errno)
}

fn no_filters(errno: i32) -> Refusal {
    call(libc::SYS_seccomp, errno)
}

/// A library that starts a thread before `main`.
const SECOND_THREAD: &str = r#"
#include <pthread.h>
#include <unistd.h>
static pthread_t id;
static void *stay(void *unused) { pause(); return unused; }
static void __attribute__((constructor)) start(void) { pthread_create(&id, 0, stay, 0); }
"#;

/// What takes one step from a worker, before it says hello, and a part of its last words.
fn broken_steps() -> Vec<(WorkerExit, Refusal, &'static str)> {
    let opening = (libc::O_DIRECTORY | libc::O_CLOEXEC) as u64;
    let usr1 = libc::SIGUSR1 as u64;
    vec![
        (WorkerExit::Signals, call(libc::SYS_rt_sigaction, EINVAL).where_argument(0, usr1), "EINVAL"),
        (WorkerExit::Limits, call(libc::SYS_prlimit64, EPERM).where_argument(1, libc::RLIMIT_CORE.into()), "CORE to 0"),
        (WorkerExit::Priority, call(libc::SYS_setpriority, EPERM), "nice: "),
        (WorkerExit::Capabilities, call(libc::SYS_capset, EPERM), "capset"),
        (WorkerExit::Parent, prctl(libc::PR_SET_PDEATHSIG, EINVAL), "EINVAL"),
        (WorkerExit::Dumpable, prctl(libc::PR_SET_DUMPABLE, EPERM), "EPERM"),
        (WorkerExit::NoNewPrivs, prctl(libc::PR_SET_NO_NEW_PRIVS, EINVAL), "EINVAL"),
        (WorkerExit::Landlock, no_landlock(ENOSYS), "the kernel does not have it"),
        (WorkerExit::Landlock, no_landlock(EOPNOTSUPP), "the kernel does not have it"),
        (WorkerExit::Landlock, call(libc::SYS_landlock_restrict_self, EPERM), "Operation not permitted"),
        (WorkerExit::Landlock, call(libc::SYS_landlock_restrict_self, 0), "/ can still be opened"),
        (WorkerExit::Landlock, call(libc::SYS_openat, EIO).where_argument(2, opening), "EIO"),
        (WorkerExit::ViolationHandler, call(libc::SYS_sigaltstack, EPERM), "Operation not permitted"),
        (WorkerExit::Seccomp, no_filters(ENOSYS), "no system-call filters"),
        (WorkerExit::Seccomp, no_filters(EINVAL), "no system-call filters"),
        (WorkerExit::Seccomp, no_filters(EPERM), "EPERM"),
        (WorkerExit::Seccomp, no_filters(0), "symlinkat is not refused"),
        (WorkerExit::Seccomp, call(libc::SYS_mmap, ENOMEM).where_argument(0, SECOND), "no place for the second filter"),
    ]
}

/// What takes the second filter from a worker, which is entered once the plugin's code is there.
fn broken_lockdowns() -> [(Refusal, &'static str); 2] {
    let second = |errno| call(libc::SYS_seccomp, errno).where_argument(2, SECOND);
    [(second(EINVAL), "EINVAL"), (second(0), "executable memory is not refused")]
}

/// Lets a worker end that must not say hello.
fn silent_end(mut worker: Worker) -> (Option<WorkerExit>, String) {
    assert_eq!(worker.next(), None, "it must end before it says anything");
    worker.end()
}

fn native() -> (Load, OwnedFd) {
    (load(CodeKind::Native, limits()), sealed_memfd(&plugin("exits", "", "", "")))
}

fn accepting() -> SpawnArgs {
    SpawnArgs { missing_layers: MissingLayers::Accept, ..Worker::args() }
}

fn hello(worker: &mut Worker) -> Vec<LayerReport> {
    match worker.next() {
        Some(Event::Hello(hello)) => hello.layers,
        other => panic!("{other:?} instead of Hello; log: {}", worker.end().1),
    }
}

/// Runs a compile job; with `None` nobody reads what it makes.
fn compile_job(refusals: &[Refusal], module: &[u8], artifact: Option<OwnedFd>) -> Option<WorkerExit> {
    let args = CompileArgs { parent_pid: std::process::id() as i32, memory_bytes: 512 << 20, cpu_seconds: 60 };
    let compile = program("midimon-compile");
    let (launcher, argv) = command_line(refusals, compile.to_str().unwrap(), &args.to_argv());
    let (mut log, writer) = std::io::pipe().unwrap();
    let copy = writer.try_clone().unwrap().into();
    let artifact = artifact.unwrap_or_else(|| std::io::pipe().unwrap().1.into());
    let fds = [null(), writer.into(), copy, sealed_memfd(module), artifact];
    let pid = spawn(Path::new(launcher), &argv, &[], &fds);
    drop(fds);
    log.read_to_end(&mut Vec::new()).unwrap();
    ended(pid)
}

fn ended(pid: Pid) -> Option<WorkerExit> {
    match waitpid(pid, None).unwrap() {
        WaitStatus::Exited(_, code) => WorkerExit::from_code(code),
        other => panic!("{other:?}"),
    }
}

/// Makes a real program end with this exit; what it ended with. `None` where nothing from outside leads to it.
fn provoked(exit: WorkerExit) -> Option<WorkerExit> {
    let argv = Worker::args().to_argv();
    let plain = |argv: &[String], environment: &[&str]| Worker::spawn_with(NATIVE, argv, environment);
    let with_hello = || {
        let mut worker = Worker::spawn(NATIVE);
        worker.expect_hello();
        worker
    };
    let module = || wat::parse_str(Guest::default().text()).unwrap();
    match exit {
        WorkerExit::Done => with_hello().end().0,
        WorkerExit::Arguments => silent_end(plain(&argv[1..], &[])).0,
        WorkerExit::Threads => {
            let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let path = directory.path().join("second-thread.so");
            std::fs::write(&path, library("second-thread", SECOND_THREAD)).unwrap();
            silent_end(plain(&argv, &[&format!("LD_PRELOAD={}", path.display())])).0
        }
        WorkerExit::Descriptors => {
            let pid = spawn(Path::new(NATIVE), &argv, &[], &[null(), null(), null()]);
            ended(pid)
        }
        WorkerExit::Environment => silent_end(plain(&argv, &["HOME=/"])).0,
        WorkerExit::Signals
        | WorkerExit::Limits
        | WorkerExit::Priority
        | WorkerExit::Capabilities
        | WorkerExit::Parent
        | WorkerExit::Dumpable
        | WorkerExit::NoNewPrivs
        | WorkerExit::Landlock
        | WorkerExit::Seccomp
        | WorkerExit::ViolationHandler => {
            let (_, refusal, _) = broken_steps().into_iter().find(|(step, ..)| *step == exit).unwrap();
            silent_end(worker(&[refusal], NATIVE, &Worker::args())).0
        }
        WorkerExit::Lockdown => {
            let [(refusal, _), _] = broken_lockdowns();
            let mut worker = worker(&[refusal], NATIVE, &Worker::args());
            worker.expect_hello();
            let (load, code) = native();
            worker.send(&Command::Load(load));
            worker.send_descriptors(&[&code]);
            silent_end(worker).0
        }
        WorkerExit::Channel => {
            let worker = with_hello();
            worker.send(&Command::Ping { nonce: 1 });
            silent_end(worker).0
        }
        WorkerExit::Events => {
            // nobody reads its events
            let (log, commands, events) =
                (std::io::pipe().unwrap(), std::io::pipe().unwrap(), std::io::pipe().unwrap());
            drop(events.0);
            let copy = log.1.try_clone().unwrap().into();
            let (_ours, theirs) =
                socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
            let fds = [null(), log.1.into(), copy, commands.0.into(), events.1.into(), theirs];
            let pid = spawn(Path::new(NATIVE), &argv, &[], &fds);
            ended(pid)
        }
        WorkerExit::Code => {
            let mut worker = with_hello();
            worker.send(&Command::Load(native().0));
            worker.send_descriptors(&[&null()]);
            assert_eq!(worker.next(), None);
            worker.end().0
        }
        WorkerExit::Load => {
            let mut worker = Worker::spawn(NATIVE);
            assert!(matches!(worker.load(native().0, &sealed_memfd(b"no library")), Event::LoadFailed { .. }));
            worker.end().0
        }
        WorkerExit::CompileInput => compile_job(&[], b"no module", None),
        WorkerExit::CompileOutput => compile_job(&[], &module(), None),
        // wasmtime refuses an engine for its settings alone, which are constants here
        WorkerExit::CompileEngine => None,
    }
}

#[test]
fn every_exit_there_is_ends_a_real_program() {
    for &exit in WorkerExit::ALL {
        match provoked(exit) {
            None => assert_eq!(exit, WorkerExit::CompileEngine),
            ended => assert_eq!(ended, Some(exit)),
        }
    }
}

#[test]
fn a_launcher_that_takes_nothing_away_changes_nothing() {
    let unused = call(libc::SYS_reboot, ENOSYS);
    for program in [NATIVE, WASM, WASM_NET] {
        let mut worker = worker(std::slice::from_ref(&unused), program, &Worker::args());
        let layers = hello(&mut worker);
        let is_there = |report: &LayerReport| report.state != LayerState::Unavailable;
        assert!(layers.len() > 3 && layers.iter().all(is_there), "{layers:?}");
        assert_eq!(worker.end().0, Some(WorkerExit::Done));
    }
    let mut worker = worker(&[unused], NATIVE, &Worker::args());
    let (load, code) = native();
    assert!(matches!(worker.load(load, &code), Event::Ready(_)));
    worker.bind(0, "a", "", 1000);
    assert_eq!(worker.call(stamp()), Outcome::Ok);
    let artifact = tempfile::tempfile().unwrap();
    let module = wat::parse_str(Guest::default().text()).unwrap();
    let exit = compile_job(&[call(libc::SYS_reboot, ENOSYS)], &module, Some(artifact.try_clone().unwrap().into()));
    assert_eq!(exit, Some(WorkerExit::Done));
    assert!(artifact.metadata().unwrap().len() > 0, "the compiled code");
}

#[test]
fn a_step_that_fails_ends_the_worker_before_it_says_hello_with_its_own_exit_and_the_reason() {
    for program in [NATIVE, WASM, WASM_NET] {
        for (expected, refusal, words) in broken_steps() {
            let shown = format!("{program}, {refusal:?}");
            let (exit, log) = silent_end(worker(&[refusal], program, &Worker::args()));
            assert_eq!(exit, Some(expected), "{shown}: {log}");
            assert!(log.contains(expected.sentence()) && log.contains(words), "{shown}: {log}");
        }
    }
}

#[test]
fn a_second_filter_that_fails_ends_the_worker_before_the_plugins_init() {
    let marked = plugin("marked", "", r#"host->log(host, MIDIMON_LOG_INFO, text("init was called"));"#, "");
    for program in [NATIVE, WASM, WASM_NET] {
        for (refusal, words) in broken_lockdowns() {
            let mut worker = worker(&[refusal], program, &Worker::args());
            worker.expect_hello();
            let (kind, code) = match program {
                NATIVE => (CodeKind::Native, sealed_memfd(&marked)),
                _ => (CodeKind::WasmCore, Guest::default().compiled()),
            };
            worker.send(&Command::Load(load(kind, limits())));
            worker.send_descriptors(&[&code]);
            let (exit, log) = silent_end(worker);
            assert_eq!(exit, Some(WorkerExit::Lockdown), "{log}");
            assert!(log.contains(words) && !log.contains("init was called"), "{log}");
        }
    }
}

#[test]
fn a_compile_job_does_without_no_layer() {
    let module = wat::parse_str(Guest::default().text()).unwrap();
    for (expected, refusal, _) in broken_steps() {
        // it has no second filter to place
        let shown = format!("{refusal:?}");
        if !shown.contains(&format!("{} {ENOMEM}", libc::SYS_mmap)) {
            assert_eq!(compile_job(&[refusal], &module, None), Some(expected), "{shown}");
        }
    }
}

#[test]
fn a_kernel_without_a_layer_runs_plugins_where_that_is_accepted_and_the_report_says_so() {
    let cases = [
        (Layer::Landlock, no_landlock(ENOSYS), "this kernel does not have it"),
        (Layer::Landlock, no_landlock(EOPNOTSUPP), "switched off"),
        (Layer::Seccomp, no_filters(ENOSYS), "no system-call filters"),
        (Layer::Seccomp, no_filters(EINVAL), "no system-call filters"),
    ];
    for (missing, refusal, words) in cases {
        let mut worker = worker(&[refusal], NATIVE, &accepting());
        for report in hello(&mut worker) {
            let is_missing = report.layer == missing;
            assert_eq!(report.state == LayerState::Unavailable, is_missing, "{report:?}");
            assert!(!is_missing || report.detail.contains(words), "{report:?}");
        }
        let (load, code) = native();
        worker.send(&Command::Load(load));
        worker.send_descriptors(&[&code]);
        assert!(matches!(worker.next(), Some(Event::Ready(_))), "{}", worker.end().1);
        worker.bind(0, "a", "", 1000);
        assert_eq!(worker.call(stamp()), Outcome::Ok, "without {missing}");
        assert_eq!(worker.end().0, Some(WorkerExit::Done));
    }
}

#[test]
fn a_layer_that_is_there_and_does_not_hold_is_never_accepted() {
    let cases = broken_steps()
        .into_iter()
        .filter(|(_, _, words)| !["the kernel does not have it", "no system-call filters"].contains(words));
    for (expected, refusal, words) in cases {
        let shown = format!("{refusal:?}");
        let (exit, log) = silent_end(worker(&[refusal], NATIVE, &accepting()));
        assert_eq!(exit, Some(expected), "{shown}: {log}");
        assert!(log.contains(words), "{shown}: {log}");
    }
}

#[test]
fn a_sigsys_from_outside_ends_a_worker_whose_kernel_has_no_filters_too() {
    let mut worker = worker(&[no_filters(ENOSYS)], NATIVE, &accepting());
    hello(&mut worker);
    kill(worker.pid, Signal::SIGSYS).unwrap();
    assert_eq!(silent_end(worker).0, Some(WorkerExit::ViolationHandler));
}
