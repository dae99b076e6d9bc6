//! Attacks on installing, updating and removing through the real program, by the numbers of the
//! catalogue. Each beside the honest way, which works.

use midimon::home::Home;
use midimon::plugins::store::{Installed, Store};
use midimon_tests::{Bed, Config, Publisher, Terminal, eventually};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

const FILES: &str = "[[capabilities]]\ncapability = \"filesystem\"\nreason = \"keeps a list\"\n";
const INPUT: &str = "[[capabilities]]\ncapability = \"input\"\nreason = \"types for you\"\n";

fn shown(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn record(bed: &Bed, id: &str) -> Option<Installed> {
    let home = Home::at(&bed.home()).expect("a home");
    Store::open(&home).get(&id.parse().expect("an id")).expect("a record")
}

fn version(bed: &Bed, id: &str) -> Option<String> {
    record(bed, id).map(|record| record.current.to_string())
}

/// Why a package of this publisher's is not installed.
#[track_caller]
fn refused(bed: &Bed, publisher: &Publisher, package: &Path, flags: &[&str]) -> String {
    let terms = publisher.terms();
    let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
    bed.refused(&[&["plugin", "install", shown(package)], &terms[..], flags].concat())
}

fn signature(package: &Path) -> PathBuf {
    PathBuf::from(format!("{}.minisig", package.display()))
}

#[test]
fn e088_a_signature_that_does_not_fit_is_never_taken_for_none() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let package = publisher.package("asking", "1.0.0", "");
    let genuine = fs::read_to_string(signature(&package)).expect("the signature");
    let another = fs::read_to_string(signature(&publisher.package("asking", "1.1.0", ""))).expect("a signature");
    // the first line is nobody's word; every other one counts
    let lines: Vec<&str> = genuine.lines().collect();
    let comment = format!("{}\n{}\ntrusted comment: something else\n{}\n", lines[0], lines[1], lines[3]);
    let cut = lines[..2].join("\n");
    for (bad, expected) in [
        (another.as_str(), "signature does not fit"),
        (&comment, "comment"),
        (&cut, "line"),
        ("", "line"),
        ("RWQ\0\u{1b}[2J\n\n\n\n", "line"),
    ] {
        fs::write(signature(&package), bad).expect("a signature");
        for flags in [&[][..], &["--allow-unsigned"]] {
            let told = refused(&bed, &publisher, &package, flags);
            assert!(told.contains(expected) && !told.contains('\u{1b}'), "{bad:?}: {told}");
        }
        assert_eq!(record(&bed, "asking"), None);
        assert!(!bed.home().join("trusted_keys.toml").exists(), "nobody is trusted for it");
    }
    fs::write(signature(&package), genuine).expect("the signature");
    publisher.install(&bed, &package, &[]);
    assert_eq!(version(&bed, "asking").as_deref(), Some("1.0.0"));
}

#[test]
fn e090_a_signed_older_version_needs_a_word_of_its_own_also_after_a_rollback_and_a_removal() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let package = |version: &str| publisher.package("asking", version, "");
    let is_refused = |of: &str| {
        let before = version(&bed, "asking");
        let told = refused(&bed, &publisher, &package(of), &[]);
        assert!(told.contains("--allow-downgrade") && told.contains("1.2.0"), "{told}");
        assert_eq!(version(&bed, "asking"), before);
    };
    publisher.install(&bed, &package("1.0.0"), &[]);
    publisher.install(&bed, &package("1.2.0"), &[]);
    is_refused("1.1.0");
    bed.works(&["plugin", "rollback", "asking"]);
    assert_eq!(version(&bed, "asking").as_deref(), Some("1.0.0"));
    // newer than what runs, and older than what ran
    is_refused("1.1.0");
    bed.works(&["plugin", "remove", "asking", "--keep-data", "--yes"]);
    is_refused("1.1.0");
    assert_eq!(version(&bed, "asking"), None);
    publisher.install(&bed, &package("1.1.0"), &["--allow-downgrade"]);
    let daemon = bed.start();
    daemon.wait_worker("asking", "the version that was asked for", |worker| worker.version == "1.1.0");
    daemon.stop();
    // what was said once is not said for the next time
    is_refused("1.1.5");
    publisher.install(&bed, &package("1.2.1"), &[]);
    assert_eq!(version(&bed, "asking").as_deref(), Some("1.2.1"));
}

#[test]
fn e093_a_package_swapped_while_the_question_waits_is_not_the_one_that_is_installed() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    publisher.install(&bed, &publisher.package("asking", "1.0.0", ""), &[]);
    let package = publisher.package("asking", "1.1.0", FILES);
    // the same publisher's, so that no signature tells them apart
    let greedy = publisher.package("asking", "1.1.0", &[FILES, INPUT].concat());
    // what nobody asks for cannot be granted ahead
    let ahead = ["--yes", "--grant", "filesystem", "--grant", "input"];
    let told = bed.refused(&[&["plugin", "update", "asking", shown(&package)], &ahead[..]].concat());
    assert!(told.contains("input"), "{told}");
    let mut session = Terminal::new(80, 24).run(bed.command(&["plugin", "update", "asking", shown(&package)]));
    session.wait_for("keep files in a folder of its own").wait_for("[c]hoose: ");
    fs::copy(&greedy, &package).expect("another package in its place");
    fs::copy(signature(&greedy), signature(&package)).expect("with its signature");
    session.enter("y");
    assert!(session.end().0.success());
    let found = record(&bed, "asking").expect("installed");
    assert_eq!(found.current.to_string(), "1.1.0");
    let manifest = bed.home().join("plugins/asking/1.1.0/plugin.toml");
    assert!(!fs::read_to_string(manifest).expect("the manifest").contains("types for you"));
    let daemon = bed.start();
    assert_eq!(daemon.wait_ready("asking").grants, ["filesystem"]);
    daemon.stop();
    // the control: what lies there now is another one, and known as such
    let told = bed.refused(&["plugin", "update", "asking", shown(&package), "--yes", "--grant", "input"]);
    assert!(told.contains("1.1.0") && told.contains("other"), "{told}");
}

#[test]
fn e095_a_library_preloaded_into_midimon_is_in_none_of_its_workers() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let (source, library, trace) = (bed.path("preload.c"), bed.path("preload.so"), bed.path("trace"));
    // runs in whatever it is loaded into, before any sandbox
    let code = format!(
        "#include <stdio.h>\n__attribute__((constructor)) static void loaded(void) {{\n\
         char name[32] = \"\"; FILE *comm = fopen(\"/proc/self/comm\", \"r\"), *trace = fopen(\"{}\", \"a\");\n\
         if (comm && trace && fgets(name, sizeof name, comm)) fputs(name, trace);\n\
         if (trace) fclose(trace);\n}}\n",
        trace.display()
    );
    fs::write(&source, code).expect("a file");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o", shown(&library), shown(&source)]).status();
    assert!(built.expect("a C compiler").success());
    publisher.install(&bed, &publisher.package("asking", "1.0.0", ""), &[]);
    publisher.install(&bed, &publisher.package("echo-wasm", "0.1.0", ""), &[]);
    let directory = shown(&library).trim_end_matches("/preload.so");
    let daemon =
        bed.start_in(&["--input", "stdin"], &[("LD_PRELOAD", shown(&library)), ("LD_LIBRARY_PATH", directory)]);
    daemon.wait_ready("asking");
    daemon.wait_ready("echo-wasm");
    daemon.stop();
    let loaded = fs::read_to_string(&trace).expect("what it was loaded into");
    // the control: the daemon, whose environment is the user's own affair
    assert!(loaded.lines().all(|name| name == "midimon") && loaded.contains("midimon\n"), "{loaded}");
}

#[test]
fn e097_an_id_that_looks_like_an_installed_one_is_not_installed_beside_it() {
    let (bed, publisher, other) = (Bed::new(), Publisher::new(), Publisher::new());
    publisher.install(&bed, &publisher.package("echo-c", "0.1.0", ""), &[]);
    let alike = |id: &str| {
        let directory = other.plugin("echo-c", "0.1.0", "");
        let manifest = directory.join("plugin.toml");
        let text = fs::read_to_string(&manifest).expect("a manifest").replace("\"echo-c\"", &format!("\"{id}\""));
        fs::write(&manifest, text).expect("a manifest");
        let package = other.pack(&directory);
        other.sign(&package);
        package
    };
    let told = refused(&bed, &other, &alike("echo_c"), &[]);
    assert!(told.contains("'echo-c'"), "{told}");
    assert!(!bed.home().join("plugins/echo_c").exists());
    other.install(&bed, &alike("echo-d"), &[]);
    assert_eq!(version(&bed, "echo-d").as_deref(), Some("0.1.0"));

    // one in [plugins] dir goes first, which is said when the other is installed
    let warned = |bed: &Bed| {
        let (package, terms) = (publisher.package("echo-c", "0.1.0", ""), publisher.terms());
        let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
        let output = bed.run(&[&["plugin", "install", shown(&package)], &terms[..]].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).contains("the plugin in [plugins] dir that has the id 'echo-c' too")
    };
    let bed = Bed::new();
    bed.configure(&Config::new());
    assert!(!warned(&bed));
    bed.install("echo-c");
    assert!(warned(&bed));
}

#[test]
fn e099_data_planted_before_the_installation_is_not_handed_over_nor_followed() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let package = publisher.package("asking", "1.0.0", FILES);
    let data = bed.home().join("plugin-data/asking");
    let outside = bed.path("outside");
    fs::create_dir_all(bed.home().join("plugin-data")).expect("a directory");
    fs::create_dir(&outside).expect("a directory");
    // a directory with something in it
    fs::create_dir(&data).expect("a directory");
    fs::write(data.join("settings.json"), "planted").expect("a file");
    let told = refused(&bed, &publisher, &package, &["--grant", "filesystem"]);
    assert!(told.contains("asking"), "{told}");
    assert_eq!(record(&bed, "asking"), None);
    // a link
    fs::remove_dir_all(&data).expect("removed");
    symlink(&outside, &data).expect("a link");
    let told = refused(&bed, &publisher, &package, &["--grant", "filesystem"]);
    assert!(told.contains("symbolic link"), "{told}");
    assert_eq!(record(&bed, "asking"), None);
    assert_eq!(fs::read_dir(&outside).expect("a directory").count(), 0, "nothing was written through it");
    // a file
    fs::remove_file(&data).expect("removed");
    fs::write(&data, "planted").expect("a file");
    refused(&bed, &publisher, &package, &["--grant", "filesystem"]);
    assert_eq!(record(&bed, "asking"), None);
    // nothing there
    fs::remove_file(&data).expect("removed");
    publisher.install(&bed, &package, &["--grant", "filesystem"]);
    let daemon = bed.start();
    assert_eq!(daemon.wait_ready("asking").data_dir.as_deref(), Some(data.as_path()));
    daemon.stop();
}

#[test]
fn e100_a_removal_follows_no_link_wherever_one_was_planted() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    let precious = bed.path("precious");
    fs::create_dir_all(precious.join("deep")).expect("a directory");
    fs::write(precious.join("file"), "keep").expect("a file");
    let is_there = || {
        assert_eq!(fs::read_to_string(precious.join("file")).expect("still there"), "keep");
        assert!(precious.join("deep").is_dir());
    };
    publisher.install(&bed, &publisher.package("asking", "1.0.0", FILES), &["--grant", "filesystem"]);
    publisher.install(&bed, &publisher.package("asking", "1.1.0", FILES), &[]);
    let daemon = bed.start();
    let data = daemon.wait_ready("asking").data_dir.expect("a data directory");
    // by the plugin itself, which could make none, and in its versions
    symlink(&precious, data.join("directory")).expect("a link");
    symlink(precious.join("file"), data.join("file")).expect("a link");
    let plugin = bed.home().join("plugins/asking");
    symlink(precious.join("file"), plugin.join("1.1.0/more")).expect("a link");
    fs::remove_dir_all(plugin.join("1.0.0")).expect("removed");
    symlink(&precious, plugin.join("1.0.0")).expect("a link");
    symlink(&precious, plugin.join("9.9.9")).expect("a link");
    bed.works(&["plugin", "remove", "asking", "--yes"]);
    is_there();
    assert!(!plugin.exists() && !data.exists());
    eventually("its worker is gone", || match daemon.workers() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
    // the plugin's whole directory
    symlink(&precious, &plugin).expect("a link");
    bed.works(&["plugin", "remove", "asking", "--yes"]);
    is_there();
    assert!(!plugin.is_symlink());
    // and its data's
    publisher.install(&bed, &publisher.package("asking", "1.0.0", ""), &[]);
    let _ = fs::remove_dir_all(&data); // it is made for those that are granted it
    symlink(&precious, &data).expect("a link");
    bed.works(&["plugin", "remove", "asking", "--yes"]);
    is_there();
    assert!(!data.is_symlink() && !plugin.exists());
    daemon.stop();
}

#[test]
fn e106_a_name_that_looks_like_a_trusted_publishers_is_not_given_to_another_key() {
    let (bed, publisher, other) = (Bed::new(), Publisher::new(), Publisher::new());
    let (first, second) = (publisher.package("asking", "1.0.0", ""), other.package("echo-c", "0.1.0", ""));
    let as_name = |package: &Path, key: &Publisher, name: &str| {
        bed.run(&["plugin", "install", shown(package), "--yes", "--key", &key.key().to_string(), "--key-name", name])
    };
    assert!(as_name(&first, &publisher, "Modern Player").status.success());
    for name in ["Modern Player", "modern-player", "Modem P1ayer", "the midimon project"] {
        let output = as_name(&second, &other, name);
        assert_eq!(output.status.code(), Some(1), "{name}: {output:?}");
        assert_eq!(version(&bed, "echo-c"), None, "{name}");
    }
    assert!(!bed.works(&["key", "list"]).contains(&other.key().fingerprint().to_string()));
    assert!(as_name(&second, &other, "Ada").status.success());
    assert_eq!(version(&bed, "echo-c").as_deref(), Some("0.1.0"));
}
