//! A full disk keeps nobody from stopping a plugin: what may run less is noted in room that its
//! own files make, and where even that fails its grants go, without which it is not started.

use midimon_tests::mounts::where_disks_can_be_mounted;
use midimon_tests::terminal::behind;
use midimon_tests::{Bed, Config, Daemon, Publisher, eventually};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// A small plugin.
const ID: &str = "echo-c";
const FILES: &str = "[[capabilities]]\ncapability = \"filesystem\"\nreason = \"keeps a list\"\n";
/// No file grows: as a full disk on which nobody makes room.
const NOTHING_GROWS: &[&str] = &["sh", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"];

fn install(bed: &Bed) -> Publisher {
    let publisher = Publisher::new();
    bed.configure(&Config::new());
    publisher.install(bed, &publisher.package(ID, "0.1.0", FILES), &["--grant", "filesystem"]);
    publisher
}

fn wait_none(daemon: &Daemon) {
    eventually("no worker runs", || match daemon.workers() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
}

/// Runs the command where no file grows; what it says.
fn refused(bed: &Bed, arguments: &[&str]) -> String {
    let output = behind(NOTHING_GROWS, &bed.command(arguments)).output().expect("sh runs");
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A home on a disk of its own.
struct Disk {
    bed: Bed,
}

impl Disk {
    fn mount() -> Self {
        let bed = Bed::new();
        fs::create_dir_all(bed.home()).expect("a directory for the home");
        let disk = Self { bed };
        let options = ["-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs"];
        assert!(Command::new("mount").args(options).arg(disk.bed.home()).status().expect("mount").success());
        disk
    }

    fn filler(&self) -> PathBuf {
        self.bed.home().join("filler")
    }

    /// Leaves no room for a byte.
    fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("a file");
        while filler.write_all(&[b'x'; 4096]).is_ok() {}
        assert!(fs::write(self.bed.home().join("more"), "x").is_err(), "the disk is full");
        fs::remove_file(self.bed.home().join("more")).expect("an empty file");
    }

    fn make_room(&self) {
        fs::remove_file(self.filler()).expect("the filler");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.bed.home()).status(); // it goes with the name space
    }
}

#[test]
fn on_a_full_disk_what_is_taken_back_is_taken_back_and_nothing_else_is_lost() {
    where_disks_can_be_mounted("on_a_full_disk_what_is_taken_back_is_taken_back_and_nothing_else_is_lost", || {
        let disk = Disk::mount();
        let bed = &disk.bed;
        install(bed);
        let info = || bed.json(&["plugin", "info", ID, "--json"]);
        disk.fill();
        // the control: what needs room has none
        let told = bed.refused(&["plugin", "config", "set", ID, "x", "1"]);
        assert!(told.contains("no setting"), "{told}");
        assert!(
            bed.refused(&["key", "generate", "-o", &bed.home().join("k").to_string_lossy(), "--no-password"])
                .contains("space")
        );

        bed.works(&["plugin", "revoke", ID, "filesystem"]);
        assert_eq!(
            (&info()["asks"][0]["granted"], &info()["problem"]),
            (&serde_json::Value::Null, &serde_json::Value::Null)
        );
        bed.works(&["plugin", "disable", ID]);
        assert_eq!(info()["enabled"], false);

        disk.make_room();
        bed.works(&["plugin", "enable", ID]);
        let daemon = bed.start();
        assert_eq!(daemon.wait_ready(ID).grants, Vec::<String>::new(), "the consent is still there");
        daemon.stop();
        disk.fill();
        bed.works(&["plugin", "remove", ID, "--yes"]);
        for left in ["plugins/echo-c", "grants/echo-c.toml", "plugin-data/echo-c", "state/kept-echo-c.toml"] {
            assert!(!bed.home().join(left).exists(), "{left}");
        }
        disk.make_room();
        install(bed);
    });
}

/// Whether a command did what it is for, now that there is room to look.
fn is_done(bed: &Bed, command: &[&str]) -> bool {
    match command[1] {
        "disable" => bed.json(&["plugin", "info", ID, "--json"])["enabled"] == false,
        "revoke" => bed.works(&["key", "list"]).contains("revoked"),
        _ => !bed.home().join("plugins").join(ID).exists(),
    }
}

/// Whether it says that the disk is full, and what is the matter with the plugin now.
fn says_why(command: &[&str], told: &str) -> bool {
    let parts: &[&str] = match command[1] {
        "disable" => &["there is no room to write", "is not started any more", "make room"],
        "revoke" => &["the key is not revoked", "its plugins are disabled", "revoke it again"],
        _ => &["No space left on device"],
    };
    parts.iter().all(|part| told.contains(part))
}

#[test]
fn on_a_full_disk_nobody_is_kept_from_stopping_what_runs() {
    where_disks_can_be_mounted("on_a_full_disk_nobody_is_kept_from_stopping_what_runs", || {
        let disk = Disk::mount();
        let bed = &disk.bed;
        let publisher = install(bed);
        let daemon = bed.start();
        let name = publisher.name();
        for command in [&["plugin", "disable", ID][..], &["key", "revoke", &name], &["plugin", "remove", ID, "--yes"]] {
            daemon.wait_ready(ID);
            disk.fill();
            let output = bed.run(command);
            wait_none(&daemon);
            disk.make_room();
            // whether it was in time for the room that its own files made, or the daemon's log was
            match output.status.success() {
                true => assert!(is_done(bed, command), "{command:?} said that it was: {output:?}"),
                false => {
                    let told = String::from_utf8_lossy(&output.stderr);
                    assert!(says_why(command, &told), "{command:?}: {told}");
                }
            }
            let _ = bed.run(&["plugin", "remove", ID, "--yes"]); // it may be gone already
            publisher.install(bed, &publisher.package(ID, "0.1.0", FILES), &["--grant", "filesystem"]);
        }
        daemon.stop();
    });
}

#[test]
fn where_not_even_that_can_be_written_the_plugin_ends_and_the_way_out_is_named() {
    let bed = Bed::new();
    let publisher = install(&bed);
    let daemon = bed.start();
    let name = publisher.name();
    let again = || {
        bed.works(&["plugin", "remove", ID, "--yes"]);
        publisher.install(&bed, &publisher.package(ID, "0.1.0", FILES), &["--grant", "filesystem"]);
        assert_eq!(daemon.wait_ready(ID).grants, ["filesystem"]);
    };
    for command in [&["plugin", "disable", ID][..], &["plugin", "revoke", ID, "filesystem"]] {
        again();
        let told = refused(&bed, command);
        assert!(told.contains("there is no room to write") && told.contains("make room"), "{told}");
        wait_none(&daemon);
        let rows = bed.works(&["plugin", "list"]);
        assert!(rows.contains("cannot run") && rows.contains("nobody was asked"), "{rows}");
    }
    again();
    let told = refused(&bed, &["key", "revoke", &name]);
    assert!(told.contains("the key is not revoked") && told.contains("revoke it again"), "{told}");
    wait_none(&daemon);
    again();
    refused(&bed, &["plugin", "remove", ID, "--yes"]);
    wait_none(&daemon);
    bed.works(&["plugin", "remove", ID, "--yes"]);
    assert!(!bed.home().join("plugins").join(ID).exists());
    daemon.stop();
}
