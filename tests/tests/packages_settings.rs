//! What the user sets for an installed plugin reaches it, typed; what is secret
//! reaches nobody else.

use midimon_tests::config::PATIENT;
use midimon_tests::{Bed, Config, Daemon, Publisher, Terminal, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

const ID: &str = "given";
/// Nothing else in a test has these in it.
const TYPED: &str = "gAhY3-typed-7#é";
const PIPED: &str = "x0Wd9-piped-\\\"&";
const ON_THE_LINE: &str = "b4Lq8-on-the-line";
/// No secret, to know that looking finds something.
const OPEN: &str = "k2Vm6-open";

const SETTINGS: &str = r#"
[[settings]]
name = "port"
type = "integer"
default = 4455
description = "where it listens"
[[settings]]
name = "rate"
type = "number"
[[settings]]
name = "loud"
type = "boolean"
[[settings]]
name = "address"
type = "string"
[[settings]]
name = "token"
type = "string"
secret = true
required = true
description = "from its web page"
"#;

/// The plugin installed, with a daemon that logs all it can.
fn bed() -> (Bed, Daemon) {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    bed.configure(&Config::new().plugin(ID, PATIENT));
    publisher.install(&bed, &publisher.package(ID, "0.1.0", SETTINGS), &[]);
    let daemon = start(&bed);
    (bed, daemon)
}

fn start(bed: &Bed) -> Daemon {
    bed.start_in(&["--input", "stdin"], &[("MIDIMON_LOG", "trace"), ("RUST_LOG", "trace")])
}

fn set(bed: &Bed, name: &str, value: &str) -> String {
    bed.works(&["plugin", "config", "set", ID, name, value])
}

/// Sets the secret from standard input.
fn pipe(bed: &Bed, text: &str) {
    let mut command = bed.command(&["plugin", "config", "set", ID, "token"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("midimon runs");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    assert!(child.wait().expect("a child").success());
}

/// Whether a text is in these bytes: as it is, or as JSON or a debugger would write it.
fn holds(bytes: &[u8], text: &str) -> bool {
    let quoted = json!(text).to_string();
    let debug = format!("{text:?}");
    let ways = [text, quoted.trim_matches('"'), debug.trim_matches('"')];
    ways.iter().any(|way| bytes.windows(way.len()).any(|window| window == way.as_bytes()))
}

/// The files below with this text in them or in their names.
fn files_with(directory: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        let (path, kind) = (entry.path(), entry.file_type().expect("its type"));
        if holds(entry.file_name().as_bytes(), text) {
            found.push(path.clone());
        }
        if kind.is_dir() {
            found.extend(files_with(&path, text));
        } else if kind.is_file() && holds(&fs::read(&path).expect("a file that can be read"), text) {
            found.push(path);
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Processes whose arguments or environment have this text.
fn processes_with(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let is_process = entry.file_name().as_bytes().iter().all(u8::is_ascii_digit);
        for file in ["cmdline", "environ"].iter().filter(|_| is_process) {
            let path = entry.path().join(file);
            // it may have ended
            if fs::read(&path).is_ok_and(|bytes| holds(&bytes, text)) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// Everything that shows something of a plugin; as bytes.
fn shown(bed: &Bed) -> Vec<u8> {
    let commands: [&[&str]; 14] = [
        &["plugin", "config", "get", ID],
        &["plugin", "config", "get", ID, "token"],
        &["plugin", "config", "get", ID, "--json"],
        &["plugin", "info", ID],
        &["plugin", "info", ID, "--json"],
        &["plugin", "list"],
        &["plugin", "list", "--json"],
        &["status"],
        &["status", "--json"],
        &["worker", "inspect", ID],
        &["worker", "inspect", ID, "--json"],
        &["audit", ID, "--json", "-n", "10000"],
        &["check"],
        &["doctor"],
    ];
    let mut all = Vec::new();
    for command in commands {
        let output = bed.run(command);
        all.extend(output.stdout);
        all.extend(output.stderr);
    }
    all
}

/// A client that goes before it is answered is worth a line of the level `debug` alone.
fn logs_all_it_can(bed: &Bed, daemon: &Daemon) {
    eventually("the daemon logs all it can", || {
        let mut client = UnixStream::connect(bed.home().join("control.sock")).expect("a daemon that listens");
        client.write_all(b"nothing it knows\n").expect("it listens");
        drop(client);
        let log = daemon.log_text();
        if log.contains("DEBUG") { Ok(()) } else { Err(log) }
    });
}

/// Looks everywhere for a secret that is set: it is in its file alone, or in none.
fn is_nowhere_but(bed: &Bed, daemon: &Daemon, secret: &str, files: &[PathBuf]) {
    assert_eq!(files_with(bed.path("").as_path(), secret), files, "files with it");
    assert_eq!(processes_with(secret), Vec::<String>::new(), "processes with it");
    assert!(!holds(&shown(bed), secret), "a command shows it");
    assert!(!holds(daemon.log_text().as_bytes(), secret));
}

#[test]
fn settings_reach_the_plugin_typed_and_with_their_defaults() {
    let (bed, daemon) = bed();
    // it is not started without what it needs, and says which
    let needs = |problem: &String| problem.contains("midimon plugin config set given token");
    daemon.wait_status("what it needs", |status| status.problems.iter().any(needs));
    assert!(daemon.workers().is_empty());
    pipe(&bed, "one\r\nthe rest is not read\n");
    daemon.wait_ready(ID);
    assert_eq!(bed.given(ID), json!({ "port": 4455, "token": "one" }));

    for (name, value) in [("port", "-7"), ("rate", "0.25"), ("loud", "true"), ("address", "h \"ö\" : 1")] {
        let before = daemon.worker(ID);
        set(&bed, name, value);
        daemon.wait_restarted(&before);
    }
    let all = json!({ "port": -7, "rate": 0.25, "loud": true, "address": "h \"ö\" : 1", "token": "one" });
    assert_eq!(bed.given(ID), all);
    assert_eq!(bed.json(&["plugin", "config", "get", ID, "--json"])["rate"], json!(0.25));

    // what is of another type changes nothing, and restarts nothing
    let pid = daemon.worker(ID).pid;
    for (name, value, wanted) in [
        ("port", "1.5", "a whole number"),
        ("port", "99999999999999999999", "a whole number"),
        ("rate", "inf", "a number"),
        ("loud", "yes", "true or false"),
        ("colour", "red", "port, rate, loud, address, token"),
    ] {
        let told = bed.refused(&["plugin", "config", "set", ID, name, value]);
        assert!(told.contains(wanted), "{name} {value}: {told}");
    }
    let told = bed.refused(&["plugin", "config", "set", ID, "address", &"x".repeat(5000)]);
    assert!(told.contains("over 4096 bytes"), "{told}");
    assert_eq!((bed.given(ID), daemon.worker(ID).pid), (all, pid));

    // forgotten, it is the default again
    for name in ["port", "address"] {
        let before = daemon.worker(ID);
        bed.works(&["plugin", "config", "unset", ID, name]);
        daemon.wait_restarted(&before);
    }
    assert_eq!(bed.given(ID), json!({ "port": 4455, "rate": 0.25, "loud": true, "token": "one" }));
    // and a later daemon hands over the same
    daemon.stop();
    let daemon = start(&bed);
    daemon.wait_ready(ID);
    assert_eq!(bed.given(ID), json!({ "port": 4455, "rate": 0.25, "loud": true, "token": "one" }));
    daemon.stop();
}

#[test]
fn a_secret_is_known_to_its_file_and_its_plugin_and_shown_nowhere_else() {
    let (bed, daemon) = bed();
    let file = bed.home().join("state/settings/given.json");
    set(&bed, "address", OPEN);

    let told = bed.refused(&["plugin", "config", "set", ID, "token", ON_THE_LINE]);
    assert!(told.contains("every program can read a command line"), "{told}");
    is_nowhere_but(&bed, &daemon, ON_THE_LINE, &[]);

    let mut session = Terminal::new(80, 24).run_controlled(&bed.command(&["plugin", "config", "set", ID, "token"]));
    session.wait_for("token of given (not shown): ").enter(TYPED);
    assert_eq!(processes_with(TYPED), Vec::<String>::new());
    session.wait_for("token of given is set");
    let (status, seen) = session.end();
    assert!(status.success(), "{seen}");
    assert!(!holds(seen.as_bytes(), TYPED), "{seen}");
    let worker = daemon.wait_ready(ID);
    assert_eq!(bed.given(ID)["token"], json!(TYPED));
    let ours = std::slice::from_ref(&file);
    is_nowhere_but(&bed, &daemon, TYPED, ours);
    assert_eq!(fs::metadata(&file).expect("the settings").permissions().mode() & 0o7777, 0o600);
    let get = bed.works(&["plugin", "config", "get", ID]);
    assert!(get.contains("token = (secret, set)"), "{get}");
    // the control: what is not secret is found in the same places
    assert!(holds(get.as_bytes(), OPEN) && holds(&shown(&bed), OPEN));
    assert_eq!(files_with(&bed.path(""), OPEN), ours);
    let own = fs::read(format!("/proc/{}/cmdline", daemon.process().pid)).expect("the daemon's");
    let home = bed.home();
    assert!(own.windows(home.as_os_str().len()).any(|window| OsStr::from_bytes(window) == home.as_os_str()));
    assert!(!processes_with(&home.to_string_lossy()).is_empty());
    logs_all_it_can(&bed, &daemon);

    // crashed and started again by the daemon
    kill(Pid::from_raw(worker.pid.expect("a process")), Signal::SIGSEGV).expect("a worker");
    let worker = daemon.wait_restarted(&worker);
    assert_eq!(bed.given(ID)["token"], json!(TYPED));
    is_nowhere_but(&bed, &daemon, TYPED, ours);

    // another one: nothing is left of the first
    pipe(&bed, PIPED);
    daemon.wait_restarted(&worker);
    assert_eq!(bed.given(ID)["token"], json!(PIPED));
    is_nowhere_but(&bed, &daemon, PIPED, ours);
    is_nowhere_but(&bed, &daemon, TYPED, &[]);
    bed.works(&["plugin", "config", "unset", ID, "token"]);
    is_nowhere_but(&bed, &daemon, PIPED, &[]);
    daemon.stop();
    for secret in [TYPED, PIPED, ON_THE_LINE] {
        assert_eq!(files_with(&bed.path(""), secret), Vec::<PathBuf>::new(), "after the daemon has ended");
    }
}
