//! Commands about installed plugins, killed at moments spread over all they do.

use midimon::home::Home;
use midimon::plugins::GrantFile;
use midimon::plugins::store::{Installed, Store};
use midimon::workers::status::WorkerState;
use midimon_shared::PluginId;
use midimon_tests::{Bed, Config, Daemon, Publisher, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ID: &str = "asking";
const MOMENTS: u32 = 20;
/// Asked for by both versions; the first is granted.
const MORE: &str = "\
[[capabilities]]\ncapability = \"filesystem\"\nreason = \"keeps a list\"\n\
[[capabilities]]\ncapability = \"audio\"\nreason = \"beeps\"\n\
[[settings]]\nname = \"port\"\ntype = \"integer\"\n";

/// A plugin with two versions, data, settings and one of its two rights.
fn bed() -> Bed {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    bed.configure(&Config::new());
    let first = publisher.package(ID, "1.0.0", MORE);
    publisher.install(&bed, &first, &["--grant", "filesystem", "--deny", "audio"]);
    let second = publisher.package(ID, "1.1.0", MORE);
    bed.works(&["plugin", "update", ID, second.to_str().expect("UTF-8")]);
    bed.works(&["plugin", "config", "set", ID, "port", "7"]);
    let daemon = bed.start();
    let data = daemon.wait_ready(ID).data_dir.expect("a data directory");
    fs::write(data.join("list"), "one").expect("data");
    daemon.stop();
    copy(&bed.home(), &bed.path("before"));
    bed
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp");
    assert!(copied.success());
}

/// Everything as it was when the bed was made.
fn restore(bed: &Bed) {
    fs::remove_dir_all(bed.home()).expect("a home");
    copy(&bed.path("before"), &bed.home());
}

fn store(bed: &Bed) -> Store {
    Store::open(&Home::at(&bed.home()).expect("a home"))
}

fn record(bed: &Bed) -> Option<Installed> {
    store(bed).get(&ID.parse::<PluginId>().expect("an id")).expect("a whole record or none")
}

/// What the plugin is granted by its file.
fn granted(bed: &Bed) -> Vec<String> {
    let text = fs::read_to_string(bed.home().join("grants/asking.toml")).expect("the grants");
    let file = GrantFile::parse(&text).unwrap_or_else(|faults| panic!("{faults:?}: {text}"));
    file.granted.iter().map(ToString::to_string).collect()
}

/// Starts a command and kills it `after` that time.
fn killed(bed: &Bed, arguments: &[&str], after: Duration) {
    let mut command = bed.command(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("midimon runs");
    std::thread::sleep(after); // the moment is what is tested
    let _ = kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), Signal::SIGKILL); // it may have ended
    child.wait().expect("a child");
}

/// How long a command takes when nobody disturbs it; `again` makes that it has something to do.
fn undisturbed(bed: &Bed, arguments: &[&str], mut again: impl FnMut()) -> Duration {
    let mut took: Vec<Duration> = (0..5)
        .map(|_| {
            again();
            let started = Instant::now();
            bed.works(arguments);
            started.elapsed()
        })
        .collect();
    took.sort();
    took[took.len() / 2]
}

/// Moments over the whole of a command, from its start to after its end. Those of one that
/// waits for a daemon are closer together before that.
fn moments(duration: Duration, waits: bool) -> impl Iterator<Item = Duration> {
    let part = |moment: u32| f64::from(moment) / f64::from(MOMENTS - 2);
    (0..MOMENTS - 1)
        .map(move |moment| duration.mul_f64(part(moment).powi(if waits { 2 } else { 1 })))
        .chain([duration * 20])
}

/// How many found the old state, and how many the new one.
#[derive(Debug, Default)]
struct Found {
    old: u32,
    new: u32,
}

impl Found {
    fn count(&mut self, is_new: bool) {
        *(if is_new { &mut self.new } else { &mut self.old }) += 1;
    }

    /// The moments were spread over all of the command.
    fn check(&self) {
        assert!(self.old >= 1 && self.new >= 1 && self.old + self.new == MOMENTS, "{self:?}");
    }
}

/// Every file below, and every empty directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let entries: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let below = |path: &PathBuf| match path.is_dir() {
        true if fs::read_dir(path).expect("a directory").next().is_none() => vec![path.clone()],
        true => files(path),
        false => vec![path.clone()],
    };
    entries.iter().flat_map(below).collect()
}

/// Files that the state of the plugin does not explain.
fn stray(bed: &Bed) -> Vec<PathBuf> {
    let home = bed.home();
    let mut explained = vec![home.join("plugins/.lock")];
    if let Some(record) = record(bed) {
        for name in ["plugins/asking/installed.toml", "grants/asking.toml", "state/settings/asking.json"] {
            explained.push(home.join(name));
        }
        explained.push(home.join("plugin-data/asking/list"));
        for version in &record.versions {
            let directory = home.join("plugins/asking").join(version.version.to_string());
            explained.push(directory.join("plugin.toml"));
            explained.extend(version.files.iter().map(|file| directory.join(&file.name)));
        }
    }
    let mut found: Vec<PathBuf> = ["plugins", "grants", "plugin-data", "state/settings"]
        .iter()
        .flat_map(|name| files(&home.join(name)))
        .collect();
    let is_left = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with('.') || name.starts_with("kept-")
    };
    found.extend(files(&home.join("state")).into_iter().filter(is_left));
    found.extend(fs::read_dir(&home).expect("a home").map(|entry| entry.expect("an entry").path()).filter(is_left));
    found.retain(|path| !explained.contains(path) && *path != home.join("state/settings"));
    found
}

/// The plugin is whole: what its record names is there, and so are its rights, data and settings.
fn is_whole(bed: &Bed, daemon: &Daemon) {
    let record = record(bed).expect("a record");
    assert_eq!(record.versions.len(), 2);
    let worker = daemon.wait_ready(ID);
    assert_eq!((worker.version.as_str(), &worker.grants), (record.current.to_string().as_str(), &granted(bed)));
    assert_eq!(fs::read_to_string(bed.home().join("plugin-data/asking/list")).expect("its data"), "one");
    assert_eq!(bed.works(&["plugin", "config", "get", ID, "port"]).trim(), "7");
    let info = bed.json(&["plugin", "info", ID, "--json"]);
    assert!(info["problem"].is_null(), "{info}");
}

fn is_gone(bed: &Bed, daemon: &Daemon) {
    let home = bed.home();
    for name in ["plugins/asking", "grants/asking.toml", "plugin-data/asking", "state/settings/asking.json"] {
        assert!(!home.join(name).exists(), "{name} of a plugin that was removed");
    }
    let status = daemon.status();
    assert!(status.workers.is_empty() && status.problems.is_empty(), "{status:#?}");
    assert!(bed.refused(&["plugin", "info", ID]).contains("is not installed"));
}

#[test]
fn a_removal_killed_at_20_moments_leaves_the_plugin_whole_or_none_of_it() {
    let bed = bed();
    let remove = ["plugin", "remove", ID, "--yes"];
    let duration = undisturbed(&bed, &remove, || restore(&bed));
    let mut found = Found::default();
    for after in moments(duration, false) {
        restore(&bed);
        killed(&bed, &remove, after);
        let daemon = bed.start();
        found.count(record(&bed).is_none());
        match record(&bed) {
            None => is_gone(&bed, &daemon),
            Some(record) if record.enabled => is_whole(&bed, &daemon),
            Some(record) => {
                // stopped so that it writes no more while its data goes; that is said, and can be undone
                assert_eq!(record.disabled_reason.as_deref(), Some("it was being removed"), "after {after:?}");
                assert!(daemon.status().problems.iter().any(|problem| problem.contains("it was being removed")));
                bed.works(&["plugin", "enable", ID]);
                is_whole(&bed, &daemon);
            }
        }
        daemon.stop();
        assert_eq!(stray(&bed), Vec::<PathBuf>::new(), "after {after:?}");
    }
    found.check();
}

#[test]
fn a_rollback_killed_at_20_moments_leaves_one_version_or_the_other() {
    let bed = bed();
    let rollback = ["plugin", "rollback", ID];
    let duration = undisturbed(&bed, &rollback, || restore(&bed));
    let mut found = Found::default();
    for after in moments(duration, false) {
        restore(&bed);
        killed(&bed, &rollback, after);
        let current = record(&bed).expect("a record").current.to_string();
        assert!(["1.0.0", "1.1.0"].contains(&current.as_str()), "{current} after {after:?}");
        found.count(current == "1.0.0");
        let daemon = bed.start();
        is_whole(&bed, &daemon);
        assert_eq!(daemon.worker(ID).version, current);
        daemon.stop();
        assert_eq!(stray(&bed), Vec::<PathBuf>::new(), "after {after:?}");
    }
    found.check();
}

/// Kills a change of rights; the rights are `old` or `new` ones.
fn rights_killed(change: &[&str], old: &[&str], new: &[&str]) {
    let bed = bed();
    let duration = undisturbed(&bed, change, || restore(&bed));
    let mut found = Found::default();
    for after in moments(duration, false) {
        restore(&bed);
        killed(&bed, change, after);
        let now = granted(&bed);
        assert!(now == old || now == new, "{now:?} after {after:?}");
        found.count(now == new);
        let daemon = bed.start();
        is_whole(&bed, &daemon);
        daemon.stop();
        assert_eq!(stray(&bed), Vec::<PathBuf>::new(), "after {after:?}");
    }
    found.check();
}

#[test]
fn a_grant_killed_at_20_moments_is_given_or_not() {
    rights_killed(&["plugin", "grant", ID, "audio"], &["filesystem"], &["filesystem", "audio"]);
}

#[test]
fn a_revocation_killed_at_20_moments_has_taken_the_right_or_not() {
    rights_killed(&["plugin", "revoke", ID, "filesystem"], &["filesystem"], &[]);
}

#[test]
fn a_revocation_killed_while_a_daemon_runs_is_seen_by_it_at_the_next_look() {
    let bed = bed();
    let daemon = bed.start();
    daemon.wait_ready(ID);
    let revoke = ["plugin", "revoke", ID, "filesystem"];
    let has = |rights: &[&str]| {
        daemon.wait_worker(ID, "the rights of the file", |worker| {
            worker.state == WorkerState::Ready && worker.grants == rights
        });
    };
    let again = || {
        if granted(&bed).is_empty() {
            bed.works(&["plugin", "grant", ID, "filesystem"]);
        }
        has(&["filesystem"]);
    };
    let duration = undisturbed(&bed, &revoke, again);
    let mut found = Found::default();
    for after in moments(duration, true) {
        again();
        killed(&bed, &revoke, after);
        let now = granted(&bed);
        found.count(now.is_empty());
        bed.works(&["reload"]);
        eventually("the daemon goes by the file", || {
            let worker = daemon.worker(ID);
            if worker.grants == now { Ok(()) } else { Err(format!("{worker:#?}")) }
        });
    }
    found.check();
    daemon.stop();
    assert_eq!(stray(&bed), Vec::<PathBuf>::new());
}
