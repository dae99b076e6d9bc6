//! Installed plugins from the record on disk to the worker: what is verified when,
//! whose grants count, and what is refused.

use midimon::audit::{AuditEvent, Entry};
use midimon::workers::status::{Origin, WorkerState};
use midimon_tests::installed::{bed, install, run, wait_problem};
use midimon_tests::{Bed, Config, Daemon, eventually};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

fn file(bed: &Bed, id: &str, name: &str) -> PathBuf {
    let dir = fs::read_dir(bed.home().join("plugins").join(id)).expect("the plugin's versions");
    let versions = dir.map(|entry| entry.expect("an entry").path()).find(|path| path.is_dir());
    versions.expect("a version").join(name)
}

#[test]
fn e092_a_file_changed_on_disk_stops_the_plugin_at_reload_and_at_start_and_not_before() {
    let bed = bed("echo", &[]);
    let mut daemon = bed.start();
    assert_eq!(daemon.wait_ready("echo").origin, Origin::Installed);
    daemon.answers("echo", 60);
    let library = file(&bed, "echo", "libecho.so");
    let good = fs::read(&library).expect("the library");
    let mut bad = good.clone();
    *bad.last_mut().expect("bytes") ^= 1;
    fs::write(&library, &bad).expect("a changed library");
    // what was verified is what runs: a restart takes the same sealed bytes
    daemon.restart_worker("echo").expect("it starts again");
    daemon.answers("echo", 60);
    assert!(bed.run(&["reload"]).status.success());
    let told = wait_problem(&daemon, "was changed after it was installed");
    assert!(told.contains("echo") && told.contains("midimon plugin install"), "{told}");
    // it has two seconds to end
    eventually("its worker is gone", || match daemon.workers() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
    daemon.stop();
    let mut daemon = bed.start();
    wait_problem(&daemon, "was changed after it was installed");
    // put back, it runs
    fs::write(&library, &good).expect("the library put back");
    assert!(bed.run(&["reload"]).status.success());
    daemon.wait_ready("echo");
    daemon.answers("echo", 60);
    daemon.stop();
}

#[test]
fn e093_a_manifest_changed_between_consent_and_load_is_not_used() {
    let bed = bed("echo", &[]);
    let manifest = file(&bed, "echo", "plugin.toml");
    let text = fs::read_to_string(&manifest).expect("the manifest");
    let more = "\n[[capabilities]]\ncapability = \"input\"\nreason = \"swapped\"\n";
    fs::write(&manifest, format!("{text}{more}")).expect("another manifest");
    let daemon = bed.start();
    wait_problem(&daemon, "was changed after it was installed");
    fs::write(&manifest, text).expect("the manifest put back");
    assert!(bed.run(&["reload"]).status.success());
    daemon.wait_ready("echo");
    daemon.stop();
}

#[test]
fn a_grant_counts_at_once_and_so_does_taking_it_back() {
    let bed = bed("notes", &[]);
    let mut daemon = bed.start();
    let denied = |daemon: &Daemon| {
        let worker = daemon.wait_worker("notes", "it is denied its directory", |worker| {
            !worker.not_granted.is_empty() && worker.state != WorkerState::Ready
        });
        assert!(worker.grants.is_empty() && worker.data_dir.is_none(), "{worker:?}");
    };
    denied(&daemon);
    let told = bed.refused(&["plugin", "grant", "notes", "input"]);
    assert!(told.contains("asks for: filesystem"), "{told}");
    run(&bed, &["plugin", "grant", "notes", "filesystem"]);
    let worker = daemon.wait_ready("notes");
    assert_eq!((worker.grants, worker.not_granted), (vec!["filesystem".to_owned()], vec![]));
    daemon.answers("notes", 60);
    run(&bed, &["plugin", "revoke", "notes", "filesystem"]);
    denied(&daemon);
    let audit = run(&bed, &["audit", "notes", "--json"]);
    let entries = audit.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok());
    let changes: Vec<bool> = entries
        .filter_map(|entry| match entry.event {
            AuditEvent::Granted { .. } => Some(true),
            AuditEvent::Withdrawn { .. } => Some(false),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [true, false], "{audit}");
    daemon.stop();
}

#[test]
fn what_the_configuration_grants_is_not_for_an_installed_plugin() {
    let bed = bed("notes", &[]);
    bed.configure(&Config::new().plugin("notes", "grants = [\"filesystem\"]"));
    let daemon = bed.start();
    let told = wait_problem(&daemon, "do not count for an installed plugin");
    assert!(told.contains("midimon plugin grant notes"), "{told}");
    assert_eq!(daemon.worker("notes").grants, Vec::<String>::new());
    daemon.stop();
}

#[test]
fn an_installed_plugin_is_never_only_reported() {
    let bed = bed("echo", &[]);
    let daemon = bed.start_with(&["--input", "stdin", "--sandbox-report", "echo"]);
    let told = wait_problem(&daemon, "--sandbox-report is for plugins of [plugins] dir only");
    assert!(told.contains("echo"), "{told}");
    assert!(daemon.workers().is_empty());
    daemon.stop();
    // the control: under development it is
    let bed = Bed::new();
    bed.install("echo");
    bed.configure(&Config::new());
    let daemon = bed.start_with(&["--input", "stdin", "--sandbox-report", "echo"]);
    assert!(daemon.wait_ready("echo").report_only);
    daemon.stop();
}

#[test]
fn in_safe_mode_no_plugin_is_started_and_status_says_so() {
    let bed = bed("echo", &[]);
    bed.install("notes");
    let daemon = bed.start_with(&["--input", "stdin", "--safe-mode"]);
    let status = daemon.status();
    assert!(status.safe_mode && status.workers.is_empty(), "{status:?}");
    assert_eq!(status.problems.len(), 1, "{:?}", status.problems);
    assert!(status.problems[0].contains("safe mode"), "{:?}", status.problems);
    assert!(bed.run(&["reload"]).status.success());
    assert!(daemon.workers().is_empty() && daemon.status().workers.is_empty());
    daemon.stop();
    let daemon = bed.start();
    daemon.wait_ready("echo");
    assert!(!daemon.status().safe_mode);
    daemon.stop();
}

#[test]
fn e097_of_two_plugins_with_one_id_the_one_under_development_runs_and_the_other_is_told() {
    let bed = bed("echo", &[]);
    let dir = bed.install("echo");
    let daemon = bed.start();
    assert_eq!(daemon.wait_ready("echo").origin, Origin::Dev);
    let told = wait_problem(&daemon, "the installed one is not started");
    assert!(told.contains("[plugins] dir"), "{told}");
    fs::remove_dir_all(dir).expect("the one under development gone");
    assert!(bed.run(&["reload"]).status.success());
    daemon.wait_worker("echo", "the installed one", |echo| {
        echo.origin == Origin::Installed && echo.state == WorkerState::Ready
    });
    daemon.stop();
}

#[test]
fn e098_nothing_in_a_package_is_run_to_install_it() {
    let bed = Bed::new();
    let dir = bed.install("echo");
    let (script, trace) = (dir.join("postinst"), bed.path("trace"));
    fs::write(&script, format!("#!/bin/sh\necho ran > {}\n", trace.display())).expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("an executable script");
    let manifest = dir.join("plugin.toml");
    let text = fs::read_to_string(&manifest).expect("the manifest");
    fs::write(&manifest, format!("include = [\"postinst\"]\n{text}")).expect("the manifest");
    // the control: it does what it says when it is run
    assert!(std::process::Command::new(&script).status().expect("a shell").success());
    fs::remove_file(&trace).expect("what it left");
    bed.configure(&Config::new());
    install(&bed, &dir, &[]);
    fs::remove_dir_all(dir).expect("the plugin's own directory gone");
    let daemon = bed.start();
    daemon.wait_ready("echo");
    let installed = fs::metadata(file(&bed, "echo", "postinst")).expect("it is there");
    assert_eq!(installed.permissions().mode() & 0o111, 0, "nobody can run it");
    assert!(!trace.exists());
    daemon.stop();
}

#[test]
fn a_plugins_life_disabled_enabled_listed_and_removed() {
    let bed = bed("notes", &["filesystem"]);
    let mut daemon = bed.start();
    daemon.wait_ready("notes");
    daemon.answers("notes", 60);
    assert!(run(&bed, &["plugin", "list"]).contains("unsigned"));
    assert!(run(&bed, &["plugin", "info", "notes"]).contains("filesystem – granted"));
    run(&bed, &["plugin", "disable", "notes"]);
    assert!(daemon.workers().is_empty(), "it is stopped when the command returns");
    assert!(run(&bed, &["plugin", "list"]).contains("disabled"));
    run(&bed, &["plugin", "enable", "notes"]);
    daemon.wait_ready("notes");
    assert!(bed.refused(&["plugin", "rollback", "notes"]).contains("no version to go back to"));
    assert!(bed.refused(&["plugin", "remove", "notes"]).contains("--yes"));
    run(&bed, &["plugin", "remove", "notes", "--yes"]);
    assert!(daemon.workers().is_empty());
    for gone in ["plugins/notes", "plugin-data/notes", "grants/notes.toml", "state/kept-notes.toml"] {
        assert!(!bed.home().join(gone).exists(), "{gone}");
    }
    assert!(bed.refused(&["plugin", "remove", "notes", "--yes"]).contains("is not installed"));
    daemon.stop();
}
