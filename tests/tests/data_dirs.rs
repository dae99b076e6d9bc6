//! Each plugin's own directory: who gets one, and what is refused in its place.

use midimon::workers::status::WorkerState;
use midimon_tests::{Bed, Config, Daemon};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

const GRANTED: &str = "grants = [\"filesystem\"]";

fn data_dir(bed: &Bed, id: &str) -> PathBuf {
    bed.home().join("plugin-data").join(id)
}

fn notes_of(bed: &Bed, id: &str) -> String {
    fs::read_to_string(data_dir(bed, id).join("notes.txt")).unwrap_or_else(|error| panic!("{id}: {error}"))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a directory").permissions().mode() & 0o7777
}

fn problem(daemon: &Daemon, id: &str) -> String {
    let status = daemon.wait_status("a problem is named", |status| !status.problems.is_empty());
    assert_eq!(status.problems.len(), 1, "{:?}", status.problems);
    assert!(status.problems[0].contains(id), "{:?}", status.problems);
    status.problems[0].clone()
}

#[test]
fn two_wasm_plugins_write_the_same_name_into_files_of_their_own() {
    let bed = Bed::new();
    bed.install_as("notes-wasm", "ann");
    bed.install_as("notes-wasm", "bob");
    let config = Config::new().plugin("ann", GRANTED).plugin("bob", GRANTED);
    bed.configure(&config.note(60, "ann", "from-ann").note(61, "bob", "from-bob"));
    let mut daemon = bed.start();
    for (id, note) in [("ann", 60), ("bob", 61)] {
        let ready = daemon.wait_ready(id);
        assert_eq!(ready.data_dir.as_deref(), Some(data_dir(&bed, id).as_path()));
        daemon.answers(id, note);
        assert_eq!(mode(&data_dir(&bed, id)), 0o700);
    }
    let (ann, bob) = (notes_of(&bed, "ann"), notes_of(&bed, "bob"));
    assert!(ann.contains("from-ann") && !ann.contains("from-bob"), "{ann}");
    assert!(bob.contains("from-bob") && !bob.contains("from-ann"), "{bob}");
    assert_eq!(daemon.worker("ann").data_bytes, ann.len() as u64);
    daemon.stop();
}

/// A guest that opens `path` for reading, from the first directory it was given,
/// and answers with WASI's error number.
fn opener(path: &str) -> String {
    const METADATA: &str = r#"{"name":"opener","version":"1.0.0","description":"","author":"","license":"","type":"action","capabilities":["filesystem"]}"#;
    let (text, length) = (METADATA.replace('"', "\\\""), METADATA.len());
    let path_length = path.len();
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (memory (export "memory") 3)
            (data (i32.const 16) "{text}")
            (data (i32.const 512) "{path}")
            (func (export "init") (result i64)
                (i64.or (i64.shl (i64.const 16) (i64.const 32)) (i64.const {length})))
            (func (export "alloc") (param i32) (result i32) (i32.const 65536))
            (func (export "execute") (param i32 i32) (result i32)
                (call $open (i32.const 3) (i32.const 1) (i32.const 512) (i32.const {path_length}) (i32.const 0)
                    (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 1024))))"#
    )
}

#[test]
fn a_wasm_plugin_cannot_open_what_is_not_in_its_own_directory() {
    const CAPABILITY: &str = "[[capabilities]]\ncapability = \"filesystem\"\nreason = \"tries doors\"\n";
    let bed = Bed::new();
    // what each tries to open; the plugin `link` finds a link to it in its own directory
    let paths = [
        ("own", "secret.txt"),
        ("up", "../other/secret.txt"),
        ("round", "x/../../other/secret.txt"),
        ("absolute", "/etc/passwd"),
        ("link", "way"),
    ];
    let mut config = Config::new();
    for (note, (id, path)) in (60..).zip(paths) {
        let code = wat::parse_str(opener(path)).unwrap_or_else(|error| panic!("{id}: {error}"));
        bed.write_plugin(id, "guest.wasm", &code, CAPABILITY);
        config = config.plugin(id, GRANTED).note(note, id, "open");
    }
    bed.configure(&config);
    let write = |id: &str, name: &str| {
        fs::create_dir_all(data_dir(&bed, id).join("x")).expect("a data directory");
        for directory in [bed.home(), data_dir(&bed, ""), data_dir(&bed, id)] {
            fs::set_permissions(directory, Permissions::from_mode(0o700)).expect("permissions");
        }
        fs::write(data_dir(&bed, id).join(name), "secret").expect("a file");
    };
    for id in ["own", "other", "up", "round"] {
        write(id, "secret.txt");
    }
    write("link", "unused");
    symlink(data_dir(&bed, "other").join("secret.txt"), data_dir(&bed, "link").join("way")).expect("a link");

    let mut daemon = bed.start();
    for (note, (id, _)) in (60..).zip(paths) {
        daemon.wait_ready(id);
        daemon.send(&midimon_tests::midi::tap(note));
        let calls = daemon.wait_worker(id, "an answer", |worker| worker.calls.done + worker.calls.failed > 0).calls;
        assert_eq!(calls.done == 1, id == "own", "{id}: {calls:?}");
    }
    daemon.stop();
}

#[test]
fn a_link_planted_in_place_of_a_data_directory_is_refused() {
    let bed = Bed::new();
    bed.install("notes");
    bed.install("echo");
    bed.configure(&Config::new().plugin("notes", GRANTED).note(60, "notes", "write").note(61, "echo", "say"));
    let elsewhere = bed.path("elsewhere");
    fs::create_dir(&elsewhere).expect("a directory");
    fs::create_dir_all(data_dir(&bed, "")).expect("a directory");
    symlink(&elsewhere, data_dir(&bed, "notes")).expect("a link");

    let mut daemon = bed.start();
    let told = problem(&daemon, "notes");
    assert!(told.contains("symbolic link") && told.contains("move it away"), "{told}");
    daemon.wait_ready("echo");
    daemon.answers("echo", 61);
    assert_eq!(fs::read_dir(&elsewhere).expect("a directory").count(), 0, "nothing went through the link");

    // moved away and read again, it works
    fs::remove_file(data_dir(&bed, "notes")).expect("the link");
    assert!(bed.run(&["reload"]).status.success());
    daemon.wait_ready("notes");
    daemon.answers("notes", 60);
    assert!(notes_of(&bed, "notes").contains("write"));
    assert!(daemon.status().problems.is_empty());
    daemon.stop();
}

#[test]
fn a_data_directory_others_could_enter_is_refused() {
    let bed = Bed::new();
    bed.install("notes");
    bed.configure(&Config::new().plugin("notes", GRANTED));
    fs::create_dir_all(data_dir(&bed, "notes")).expect("a directory");
    fs::set_permissions(data_dir(&bed, "notes"), Permissions::from_mode(0o755)).expect("permissions");
    let daemon = bed.start();
    let told = problem(&daemon, "notes");
    assert!(told.contains("chmod 700"), "{told}");
    daemon.stop();
}

#[test]
fn without_the_grant_there_is_no_data_directory() {
    let bed = Bed::new();
    for id in ["notes", "notes-wasm"] {
        bed.install(id);
    }
    bed.configure(&Config::new().note(60, "notes", "write").note(61, "notes-wasm", "write"));
    let mut daemon = bed.start();
    // the native one says in `init` that it cannot work without
    let native = daemon.wait_worker("notes", "it says what it lacks", |worker| {
        worker.reason.as_deref().is_some_and(|reason| reason.contains("filesystem"))
    });
    assert!(native.state != WorkerState::Ready, "{native:#?}");
    // the WASM one finds out when it writes
    daemon.wait_ready("notes-wasm");
    daemon.send(&midimon_tests::midi::tap(61));
    let wasm = daemon.wait_worker("notes-wasm", "it fails", |worker| worker.calls.failed == 1);
    assert!(wasm.log_tail.iter().any(|line| line.contains("filesystem")), "{:?}", wasm.log_tail);
    for worker in [native, wasm] {
        assert_eq!(worker.data_dir, None);
        assert!(!data_dir(&bed, worker.id.as_str()).exists());
    }
    daemon.stop();
}
