//! What a change of installed plugins stops, and when: held locks, killed commands,
//! mistakes in the configuration and plugins under development do not get in its way.

use midimon::plugins::{GrantFile, Grants, Manifest};
use midimon::workers::status::{Origin, WorkerState};
use midimon_tests::installed::{bed, install, run, store, wait_problem};
use midimon_tests::{Bed, Config, Daemon, Publisher, Terminal, eventually};
use std::fs;
use std::path::Path;
use std::process::Stdio;

fn wait_none(daemon: &Daemon) {
    eventually("no worker runs", || match daemon.workers() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
}

/// `echo`, installed by the command and signed.
fn signed() -> (Bed, Publisher) {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    bed.configure(&Config::new().note(60, "echo", "say"));
    let package = publisher.package("echo", "0.1.0", "");
    let key = publisher.key().to_string();
    let package = package.to_str().expect("a path in UTF-8");
    run(&bed, &["plugin", "install", package, "--key", &key, "--key-name", "A. Player", "--yes"]);
    (bed, publisher)
}

#[test]
fn a_key_revoked_while_another_command_has_the_lock_stops_its_plugins_at_once() {
    let (bed, publisher) = signed();
    let daemon = bed.start();
    daemon.wait_ready("echo");
    let locked = store(&bed).lock(|_| ()).expect("the store's lock");
    let mut revokes = bed
        .command(&["key", "revoke", &publisher.key().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command");
    wait_none(&daemon);
    wait_problem(&daemon, "was revoked");
    assert!(revokes.try_wait().expect("the command").is_none(), "it still waits to note it in the records");
    drop(locked);
    assert!(revokes.wait().expect("the command").success());
    let record = store(&bed).get(&"echo".parse().expect("an id")).expect("the record").expect("a record");
    assert!(!record.enabled && record.disabled_reason.is_some_and(|reason| reason.contains("A. Player")));
    daemon.stop();
}

#[test]
fn a_removal_that_asks_holds_up_nobody_and_removes_nothing_that_changed_meanwhile() {
    let bed = bed("notes", &["filesystem"]);
    let ask = || Terminal::new(80, 24).run(bed.command(&["plugin", "remove", "notes"]));
    let mut session = ask();
    session.wait_for("[y/N] ");
    run(&bed, &["plugin", "disable", "notes"]);
    session.enter("y").wait_for("changed while you were asked");
    assert_eq!(session.end().0.code(), Some(1));
    assert!(run(&bed, &["plugin", "list"]).contains("notes"));
    // the control: where nothing changes it is removed
    let mut session = ask();
    session.wait_for("[y/N] ").enter("y").wait_for("notes is removed");
    assert!(session.end().0.success());
    assert!(!bed.home().join("plugins/notes").exists());
}

#[test]
fn what_is_disabled_stops_although_the_plugin_directory_cannot_be_read() {
    let bed = bed("notes", &["filesystem"]);
    bed.install("echo");
    let daemon = bed.start();
    daemon.wait_ready("notes");
    daemon.wait_ready("echo");
    fs::rename(bed.plugin_dir(), bed.path("renamed")).expect("another name");
    run(&bed, &["plugin", "disable", "notes"]);
    assert_eq!(daemon.workers().len(), 1, "the one under development goes on");
    wait_problem(&daemon, "cannot read the plugin directory");
    run(&bed, &["plugin", "enable", "notes"]);
    daemon.wait_ready("notes");
    daemon.stop();
}

#[test]
fn a_grant_taken_back_by_a_command_that_told_nobody_is_gone_all_the_same() {
    let bed = bed("notes", &["filesystem"]);
    let daemon = bed.start();
    assert_eq!(daemon.wait_ready("notes").grants, ["filesystem"]);
    // all that a command killed between the file and its word to the daemon has done
    let id = "notes".parse().expect("an id");
    let locked = store(&bed).lock(|_| ()).expect("the store's lock");
    let grants = locked.grants(&id).expect("the grants").expect("grants");
    locked.save_grants(&GrantFile { granted: Grants::default(), ..grants.clone() }).expect("fewer grants");
    daemon.wait_worker("notes", "fewer grants", |notes| notes.grants.is_empty());
    locked.save_grants(&grants).expect("the grants as before");
    daemon.wait_worker("notes", "its grants", |notes| notes.grants == ["filesystem"]);
    locked.set_enabled(&id, false, None).expect("disabled");
    wait_none(&daemon);
    daemon.stop();
}

#[test]
fn a_grant_that_is_gone_already_is_told_to_the_daemon_again() {
    let bed = bed("notes", &["filesystem"]);
    let daemon = bed.start();
    daemon.wait_ready("notes");
    run(&bed, &["plugin", "revoke", "notes", "filesystem"]);
    let told = bed.refused(&["plugin", "revoke", "notes", "filesystem"]);
    assert!(told.contains("is not granted"), "{told}");
    assert_eq!(daemon.worker("notes").grants, Vec::<String>::new());
    daemon.stop();
}

#[test]
fn with_mistakes_in_the_configuration_no_change_of_plugins_starts_one() {
    let bed = bed("notes", &["filesystem"]);
    let good = Config::new();
    bed.configure_text("[plugins.notes]\nenabled = false\nmistake = 1\n");
    let daemon = bed.start();
    for change in ["revoke", "grant"] {
        let told = run(&bed, &["plugin", change, "notes", "filesystem"]);
        assert!(told.contains("the configuration has mistakes"), "{told}");
        assert!(daemon.workers().is_empty() && daemon.status().workers.is_empty());
    }
    bed.configure(&good);
    daemon.wait_ready("notes");
    daemon.stop();
}

#[test]
fn e107_an_installed_plugin_is_shown_as_its_manifest_has_it_and_ended_when_it_says_otherwise() {
    let bed = Bed::new();
    let dir = bed.install("echo");
    let manifest = dir.join("plugin.toml");
    let text = fs::read_to_string(&manifest).expect("the manifest");
    let name = Manifest::parse(&text).expect("the manifest").name;
    fs::write(&manifest, text.replace(&format!("\"{name}\""), "\"Another\"")).expect("another name");
    bed.configure(&Config::new());
    // without the try that would have found it out
    install(&bed, &dir, &[]);
    fs::remove_dir_all(dir).expect("the plugin's own directory gone");
    let daemon = bed.start();
    let worker = daemon.wait_worker("echo", "it is not taken", |echo| echo.reason.is_some());
    assert!(
        worker.reason.as_ref().is_some_and(|reason| reason.contains("one of them is of another plugin")),
        "{worker:?}"
    );
    assert_eq!((worker.name.as_str(), worker.violations), ("Another", 1));
    assert_ne!(worker.state, WorkerState::Ready);
    daemon.stop();
}

fn settings(dir: &Path) {
    let manifest = dir.join("plugin.toml");
    let text = fs::read_to_string(&manifest).expect("the manifest");
    let more = "\n[[settings]]\nname = \"port\"\ntype = \"integer\"\ndescription = \"x\"\n";
    fs::write(&manifest, format!("{text}{more}")).expect("a manifest with a setting");
}

#[test]
fn settings_are_those_of_the_plugin_that_runs() {
    let bed = Bed::new();
    let dir = bed.install("echo");
    settings(&dir);
    bed.configure(&Config::new());
    install(&bed, &dir, &[]);
    let get = |more: &[&str]| run(&bed, &[&["plugin", "config", "get", "echo", "port"], more].concat());
    let told = run(&bed, &["plugin", "config", "set", "echo", "port", "1"]);
    assert!(told.contains("in [plugins] dir"), "{told}");
    assert_eq!((get(&[]).trim(), get(&["--installed"]).trim()), ("1", "(not set)"));
    run(&bed, &["plugin", "config", "set", "echo", "port", "2", "--installed"]);
    assert_eq!((get(&[]).trim(), get(&["--installed"]).trim()), ("1", "2"));
    fs::remove_dir_all(dir).expect("the one under development gone");
    assert_eq!(get(&[]).trim(), "2");
    // a value is set while nobody else changes what is installed
    let locked = store(&bed).lock(|_| ()).expect("the store's lock");
    let mut sets = bed
        .command(&["plugin", "config", "set", "echo", "port", "3"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command");
    let mut said = [0; 7];
    std::io::Read::read_exact(sets.stderr.as_mut().expect("its errors"), &mut said).expect("what it waits for");
    assert_eq!(&said, b"waiting");
    assert_eq!(get(&[]).trim(), "2");
    drop(locked);
    assert!(sets.wait().expect("the command").success());
    assert_eq!(get(&[]).trim(), "3");
}

#[test]
fn a_removal_leaves_the_data_of_the_plugin_under_development_that_has_the_same_id() {
    let bed = bed("notes", &["filesystem"]);
    let dir = bed.install("notes");
    bed.configure(&Config::new().plugin("notes", "grants = [\"filesystem\"]").note(60, "notes", "say"));
    let daemon = bed.start();
    assert_eq!(daemon.wait_ready("notes").origin, Origin::Dev);
    let data = bed.home().join("plugin-data/notes/mine");
    fs::write(&data, "mine").expect("its data");
    let told = bed.refused(&["plugin", "remove", "notes", "--yes"]);
    assert!(told.contains("--keep-data") && told.contains("[plugins] dir"), "{told}");
    run(&bed, &["plugin", "remove", "notes", "--yes", "--keep-data"]);
    assert!(data.exists() && !bed.home().join("plugins/notes").exists());
    assert_eq!(daemon.wait_ready("notes").origin, Origin::Dev);
    fs::remove_dir_all(dir).expect("the one under development gone");
    daemon.stop();
    // the control: now it goes
    run(&bed, &["plugin", "remove", "notes", "--yes"]);
    assert!(!data.exists());
}

#[test]
fn what_the_configuration_loosens_for_an_id_is_told_when_a_plugin_takes_it() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    bed.configure(&Config::new().plugin("echo", "allow_degraded = true\nmemory_mib = 900"));
    let package = publisher.package("echo", "0.1.0", "");
    let package = package.to_str().expect("a path in UTF-8");
    let told = run(&bed, &["plugin", "install", package, "--dry-run"]);
    assert!(told.contains("allow_degraded = true") && told.contains("memory_mib = 900"), "{told}");
    let key = publisher.key().to_string();
    run(&bed, &["plugin", "install", package, "--key", &key, "--key-name", "A. Player", "--yes"]);
    assert!(run(&bed, &["plugin", "info", "echo"]).contains("allow_degraded = true"));
    bed.configure(&Config::new());
    assert!(!run(&bed, &["plugin", "info", "echo"]).contains("allow_degraded"));
}
