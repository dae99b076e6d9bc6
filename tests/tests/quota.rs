//! A data directory is held to its quota, however it is filled.

use midimon::workers::status::{WorkerState, WorkerStatus};
use midimon_tests::{Bed, Config, Daemon, eventually};
use std::fs;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const MIB: u64 = 1024 * 1024;
/// What a plugin may be over its quota by when it is stopped.
const OVERSHOOT: u64 = 128 * MIB;
/// What a machine that is not overloaded may leave a thread waiting.
const USUAL_STALL: Duration = Duration::from_millis(10);
/// How fast the page cache takes what is written, in bytes.
const WRITTEN_PER_MS: u64 = 4 * MIB;
const GRANTED: &str = "grants = [\"filesystem\"]\ntimeout_ms = 30000";

/// One at a time: each fills the disk as fast as the machine can.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn data(bed: &Bed) -> PathBuf {
    bed.home().join("plugin-data/filler")
}

fn start(settings: &str, actions: &[&str]) -> (Bed, Daemon) {
    let bed = Bed::new();
    bed.install("filler");
    let config = Config::new().plugin("filler", &format!("{GRANTED}\n{settings}"));
    let config = actions.iter().zip(60..).fold(config, |config, (action, note)| config.note(note, "filler", action));
    bed.configure(&config);
    let daemon = bed.start();
    daemon.wait_ready("filler");
    (bed, daemon)
}

/// Lengths of all files, and how much of the disk they take.
fn size(directory: &Path) -> (u64, u64) {
    let (mut bytes, mut blocks) = (0, 0);
    for entry in fs::read_dir(directory).expect("a data directory") {
        let metadata = entry.expect("an entry").metadata().expect("a file");
        if metadata.is_file() {
            bytes += metadata.len();
            blocks += metadata.blocks() * 512;
        }
    }
    (bytes, blocks)
}

fn failed(daemon: &Daemon) -> WorkerStatus {
    daemon.wait_worker("filler", "stopped for its quota", |worker| worker.state == WorkerState::Failed)
}

/// How long this machine leaves a thread waiting that wants to run, measured beside
/// what happens: nobody who watches can be quicker than that.
struct Stalls {
    thread: JoinHandle<Duration>,
    stop: Arc<AtomicBool>,
}

impl Stalls {
    fn measure() -> Self {
        const NAP: Duration = Duration::from_millis(1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let (mut longest, mut last) = (Duration::ZERO, Instant::now());
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(NAP);
                longest = longest.max(last.elapsed().saturating_sub(NAP));
                last = Instant::now();
            }
            longest
        });
        Self { thread, stop }
    }

    fn longest(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a thread that ends")
    }
}

/// Fills in one way until it is stopped: for its quota, and before it is far over.
fn overflows(action: &str, figures: &str) -> (Bed, Daemon) {
    let (bed, mut daemon) = start("", &["small", action]);
    daemon.answers("filler", 60);
    let stalls = Stalls::measure();
    daemon.send(&[0x90, 61, 100]);
    let worker = failed(&daemon);
    let stalled = stalls.longest();
    let reason = worker.reason.clone().unwrap_or_default();
    assert!(reason.contains("quota exceeded") && reason.contains(figures), "{action}: {reason}");
    assert!(reason.contains("midimon plugin data filler --clear"), "the fix is named: {reason}");
    let (bytes, blocks) = size(&data(&bed));
    // a length without anything behind it takes nothing from anybody
    let over = bytes.min(blocks).saturating_sub(64 * MIB);
    println!(
        "{action}: {} MiB over, {} MiB of the disk, {} MiB long; the machine stalled for {stalled:?}",
        over / MIB,
        blocks / MIB,
        bytes / MIB
    );
    let meanwhile = stalled.saturating_sub(USUAL_STALL).as_millis() as u64 * WRITTEN_PER_MS;
    assert!(over <= OVERSHOOT + meanwhile, "{action}: {} MiB over", over / MIB);
    assert_eq!(fs::read(data(&bed).join("small.txt")).expect("data that stays readable").len(), 1000);
    assert_eq!(worker.restarts, 0);
    // as the user sees it
    let shown = String::from_utf8_lossy(&bed.run(&["status"]).stdout).into_owned();
    assert!(shown.contains("quota exceeded"), "{shown}");
    (bed, daemon)
}

#[test]
fn one_file_after_another_at_full_speed() {
    let _alone = alone();
    overflows("one", " of 64 MiB").1.stop();
}

#[test]
fn fifty_open_files_written_in_parallel() {
    let _alone = alone();
    overflows("parallel", " of 64 MiB").1.stop();
}

#[test]
fn files_that_grow_without_a_write() {
    let _alone = alone();
    overflows("truncate", " of 64 MiB").1.stop();
}

#[test]
fn space_cannot_be_taken_faster_than_it_can_be_written() {
    let _alone = alone();
    let (bed, mut daemon) = start("", &["allocate"]);
    let watch = daemon.watch();
    daemon.send(&[0x90, 60, 100]);
    assert_eq!(watch.answer("filler").outcome, "allocate: EOPNOTSUPP");
    assert_eq!(size(&data(&bed)), (0, 0));
    daemon.stop();
}

#[test]
fn files_without_anything_in_them() {
    let _alone = alone();
    overflows("files", "4,097 files of 4,096").1.stop();
}

#[test]
fn files_that_are_deleted_first_and_written_then() {
    let _alone = alone();
    overflows("hidden", "writing to a file it deleted").1.stop();
}

#[test]
fn a_directory_nobody_may_list() {
    let _alone = alone();
    if nix::unistd::geteuid().is_root() {
        // root lists it all the same, so it is counted, and may stay
        let (bed, mut daemon) = start("", &["closed"]);
        daemon.answers("filler", 60);
        daemon.wait_worker("filler", "counted", |worker| worker.data_bytes == MIB);
        drop(bed);
        daemon.stop();
    } else {
        overflows("closed", "cannot be counted").1.stop();
    }
}

#[test]
fn no_file_can_be_longer_than_the_quota_not_even_a_sparse_one() {
    let _alone = alone();
    let (bed, mut daemon) = start("", &["sparse"]);
    let watch = daemon.watch();
    daemon.send(&[0x90, 60, 100]);
    assert_eq!(watch.answer("filler").outcome, "sparse: EFBIG");
    assert_eq!(size(&data(&bed)).0, 0);
    daemon.stop();
}

#[test]
fn a_plugin_that_fills_its_quota_to_the_last_byte_is_told_and_lives() {
    let _alone = alone();
    let (bed, mut daemon) = start("", &["most", "small"]);
    let watch = daemon.watch();
    daemon.send(&[0x90, 60, 100]);
    assert_eq!(watch.answer("filler").outcome, "most: EFBIG");
    assert_eq!(size(&data(&bed)).0, 64 * MIB);
    let worker = daemon.worker("filler");
    assert_eq!((worker.state, worker.last_end), (WorkerState::Ready, None));
    daemon.stop();
}

/// How long a file of the worker's may become, as the kernel has it.
fn file_limit(pid: i32) -> u64 {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("a worker that runs");
    let line = limits.lines().find(|line| line.starts_with("Max file size")).expect("a limit of file sizes");
    line.split_whitespace().nth(3).and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn near_its_quota_a_plugin_may_make_no_file_much_longer_and_goes_on() {
    let _alone = alone();
    let (_bed, mut daemon) = start("", &["near", "small", "empty"]);
    let pid = daemon.worker("filler").pid.expect("a process");
    assert_eq!(file_limit(pid), 64 * MIB);
    let wait_for = |limits: &RangeInclusive<u64>| {
        eventually("the limit follows", || {
            if limits.contains(&file_limit(pid)) { Ok(()) } else { Err(file_limit(pid).to_string()) }
        });
    };
    daemon.answers("filler", 60);
    // the longest has 5 MiB, and 14 are left, or 15 when it was counted a little earlier
    wait_for(&(19 * MIB..=20 * MIB));
    daemon.answers("filler", 61);
    daemon.answers("filler", 62);
    wait_for(&(64 * MIB..=64 * MIB));
    let worker = daemon.worker("filler");
    assert_eq!((worker.pid, worker.state), (Some(pid), WorkerState::Ready));
    daemon.stop();
}

#[test]
fn what_careless_programs_do_with_temporary_files_is_nothing() {
    let _alone = alone();
    let (_bed, mut daemon) = start("quota_mib = 4", &["late-flush", "churn", "small"]);
    for note in [60, 61, 62] {
        daemon.answers("filler", note);
    }
    let worker = daemon.worker("filler");
    assert_eq!((worker.state, worker.last_end), (WorkerState::Ready, None));
    daemon.stop();
}

#[test]
fn over_its_quota_it_is_not_started_until_there_is_room() {
    let _alone = alone();
    let (bed, daemon) = overflows("one", " of 64 MiB");
    let refused = daemon.restart_worker("filler");
    let worker = failed(&daemon);
    assert!(worker.pid.is_none(), "{refused:?}");
    assert!(worker.reason.unwrap_or_default().contains(" of 64 MiB"));
    for entry in fs::read_dir(data(&bed)).expect("a data directory") {
        fs::remove_file(entry.expect("an entry").path()).expect("a file that can be deleted");
    }
    daemon.restart_worker("filler").expect("a worker that runs again");
    daemon.wait_ready("filler");
    daemon.stop();
}

#[test]
fn a_directory_over_a_quota_that_was_lowered_is_left_as_it_is() {
    let _alone = alone();
    let bed = Bed::new();
    bed.install("filler");
    fs::create_dir_all(data(&bed)).expect("a data directory");
    fs::set_permissions(data(&bed), std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("a private one");
    fs::write(data(&bed).join("old.bin"), vec![1; 3 * MIB as usize]).expect("a file");
    bed.configure(&Config::new().plugin("filler", &format!("{GRANTED}\nquota_mib = 2")).note(60, "filler", "small"));
    let daemon = bed.start();
    let reason = failed(&daemon).reason.unwrap_or_default();
    assert!(reason.contains("3 of 2 MiB") && reason.contains("quota_mib"), "{reason}");
    assert_eq!(size(&data(&bed)).0, 3 * MIB);
    bed.configure(&Config::new().plugin("filler", &format!("{GRANTED}\nquota_mib = 8")).note(60, "filler", "small"));
    eventually("the reload takes it in", || {
        let output = bed.run(&["reload"]);
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    });
    daemon.wait_ready("filler");
    daemon.stop();
}

#[test]
fn what_is_there_is_shown_and_cleared_from_the_command_line() {
    let _alone = alone();
    let (bed, mut daemon) = start("", &["small", "one"]);
    daemon.answers("filler", 60);
    let run = |arguments: &[&str]| {
        let output = bed.run(&[&["plugin", "data", "filler"], arguments].concat());
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    };
    let (fine, text) = run(&[]);
    assert!(fine && text.contains("0.1 of 64 MiB, 1 of 4,096 files") && text.contains("small.txt"), "{text}");
    let (fine, text) = run(&["--clear", "--yes"]);
    assert!(!fine && text.contains("is running") && text.contains("enabled = false"), "{text}");
    assert!(data(&bed).join("small.txt").exists());
    daemon.send(&[0x90, 61, 100]);
    failed(&daemon);
    let (fine, text) = run(&["--clear"]);
    assert!(!fine && text.contains("--yes"), "nobody is there to be asked: {text}");
    let (fine, text) = run(&["--clear", "--yes"]);
    assert!(fine && text.contains("midimon worker restart filler"), "{text}");
    assert_eq!(size(&data(&bed)).0, 0);
    daemon.restart_worker("filler").expect("a worker that runs again");
    daemon.answers("filler", 60);
    daemon.stop();
    // and without a daemon
    let (fine, json) = run(&["--json"]);
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert!(fine && report["usage"]["bytes"] == 1000 && report["biggest"][0]["path"] == "small.txt", "{json}");
    let (fine, json) = run(&["--clear", "--yes", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert!(fine && report["cleared"]["bytes"] == 1000 && report["usage"]["files"] == 0, "{json}");
}
