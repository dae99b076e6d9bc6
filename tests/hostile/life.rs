//! A plugin's life: entries 20 and 25 to 39 of the catalogue that take more than a system call.

use crate::support::{Case, Expected, Libraries, Mode, cases};
use midimon::workers::status::WorkerState;
use midimon_tests::{Bed, Config, Trio, eventually, midi};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::time::{Duration, Instant};

const CALLED: &[Mode] = &[Mode::Handle, Mode::Thread];
const LOADED: &[Mode] = &[Mode::Constructor];

fn hang(how: &str) -> Case {
    Case::of("hang").on(how).with("timeout_ms = 300")
}

cases! {
    hostile_020_a_thread_bomb_is_ended: Case::of("threads").with("timeout_ms = 60000").only(&[Mode::Handle])
        => Expected::Ends("threads");
    hostile_025_an_endless_loop_ends_at_its_deadline: hang("spin").only(CALLED) => Expected::Ends("deadline: a call");
    hostile_025_an_endless_wait_ends_at_its_deadline: hang("sleep").only(CALLED) => Expected::Ends("deadline: a call");
    hostile_028_one_that_hears_no_signal_ends_at_its_deadline: hang("deaf").only(CALLED) => Expected::Ends("deadline: a call");
    hostile_030_a_constructor_that_never_ends_is_ended: hang("deaf").only(LOADED) => Expected::Ends("deadline: loading");
    hostile_032_a_faked_lockdown_gains_nothing: Case::of("fake_lockdown").only(&[Mode::Handle])
        => Expected::Errno(&[nix::errno::Errno::EPERM]);
}

/// A daemon with one case as `bad`, and `echo`.
fn bed_with(name: &str, mode: u8, input: &str, settings: &str) -> Bed {
    let bed = Bed::new();
    bed.install("echo");
    bed.write_plugin("bad", "case.so", &Libraries::get().patched(name, mode, input), "");
    bed.configure(&Config::new().plugin("bad", settings).note(1, "bad", "act").note(2, "echo", "quiet"));
    bed
}

#[test]
fn hostile_026_many_slow_calls_are_counted_as_processor_time() {
    let bed = bed_with("busy", b'h', "", "cpu_percent = 20\ncpu_window_s = 10");
    let mut daemon = bed.start();
    daemon.wait_ready("bad");
    let started = Instant::now();
    // each call ends before anything notices; together they are too much
    let down = eventually("it is stopped for good", || {
        daemon.send(&midi::tap(1));
        let bad = daemon.worker("bad");
        if bad.state == WorkerState::Quarantined { Ok(bad) } else { Err(format!("{bad:#?}")) }
    });
    println!("after {:.1?}: {:?}", started.elapsed(), down.reason);
    daemon.answers("echo", 2);
    daemon.stop();
}

#[test]
fn hostile_027_a_plugin_stopped_by_somebody_is_found_and_replaced() {
    let bed = bed_with("read", b'h', "/", "");
    let daemon = bed.start();
    let before = daemon.wait_ready("bad");
    kill(Pid::from_raw(before.pid.expect("its process")), Signal::SIGSTOP).expect("a worker that runs");
    let after = daemon.wait_worker("bad", "replaced", |bad| bad.state == WorkerState::Ready && bad.pid != before.pid);
    assert!(after.last_end.is_some_and(|end| end.contains("did not answer a ping")));
    daemon.stop();
}

#[test]
fn hostile_028_and_029_a_plugin_that_will_not_end_is_ended() {
    for (name, input) in [("hang_at_end", ""), ("hang", "deaf")] {
        let bed = bed_with(name, b'h', input, "timeout_ms = 600000");
        let mut daemon = bed.start();
        daemon.wait_ready("bad");
        daemon.send(&midi::tap(1));
        daemon.wait_worker("bad", "called", |bad| bad.calls.done + bad.calls.in_flight == 1);
        let started = Instant::now();
        daemon.stop(); // looks that no process is left
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }
}

/// Whatever code it ends with: those of the worker's own steps are no excuse.
#[test]
fn hostile_030_and_035_a_crash_loop_at_load_is_slowed_and_then_quarantined_also_after_a_restart() {
    for code in ["1", "0", "105", "113", "116"] {
        let bed = bed_with("exit_at_load", b'c', code, "crash_limit = 3\nbackoff_min_ms = 1\nbackoff_max_ms = 20");
        let mut daemon = bed.start();
        daemon.wait_ready("echo");
        let down = daemon.wait_worker("bad", &format!("down for good after exits with {code}"), |bad| {
            matches!(bad.state, WorkerState::Quarantined | WorkerState::Failed)
        });
        println!("{code}: {:?}, {} restarts: {:?}", down.state, down.restarts, down.reason);
        assert!(down.restarts <= 3, "{down:#?}");
        daemon.answers("echo", 2);
        daemon.stop();
        if down.state == WorkerState::Quarantined {
            let daemon = bed.start();
            daemon.wait_ready("echo");
            let still = daemon.worker("bad");
            assert_eq!((still.state, still.restarts), (WorkerState::Quarantined, 0), "{still:#?}");
            daemon.stop();
        }
    }
}

#[test]
fn hostile_033_and_036_a_thread_that_works_between_calls_is_counted_and_stopped() {
    let bed = bed_with("spin_idle", b'h', "", "cpu_percent = 20\ncpu_window_s = 10");
    let mut daemon = bed.start();
    daemon.wait_ready("bad");
    daemon.answers("bad", 1);
    let started = Instant::now();
    let down = daemon.wait_worker("bad", "quarantined", |bad| bad.state == WorkerState::Quarantined);
    println!("after {:.1?}: {:?}", started.elapsed(), down.reason);
    assert!(down.reason.is_some_and(|reason| reason.contains("budget exceeded")));
    daemon.answers("echo", 2);
    daemon.stop();
}

#[test]
fn hostile_037_nothing_outlives_a_killed_daemon() {
    let attempts =
        [("hang", "deaf"), ("spin_idle", ""), ("session", "setsid"), ("session", "subreaper"), ("fork", "fork")];
    let bed = Bed::new();
    let mut config = Config::new();
    for (note, (name, input)) in (1..).zip(attempts) {
        let id = format!("bad-{note}");
        bed.write_plugin(&id, "case.so", &Libraries::get().patched(name, b'h', input), "");
        config = config.plugin(&id, "timeout_ms = 600000\nrestart = \"never\"").note(note, &id, "act");
    }
    bed.configure(&config);
    let mut daemon = bed.start();
    for note in 1..=5 {
        daemon.wait_ready(&format!("bad-{note}"));
    }
    for note in 1..=5_u8 {
        daemon.send(&midi::tap(note));
        daemon.wait_worker(&format!("bad-{note}"), "called", |bad| bad.calls.received == 1);
    }
    daemon.kill(); // looks for each of them
}

/// The kernel gives the worker's old number to a stranger: the daemon started next does not touch it.
#[test]
#[ignore = "takes root, to choose a process's number: make vm"]
fn hostile_038_a_stranger_with_a_workers_old_process_id_is_left_alone() {
    let bed = bed_with("read", b'h', "/", "");
    let daemon = bed.start();
    let worker = daemon.wait_ready("bad").pid.expect("its process");
    daemon.kill();
    eventually("init reaps the worker", || match fs::metadata(format!("/proc/{worker}")) {
        Ok(_) => Err(format!("{worker} is there")),
        Err(_) => Ok(()),
    });
    let stranger = (0..200).find_map(|_| {
        fs::write("/proc/sys/kernel/ns_last_pid", (worker - 1).to_string()).expect("root, which can choose a number");
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep runs");
        if i32::try_from(child.id()) == Ok(worker) {
            return Some(child);
        }
        child.kill().and_then(|()| child.wait()).expect("it was there");
        None
    });
    let mut stranger = stranger.unwrap_or_else(|| panic!("no process got the number {worker}"));
    let daemon = bed.start();
    daemon.wait_ready("bad");
    daemon.stop();
    assert!(stranger.try_wait().expect("its status").is_none(), "the stranger was ended");
    stranger.kill().and_then(|()| stranger.wait()).expect("it was there");
}

/// Whoever cannot choose numbers makes sure of it by what is stored.
#[test]
fn hostile_038_no_process_id_of_a_worker_is_kept() {
    let bed = bed_with("read", b'h', "/", "");
    let daemon = bed.start();
    let worker = daemon.wait_ready("bad").pid.expect("its process");
    daemon.kill();
    let stored = fs::read_dir(bed.home()).expect("the home").flatten().filter(|entry| entry.path().is_file());
    let stored: Vec<_> = stored.filter(|entry| entry.file_name() != "daemon.lock").map(|entry| entry.path()).collect();
    assert!(!stored.is_empty(), "what a daemon leaves is somewhere else");
    for path in stored {
        let text = fs::read(&path).expect("a file of ours");
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains(&format!("\"pid\":{worker}")), "{} keeps a worker's process id", path.display());
    }
}

#[test]
fn hostile_053_no_worker_can_leave_a_core_or_be_looked_into() {
    let bed = bed_with("read", b'h', "/", "");
    bed.install("echo-wasm");
    let daemon = bed.start();
    for id in ["bad", "echo-wasm"] {
        let pid = daemon.wait_ready(id).pid.expect("its process");
        let limits = fs::read_to_string(format!("/proc/{pid}/limits"));
        match limits {
            Ok(limits) => {
                let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("the limit");
                assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
            }
            // only root, or nobody, may look: the file of a non-dumpable process belongs to root
            Err(error) => assert!(!nix::unistd::geteuid().is_root(), "{error}"),
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        assert_eq!(field("NoNewPrivs:"), Some("1"));
        assert_eq!(field("Seccomp:"), Some("2"));
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            let root = nix::unistd::geteuid().is_root();
            assert!(
                !root && set == "CapBnd:" || field(set).is_some_and(|set| set.trim_matches('0').is_empty()),
                "{set} {status}"
            );
        }
        use std::os::unix::fs::MetadataExt;
        let owner = fs::metadata(format!("/proc/{pid}/mem")).expect("it is there").uid();
        assert_eq!(owner, 0, "{id} is dumpable: its memory belongs to its user");
    }
    daemon.stop();
}

/// Memory is the plugin's own affair: it gets no more, and nobody else less.
#[test]
fn hostile_039_a_plugin_at_its_memory_limit_troubles_nobody() {
    let bed = Bed::new();
    bed.write_plugin("greedy", "case.so", &Libraries::get().patched("take_memory", b'h', "mmap"), "");
    let mut trio = Trio::start_in(bed, "greedy", "memory_mib = 64", &[("act", "params = {}")]);
    trio.misbehave(0);
    let answer = trio.watch.answer("greedy");
    assert!(answer.outcome == "errno 12", "{answer:?}");
    let kib = trio.bad().memory_kib.unwrap_or(u64::MAX);
    assert!(kib <= 64 * 1024, "{kib} KiB");
    trio.finish();
}
