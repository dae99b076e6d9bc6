//! What a plugin does is recorded, and shown with and without a daemon.

use midimon::audit::{AuditEvent, Entry, FileChange};
use midimon_tests::{Bed, Config, Daemon, eventually};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

const GRANTED: &str = "grants = [\"filesystem\"]";

fn bed(actions: &[&str], settings: &str) -> Bed {
    let bed = Bed::new();
    bed.install("filler");
    configure(&bed, actions, settings);
    bed
}

fn configure(bed: &Bed, actions: &[&str], settings: &str) {
    let config = Config::new().plugin("filler", settings);
    bed.configure(&actions.iter().zip(60..).fold(config, |config, (action, note)| config.note(note, "filler", action)));
}

fn start(bed: &Bed) -> Daemon {
    let daemon = bed.start();
    daemon.wait_ready("filler");
    daemon
}

/// What `midimon audit filler --json` says.
fn entries(bed: &Bed) -> Vec<Entry> {
    let output = bed.run(&["audit", "filler", "--json", "-n", "1000"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

fn wait_for(bed: &Bed, what: &str, wanted: impl Fn(&AuditEvent) -> bool) -> Vec<Entry> {
    eventually(what, || {
        let entries = entries(bed);
        if entries.iter().any(|entry| wanted(&entry.event)) { Ok(entries) } else { Err(format!("{entries:#?}")) }
    })
}

fn is_file(event: &AuditEvent, change: FileChange, name: &str, size: u64) -> bool {
    matches!(event, AuditEvent::File { what, path, bytes } if *what == change && path == name && *bytes == size)
}

#[test]
fn grants_starts_files_and_ends_are_recorded_in_order() {
    let bed = bed(&["small", "late-flush"], GRANTED);
    let mut daemon = start(&bed);
    daemon.answers("filler", 60);
    daemon.answers("filler", 61);
    wait_for(&bed, "the file is recorded", |event| is_file(event, FileChange::Written, "small.txt", 1000));
    wait_for(&bed, "its end is recorded", |event| is_file(event, FileChange::Deleted, "temporary", 0));
    let pid = daemon.worker("filler").pid.expect("a process");
    daemon.stop();
    // and after the daemon
    let entries = entries(&bed);
    let position = |what: &str, wanted: &dyn Fn(&AuditEvent) -> bool| {
        entries.iter().position(|entry| wanted(&entry.event)).unwrap_or_else(|| panic!("{what}: {entries:#?}"))
    };
    let granted =
        position("granted", &|event| matches!(event, AuditEvent::Granted { capability } if capability == "filesystem"));
    let started = position("started", &|event| matches!(event, AuditEvent::Started { pid: of, .. } if *of == pid));
    let created = position(
        "created",
        &|event| matches!(event, AuditEvent::File { what: FileChange::Created, path, .. } if path == "small.txt"),
    );
    let ended = position("ended", &|event| matches!(event, AuditEvent::Ended { cause } if cause == "stopped as asked"));
    assert!(granted < started && started < created && created < ended, "{entries:#?}");
    assert!(entries.iter().all(|entry| entry.plugin.as_str() == "filler" && entry.time.ends_with('Z')));
    let file = bed.home().join("audit/filler.jsonl");
    assert_eq!(fs::metadata(&file).expect("the log").permissions().mode() & 0o777, 0o600);
    let text = String::from_utf8_lossy(&bed.run(&["audit", "filler"]).stdout).into_owned();
    assert!(text.contains("written    small.txt  1000B") && text.contains("granted    filesystem"), "{text}");
}

#[test]
fn a_grant_taken_away_is_recorded_once_and_nothing_is_repeated_by_a_restart() {
    let bed = bed(&["small"], GRANTED);
    start(&bed).stop();
    start(&bed).stop();
    configure(&bed, &["small"], "");
    let daemon = start(&bed);
    wait_for(&bed, "it is withdrawn", |event| matches!(event, AuditEvent::Withdrawn { .. }));
    daemon.stop();
    let grants: Vec<AuditEvent> = entries(&bed)
        .into_iter()
        .map(|entry| entry.event)
        .filter(|event| matches!(event, AuditEvent::Granted { .. } | AuditEvent::Withdrawn { .. }))
        .collect();
    let capability = || "filesystem".to_owned();
    assert_eq!(
        grants,
        [AuditEvent::Granted { capability: capability() }, AuditEvent::Withdrawn { capability: capability() }]
    );
}

#[test]
fn a_plugin_over_its_quota_ends_for_a_recorded_reason_and_its_flood_is_shortened() {
    let bed = bed(&["files"], GRANTED);
    let mut daemon = start(&bed);
    daemon.send(&[0x90, 60, 100]);
    let entries = wait_for(
        &bed,
        "its end",
        |event| matches!(event, AuditEvent::Ended { cause } if cause.contains("quota exceeded: 4,097 files of 4,096")),
    );
    let files = entries.iter().filter(|entry| matches!(entry.event, AuditEvent::File { .. })).count();
    assert!((1..400).contains(&files), "{files} lines");
    wait_for(&bed, "what is missing is counted", |event| matches!(event, AuditEvent::Lost { count } if *count > 1000));
    daemon.stop();
}

#[test]
fn following_shows_what_happens_as_it_happens() {
    let bed = bed(&["small"], GRANTED);
    let mut daemon = start(&bed);
    let mut follower =
        bed.command(&["audit", "filler", "--follow", "-n", "0"]).stdout(Stdio::piped()).spawn().expect("midimon runs");
    let output = follower.stdout.take().expect("its output");
    let found = std::thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).find(|line| line.contains("small.txt"))
    });
    // it may not have begun yet: the file is written until it shows
    eventually("the follower sees the file", || {
        daemon.answers("filler", 60);
        if found.is_finished() { Ok(()) } else { Err("nothing yet".to_owned()) }
    });
    let line = found.join().expect("a reader that ends").expect("a line");
    assert!(line.contains("small.txt"), "{line}");
    follower.kill().expect("a follower that runs");
    follower.wait().expect("a follower that ended");
    daemon.stop();
}

#[test]
fn nothing_recorded_is_an_error_that_says_where_it_looked() {
    let bed = Bed::new();
    let output = bed.run(&["audit", "nobody"]);
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("nobody") && message.contains("audit"), "{message}");
}
