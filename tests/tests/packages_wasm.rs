//! Installed WASM plugins: compiled when they are installed, and never run from
//! compiled code that is not this home's own.

use midimon_tests::{Bed, Config, Daemon, Publisher, Terminal};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

const ID: &str = "echo-wasm";
/// Before the compiled code: what the file is, and the MAC.
const HEADER: usize = 8 + 32;
/// What the daemon logs about compiled code it does not take.
const AGAIN: &str = "compiling again";

/// A signed package whose code has that version, and its own word for how hard a pad was hit.
fn package(publisher: &Publisher, version: &str, word: &str) -> PathBuf {
    let directory = publisher.plugin(ID, version, "");
    let path = directory.join("echo_wasm.wasm");
    let code = fs::read(&path).expect("the module");
    let code = replace(&code, b"\"version\": \"0.1.0\"", format!("\"version\": \"{version}\"").as_bytes());
    let code = replace(&code, b", velocity ", format!(", {word} ").as_bytes());
    fs::write(&path, code).expect("another module");
    let package = publisher.pack(&directory);
    publisher.sign(&package);
    package
}

/// The same with this text, which is there once, replaced by one of its length.
fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut found = bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from).map(|(at, _)| at);
    let (at, more) = (found.next().expect("the text"), found.next());
    assert_eq!(more, None, "it is there twice");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// Hits the pad; the plugin's last line must have this word.
fn says(daemon: &mut Daemon, word: &str) {
    daemon.answers(ID, 60);
    daemon.wait_worker(ID, word, |worker| worker.log_tail.last().is_some_and(|line| line.contains(word)));
}

/// The files of compiled code, sorted.
fn entries(bed: &Bed) -> Vec<PathBuf> {
    let entries = fs::read_dir(bed.home().join("compiled")).expect("a cache");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// What tells whether a file was written again: every write makes a new one.
fn identity(path: &Path) -> (u64, i64, i64) {
    let metadata = fs::symlink_metadata(path).expect("the file");
    (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}

fn bed() -> Bed {
    let bed = Bed::new();
    bed.configure(&Config::new().note(60, ID, "say"));
    bed
}

#[test]
fn a_wasm_plugin_is_installed_used_updated_and_rolled_back_while_the_daemon_runs() {
    let (bed, publisher) = (bed(), Publisher::new());
    let mut daemon = bed.start();
    let process = daemon.process();
    let (old, new) = (package(&publisher, "0.1.0", "velocity"), package(&publisher, "0.2.0", "strength"));

    let (key, name) = (publisher.key().to_string(), publisher.name());
    let path = old.to_str().expect("UTF-8");
    let arguments = ["plugin", "install", path, "--key", &key, "--key-name", &name, "--yes"];
    let mut session = Terminal::new(80, 24).run(bed.command(&arguments));
    session.wait_for("1/4 stage ... 2/4 compile ... 3/4 try in the sandbox ... 4/4 commit ... done");
    session.wait_for("Installed echo-wasm 0.1.0");
    let (status, seen) = session.end();
    assert!(status.success(), "{seen}");
    assert_eq!(daemon.wait_ready(ID).version, "0.1.0");
    says(&mut daemon, "velocity");
    let first = entries(&bed);
    assert_eq!(first.len(), 1, "compiled once, by the installation");
    let compiled = identity(&first[0]);

    bed.works(&["plugin", "update", ID, new.to_str().expect("UTF-8")]);
    daemon.wait_worker(ID, "the update", |worker| worker.version == "0.2.0");
    daemon.wait_ready(ID);
    says(&mut daemon, "strength");
    let both = entries(&bed);
    assert_eq!(both.len(), 2);

    assert!(bed.works(&["plugin", "rollback", ID]).contains("from 0.2.0 back to 0.1.0"));
    daemon.wait_worker(ID, "the version before", |worker| worker.version == "0.1.0");
    daemon.wait_ready(ID);
    says(&mut daemon, "velocity");
    assert_eq!((entries(&bed), identity(&first[0])), (both, compiled), "nothing was compiled to go back");
    assert_eq!(daemon.process(), process);
    daemon.stop();
}

/// Starts a daemon, lets the plugin answer, and ends it; what it logged.
fn used(bed: &Bed) -> String {
    let mut daemon = bed.start();
    daemon.wait_ready(ID);
    says(&mut daemon, "velocity");
    let log = daemon.log_text();
    daemon.stop();
    log
}

/// Damages compiled code in every part and in every way a file can be.
fn damages(good: &[u8]) -> Vec<(String, Vec<u8>)> {
    let flip = |position: usize| {
        let mut bad = good.to_vec();
        bad[position] ^= 1;
        (format!("a bit of byte {position} flipped"), bad)
    };
    let cut = |length: usize| (format!("cut to {length}"), good[..length].to_vec());
    let mut damages: Vec<(String, Vec<u8>)> =
        [0, 7, 8, HEADER - 1, HEADER, good.len() / 2, good.len() - 1].map(flip).into();
    damages.extend([0, 7, HEADER - 1, HEADER, good.len() / 2, good.len() - 1].map(cut));
    damages.push(("a byte more".into(), [good, &[0]].concat()));
    damages
}

#[test]
fn compiled_code_that_is_not_as_it_was_written_is_thrown_away_and_the_plugin_runs() {
    let (bed, publisher) = (bed(), Publisher::new());
    publisher.install(&bed, &package(&publisher, "0.1.0", "velocity"), &[]);
    let path = entries(&bed).pop().expect("compiled code");
    let good = fs::read(&path).expect("compiled code");
    let untouched = identity(&path);
    // the control: what was not touched is used
    for _ in 0..2 {
        let log = used(&bed);
        assert!(!log.contains(AGAIN), "{log}");
        assert_eq!(identity(&path), untouched, "{log}");
    }
    for (what, bad) in damages(&good) {
        fs::write(&path, &bad).expect("damaged code");
        let planted = identity(&path);
        let log = used(&bed);
        assert!(log.contains(AGAIN), "{what}: {log}");
        assert_ne!(identity(&path), planted, "{what}: {log}");
        assert_eq!(fs::read(&path).expect("compiled code"), good, "{what}");
    }
    // what was compiled instead is used from then on
    let rebuilt = identity(&path);
    let log = used(&bed);
    assert!(!log.contains(AGAIN), "{log}");
    assert_eq!(identity(&path), rebuilt);
}

#[test]
fn compiled_code_is_not_taken_through_a_link_and_what_the_link_leads_to_stays() {
    let (bed, publisher) = (bed(), Publisher::new());
    publisher.install(&bed, &package(&publisher, "0.1.0", "velocity"), &[]);
    let path = entries(&bed).pop().expect("compiled code");
    let elsewhere = bed.path("elsewhere");
    fs::rename(&path, &elsewhere).expect("moved");
    symlink(&elsewhere, &path).expect("a link to good code");
    let (good, there) = (fs::read(&elsewhere).expect("the code"), identity(&elsewhere));
    let log = used(&bed);
    assert!(log.contains(AGAIN), "{log}");
    assert!(fs::symlink_metadata(&path).expect("compiled code").is_file(), "{log}");
    assert_eq!((identity(&elsewhere), fs::read(&path).expect("compiled code")), (there, good));
}

#[test]
fn compiled_code_of_another_plugin_or_home_is_thrown_away_whatever_its_name() {
    let (bed, publisher) = (bed(), Publisher::new());
    publisher.install(&bed, &package(&publisher, "0.1.0", "velocity"), &[]);
    let path = entries(&bed).pop().expect("compiled code");
    let good = fs::read(&path).expect("compiled code");
    // genuine code of this home, of a plugin that says another word
    publisher.install(&bed, &publisher.package("crashy-wasm", "0.1.0", ""), &[]);
    let theirs = entries(&bed).into_iter().find(|entry| *entry != path).expect("the other plugin's");
    let their_code = fs::read(&theirs).expect("compiled code");
    fs::write(&path, &their_code).expect("swapped");
    fs::write(&theirs, &good).expect("swapped");
    let mut daemon = bed.start();
    daemon.wait_ready(ID);
    daemon.wait_ready("crashy-wasm");
    says(&mut daemon, "velocity");
    let log = daemon.log_text();
    assert_eq!(log.matches(AGAIN).count(), 2, "{log}");
    daemon.stop();
    assert_eq!((fs::read(&path).expect("ours"), fs::read(&theirs).expect("theirs")), (good.clone(), their_code));

    // the same module, compiled by the same compiler in a home with another key
    let stranger = self::bed();
    publisher.install(&stranger, &package(&publisher, "0.1.0", "velocity"), &[]);
    let strange = entries(&stranger).pop().expect("compiled code");
    assert_eq!(strange.file_name(), path.file_name(), "the name says nothing of the home");
    fs::copy(&strange, &path).expect("planted");
    let log = used(&bed);
    assert!(log.contains(AGAIN), "{log}");
    assert_eq!(fs::read(&path).expect("compiled code"), good);

    // planted before the plugin was ever there
    let fresh = self::bed();
    drop(fresh.start());
    let planted = fresh.home().join("compiled").join(path.file_name().expect("a name"));
    fs::copy(&path, &planted).expect("planted");
    let before = identity(&planted);
    publisher.install(&fresh, &package(&publisher, "0.1.0", "velocity"), &[]);
    assert_ne!(identity(&planted), before, "the installation compiled it itself");
    assert_ne!(fs::read(&planted).expect("compiled code"), good, "with the MAC of its own home");
    let log = used(&fresh);
    assert!(!log.contains(AGAIN), "{log}");
}
