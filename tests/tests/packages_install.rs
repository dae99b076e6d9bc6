//! Installing and updating with the real program: in a terminal, with flags, interrupted.

use midimon::home::Home;
use midimon::plugins::install::Step;
use midimon::plugins::store::Store;
use midimon::plugins::trust::{Standing, TrustStore};
use midimon_shared::PluginId;
use midimon_tests::{Bed, Publisher, Session, Terminal};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

const FILES: &str = "[[capabilities]]\ncapability = \"filesystem\"\nreason = \"keeps a list\"\n";

fn id(text: &str) -> PluginId {
    text.parse().expect("an id")
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn store(bed: &Bed) -> Store {
    Store::open(&Home::at(&bed.home()).expect("a home"))
}

/// The version in place.
fn version(bed: &Bed, plugin: &str) -> Option<String> {
    store(bed).get(&id(plugin)).expect("a record").map(|record| record.current.to_string())
}

fn in_terminal(bed: &Bed, arguments: &[&str]) -> Session {
    Terminal::new(80, 24).run(bed.command(arguments))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command that has to work.
fn works(bed: &Bed, arguments: &[&str]) -> String {
    let output = bed.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs a command that has to be refused; why.
fn refused(bed: &Bed, arguments: &[&str]) -> String {
    let output = bed.run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    stderr(&output)
}

/// Installs without being asked, with the publisher's key.
fn install(bed: &Bed, publisher: &Publisher, package: &Path, flags: &[&str]) -> String {
    let terms = publisher.terms();
    let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
    works(bed, &[&["plugin", "install", shown(package)], &terms[..], flags].concat())
}

/// Whether the key of a publisher is trusted.
fn trusts(bed: &Bed, publisher: &Publisher) -> bool {
    let trust = TrustStore::load(&Home::at(&bed.home()).expect("a home")).expect("keys");
    matches!(trust.standing(&publisher.key()), Standing::Trusted(_))
}

struct Stopped<'b>(&'b Bed);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        let _ = self.0.run(&["stop"]); // it may be stopped already
    }
}

#[test]
fn three_commands_take_a_new_user_from_nothing_to_a_used_plugin() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let _stopped = Stopped(&bed);
    let package = publisher.package("echo", "0.1.0", "");

    let mut session = in_terminal(&bed, &["plugin", "install", shown(&package)]);
    session.wait_for("a key never seen here").wait_for(&publisher.key().fingerprint().to_string());
    session.wait_for("under the name (Enter: \"publisher of echo\"): ").enter("");
    session.wait_for("Install it? [y]es, [n]o: ").enter("y");
    session.wait_for("4/4 commit ... done").wait_for("Installed echo 0.1.0");
    let (status, seen) = session.end();
    assert!(status.success(), "{seen}");

    let mut session = in_terminal(&bed, &["start", "--input", "demo"]);
    session.wait_for("midimon started");
    assert!(session.end().0.success());

    let mut session = in_terminal(&bed, &["plugin", "call", "echo", "say", r#"{"text":"hello"}"#]);
    session.wait_for(r#"say {"text":"hello"}"#);
    assert!(session.end().0.success());
}

#[test]
fn a_package_of_nobody_is_refused_and_marked_for_ever_where_it_is_allowed() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let directory = publisher.plugin("echo", "0.1.0", "");
    let package = publisher.pack(&directory);
    for what in [shown(&package), shown(&directory)] {
        let told = refused(&bed, &["plugin", "install", what, "--yes"]);
        assert!(told.contains("nobody signed") && told.contains("--allow-unsigned"), "{told}");
        assert_eq!(version(&bed, "echo"), None);
    }
    works(&bed, &["plugin", "install", shown(&directory), "--yes", "--allow-unsigned"]);
    assert!(store(&bed).get(&id("echo")).expect("a record").expect("installed").unsigned);
    // a signature later on is another publisher's: nobody's plugin has none
    let signed = publisher.package("asking", "0.1.0", "");
    install(&bed, &publisher, &signed, &[]);
    let update = publisher.plugin("asking", "0.2.0", "");
    let told = refused(&bed, &["plugin", "update", "asking", shown(&update), "--yes", "--allow-unsigned"]);
    assert!(told.contains("unsigned") && told.contains("midimon plugin remove asking"), "{told}");
    assert_eq!(version(&bed, "asking").as_deref(), Some("0.1.0"));
}

#[test]
fn a_changed_key_is_refused_with_the_way_out() {
    let (bed, publisher, other) = (Bed::new(), Publisher::new(), Publisher::new());
    install(&bed, &publisher, &publisher.package("asking", "1.0.0", ""), &[]);
    let theirs = other.package("asking", "1.1.0", "");
    let key = other.key().to_string();
    let told = refused(&bed, &["plugin", "update", "asking", shown(&theirs), "--key", &key, "--yes"]);
    for wanted in [publisher.key().fingerprint().to_string(), other.key().fingerprint().to_string()] {
        assert!(told.contains(&wanted), "{told}");
    }
    assert!(told.contains("midimon plugin remove asking"), "{told}");
    assert_eq!(version(&bed, "asking").as_deref(), Some("1.0.0"));
    // the same from the right one is taken
    let ours = publisher.package("asking", "1.1.0", "");
    works(&bed, &["plugin", "update", "asking", shown(&ours)]);
    assert_eq!(version(&bed, "asking").as_deref(), Some("1.1.0"));
}

#[test]
fn e089_updates_go_on_after_an_install_under_a_rewritten_key_id() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let first = publisher.pack(&publisher.plugin("asking", "1.0.0", ""));
    let pinned = publisher.sign_under_another_id(&first);
    assert_eq!(pinned.fingerprint(), publisher.key().fingerprint());
    assert_ne!(pinned.to_string(), publisher.key().to_string());
    works(&bed, &["plugin", "install", shown(&first), "--key", &pinned.to_string(), "--key-name", "Player", "--yes"]);
    // the publisher's own
    let update = publisher.package("asking", "1.1.0", "");
    works(&bed, &["plugin", "update", "asking", shown(&update)]);
    assert_eq!(version(&bed, "asking").as_deref(), Some("1.1.0"));
    works(&bed, &["plugin", "verify", shown(&update)]);
}

#[test]
fn without_a_terminal_what_is_missing_is_listed_as_flags() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let package = publisher.package("asking", "1.0.0", &format!("{FILES}\n{}", NETWORK.replace("KIND", "network")));
    let told = refused(&bed, &["plugin", "install", shown(&package)]);
    for wanted in ["--key RW", "--key-name NAME", "--grant filesystem", "--grant network:HOST:PORT", "--yes"] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    assert_eq!(version(&bed, "asking"), None);
    assert!(!bed.home().join("trusted_keys.toml").exists(), "nothing is pinned either");
    let said = install(&bed, &publisher, &package, &["--grant", "filesystem", "--grant", "network:localhost:4455"]);
    assert!(said.contains("filesystem") && said.contains("network:localhost:4455"), "{said}");
}

const NETWORK: &str = "[[capabilities]]\ncapability = \"KIND\"\nask = \"Address of OBS\"\nreason = \"talks to OBS\"\n";

#[test]
fn a_dry_run_shows_everything_and_changes_nothing() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let package = publisher.package("asking", "1.0.0", FILES);
    let text = works(&bed, &["plugin", "install", shown(&package), "--dry-run"]);
    assert!(text.contains("keep files in a folder of its own") && text.contains("It says: \"keeps a list\""), "{text}");
    let json: Value =
        serde_json::from_str(&works(&bed, &["plugin", "install", shown(&package), "--dry-run", "--json"]))
            .expect("JSON");
    assert_eq!(json["signer"]["standing"], "new");
    assert_eq!(
        (&json["asks_for"][0]["capability"], &json["asks_for"][0]["state"]),
        (&"filesystem".into(), &"new".into())
    );
    assert_eq!(version(&bed, "asking"), None);
    assert!(!bed.home().join("trusted_keys.toml").exists());
}

#[test]
fn what_is_not_what_it_says_is_not_installed() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    // the code of 0.1.0 says so
    let wrong = publisher.package("echo", "0.2.0", "");
    let refused_now = |package: &Path| {
        let terms = publisher.terms();
        let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
        refused(&bed, &[&["plugin", "install", shown(package)], &terms[..]].concat())
    };
    let told = refused_now(&wrong);
    assert!(told.contains("its code says that its version is '0.1.0'"), "{told}");
    let broken = publisher.package("failing-init", "0.1.0", "");
    let told = refused_now(&broken);
    assert!(told.contains("tried in the sandbox") && told.contains("does not start"), "{told}");
    assert!(!trusts(&bed, &publisher), "nobody is trusted for a package that was refused");
    assert_eq!(left_over(&bed, &[]), Vec::<PathBuf>::new());
    install(&bed, &publisher, &publisher.package("echo", "0.1.0", ""), &[]);
    assert!(trusts(&bed, &publisher));
}

#[test]
fn what_cannot_be_tried_yet_is_said_to_be_untried() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let setting = "[[settings]]\nname = \"token\"\ntype = \"string\"\nsecret = true\nrequired = true\n";
    let said = install(&bed, &publisher, &publisher.package("asking", "1.0.0", setting), &[]);
    assert!(said.contains("was not tried") && said.contains("midimon plugin config set asking token"), "{said}");
    // once it has what it needs
    let mut set = bed.command(&["plugin", "config", "set", "asking", "token"]);
    let mut child = set.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("midimon runs");
    child.stdin.take().expect("a pipe").write_all(b"s3cret\n").expect("written");
    assert!(child.wait().expect("its end").success());
    let said = install(&bed, &publisher, &publisher.package("asking", "1.1.0", setting), &[]);
    assert!(!said.contains("was not tried"), "{said}");
}

#[test]
fn nobodys_package_gets_nothing_that_was_given_to_another_of_nobodys() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let unsigned = |version: &str| publisher.pack(&publisher.plugin("asking", version, FILES));
    let (old, new) = (unsigned("1.0.0"), unsigned("1.1.0"));
    let allowed = ["--allow-unsigned", "--yes", "--grant", "filesystem"];
    works(&bed, &[&["plugin", "install", shown(&old)], &allowed[..]].concat());
    // it asks for the same, and no word on the one is a word on the other
    let told = refused(&bed, &["plugin", "update", "asking", shown(&new), "--allow-unsigned", "--yes"]);
    assert!(told.contains("--grant filesystem"), "{told}");
    assert_eq!(version(&bed, "asking").as_deref(), Some("1.0.0"));
    let mut session = in_terminal(&bed, &["plugin", "update", "asking", shown(&new), "--allow-unsigned"]);
    session.wait_for("It gets").wait_for("the data and settings").wait_for("keep files in a folder of its own");
    session.wait_for("[c]hoose: ").enter("n");
    assert_eq!(session.end().0.code(), Some(1));
    assert_eq!(version(&bed, "asking").as_deref(), Some("1.0.0"));
    // the very same bytes are no other package
    works(&bed, &["plugin", "install", shown(&old), "--allow-unsigned"]);
    works(&bed, &[&["plugin", "update", "asking", shown(&new)], &allowed[..]].concat());
    assert_eq!(version(&bed, "asking").as_deref(), Some("1.1.0"));
}

#[test]
fn a_wasm_plugin_is_compiled_once_for_the_installation_and_the_daemon() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    install(&bed, &publisher, &publisher.package("echo-wasm", "0.1.0", ""), &[]);
    let compiled = || fs::read_dir(bed.home().join("compiled")).expect("a cache").count();
    assert_eq!(compiled(), 1);
    let daemon = bed.start();
    daemon.wait_ready("echo-wasm");
    assert_eq!(compiled(), 1);
    daemon.stop();
}

#[test]
fn a_running_daemon_takes_an_installed_and_an_updated_plugin_at_once() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let daemon = bed.start();
    install(&bed, &publisher, &publisher.package("asking", "1.0.0", ""), &[]);
    daemon.wait_worker("asking", "the first version", |worker| worker.version == "1.0.0");
    daemon.wait_ready("asking");
    let package = publisher.package("asking", "1.1.0", "");
    works(&bed, &["plugin", "update", "asking", shown(&package)]);
    daemon.wait_worker("asking", "the second version", |worker| worker.version == "1.1.0");
    daemon.wait_ready("asking");
    daemon.stop();
}

/// Files of the store that no record explains.
fn left_over(bed: &Bed, known: &[&str]) -> Vec<PathBuf> {
    let plugins = bed.home().join("plugins");
    let mut explained = vec![plugins.join(".lock")];
    for plugin in known {
        // the plugin's own, and empty
        explained.push(bed.home().join("plugin-data").join(plugin));
        let record = store(bed).get(&id(plugin)).expect("a record").expect("installed");
        explained.push(plugins.join(plugin).join("installed.toml"));
        explained.push(bed.home().join("grants").join(format!("{plugin}.toml")));
        for version in &record.versions {
            let directory = plugins.join(plugin).join(version.version.to_string());
            explained.push(directory.join("plugin.toml"));
            explained.extend(version.files.iter().map(|file| directory.join(&file.name)));
        }
    }
    let mut found = files(&plugins);
    found.extend(files(&bed.home().join("grants")));
    found.extend(files(&bed.home().join("plugin-data")));
    // temporary files begin with a dot
    found.extend(files(&bed.home().join("state")).into_iter().filter(|path| is_hidden(path)));
    found.retain(|path| !explained.contains(path));
    found
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// All files below, and every empty directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let entries: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    entries
        .into_iter()
        .flat_map(|path| match path.is_dir() {
            true if fs::read_dir(&path).expect("a directory").next().is_none() => vec![path],
            true => files(&path),
            false => vec![path],
        })
        .collect()
}

/// How long an update takes when nobody disturbs it.
fn undisturbed(bed: &Bed, publisher: &Publisher, versions: std::ops::Range<u32>) -> Duration {
    let mut took: Vec<Duration> = versions
        .map(|minor| {
            let package = publisher.package("asking", &format!("1.{minor}.0"), FILES);
            let started = Instant::now();
            works(bed, &["plugin", "update", "asking", shown(&package), "--yes"]);
            started.elapsed()
        })
        .collect();
    took.sort();
    took[took.len() / 2]
}

/// Starts an update and sends a signal `after` that time; the version before and after.
fn disturbed(bed: &Bed, publisher: &Publisher, minor: u32, after: Duration, signal: Signal) -> (String, String) {
    let before = version(bed, "asking").expect("installed");
    let package = publisher.package("asking", &format!("1.{minor}.0"), FILES);
    let mut child = bed
        .command(&["plugin", "update", "asking", shown(&package), "--yes"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("midimon runs");
    std::thread::sleep(after); // the moment is what is tested
    let _ = kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), signal); // it may have ended
    child.wait().expect("a child");
    (before, version(bed, "asking").expect("still installed"))
}

/// The same numbers in every run of the test.
fn pseudo_random(seed: u32) -> f64 {
    let mixed = u64::from(seed).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / f64::from(1 << 24)
}

#[test]
fn killed_at_100_random_moments_of_an_update_the_old_or_the_new_version_runs_and_nothing_is_left() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    install(&bed, &publisher, &publisher.package("asking", "1.0.0", FILES), &["--grant", "filesystem"]);
    let duration = undisturbed(&bed, &publisher, 1..6);
    let (mut old, mut new, mut unclean) = (0, 0, 0);
    for kill in 0..100 {
        let minor = 10 + kill;
        // the last one has all the time it needs, whatever the machine does meanwhile
        let after = duration.mul_f64(if kill == 99 { 20.0 } else { pseudo_random(kill) * 1.1 });
        let (before, now) = disturbed(&bed, &publisher, minor, after, Signal::SIGKILL);
        let wanted = format!("1.{minor}.0");
        match now.as_str() {
            now if now == wanted => new += 1,
            now if now == before => old += 1,
            now => panic!("killed after {after:?}: {now} is neither {before} nor {wanted}"),
        }
        unclean += u32::from(!left_over(&bed, &["asking"]).is_empty());
        let daemon = bed.start();
        daemon.wait_ready("asking");
        let worker = daemon.worker("asking");
        assert_eq!((worker.version, worker.data_dir.is_some()), (now, true), "killed after {after:?}");
        daemon.stop();
        assert_eq!(left_over(&bed, &["asking"]), Vec::<PathBuf>::new(), "killed after {after:?}");
    }
    // the moments were spread over all of the update
    assert!(old >= 10 && new >= 1 && unclean >= 5, "{old} old, {new} new, {unclean} with something to clean");
}

#[test]
fn stopped_by_a_signal_nothing_is_left_even_before_the_next_start() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    install(&bed, &publisher, &publisher.package("asking", "1.0.0", FILES), &["--grant", "filesystem"]);
    let duration = undisturbed(&bed, &publisher, 1..6);
    let mut old = 0;
    for attempt in 0..20 {
        let signal = if attempt % 2 == 0 { Signal::SIGINT } else { Signal::SIGTERM };
        let after = duration.mul_f64(f64::from(attempt) / 20.0);
        let (before, now) = disturbed(&bed, &publisher, 10 + attempt, after, signal);
        old += u32::from(now == before);
        assert_eq!(left_over(&bed, &["asking"]), Vec::<PathBuf>::new(), "{signal} after {after:?}");
    }
    assert!(old >= 5, "{old} of 20 were stopped");
}

#[test]
fn the_steps_are_numbered_from_one_to_their_count() {
    let steps = [Step::Stage, Step::Compile, Step::Try, Step::Commit];
    assert_eq!(steps.map(Step::number), [1, 2, 3, 4]);
    assert_eq!(steps.len(), Step::COUNT);
}
