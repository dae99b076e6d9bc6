//! The daemon's life as people lead it: the command line, signals, a terminal.

use midimon::control::model::{ModeReport, Status};
use midimon::workers::status::{WorkerState, WorkerStatus};
use midimon_tests::wait::within;
use midimon_tests::{Bed, Config, Process, eventually, midi};
use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

fn bed() -> Bed {
    let bed = Bed::new();
    bed.install("echo");
    bed.install("echo-wasm");
    bed.configure(&Config::new().note(60, "echo", "say").note(36, "echo", "kick").note(42, "echo-wasm", "hat"));
    bed
}

/// What a command prints, when it works.
fn printed(bed: &Bed, arguments: &[&str]) -> String {
    let output = bed.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn json<T: DeserializeOwned>(bed: &Bed, arguments: &[&str]) -> T {
    let text = printed(bed, arguments);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A daemon in the background; stopped when dropped, also when a test fails.
struct Started<'b>(&'b Bed);

impl Drop for Started<'_> {
    fn drop(&mut self) {
        let _ = self.0.run(&["stop"]); // it may be stopped already
    }
}

#[test]
fn start_status_stop_and_it_is_gone() {
    let bed = bed();
    let _stopped = Started(&bed);
    let said = printed(&bed, &["start", "--input", "demo"]);
    let (pid, log) = said
        .trim()
        .strip_prefix("midimon started: pid ")
        .and_then(|rest| rest.split_once(", log "))
        .unwrap_or_else(|| panic!("{said}"));
    let pid: i32 = pid.parse().expect("a process id");
    let daemon = Process::of(pid).expect("a process");
    assert!(Path::new(log).is_file(), "{log}");
    assert_eq!(nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(pid))).expect("a session").as_raw(), pid);

    let answered = |id: &str| {
        eventually(&format!("the demo reaches {id}"), || {
            let worker: WorkerStatus = json(&bed, &["worker", "inspect", id, "--json"]);
            if worker.calls.done > 0 { Ok(()) } else { Err(format!("{worker:#?}")) }
        });
    };
    answered("echo");
    answered("echo-wasm");
    let status: Status = json(&bed, &["status", "--json"]);
    assert_eq!((status.pid, status.workers.len()), (pid, 2));
    let table = printed(&bed, &["status"]);
    assert!(table.contains("echo") && table.contains("echo-wasm") && table.contains("ready"), "{table}");

    let workers = daemon.children();
    assert_eq!(workers.len(), 2, "{workers:?}");
    let said = printed(&bed, &["stop"]);
    assert_eq!(said.trim(), format!("midimon stopped (pid {pid})"));
    within(Duration::from_secs(5), "nothing is left", || {
        let left: Vec<_> = workers.iter().chain([&daemon]).filter(|process| process.is_alive()).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    assert_eq!(bed.run(&["status"]).status.code(), Some(3));
    let text = fs::read_to_string(log).expect("the log");
    assert!(text.contains("stopping"), "{text}");
}

#[test]
fn a_start_that_fails_shows_the_end_of_the_log() {
    let bed = bed();
    fs::create_dir_all(bed.home().join("control.sock")).expect("something in the socket's place");
    let output = bed.run(&["start", "--input", "demo"]);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("ended at once") && told.contains("_daemon.log"), "{told}");
    assert!(told.contains("control.sock") && told.contains("move it away"), "{told}");
}

#[test]
fn sigterm_ends_it_well_and_sighup_reads_the_configuration() {
    let bed = bed();
    let daemon = bed.start();
    daemon.wait_ready("echo");
    let reads = || daemon.log_text().matches("configuration read").count();
    let before = reads();
    daemon.signal(Signal::SIGHUP);
    eventually("SIGHUP is obeyed", || if reads() > before { Ok(()) } else { Err(daemon.log_text()) });
    daemon.wait_ready("echo");
    daemon.stop();
}

/// `midimon run --watch` in a terminal, through `script`, which types what its input brings.
struct Terminal {
    script: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Terminal {
    fn run(bed: &Bed) -> Self {
        let program = midimon_tests::binaries::Binaries::get().midimon();
        let quoted = |path: PathBuf| format!("'{}'", path.display());
        let line = format!("exec {} --home {} run --watch --input demo", quoted(program), quoted(bed.home()));
        let mut script = Command::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env_remove("MIDIMON_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script (Debian package bsdutils)");
        let output = BufReader::new(script.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            output.split(b'\n').map_while(Result::ok).for_each(|line| {
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned()); // nobody reads after a failure
            });
        });
        Self { script, lines }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.script.kill(); // it may have ended
        let _ = self.script.wait();
    }
}

#[test]
fn control_c_in_a_terminal_stops_it_with_no_crash_counted() {
    let bed = bed();
    let mut terminal = Terminal::run(&bed);
    let mut seen = String::new();
    for wanted in ["worker echo ready", "← echo "] {
        while !seen.contains(wanted) {
            let line = terminal.lines.recv_timeout(midimon_tests::DEADLINE);
            seen += &(line.unwrap_or_else(|error| panic!("{error} before {wanted:?}:\n{seen}")) + "\n");
            // colours may stand between the words
            seen = strip_colours(&seen);
        }
    }
    let status: Status = json(&bed, &["status", "--json"]);
    let daemon = Process::of(status.pid).expect("the daemon");
    let workers = daemon.children();
    assert_eq!(workers.len(), 2, "{workers:?}");

    terminal.script.stdin.as_mut().expect("a pipe").write_all(b"\x03").expect("Ctrl-C typed");
    let ended = eventually("it ends", || terminal.script.try_wait().ok().flatten().ok_or_else(|| seen.clone()));
    seen += &strip_colours(&terminal.lines.iter().collect::<Vec<_>>().join("\n"));
    assert_eq!(ended.code(), Some(0), "{seen}");
    let left: Vec<_> = workers.iter().chain([&daemon]).filter(|process| process.is_alive()).collect();
    assert!(left.is_empty(), "{left:?}");
    for bad in ["WARN", "ERROR", "panicked", "crash", "SIGINT", "signal 2", "backoff"] {
        assert!(!seen.contains(bad), "{bad} in\n{seen}");
    }
}

/// Without the escape sequences that colour a text.
fn strip_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn modes_are_listed_and_changed() {
    let bed = bed();
    bed.configure_text(
        "schema = 1\n[[modes]]\nname = \"Default\"\n[[modes]]\nname = \"Gaming\"\n[[modes]]\nname = \"DJ\"\n",
    );
    let daemon = bed.start();
    assert_eq!(printed(&bed, &["mode"]), "* Default\n  Gaming\n  DJ\n");
    let modes: ModeReport = json(&bed, &["mode", "--json"]);
    assert_eq!(modes.modes, ["Default", "Gaming", "DJ"]);
    for (to, now) in [("DJ", "DJ"), ("next", "Default"), ("prev", "DJ"), ("Gaming", "Gaming")] {
        assert_eq!(printed(&bed, &["mode", to]), format!("mode: {now}\n"));
        assert_eq!(daemon.status().mode.as_deref(), Some(now));
    }
    let output = bed.run(&["mode", "Nowhere"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("Gaming"), "it names those there are: {output:?}");
    daemon.stop();
}

#[test]
fn every_listing_is_there_for_people_and_as_json() {
    let bed = bed();
    let mut daemon = bed.start();
    daemon.wait_ready("echo");
    daemon.wait_ready("echo-wasm");
    daemon.send(&midi::tap(42));
    daemon.wait_worker("echo-wasm", "an answer", |worker| worker.calls.done == 1);

    let list: Vec<WorkerStatus> = json(&bed, &["worker", "list", "--json"]);
    assert_eq!(list.iter().map(|worker| worker.id.as_str()).collect::<Vec<_>>(), ["echo", "echo-wasm"]);
    assert!(printed(&bed, &["worker", "list"]).contains("echo-wasm"));
    let inspected = printed(&bed, &["worker", "inspect", "echo-wasm"]);
    assert!(inspected.contains("limits in force") && inspected.contains("hat {}"), "{inspected}");
    let unknown = bed.run(&["worker", "inspect", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("nobody"), "{unknown:?}");

    let before = daemon.worker("echo").pid;
    let restarted: WorkerStatus = json(&bed, &["worker", "restart", "echo", "--json"]);
    assert!(restarted.state == WorkerState::Ready && restarted.pid != before, "{restarted:#?}");

    assert!(printed(&bed, &["panic"]).contains("released"));
    let reloaded: Value = json(&bed, &["reload", "--json"]);
    assert_eq!(reloaded["mappings"], 3);
    let _: Status = json(&bed, &["status", "--json"]);

    eventually("the plugin's log is on disk", || {
        let output = bed.run(&["logs", "echo-wasm"]);
        if String::from_utf8_lossy(&output.stdout).contains("hat {}") { Ok(()) } else { Err(format!("{output:?}")) }
    });
    let logged = printed(&bed, &["logs", "echo-wasm", "--json"]);
    assert!(!logged.is_empty());
    for line in logged.lines() {
        let entry: Value = serde_json::from_str(line).expect("a line of JSON");
        assert_eq!(entry["log"], "echo-wasm");
    }
    assert!(stderr(&bed.run(&["logs", "nobody"])).contains("no log of 'nobody'"));

    // with a sequencer it lists, without one it says what to do
    let ports = bed.run(&["ports", "--json"]);
    if Path::new("/dev/snd/seq").exists() {
        let _: Value = serde_json::from_slice(&ports.stdout).expect("JSON");
    } else {
        assert_eq!(ports.status.code(), Some(1));
        assert!(ports.stdout.is_empty() && stderr(&ports).contains("snd-seq"), "{ports:?}");
    }
    daemon.stop();
}

#[test]
fn monitor_shows_a_note_its_mapping_and_the_answer_as_json() {
    let bed = bed();
    let mut daemon = bed.start();
    daemon.wait_ready("echo");
    let mut monitor = bed.command(&["monitor", "--json"]).stdout(Stdio::piped()).spawn().expect("midimon runs");
    let output = BufReader::new(monitor.stdout.take().expect("a pipe"));
    let (sender, lines) = channel();
    thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut kinds = Vec::new();
    // it has begun to watch when it shows one of the taps
    eventually("midi, hit and answer are shown", || {
        daemon.answers("echo", 60);
        kinds.extend(lines.try_iter().map(|line| {
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            event["event"].as_str().unwrap_or_else(|| panic!("{line}")).to_owned()
        }));
        let shown = |kind: &str| kinds.iter().any(|shown| shown == kind);
        if ["midi", "hit", "answer"].into_iter().all(shown) { Ok(()) } else { Err(format!("{kinds:?}")) }
    });
    daemon.stop();
    let status = eventually("it ends with the daemon", || monitor.try_wait().ok().flatten().ok_or(String::new()));
    assert!(status.success(), "{status}");
}
