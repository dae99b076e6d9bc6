use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

const LONG: Duration = Duration::from_secs(20);

fn id(text: &str) -> PluginId {
    text.parse().unwrap()
}

fn read(path: &Path) -> Vec<Entry> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn violation(what: &str) -> AuditEvent {
    AuditEvent::Violation { what: what.into() }
}

fn created(path: &str) -> AuditEvent {
    AuditEvent::File { what: FileChange::Created, path: path.into(), bytes: 3 }
}

#[test]
fn what_was_recorded_is_in_a_file_of_ours_alone_once_flushed() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("audit");
    let audit = Audit::start(dir.clone()).unwrap();
    audit.record(&id("notes"), violation("ptrace"));
    audit.clone().record(&id("notes"), created("a\nb"));
    audit.record(&id("echo"), created("c"));
    audit.flush(LONG);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("notes.jsonl"))), (0o700, 0o600));
    let events: Vec<AuditEvent> = read(&dir.join("notes.jsonl")).into_iter().map(|entry| entry.event).collect();
    assert_eq!(events, [violation("ptrace"), created("a\\u{a}b")]);
    assert_eq!(read(&dir.join("echo.jsonl"))[0].plugin, id("echo"));
}

#[test]
fn one_that_records_nothing_costs_nothing_and_never_waits() {
    let audit = Audit::default();
    audit.record(&id("notes"), violation("ptrace"));
    audit.flush(LONG);
}

#[test]
fn a_flush_writes_repetitions_that_are_held_back_too() {
    let temp = tempfile::tempdir().unwrap();
    let audit = Audit::start(temp.path().into()).unwrap();
    for _ in 0..100 {
        audit.record(&id("notes"), created("a"));
    }
    audit.flush(LONG);
    let entries = read(&temp.path().join("notes.jsonl"));
    assert_eq!(entries.iter().map(|entry| entry.times).collect::<Vec<_>>(), [1, 99]);
}

#[test]
fn grants_are_recorded_when_they_change_and_never_again_after_a_restart() {
    let temp = tempfile::tempdir().unwrap();
    let run = |capabilities: &[&str]| {
        let audit = Audit::start(temp.path().into()).unwrap();
        audit.grants(&id("notes"), capabilities.iter().map(|text| (*text).to_owned()));
        audit.flush(LONG);
    };
    run(&["filesystem", "input"]);
    run(&["input", "filesystem"]);
    run(&["filesystem", "midi:Synth"]);
    let events: Vec<AuditEvent> = read(&temp.path().join("notes.jsonl")).into_iter().map(|entry| entry.event).collect();
    let granted = |capability: &str| AuditEvent::Granted { capability: capability.into() };
    let withdrawn = AuditEvent::Withdrawn { capability: "input".into() };
    assert_eq!(events, [granted("filesystem"), granted("input"), withdrawn, granted("midi:Synth")]);
}

#[test]
fn a_use_that_was_repeated_stands_before_the_line_that_withdraws_its_grant() {
    let temp = tempfile::tempdir().unwrap();
    let audit = Audit::start(temp.path().into()).unwrap();
    audit.grants(&id("notes"), ["midi:Synth".to_owned()]);
    let sent = || AuditEvent::Use {
        what: "midi-send".into(),
        target: "Synth".into(),
        arguments: Vec::new(),
        more_arguments: 0,
        bytes: 3,
        allowed: true,
        reason: None,
    };
    for _ in 0..50 {
        audit.record(&id("notes"), sent());
    }
    audit.grants(&id("notes"), []);
    audit.flush(LONG);
    let entries = read(&temp.path().join("notes.jsonl"));
    let is_use = |entry: &Entry| matches!(entry.event, AuditEvent::Use { .. });
    let used: u64 = entries.iter().filter(|entry| is_use(entry)).map(|entry| entry.times).sum();
    assert_eq!(used, 50);
    let withdrawn = AuditEvent::Withdrawn { capability: "midi:Synth".into() };
    assert_eq!(entries.last().map(|entry| &entry.event), Some(&withdrawn), "{entries:?}");
}

#[test]
fn grants_whose_lines_could_not_be_written_are_recorded_once_they_can_be() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("notes.jsonl");
    symlink("nowhere", &path).unwrap();
    let audit = Audit::start(temp.path().into()).unwrap();
    let grant = || {
        audit.grants(&id("notes"), ["input".to_owned()]);
        audit.flush(LONG);
    };
    grant();
    assert!(!temp.path().join("notes.grants").exists());
    fs::remove_file(&path).unwrap();
    grant();
    let granted = AuditEvent::Granted { capability: "input".into() };
    assert!(read(&path).into_iter().any(|entry| entry.event == granted));
}

#[test]
fn a_planted_link_is_not_written_through() {
    let temp = tempfile::tempdir().unwrap();
    let victim = temp.path().join("victim");
    fs::write(&victim, "keep").unwrap();
    let dir = temp.path().join("audit");
    let audit = Audit::start(dir.clone()).unwrap();
    symlink(&victim, dir.join("notes.jsonl")).unwrap();
    audit.record(&id("notes"), violation("ptrace"));
    audit.flush(LONG);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "keep");
}

#[test]
fn half_a_line_left_by_a_full_disk_spoils_no_other() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("notes.jsonl");
    fs::write(&path, "{\"time\":\"20").unwrap();
    let audit = Audit::start(temp.path().into()).unwrap();
    audit.record(&id("notes"), violation("ptrace"));
    audit.flush(LONG);
    let text = fs::read_to_string(&path).unwrap();
    let entry: Entry = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(entry.event, violation("ptrace"));
}

#[test]
fn a_flood_of_lines_deletes_no_violation_and_counts_what_it_deletes() {
    let temp = tempfile::tempdir().unwrap();
    let dir = file::AuditDir::open(temp.path()).unwrap();
    let mut log = dir.open_log(&id("notes")).unwrap();
    let entry = |event| Entry { time: event::time(SystemTime::UNIX_EPOCH), plugin: id("notes"), event, times: 1 };
    log.write(&entry(violation("ptrace"))).unwrap();
    let count = 60_000;
    for number in 0..count {
        log.write(&entry(created(&format!("{number}-{}", "x".repeat(100))))).unwrap();
    }
    let (current, aside) = (temp.path().join("notes.jsonl"), temp.path().join("notes.jsonl.1"));
    for path in [&current, &aside] {
        assert!(fs::metadata(path).unwrap().len() <= file::ROTATE_AT + file::ROTATE_AT / 2);
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let mut entries = read(&aside);
    entries.extend(read(&current));
    assert_eq!(entries[0].event, violation("ptrace"));
    let AuditEvent::Discarded { count: discarded } = entries[1].event else { panic!("{:?}", entries[1]) };
    assert_eq!(discarded + entries.len() as u64 - 2, count);
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2);
}
